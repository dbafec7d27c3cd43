using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// After an outage: an edge whose spool is full of clicks, RabbitMQ, and Attribution, each its own process. Clicks a second that
/// arrive in the attribution log, over a plain COPY of the same rows into the same indexed tables.
/// </summary>
internal static class DrainBenchmark
{
    private const int ClicksPerCommit = 500;

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int count, CancellationToken cancellation)
    {
        var clicks = SeededHistory.Facts(count, conversionsInThousand: 0).Cast<ClickRecorded>().ToArray();
        var (ours, copy) = (new List<double>(), new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            ours.Add(await DrainAsync(clicks, cancellation));

            await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync(cancellation));
            var log = new EventLog(database, AttributionService.Schema);
            await log.CreateSchemaAsync(cancellation);
            copy.Add(count / (await LogTables.CopyAsync(log, [.. clicks.Select(IntakeWriter.ToNewEvent)], cancellation)).TotalSeconds);
        }

        return [Measured.Of("drain", $"spool of {count:N0} clicks → RabbitMQ → attribution log", "clicks/s", ours, "plain COPY, one statement", copy, aim: null)];
    }

    /// <summary>Clicks a second from the first that arrives to the last.</summary>
    private static async Task<double> DrainAsync(ClickRecorded[] clicks, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("pulse-drain-").FullName;
        var spool = Path.Combine(folder, "edge");
        var address = await TestServers.NewDatabaseAsync(cancellation);
        (string, string)[] bus =
        [
            ("Bus__Transport", "rabbitmq"),
            ("Bus__RabbitMq", await TestServers.NewVirtualHostAsync(cancellation)),
            ("ConnectionStrings__Postgres", address),
        ];
        await FillAsync(spool, clicks);
        await using var database = NpgsqlDataSource.Create(address);
        var log = new EventLog(database, AttributionService.Schema);
        await log.CreateSchemaAsync(cancellation);
        var servers = new List<Process> { BenchServers.Start(BenchServers.Attribution, Path.Combine(folder, "attribution"), Ports.Free($"{folder}/attribution"), bus) };
        try
        {
            servers.Add(BenchServers.Start(nameof(Durability.Disk), spool, Ports.Free(spool), bus));
            var (watch, first) = (new Stopwatch(), 0L);
            for (var last = 0L; last < clicks.Length; await Task.Delay(20, cancellation))
            {
                last = await log.LastPositionAsync(cancellation);
                if (last > 0 && !watch.IsRunning)
                {
                    first = last;
                    watch.Start();
                }

                if (servers.Find(server => server.HasExited) is { } dead)
                {
                    throw new InvalidOperationException($"A server ended with {dead.ExitCode} at {last} clicks.");
                }
            }

            return (clicks.Length - first) / watch.Elapsed.TotalSeconds;
        }
        finally
        {
            foreach (var server in servers)
            {
                await BenchServers.StopAsync(server);
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task FillAsync(string folder, ClickRecorded[] clicks)
    {
        using var spool = new Spool(new EdgeOptions { Data = folder, Durability = Durability.Process }, TimeProvider.System, NullLogger<Spool>.Instance);
        foreach (var some in clicks.Chunk(ClicksPerCommit))
        {
            var entry = spool.Rent();
            foreach (var click in some)
            {
                entry.Add(click);
            }

            if (!await spool.AppendAsync(entry))
            {
                throw new InvalidOperationException($"The spool refused clicks: {spool.Fault}");
            }
        }
    }
}
