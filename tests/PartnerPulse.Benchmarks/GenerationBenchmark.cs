using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.Replays;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Credit rows a second that a replay writes, from the journeys to its last commit with every uncredited conversion beside them, over
/// a plain COPY of the same credit rows, in the same order, into the same table with its index. Once from the journeys that a service
/// keeps packed in memory, once from their table, as where they exceed the bound on memory. Then conversions a second beside the same
/// number of conversions among a tenth of the clicks.
/// </summary>
internal static class GenerationBenchmark
{
    private const double Aim = 0.5;
    private const double AimOfFlatness = 0.7;

    /// <summary>A fifth are orders: what a replay costs goes by them, and clicks are there only so that journeys have some.</summary>
    private const int ConversionsInThousand = 200;

    /// <summary>A second, by round: credit rows of the replay, the same rows by plain COPY, conversions judged.</summary>
    private sealed record Rounds(List<double> Rows, List<double> PlainRows, List<double> Conversions);

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int count, CancellationToken cancellation)
    {
        var conversions = count / 1_000 * ConversionsInThousand;
        var clicks = count - conversions;
        var fewer = conversions + (clicks / 10);
        var all = await MeasureAsync(rounds, count, ConversionsInThousand, withTable: true, cancellation);
        var few = await MeasureAsync(rounds, fewer, (int)(1_000L * conversions / fewer), withTable: false, cancellation);
        var what = $"replay of {conversions:N0} conversions of {clicks:N0} clicks";
        return
        [
            Measured.Of("generation", $"{what}, from memory", "credit rows/s", all[0].Rows, "plain COPY of its credit rows", all[0].PlainRows, Aim),
            Measured.Of("generation", $"{what}, from memory", "conversions/s", all[0].Conversions, $"the same of {clicks / 10:N0} clicks", few[0].Conversions, AimOfFlatness),
            Measured.Of("generation", $"{what}, from the table", "credit rows/s", all[1].Rows, "plain COPY of its credit rows", all[1].PlainRows, aim: null),
        ];
    }

    private static async Task<IReadOnlyList<Rounds>> MeasureAsync(int rounds, int count, int conversionsInThousand, bool withTable, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync(cancellation));
        var log = new EventLog(database, "attribution");
        await log.CreateSchemaAsync(cancellation);
        var program = Options.Create(new ProgramOptions());
        var lists = BotListFolders.Of(new ConfigurationBuilder().Build()).Lists;
        await new OpenProjections(log, program, lists, TimeProvider.System).StartAsync(cancellation);
        foreach (var commit in SeededHistory.Events(count, conversionsInThousand).Chunk(20_000))
        {
            await log.AppendAsync(commit, cancellation);
        }

        var generations = new Generations(log.Schema, lists);
        var projector = new Projector(log, generations, program, new ProjectionProgress(TimeProvider.System), NullLogger<Projector>.Instance);
        await projector.RebuildAsync(cancellation);
        await database.Sql("vacuum analyze").RunAsync(cancellation);
        var results = new List<Rounds>();
        foreach (var megabytes in withTable ? new[] { new AttributionOptions().WhatIfMegabytes, 0 } : [new AttributionOptions().WhatIfMegabytes])
        {
            var options = new AttributionOptions { WhatIfMegabytes = megabytes };
            var packed = new PackKeeper(log, generations, new ProjectionProgress(TimeProvider.System), Options.Create(options), NullLogger<PackKeeper>.Instance);
            var pass = new ReplayPass(log, generations, packed, options.ReplayCommit);
            results.Add(await MeasureAsync(database, log, projector, pass, (results.Count * (rounds + 1)) + 2, rounds, cancellation));
        }

        return results;
    }

    private static async Task<Rounds> MeasureAsync(
        NpgsqlDataSource database, EventLog log, Projector projector, ReplayPass pass, int first, int rounds, CancellationToken cancellation)
    {
        var measured = new Rounds([], [], []);
        for (var round = -1; round < rounds; round++) // The first warms up.
        {
            var number = first + 1 + round;
            await log.AppendAsync([IntakeWriter.ToNewEvent(Requested(number))], cancellation);
            await projector.ProjectAllAsync(cancellation);
            var watch = Stopwatch.StartNew();
            var conversions = 0;
            while (await pass.RunAsync(number, fresh: true, cancellation) is { } judged and > 0)
            {
                conversions += judged;
            }

            var taken = watch.Elapsed;
            var rows = await ReadAsync(database, number, cancellation);
            if (rows.Count < 1_000)
            {
                throw new InvalidOperationException($"{rows.Count} credit rows; the replay wrote next to nothing.");
            }

            var plain = await CopyAsync(database, rows, cancellation);
            if (round >= 0)
            {
                measured.Rows.Add(rows.Count / taken.TotalSeconds);
                measured.PlainRows.Add(rows.Count / plain.TotalSeconds);
                measured.Conversions.Add(conversions / taken.TotalSeconds);
            }
        }

        return measured;
    }

    private static ReplayRequested Requested(int generation) => new()
    {
        EventId = Ids.Derive("bench-replay", $"{generation}"), ProgramId = "main", OccurredAt = new DateTimeOffset(2026, 6, 1, 0, 0, 0, TimeSpan.Zero),
        ReplayId = Ids.Derive("bench-replay", $"{generation}"), RulesVersion = 1, Generation = generation,
    };

    private static async Task<IReadOnlyList<Row>> ReadAsync(NpgsqlDataSource database, int generation, CancellationToken cancellation)
    {
        await using var command = database.Sql(
            """
            select conversion_id, click_id, partner_id, link, campaign, share, amount_minor, commission_minor from attribution.credits
             where generation = $1 order by ctid
            """,
            P(generation));
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var rows = new List<Row>();
        while (await reader.ReadAsync(cancellation))
        {
            rows.Add(new Row(
                reader.GetGuid(0), reader.GetGuid(1), reader.GetString(2), reader.GetTextOrNull(3), reader.GetTextOrNull(4), reader.GetDecimal(5), reader.GetInt64(6),
                reader.GetInt64(7)));
        }

        return rows;
    }

    private static async Task<TimeSpan> CopyAsync(NpgsqlDataSource database, IReadOnlyList<Row> rows, CancellationToken cancellation)
    {
        await database.Sql("drop table if exists attribution.plain").RunAsync(cancellation);
        await database.Sql("create table attribution.plain (like attribution.credits including all)").RunAsync(cancellation);
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var watch = Stopwatch.StartNew();
        await using (var writer = await connection.BeginBinaryImportAsync(
            "copy attribution.plain (generation, conversion_id, click_id, partner_id, link, campaign, share, amount_minor, commission_minor) from stdin (format binary)",
            cancellation))
        {
            foreach (var row in rows)
            {
                await writer.StartRowAsync(cancellation);
                await writer.WriteAsync(1, NpgsqlDbType.Integer, cancellation);
                await writer.WriteAsync(row.Conversion, NpgsqlDbType.Uuid, cancellation);
                await writer.WriteAsync(row.Click, NpgsqlDbType.Uuid, cancellation);
                await writer.WriteAsync(row.Partner, NpgsqlDbType.Varchar, cancellation);
                await (row.Link is null ? writer.WriteNullAsync(cancellation) : writer.WriteAsync(row.Link, NpgsqlDbType.Varchar, cancellation));
                await (row.Campaign is null ? writer.WriteNullAsync(cancellation) : writer.WriteAsync(row.Campaign, NpgsqlDbType.Varchar, cancellation));
                await writer.WriteAsync(row.Share, NpgsqlDbType.Numeric, cancellation);
                await writer.WriteAsync(row.AmountMinor, NpgsqlDbType.Bigint, cancellation);
                await writer.WriteAsync(row.CommissionMinor, NpgsqlDbType.Bigint, cancellation);
            }

            await writer.CompleteAsync(cancellation);
        }

        return watch.Elapsed;
    }

    private sealed record Row(
        Guid Conversion, Guid Click, string Partner, string? Link, string? Campaign, decimal Share, long AmountMinor, long CommissionMinor);
}
