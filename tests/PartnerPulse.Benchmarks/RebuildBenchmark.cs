using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Events a second of a full rebuild from the raw log (journeys, decisions and credits of the active generation) over draining
/// the same table through Npgsql without decoding.
/// </summary>
internal static class RebuildBenchmark
{
    private const double Aim = 0.7;

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int count, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync(cancellation));
        var log = new EventLog(database, "attribution");
        await log.CreateSchemaAsync(cancellation);
        var program = Options.Create(new ProgramOptions());
        var lists = BotListFolders.Of(new ConfigurationBuilder().Build()).Lists;
        var projections = new OpenProjections(log, program, lists, TimeProvider.System);
        await projections.StartAsync(cancellation);
        foreach (var commit in SeededHistory.Events(count, conversionsInThousand: 20).Chunk(20_000))
        {
            await log.AppendAsync(commit, cancellation);
        }

        await using (var analyze = database.CreateCommand("vacuum analyze attribution.mt_events"))
        {
            await analyze.ExecuteNonQueryAsync(cancellation);
        }

        var projector = new Projector(
            log, new Generations(log.Schema, lists), program, new ProjectionProgress(TimeProvider.System), NullLogger<Projector>.Instance);
        var (ours, drain) = (new List<double>(), new List<double>());
        for (var round = -1; round < rounds; round++) // The first warms up.
        {
            var drained = await LogTables.DrainAsync(log, cancellation);
            var watch = Stopwatch.StartNew();
            await projector.RebuildAsync(cancellation);
            if (round >= 0)
            {
                ours.Add(count / watch.Elapsed.TotalSeconds);
                drain.Add(count / drained.TotalSeconds);
            }
        }

        await CheckAsync(database, count, cancellation);
        return [Measured.Of("rebuild", $"all projections of {count:N0} events", "events/s", ours, "draining the table undecoded", drain, Aim)];
    }

    /// <summary>A rebuild that did nothing would be fast.</summary>
    private static async Task CheckAsync(NpgsqlDataSource database, int count, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select count(*) from attribution.orders");
        var decided = (long)(await command.ExecuteScalarAsync(cancellation))!;
        if (decided < count / 100 || decided > count / 25)
        {
            throw new InvalidOperationException($"{decided} conversions of {count} events are decided; about {count / 50} were expected.");
        }
    }
}
