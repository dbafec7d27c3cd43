using System.Globalization;
using System.Text;
using System.Text.Json;
using FsCheck.Fluent;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.Replays;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;
using PartnerPulse.Tests.AttributionCore;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>The incremental projector on a real PostgreSQL against one fold of the same events in memory.</summary>
public sealed class ProjectorTests(ITestOutputHelper output)
{
    /// <summary>Each generated history has a schema of its own in one database.</summary>
    private static int s_schemas;

    [PostgresFact]
    public async Task Whatever_the_order_of_arrival_the_credits_are_those_of_one_fold()
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync());
        Properties.Hold(output, Histories.All, 40, given => HoldsAsync(database, given).GetAwaiter().GetResult());
    }

    /// <summary>The account of a shop's guests: hundreds of people under one customer key.</summary>
    [PostgresFact]
    public async Task A_key_that_everybody_shares_is_no_person_whenever_that_shows_and_a_new_order_of_it_concerns_itself_alone()
    {
        await using var database = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync());
        var seed = Seeds.Number(output);
        var rules = RulesInForce.Only(TestBots.Default with { Inherit = new Inherit(30), Model = new Linear() });
        var system = await Projection.CreateAsync(database, "crowd", rules);
        var events = Enumerable.Range(0, 320).SelectMany(i => Guest(i, i % 12 == 0 ? ConversionKind.Lead : ConversionKind.Sale)).ToArray();
        new Random(seed).Shuffle(events);

        for (var taken = 0; taken < events.Length; taken += 64)
        {
            await system.AppendAsync(events.Skip(taken).Take(64));
            await system.Projector.ProjectAllAsync(CancellationToken.None);
            Assert.Equal(Describe(History.Fold(events.Take(taken + 64)), rules), await system.DescribeAsync(generation: 1));
        }

        var before = await system.ScalarAsync("select max(changed_at) from crowd.journeys");
        await system.AppendAsync(Guest(1_000, ConversionKind.Sale));
        await system.Projector.ProjectAllAsync(CancellationToken.None);
        Assert.Equal(1L, await system.ScalarAsync($"select count(*) from crowd.journeys where changed_at > {before}"));

        var expected = Describe(History.Fold([.. events, .. Guest(1_000, ConversionKind.Sale)]), rules);
        Assert.Equal(expected, await system.DescribeAsync(generation: 1));
        await system.Projector.RebuildAsync(CancellationToken.None);
        Assert.Equal(expected, await system.DescribeAsync(generation: 1));
    }

    private static IEvent[] Guest(int number, ConversionKind kind)
    {
        var time = new DateTimeOffset(2026, 3, 1, 0, 0, 0, TimeSpan.Zero).AddHours(number);
        var (id, visitor) = (Ids.Conversion("default", "shop", $"guest-{number}"), $"visitor-{number}");
        return
        [
            new ClickRecorded
            {
                EventId = Ids.Derive("guest-click", $"{number}"), ProgramId = "default", OccurredAt = time.AddMinutes(-5), PartnerId = $"partner-{number % 7}",
                VisitorId = visitor, UserAgent = TestBots.Browser, Via = ClickVia.Redirect,
            },
            new ConversionRecorded
            {
                EventId = id, ConversionId = id, ProgramId = "default", OccurredAt = time, Kind = kind, Source = "shop", OrderId = $"guest-{number}",
                CustomerKey = "guest", VisitorId = visitor, AmountMinor = 100, Currency = "EUR",
            },
        ];
    }

    private static async Task HoldsAsync(NpgsqlDataSource database, Case given)
    {
        var system = await Projection.CreateAsync(database, $"history_{Interlocked.Increment(ref s_schemas)}", given.InForce);
        var events = given.Disturbed();
        var expected = Describe(History.Fold(given.Events), given.InForce);

        // In pieces, as they would arrive, each folded before the next comes.
        foreach (var piece in events.Chunk(7))
        {
            await system.AppendAsync(piece);
            await system.Projector.ProjectAllAsync(CancellationToken.None);
        }

        Assert.Equal(expected, await system.DescribeAsync(generation: 1));

        await system.Projector.RebuildAsync(CancellationToken.None);
        Assert.Equal(expected, await system.DescribeAsync(generation: 1));

        // A replay under the same rules differs in nothing; one under others is what a fold under them would be.
        var others = given.Rules with
        {
            Name = "others", Model = new Linear(), WindowDays = 90, RepeatMinutes = 0, Bots = Bots.Exclude(TestBots.Small, Machine.Head), Coupon = CouponUse.Override, Inherit = new Inherit(null),
            EffectiveFrom = null, Scope = RulesScope.Everything,
        };
        await system.ReplayAsync(generation: 2, given.InForce);
        await system.ReplayAsync(generation: 3, RulesInForce.Only(others, version: given.Stack.Count + 1));
        Assert.Equal(expected, await system.DescribeAsync(generation: 2));
        Assert.Equal(Describe(History.Fold(given.Events), RulesInForce.Only(others)), await system.DescribeAsync(generation: 3));
    }

    /// <summary>One line a conversion and one a credited touch, in order.</summary>
    private static string Describe(History history, RulesInForce rules)
    {
        var lines = new List<string>();
        foreach (var journey in history.Journeys)
        {
            var decision = Crediting.Decide(journey, history.Standings, rules);
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{decision.ConversionId} net {decision.NetMinor} {decision.Currency} {decision.Credited} {decision.Reason}"));
            lines.AddRange(decision.Parts.Where(t => t.Share > 0).Select(t => string.Create(
                CultureInfo.InvariantCulture, $"{decision.ConversionId} {t.Touch?.Click.EventId ?? Guid.Empty} {t.PartnerId} {t.Share:F18} {t.AmountMinor} {t.CommissionMinor}")));
        }

        return string.Join('\n', lines.Order(StringComparer.Ordinal));
    }

    private sealed class Projection(EventLog log, Generations generations, Projector projector)
    {
        private static readonly DateTimeOffset s_time = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public Projector Projector => projector;

        public static async Task<Projection> CreateAsync(NpgsqlDataSource database, string schema, RulesInForce rules)
        {
            var log = new EventLog(database, schema);
            await log.CreateSchemaAsync(CancellationToken.None);
            var program = Options.Create(new ProgramOptions { Program = "default" });
            await new OpenProjections(log, program, TestBots.Lists, TimeProvider.System).CreateTablesAsync(CancellationToken.None);
            var generations = new Generations(schema, TestBots.Lists);
            var system = new Projection(log, generations, new Projector(log, generations, program, new ProjectionProgress(TimeProvider.System), NullLogger<Projector>.Instance));
            await system.AppendAsync([.. rules.Versions.Select(Published), Requested(1, rules), Promoted(1)]);
            return system;
        }

        public Task AppendAsync(IEnumerable<IEvent> events) =>
            log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

        public async Task ReplayAsync(int generation, RulesInForce rules)
        {
            await AppendAsync([.. rules.Versions.Select(Published), Requested(generation, rules)]);
            await projector.ProjectAllAsync(CancellationToken.None);
            await using var connection = await log.DataSource.OpenConnectionAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            var row = await generations.LockAsync(connection, generation, CancellationToken.None);
            await generations.CatchUpAsync(connection, row!, CancellationToken.None);
            await transaction.CommitAsync();
        }

        public async Task<long> ScalarAsync(string sql)
        {
            await using var command = log.DataSource.CreateCommand(sql);
            return (long)(await command.ExecuteScalarAsync())!;
        }

        public async Task<string> DescribeAsync(int generation)
        {
            var lines = new List<string>();
            await using var decisions = log.DataSource.CreateCommand(
                $"""
                 select o.conversion_id, coalesce(u.net_minor, o.net_minor), o.currency, u.reason is null, u.reason
                   from {log.Schema}.orders o left join {log.Schema}.uncredited u on u.generation = {generation} and u.conversion_id = o.conversion_id
                  where u.reason is not null or exists (select from {log.Schema}.credits c where c.generation = {generation} and c.conversion_id = o.conversion_id)
                 """);
            await using (var reader = await decisions.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    lines.Add(string.Create(
                        CultureInfo.InvariantCulture,
                        $"{reader.GetGuid(0)} net {reader.GetInt64(1)} {reader.GetString(2)} {reader.GetBoolean(3)} {(reader.IsDBNull(4) ? null : reader.GetString(4))}"));
                }
            }

            await using var credits = log.DataSource.CreateCommand(
                $"select conversion_id, click_id, partner_id, share, amount_minor, commission_minor from {log.Schema}.credits where generation = {generation}");
            await using (var reader = await credits.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    lines.Add(string.Create(
                        CultureInfo.InvariantCulture,
                        $"{reader.GetGuid(0)} {reader.GetGuid(1)} {reader.GetString(2)} {reader.GetDecimal(3):F18} {reader.GetInt64(4)} {reader.GetInt64(5)}"));
                }
            }

            return string.Join('\n', lines.Order(StringComparer.Ordinal));
        }

        private static RulesPublished Published(VersionedRules versioned)
        {
            var (version, rules) = versioned;
            using var document = JsonDocument.Parse(rules.ToCanonicalJson());
            return new RulesPublished
            {
                EventId = Ids.Derive("rules", $"{version}"), ProgramId = "default", OccurredAt = s_time, Version = version, Hash = rules.Hash,
                Document = document.RootElement.Clone(),
            };
        }

        private static ReplayRequested Requested(int generation, RulesInForce rules) => new()
        {
            EventId = Ids.Derive("replay", $"{generation}"), ProgramId = "default", OccurredAt = s_time,
            ReplayId = Ids.Derive("replay", $"{generation}"), RulesVersion = rules.Versions[0].Version, Generation = generation,
            Under = rules.Versions.Length == 1 ? null : [.. rules.Versions.Skip(1).Select(v => v.Version)],
        };

        private static ReplayPromoted Promoted(int generation) => new()
        {
            EventId = Ids.Derive("promoted", $"{generation}"), ProgramId = "default", OccurredAt = s_time,
            ReplayId = Ids.Derive("replay", $"{generation}"), Generation = generation, PreviousGeneration = 0,
        };
    }
}
