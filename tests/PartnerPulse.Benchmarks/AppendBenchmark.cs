using System.Diagnostics;
using Npgsql;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.Benchmarks;

/// <summary>Events a second of the event store, idempotent and versioned, over a plain COPY of the same rows into the same indexed tables.</summary>
internal static class AppendBenchmark
{
    private const double Aim = 0.6;
    private const int EventsPerCommit = 5_000;

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int count, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync(cancellation));
        var events = SeededHistory.Events(count, conversionsInThousand: 20).ToArray();
        var (ours, copy) = (new List<double>(), new List<double>());
        for (var round = -1; round < rounds; round++) // The first warms up.
        {
            var appended = await NewLogAsync(database, $"append_{round + 1}", cancellation);
            var watch = Stopwatch.StartNew();
            foreach (var commit in events.Chunk(EventsPerCommit))
            {
                await appended.AppendAsync(commit, cancellation);
            }

            var took = watch.Elapsed;
            var copied = await LogTables.CopyAsync(await NewLogAsync(database, $"copy_{round + 1}", cancellation), events, cancellation);
            if (round >= 0)
            {
                ours.Add(count / took.TotalSeconds);
                copy.Add(count / copied.TotalSeconds);
            }
        }

        return [Measured.Of("append", $"event store, {EventsPerCommit} events a commit", "events/s", ours, "plain COPY, one statement", copy, Aim)];
    }

    private static async Task<EventLog> NewLogAsync(NpgsqlDataSource database, string schema, CancellationToken cancellation)
    {
        var log = new EventLog(database, schema);
        await log.CreateSchemaAsync(cancellation);
        return log;
    }
}
