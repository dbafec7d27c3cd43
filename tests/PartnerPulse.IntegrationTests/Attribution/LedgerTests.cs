using System.Text.Json;
using FsCheck.Fluent;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.Statements;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;
using PartnerPulse.Tests.AttributionCore;
using Xunit.Abstractions;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Generated histories with refunds, late events, promotions, and months closed wherever it falls.</summary>
public sealed class LedgerTests(ITestOutputHelper output)
{
    private static int s_schemas;

    [PostgresFact]
    public async Task Whatever_comes_whenever_a_month_is_closed_the_ledger_adds_up_to_the_credits_and_statements_never_change()
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync());
        var (closings, adjustments) = (0L, 0L);
        Properties.Hold(output, Histories.All, 15, given =>
        {
            var (closed, adjusted) = HoldsAsync(database, given).GetAwaiter().GetResult();
            (closings, adjustments) = (closings + closed, adjustments + adjusted);
        });
        Assert.True(closings > 4 && adjustments > 0, $"{closings} closings and {adjustments} adjustments are too few to show anything");
    }

    private static async Task<(int Closings, long Adjustments)> HoldsAsync(NpgsqlDataSource database, Case any)
    {
        // One version at a time judges here; what several judge together is ProjectorTests'.
        var given = any with { Rules = RulesInForce.Only(any.Rules).Versions[0].Rules };
        var system = await Books.CreateAsync(database, $"ledger_{Interlocked.Increment(ref s_schemas)}", given.Rules);
        var random = new Random(given.Disorder);
        var others = given.Rules with { Name = "others", Model = new Linear(), WindowDays = 90, Coupon = CouponUse.Override };
        var closed = new Dictionary<string, string>(StringComparer.Ordinal);
        var pieces = given.Disturbed().Chunk(7).ToArray();
        for (var i = 0; i < pieces.Length; i++)
        {
            await system.AppendAsync(pieces[i]);

            // Now and then with what is in the log and not folded yet.
            var folded = random.Next(4) > 0;
            if (folded)
            {
                await system.Projector.ProjectAllAsync(CancellationToken.None);
            }

            if (i == pieces.Length / 2)
            {
                await system.PromoteAsync(generation: 2, rulesVersion: 2, others);
            }

            if (random.Next(3) == 0 && await system.CloseNextAsync() is { } period)
            {
                closed.Add(period, await system.BilledAsync(period));
            }
        }

        await system.Projector.ProjectAllAsync(CancellationToken.None);
        while (closed.Count < 2 && await system.CloseNextAsync() is { } period)
        {
            await system.Projector.ProjectAllAsync(CancellationToken.None);
            closed.Add(period, await system.BilledAsync(period));
        }

        Assert.Equal(await system.CreditsAsync(), await system.LedgerSumsAsync());
        Assert.Empty(await system.UnbalancedAsync());
        foreach (var (period, billed) in closed)
        {
            Assert.Equal(billed, await system.BilledAsync(period));
            var verified = await system.VerifyAsync(period);
            Assert.True(verified.Equal, $"{period}: {string.Join("; ", verified.Differences)}");
        }

        var before = await system.DumpAsync();
        await system.Projector.RebuildAsync(CancellationToken.None);
        await system.Projector.ProjectAllAsync(CancellationToken.None);
        Assert.Equal(before, await system.DumpAsync());
        return (closed.Count, before.Split('\n').Count(line => line.Contains(LedgerEntry.Adjustment, StringComparison.Ordinal)));
    }

    /// <summary>The projector, the ledger and the statements on a schema of their own.</summary>
    private sealed class Books(EventLog log, Projector projector, CloseStatement close, VerifyStatement verify)
    {
        private static readonly DateTimeOffset s_time = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public Projector Projector => projector;

        public static async Task<Books> CreateAsync(NpgsqlDataSource database, string schema, Rules rules)
        {
            var log = new EventLog(database, schema);
            await log.CreateSchemaAsync(CancellationToken.None);
            var program = Options.Create(new ProgramOptions { Program = "default" });
            await new OpenProjections(log, program, TestBots.Lists, TimeProvider.System).CreateTablesAsync(CancellationToken.None);
            var generations = new Generations(schema, TestBots.Lists);
            var progress = new ProjectionProgress(TimeProvider.System);
            var projector = new Projector(log, generations, program, progress, NullLogger<Projector>.Instance);

            // Every month of the history is over.
            var time = new FixedTime(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
            var options = Options.Create(new AttributionOptions { HoldDays = 20 });
            var read = new ReadStatements(log, new ReadLedger(log, options), options, time);
            var system = new Books(
                log, projector, new CloseStatement(log, generations, new LedgerBook(schema), read, progress, program, options, time),
                new VerifyStatement(log, TestBots.Lists, read));
            await system.AppendAsync([Published(1, rules), Requested(1, 1), Promoted(1)]);
            return system;
        }

        public Task AppendAsync(IEnumerable<IEvent> events) => log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

        public async Task PromoteAsync(int generation, int rulesVersion, Rules rules)
        {
            await AppendAsync([Published(rulesVersion, rules), Requested(generation, rulesVersion), Promoted(generation)]);
            await projector.ProjectAllAsync(CancellationToken.None);
        }

        /// <summary>Closes the month that is due as far as everything is folded; null where nothing has an entry yet.</summary>
        public async Task<string?> CloseNextAsync()
        {
            ClosedStatements statements;
            await using (var connection = await log.DataSource.OpenConnectionAsync())
            {
                statements = await ClosedStatements.ReadAsync(connection, log.Schema, CancellationToken.None);
            }

            if (statements.Next is not { } next)
            {
                return null;
            }

            // Part of what is earned in a month is held at its end.
            var asOf = next.Next.First.AddDays(4);
            var folded = await log.CheckpointAsync(Projector.Checkpoint, CancellationToken.None);
            while (true)
            {
                switch (await close.TryCloseAsync(next, null, asOf, "test", folded, CancellationToken.None))
                {
                    case CloseStatement.Closes:
                        return next.ToString();

                    // What a promotion changed is told first; or an earlier month was told of meanwhile.
                    case null:
                        await projector.ProjectAllAsync(CancellationToken.None);
                        break;
                    case CloseStatement.OutOfOrder { Next: var earlier }:
                        (next, asOf) = (earlier, earlier.Next.First.AddDays(4));
                        break;
                    case var other:
                        throw new InvalidOperationException(other.ToString());
                }
            }
        }

        public async Task<VerifyStatement.Verification> VerifyAsync(string period) =>
            await verify.VerifyAsync(Period.Parse(period)!.Value, CancellationToken.None) ?? throw new InvalidOperationException($"{period} is not closed.");

        /// <summary>What a closed month says, and its entries.</summary>
        public async Task<string> BilledAsync(string period) =>
            await TextAsync($"select closed::text from {log.Schema}.statements where period = '{period}'")
            + await TextAsync($"select (l.*)::text from {log.Schema}.ledger l where period = '{period}' order by position, partner_id");

        public Task<string> DumpAsync() => TextAsync(
            $"select (l.*)::text from {log.Schema}.ledger l union all select (s.period, s.position, s.closed::text)::text from {log.Schema}.statements s order by 1");

        public Task<string> LedgerSumsAsync() => TextAsync(
            $"""
             select (conversion_id, partner_id, sum(share), sum(amount_minor), sum(commission_minor))::text from {log.Schema}.ledger
              group by conversion_id, partner_id having (sum(share), sum(amount_minor), sum(commission_minor)) <> (0, 0, 0) order by conversion_id, partner_id
             """);

        public Task<string> CreditsAsync() => TextAsync(
            $"""
             select (conversion_id, partner_id, sum(share), sum(amount_minor), sum(commission_minor))::text
               from {log.Schema}.credits join {log.Schema}.orders o using (conversion_id) join {log.Schema}.generations g using (generation)
              where g.state = 'active' and not o.test
              group by conversion_id, partner_id having (sum(share), sum(amount_minor), sum(commission_minor)) <> (0, 0, 0) order by conversion_id, partner_id
             """);

        /// <summary>Partners whose payments, last carry and open entries do not add up to their commission now.</summary>
        public Task<string> UnbalancedAsync() => TextAsync(
            $"""
             with balance as (
                 select s.period, b ->> 'partnerId' as partner, b ->> 'currency' as currency, (b ->> 'payableMinor')::bigint as payable, (b ->> 'carriedMinor')::bigint as carried
                   from {log.Schema}.statements s, json_array_elements(s.closed -> 'balances') b
             ),
             parts as (
                 select partner, currency, payable as minor from balance
                 union all select partner, currency, carried from balance where period = (select max(period) from {log.Schema}.statements)
                 union all select partner_id, currency, commission_minor from {log.Schema}.ledger where period > coalesce((select max(period) from {log.Schema}.statements), '')
                 union all
                 select c.partner_id, o.currency, -c.commission_minor
                   from {log.Schema}.credits c join {log.Schema}.orders o using (conversion_id) join {log.Schema}.generations g using (generation)
                  where g.state = 'active' and not o.test
             )
             select (partner, currency, sum(minor))::text from parts group by partner, currency having sum(minor) <> 0
             """);

        private async Task<string> TextAsync(string sql)
        {
            await using var command = log.DataSource.CreateCommand(sql);
            await using var reader = await command.ExecuteReaderAsync();
            var lines = new List<string>();
            while (await reader.ReadAsync())
            {
                lines.Add(reader.GetString(0));
            }

            return string.Join('\n', lines);
        }

        private static RulesPublished Published(int version, Rules rules)
        {
            using var document = JsonDocument.Parse(rules.ToCanonicalJson());
            return new RulesPublished
            {
                EventId = Ids.Derive("rules", $"{version}"), ProgramId = "default", OccurredAt = s_time, Version = version, Hash = rules.Hash,
                Document = document.RootElement.Clone(),
            };
        }

        private static ReplayRequested Requested(int generation, int rulesVersion) => new()
        {
            EventId = Ids.Derive("replay", $"{generation}"), ProgramId = "default", OccurredAt = s_time,
            ReplayId = Ids.Derive("replay", $"{generation}"), RulesVersion = rulesVersion, Generation = generation,
        };

        private static ReplayPromoted Promoted(int generation) => new()
        {
            EventId = Ids.Derive("promoted", $"{generation}"), ProgramId = "default", OccurredAt = s_time,
            ReplayId = Ids.Derive("replay", $"{generation}"), Generation = generation, PreviousGeneration = generation - 1,
        };
    }

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
