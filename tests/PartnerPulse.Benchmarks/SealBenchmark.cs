using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.Seals;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Events a second that the sealer seals and that a verification hashes anew, each over draining the same table undecoded; and what an
/// append loses while the sealer follows it.
/// </summary>
internal static class SealBenchmark
{
    private const int Commit = 5_000;

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int count, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("pulse-bench-").FullName;
        try
        {
            var (sealing, verifying, drain, followed, alone) = (new List<double>(), new List<double>(), new List<double>(), new List<double>(), new List<double>());
            for (var round = -1; round < rounds; round++) // The first warms up.
            {
                await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync(cancellation));
                var (log, sealer, key, file) = await OpenAsync(database, Path.Combine(folder, $"checkpoints-{round}"), cancellation);
                using (key)
                using (sealer)
                {
                    var events = SeededHistory.Events(count, conversionsInThousand: 20).ToArray();
                    var appended = await AppendAsync(log, events.AsMemory(0, count / 2), cancellation);
                    var watch = Stopwatch.StartNew();
                    await sealer.StartAsync(cancellation);
                    await UntilSealedAsync(log, cancellation);
                    var sealedIn = watch.Elapsed;
                    var beside = await AppendAsync(log, events.AsMemory(count / 2), cancellation);
                    await UntilSealedAsync(log, cancellation);
                    await sealer.StopAsync(cancellation);
                    var drained = await LogTables.DrainAsync(log, cancellation);
                    var verified = await VerifyLog.RunAsync(database, "main/attribution", log.Schema, file, key.PublicPem, progress: null, cancellation);
                    if (!verified.Intact || verified.Events < count)
                    {
                        throw new InvalidOperationException($"{verified.Events} of {count} events are sealed; {verified.FindingsTotal} findings.");
                    }

                    if (round >= 0)
                    {
                        sealing.Add(count / 2 / sealedIn.TotalSeconds);
                        verifying.Add(verified.Events / verified.Seconds);
                        drain.Add(count / drained.TotalSeconds);
                        followed.Add(count / 2 / beside.TotalSeconds);
                        alone.Add(count / 2 / appended.TotalSeconds);
                    }
                }
            }

            const string Drain = "draining the table undecoded";
            return
            [
                Measured.Of("seals", $"sealing {count / 2:N0} events", "events/s", sealing, Drain, drain, aim: null),
                Measured.Of("seals", $"verifying {count:N0} events", "events/s", verifying, Drain, drain, aim: null),
                Measured.Of("seals", $"append of {Commit:N0} events a commit, sealed beside", "events/s", followed, "the same, not sealed", alone, aim: null),
            ];
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<(EventLog Log, Sealer Sealer, SealKey Key, string File)> OpenAsync(NpgsqlDataSource database, string file, CancellationToken cancellation)
    {
        var log = new EventLog(database, "attribution");
        await log.CreateSchemaAsync(cancellation);
        var program = Options.Create(new ProgramOptions());
        await new OpenProjections(log, program, BotListFolders.Of(new ConfigurationBuilder().Build()).Lists, TimeProvider.System).CreateTablesAsync(cancellation);
        var options = Options.Create(new AttributionOptions { SealFile = file, SealSeconds = 0.2 });
        var key = new SealKey(options);
        return (log, new Sealer(log, key, options, program, TimeProvider.System, NullLogger<Sealer>.Instance), key, file);
    }

    private static async Task<TimeSpan> AppendAsync(EventLog log, ReadOnlyMemory<NewEvent> events, CancellationToken cancellation)
    {
        var watch = Stopwatch.StartNew();
        for (var start = 0; start < events.Length; start += Commit)
        {
            await log.AppendAsync(events.Slice(start, Math.Min(Commit, events.Length - start)).ToArray(), cancellation);
        }

        return watch.Elapsed;
    }

    private static async Task UntilSealedAsync(EventLog log, CancellationToken cancellation)
    {
        var last = await log.LastPositionAsync(cancellation);
        while (await log.CheckpointAsync(Sealer.Progress, cancellation) < last)
        {
            await Task.Delay(10, cancellation); // Between two looks at what nothing announces.
        }
    }
}
