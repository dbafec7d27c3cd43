using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// What-ifs a second, from first touch within 60 days to last touch within 30, per partner and with commission: beside a bare fold
/// over the same arrays, beside DuckDB and PostgreSQL with the same rows in tables of their own, and at a tenth and three tenths of
/// the clicks with the same conversions. All say the same of every partner, or the run fails.
/// </summary>
internal static class ReplayBenchmark
{
    private const int ClicksOfAConversion = 50;
    private const double AimOverDuckDb = 5;
    private const double AimOverBareFold = 0.2;
    private const double AimOfFlatness = 0.7;
    private const double MostMegabytes = 1_024;
    private const int BasisPoints = 1_000;
    private const long Day = 86_400L * 1_000_000;

    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(3);
    private static readonly RulesInForce s_before = Of("first", new FirstTouch(), 60);
    private static readonly RulesInForce s_after = Of("last", new LastTouch(), 30);

    /// <summary>What all sides must agree on.</summary>
    private sealed record Line(string Partner, long OrdersBefore, long AmountBefore, long CommissionBefore, long OrdersAfter, long AmountAfter, long CommissionAfter);

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int clicks, CancellationToken cancellation)
    {
        var conversions = clicks / ClicksOfAConversion;
        var folder = Directory.CreateTempSubdirectory("pulse-replay-").FullName;
        try
        {
            var (ours, bare, lines, megabytes) = Measure(new ReplayHistory(clicks, conversions), rounds, cancellation);
            var peak = PeakMegabytes();
            var what = $"{conversions:N0} conversions of {clicks:N0} clicks ({megabytes:N0} MB), difference per partner";
            var results = new List<Measured>
            {
                Measured.Of("replay", what, "what-ifs/s", ours, "a bare fold over the same arrays, on the same cores", bare, AimOverBareFold),
            };
            foreach (var (part, of) in new[] { (10, clicks / 10), (3, clicks * 3L / 10) })
            {
                var (few, _, _, _) = Measure(new ReplayHistory((int)of, conversions), rounds, cancellation);
                results.Add(Measured.Of("replay", what, "what-ifs/s", ours, $"the same conversions of {of:N0} clicks", few, AimOfFlatness));
            }

            results.Add(new Measured("replay", "peak memory of a process that packs and asks", "MB", peak, "the bound", MostMegabytes, peak / MostMegabytes, Aim: 1));
            var history = new ReplayHistory(clicks, conversions);
            if (await DuckDb.InstallAsync(cancellation) is { } duckDb)
            {
                var (times, theirs) = await duckDb.RunAsync(history, folder, rounds, cancellation);
                AssertEqual("DuckDB", lines, theirs);
                results.Add(Measured.Of("replay", what, "what-ifs/s", ours, "DuckDB: one join within 60 days, arg_min and arg_max", times, AimOverDuckDb));
            }

            var (seconds, rows) = await PostgresAsync(history, rounds, cancellation);
            AssertEqual("PostgreSQL", lines, rows);
            results.Add(Measured.Of("replay", what, "what-ifs/s", ours, "PostgreSQL: two looks into a covering index a conversion", seconds, aim: null));
            return results;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static RulesInForce Of(string name, Model model, int windowDays) => RulesInForce.Only(new Rules
    {
        Name = name, Model = model, WindowDays = windowDays, RepeatMinutes = 0, Commission = [new CommissionEntry { PercentBasisPoints = BasisPoints }],
    });

    private static (List<double> Ours, List<double> Bare, IReadOnlyList<Line> Lines, double Megabytes) Measure(
        ReplayHistory history, int rounds, CancellationToken cancellation)
    {
        var pack = history.Pack();
        GC.Collect();
        var (ours, bare) = (new List<double>(), new List<double>());
        IReadOnlyList<Line> lines = [];
        var warm = Stopwatch.StartNew();
        for (var round = 0; round < rounds;)
        {
            var watch = Stopwatch.StartNew();
            var sums = RuleSetSums.Of(pack, PartnerStandings.Empty, [s_before, s_after], DateTimeOffset.MinValue, DateTimeOffset.MaxValue, cancellation);
            var answer = PartnerPulse.Attribution.Replays.DiffReplay.Rows(sums.Groups(0), sums.Groups(1));
            var mine = watch.Elapsed.TotalSeconds;

            watch.Restart();
            var folded = BareFold.Of(pack, 60 * TimeSpan.TicksPerDay, 30 * TimeSpan.TicksPerDay);
            var plain = watch.Elapsed.TotalSeconds;
            lines = Lines(sums);
            AssertEqual("The bare fold", lines, folded);
            if (answer.Count != lines.Count)
            {
                throw new InvalidOperationException($"{answer.Count} partners in the answer, {lines.Count} in the sums.");
            }

            // A service that has answered for a second or two runs what the compiler has made of it by then.
            if (warm.Elapsed > s_warmUp)
            {
                ours.Add(1 / mine);
                bare.Add(1 / plain);
                round++;
            }
        }

        return (ours, bare, lines, pack.Bytes / (1024.0 * 1024));
    }

    private static IReadOnlyList<Line> Lines(RuleSetSums sums)
    {
        var (before, after) = (sums.Groups(0).ToDictionary(g => g.Key, StringComparer.Ordinal), sums.Groups(1).ToDictionary(g => g.Key, StringComparer.Ordinal));
        return [.. before.Keys.Union(after.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal).Select(partner =>
        {
            var was = before.GetValueOrDefault(partner)?.Money.Single() ?? default;
            var would = after.GetValueOrDefault(partner)?.Money.Single() ?? default;
            return new Line(partner, was.Conversions, was.AmountMinor, was.CommissionMinor, would.Conversions, would.AmountMinor, would.CommissionMinor);
        })];
    }

    private static void AssertEqual(string who, IReadOnlyList<Line> ours, IReadOnlyList<Line> theirs)
    {
        if (!ours.SequenceEqual(theirs))
        {
            var (one, other) = ours.Zip(theirs).FirstOrDefault(pair => pair.First != pair.Second);
            throw new InvalidOperationException($"{who} says otherwise: {ours.Count} and {theirs.Count} partners; {one} and {other}.");
        }
    }

    private static double PeakMegabytes()
    {
        const string Peak = "VmHWM:";
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(Peak, StringComparison.Ordinal));
        return double.Parse(line[Peak.Length..].Replace("kB", "", StringComparison.Ordinal), CultureInfo.InvariantCulture) / 1024;
    }

    private static async Task<(List<double> PerSecond, IReadOnlyList<Line> Lines)> PostgresAsync(ReplayHistory history, int rounds, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync(cancellation));
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await ExecuteAsync(connection, "create table clicks (visitor int, at bigint, partner int); create table orders (number int, visitor int, at bigint, amount bigint)", cancellation);
        await using (var writer = await connection.BeginBinaryImportAsync("copy clicks from stdin (format binary)", cancellation))
        {
            foreach (var click in history.Clicks())
            {
                await writer.StartRowAsync(cancellation);
                await writer.WriteAsync(click.Visitor, NpgsqlDbType.Integer, cancellation);
                await writer.WriteAsync(click.At, NpgsqlDbType.Bigint, cancellation);
                await writer.WriteAsync(click.Partner, NpgsqlDbType.Integer, cancellation);
            }

            await writer.CompleteAsync(cancellation);
        }

        await using (var writer = await connection.BeginBinaryImportAsync("copy orders from stdin (format binary)", cancellation))
        {
            foreach (var order in history.Orders())
            {
                await writer.StartRowAsync(cancellation);
                await writer.WriteAsync(order.Number, NpgsqlDbType.Integer, cancellation);
                await writer.WriteAsync(order.Visitor, NpgsqlDbType.Integer, cancellation);
                await writer.WriteAsync(order.At, NpgsqlDbType.Bigint, cancellation);
                await writer.WriteAsync(order.AmountMinor, NpgsqlDbType.Bigint, cancellation);
            }

            await writer.CompleteAsync(cancellation);
        }

        await ExecuteAsync(connection, "create index on clicks (visitor, at) include (partner)", cancellation);
        await ExecuteAsync(connection, "vacuum analyze clicks", cancellation);
        await ExecuteAsync(connection, "vacuum analyze orders", cancellation);
        var sql =
            $"""
             with credited as materialized (
                 select o.amount,
                        (select partner from clicks c where c.visitor = o.visitor and c.at between o.at - {60 * Day} and o.at order by c.at limit 1) as before,
                        (select partner from clicks c where c.visitor = o.visitor and c.at between o.at - {30 * Day} and o.at order by c.at desc limit 1) as after
                   from orders o
             )
             select partner, sum(orders_before)::bigint, sum(amount_before)::bigint, sum(commission_before)::bigint,
                    sum(orders_after)::bigint, sum(amount_after)::bigint, sum(commission_after)::bigint
               from (
                 select before as partner, count(*) as orders_before, sum(amount) as amount_before, sum((amount * {BasisPoints} + 5000) / 10000) as commission_before,
                        0 as orders_after, 0 as amount_after, 0 as commission_after from credited where before is not null group by 1
                 union all
                 select after, 0, 0, 0, count(*), sum(amount), sum((amount * {BasisPoints} + 5000) / 10000) from credited where after is not null group by 1
               ) sides group by 1
             """;
        var (perSecond, lines) = (new List<double>(), new List<Line>());
        for (var round = -1; round < rounds; round++) // The first warms up.
        {
            lines.Clear();
            var watch = Stopwatch.StartNew();
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 300 };
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
            {
                lines.Add(new Line(
                    ReplayHistory.NameOf(reader.GetInt32(0)), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6)));
            }

            if (round >= 0)
            {
                perSecond.Add(1 / watch.Elapsed.TotalSeconds);
            }
        }

        return (perSecond, [.. lines.OrderBy(l => l.Partner, StringComparer.Ordinal)]);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 300 };
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>The two models written out over the packed arrays, and nothing else: no other rule, no receipt, one currency.</summary>
    private static class BareFold
    {
        public static IReadOnlyList<Line> Of(JourneyPack pack, long windowBefore, long windowAfter)
        {
            var all = new long[6 * pack.Names.Partners];
            var turn = new Lock();
            Parallel.ForEach(
                pack.Chunks,
                new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount },
                () => new long[6 * pack.Names.Partners],
                (chunk, _, sums) =>
                {
                    Add(chunk, windowBefore, windowAfter, sums);
                    return sums;
                },
                sums =>
                {
                    lock (turn)
                    {
                        for (var i = 0; i < all.Length; i++)
                        {
                            all[i] += sums[i];
                        }
                    }
                });
            return
            [
                .. Enumerable.Range(0, pack.Names.Partners).Where(p => all[6 * p] > 0 || all[(6 * p) + 3] > 0)
                    .Select(p => new Line(
                        pack.Names.PartnerId(p), all[6 * p], all[(6 * p) + 1], all[(6 * p) + 2], all[(6 * p) + 3], all[(6 * p) + 4], all[(6 * p) + 5]))
                    .OrderBy(l => l.Partner, StringComparer.Ordinal),
            ];
        }

        private static void Add(JourneyPack.Chunk chunk, long windowBefore, long windowAfter, long[] sums)
        {
            for (var slot = 0; slot < chunk.Count; slot++)
            {
                if (!chunk.TryGet(slot, out var journey))
                {
                    continue;
                }

                ref readonly var conversion = ref journey.Conversion;
                var (first, last) = (-1, -1);
                foreach (ref readonly var touch in journey.TouchesOf(conversion))
                {
                    var age = conversion.Ticks - touch.Ticks;
                    if (age >= 0 && age <= windowBefore)
                    {
                        first = first < 0 ? touch.Partner : first;
                        last = age <= windowAfter ? touch.Partner : last;
                    }
                }

                Add(sums, first, 0, conversion.NetMinor);
                Add(sums, last, 3, conversion.NetMinor);
            }
        }

        private static void Add(long[] sums, int partner, int side, long amount)
        {
            if (partner >= 0)
            {
                var at = (6 * partner) + side;
                sums[at]++;
                sums[at + 1] += amount;
                sums[at + 2] += ((amount * BasisPoints) + 5_000) / 10_000;
            }
        }
    }

    /// <summary>DuckDB through its package for Node, because the one for .NET is no baseline of ours to ship.</summary>
    private sealed class DuckDb(string folder)
    {
        private const string Package = "@duckdb/node-api@1.5.6-r.1";

        /// <summary>Null, and a word on standard error, where there is no npm.</summary>
        public static async Task<DuckDb?> InstallAsync(CancellationToken cancellation)
        {
            if (Shell.Find("npm") is not { } npm || Shell.Find("node") is null)
            {
                Console.Error.WriteLine("DuckDB is left out: npm and node are not here.");
                return null;
            }

            var folder = Path.Combine(AppContext.BaseDirectory, "duckdb");
            Directory.CreateDirectory(folder);
            File.Copy(Path.Combine(AppContext.BaseDirectory, "replay-duckdb.mjs"), Path.Combine(folder, "replay-duckdb.mjs"), overwrite: true);
            if (!Directory.Exists(Path.Combine(folder, "node_modules", "@duckdb")))
            {
                await OutputAsync(npm, ["install", "--prefix", folder, "--no-audit", "--no-fund", Package], cancellation);
            }

            return new DuckDb(folder);
        }

        public async Task<(List<double> PerSecond, IReadOnlyList<Line> Lines)> RunAsync(
            ReplayHistory history, string data, int rounds, CancellationToken cancellation)
        {
            var (clicks, orders) = (Path.Combine(data, "clicks.csv"), Path.Combine(data, "orders.csv"));
            await File.WriteAllLinesAsync(clicks, history.Clicks().Select(c => string.Create(CultureInfo.InvariantCulture, $"{c.Visitor},{c.At},{c.Partner}")), cancellation);
            await File.WriteAllLinesAsync(orders, history.Orders().Select(o => string.Create(CultureInfo.InvariantCulture, $"{o.Number},{o.Visitor},{o.At},{o.AmountMinor}")), cancellation);
            var text = await OutputAsync(
                Shell.Find("node")!, [Path.Combine(folder, "replay-duckdb.mjs"), clicks, orders, rounds.ToString(CultureInfo.InvariantCulture)], cancellation);
            using var json = JsonDocument.Parse(text);
            var lines = json.RootElement.GetProperty("rows").EnumerateArray().Select(row => row.EnumerateArray().Select(n => long.Parse(n.GetString()!, CultureInfo.InvariantCulture)).ToArray())
                .Select(n => new Line(ReplayHistory.NameOf((int)n[0]), n[1], n[2], n[3], n[4], n[5], n[6]));
            return ([.. json.RootElement.GetProperty("seconds").EnumerateArray().Select(s => 1 / s.GetDouble())], [.. lines.OrderBy(l => l.Partner, StringComparer.Ordinal)]);
        }

        private static async Task<string> OutputAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellation)
        {
            var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, UseShellExecute = false };
            foreach (var argument in arguments)
            {
                start.ArgumentList.Add(argument);
            }

            using var process = Process.Start(start)!;
            var output = await process.StandardOutput.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
        }
    }
}
