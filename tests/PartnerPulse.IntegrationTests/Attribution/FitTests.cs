using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Fits;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>A replay under a model that is fitted: fitted once, to the log as it is then, and judged by that for good.</summary>
public sealed class FitTests
{
    private const string Browser = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
    private const string Chain = """{"name":"chain","model":{"kind":"markov","order":2},"repeatMinutes":0}""";

    private static readonly DateTimeOffset s_time = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    [PostgresFact]
    public async Task A_generation_is_fitted_to_the_log_and_stays_so_through_a_stop_a_rebuild_and_a_replay_of_the_same()
    {
        var events = Generated(seed: 5);
        var first = await StartAsync();
        await AppendAsync(first, events);
        await first.ProjectedAsync();
        var (replay, generation) = await ReplayAsync(first, Chain);

        // Stopped wherever it is, and started again.
        await first.DisposeAsync();
        await using var service = await StartAsync(first);
        await StateAsync(service, replay, "ready");

        var rules = Read(service, Chain);
        var expected = Fitting.Of(events, rules);
        var fitted = Assert.Single(await FactsAsync<ModelFitted>(service));
        Assert.Equal((replay, generation, 2), (fitted.ReplayId, fitted.Generation, fitted.Order));
        Assert.Equal((expected.Converted, expected.NotConverted, expected.States), (fitted.Converted, fitted.NotConverted, fitted.States));
        Assert.Equal(expected.Effects.AsEnumerable(), fitted.Effects);
        Assert.Equal(5, expected.Effects.Length);
        Assert.True(expected.NotConverted > expected.Converted);

        var reference = Credited(events, rules with { Model = new Markov(2) { Fit = expected } });
        Assert.Equal(reference, await CreditsAsync(service, generation));
        Assert.NotEqual(reference, Credited(events, rules with { Model = new Shapley() }));

        // The same rules again give the same, and every receipt says so to the byte: with the removal effects of its own partners alone.
        var (again, other) = await ReplayAsync(service, Chain);
        await StateAsync(service, again, "ready");
        Assert.Equal(reference, await CreditsAsync(service, other));
        var order = History.Fold(events).Journeys.First(j => j.Touches.Select(t => t.Click.PartnerId).Distinct(StringComparer.Ordinal).Count() is > 1 and < 5
            && Crediting.Decide(j, PartnerStandings.From([]), rules with { Model = new Linear() }).Partners.Length > 1).Conversion.ConversionId;
        var receipt = (await service.GetAsync($"/v1/receipts/{order}?generation={generation}")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal(receipt.Text, (await service.GetAsync($"/v1/receipts/{order}?generation={other}")).AssertStatus(HttpStatusCode.OK).Text);
        var fit = receipt.Json.GetProperty("fit");
        Assert.Equal((2, expected.Converted, expected.NotConverted), (fit.GetProperty("order").GetInt32(), fit.GetProperty("converted").GetInt64(), fit.GetProperty("notConverted").GetInt64()));
        Assert.Equal(
            receipt.Json.GetProperty("partners").EnumerateArray().Select(p => p.GetProperty("partner").GetString()!).Select(p => (p, expected.WeightOf("main", p))),
            fit.GetProperty("effects").EnumerateArray().Select(e => (e.GetProperty("partner").GetString()!, e.GetProperty("weight").GetInt64())));
        Assert.Equal(2, (await FactsAsync<ModelFitted>(service)).Count);
        Assert.Equal(HttpStatusCode.NoContent, (await service.DeleteAsync($"/v1/replays/{again}")).Status);

        // What comes later is judged by the fit that there is, whoever it is from; a rebuild fits nothing anew.
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        IEvent[] later = [Click("newcomer", "late", 3), Click("p0", "late", 2), Order("late", "late")];
        await AppendAsync(service, later);
        await service.ProjectedAsync();
        reference = Credited([.. events, .. later], rules with { Model = new Markov(2) { Fit = expected } });
        Assert.Equal(reference, await CreditsAsync(service, generation));
        (await service.PostAsync("/v1/rebuild", body: null)).AssertStatus(HttpStatusCode.Accepted);
        await service.ProjectedAsync();
        Assert.Equal(reference, await CreditsAsync(service, generation));
        Assert.Equal(2, (await FactsAsync<ModelFitted>(service)).Count);
    }

    [PostgresFact]
    public async Task A_fit_is_remembered_for_rules_that_differ_in_what_does_not_matter_to_it_until_a_newer_one_is_asked_for()
    {
        await using var service = await StartAsync();
        var events = Generated(seed: 6);
        await AppendAsync(service, events);
        await service.ProjectedAsync();
        var fits = service.Services.GetRequiredService<ModelFits>();
        var one = await fits.OfAsync(Read(service, Chain), atLeast: 0, report: null, CancellationToken.None);
        Assert.Same(one, await fits.OfAsync(Read(service, Chain.Replace("chain", "other", StringComparison.Ordinal)), atLeast: one.Position, report: null, CancellationToken.None));
        var windowed = await fits.OfAsync(Read(service, """{"name":"chain","model":{"kind":"markov","order":2},"repeatMinutes":0,"windowDays":2}"""), 0, null, CancellationToken.None);
        Assert.NotEqual(one.Fit.Effects.AsEnumerable(), windowed.Fit.Effects);

        // A what-if asks for no newer one than it needs, and judges by it.
        var asked = (await service.PostAsync("/v1/what-if", Chain)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.True(asked.GetProperty("conversionsChanged").GetInt64() > 0);

        IEvent[] later = [Click("p0", "late", 3), Click("p4", "late", 2), Order("late", "late")];
        await AppendAsync(service, later);
        await service.ProjectedAsync();
        var newer = await fits.OfAsync(Read(service, Chain), atLeast: one.Position + 1, report: null, CancellationToken.None);
        Assert.True(newer.Position > one.Position);
        Assert.Equal(Fitting.Of([.. events, .. later], Read(service, Chain)).Effects.AsEnumerable(), newer.Fit.Effects);
    }

    [PostgresFact]
    public async Task A_chain_that_is_too_large_fails_the_replay_with_the_reason_and_nothing_else()
    {
        await using var service = await StartAsync();
        var clicks = new List<IEvent>();
        for (var i = 0; i < Transitions.MostStates + 1; i++)
        {
            clicks.Add(Click($"p{i}", visitor: null, daysBefore: 1));
        }

        await AppendAsync(service, [.. clicks, Click("p0", "buyer", 1), Order("1", "buyer")]);
        await service.ProjectedAsync();
        var (replay, _) = await ReplayAsync(service, Chain);
        var failed = await StateAsync(service, replay, "failed");
        Assert.Equal("The model markov of order 2 has more than 20000 states on these journeys; a lower order has fewer.", failed.GetProperty("reason").GetString());
        var (simple, _) = await ReplayAsync(service, """{"name":"simple","model":{"kind":"shapley"}}""");
        await StateAsync(service, simple, "ready");
    }

    [PostgresFact]
    public async Task A_replay_says_that_it_waits_for_its_fit_and_how_far_that_is()
    {
        await using var service = await StartAsync();
        var events = Generated(seed: 7);
        await AppendAsync(service, events);
        await service.ProjectedAsync();
        var facts = events.Count(e => e is ClickRecorded or ConversionRecorded);
        var s = AttributionService.Schema;

        // The fit of generation 2 is another process's, which is slow; and what it says of itself stops after its first report.
        await using var other = await LogOf(service).DataSource.OpenConnectionAsync();
        await ExecuteAsync(other, $"select pg_advisory_lock(hashtextextended('pulse:{s}.fit.2', 0)), pg_advisory_lock(4711)");
        await ExecuteAsync(other, $"create function {s}.stop() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); return new; end $$");
        await ExecuteAsync(other, $"create trigger stop before update on {s}.fit_runs for each row execute function {s}.stop()");
        var (replay, generation) = await ReplayAsync(service, Chain);
        Assert.Equal(2, generation);
        var waiting = await StateAsync(service, replay, "fitting");
        Assert.Equal("""[{"rulesVersion":2,"state":"waiting"}]""", FitsOf(waiting));
        var told = service.GetAsync($"/v1/replays/{replay}/progress");

        // It holds up no other.
        var (simple, _) = await ReplayAsync(service, """{"name":"simple","model":{"kind":"shapley"}}""");
        Assert.False((await StateAsync(service, simple, "ready")).TryGetProperty("fits", out _));

        await ExecuteAsync(other, $"select pg_advisory_unlock(hashtextextended('pulse:{s}.fit.2', 0))");
        var reading = await service.UntilAsync($"/v1/replays/{replay}", json => json.GetProperty("fits")[0].GetProperty("state").GetString() == "reading");
        Assert.Equal("fitting", reading.GetProperty("state").GetString());
        var fit = reading.GetProperty("fits")[0];
        Assert.Equal((0, facts), (fit.GetProperty("read").GetInt64(), fit.GetProperty("total").GetInt64()));
        var startedAt = fit.GetProperty("startedAt").GetDateTimeOffset();

        // All is read, and what was learned cannot be written down yet.
        await using (var writing = await LogOf(service).DataSource.OpenConnectionAsync())
        await using (await writing.BeginTransactionAsync())
        {
            await ExecuteAsync(writing, $"lock table {s}.mt_events in share mode");
            await ExecuteAsync(other, "select pg_advisory_unlock(4711)");
            var solving = await service.UntilAsync($"/v1/replays/{replay}", json => json.GetProperty("fits")[0].GetProperty("state").GetString() == "solving");
            fit = solving.GetProperty("fits")[0];
            Assert.Equal((facts, startedAt), (fit.GetProperty("read").GetInt64(), fit.GetProperty("startedAt").GetDateTimeOffset()));
        }

        var ready = await StateAsync(service, replay, "ready");
        var learned = Assert.Single(await FactsAsync<ModelFitted>(service));
        fit = Assert.Single(ready.GetProperty("fits").EnumerateArray());
        Assert.Equal("fitted", fit.GetProperty("state").GetString());
        Assert.Equal((learned.Converted, learned.NotConverted), (fit.GetProperty("converted").GetInt64(), fit.GetProperty("notConverted").GetInt64()));
        Assert.True(fit.GetProperty("fittedAt").GetDateTimeOffset() >= startedAt);
        Assert.False(fit.TryGetProperty("read", out _));

        // Who watches is told of it from the wait on, until it is ready.
        var states = (await told).Text.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => JsonDocument.Parse(line[6..]).RootElement)
            .Select(json => $"{json.GetProperty("state")} {json.GetProperty("fits")[0].GetProperty("state")}").Distinct().ToList();
        Assert.Equal("fitting waiting", states[0]);
        Assert.Equal("ready fitted", states[^1]);

        // One that is not wanted any more waits for nothing.
        await ExecuteAsync(other, $"select pg_advisory_lock(hashtextextended('pulse:{s}.fit.4', 0))");
        var (dropped, last) = await ReplayAsync(service, Chain.Replace("chain", "dropped", StringComparison.Ordinal));
        Assert.Equal(4, last);
        await StateAsync(service, dropped, "fitting");
        Assert.Equal(HttpStatusCode.NoContent, (await service.DeleteAsync($"/v1/replays/{dropped}")).Status);
        Assert.False((await StateAsync(service, dropped, "discarded")).TryGetProperty("fits", out _));
    }

    private static string FitsOf(JsonElement replay) => replay.GetProperty("fits").GetRawText();

    private static async Task ExecuteAsync(Npgsql.NpgsqlConnection connection, string sql)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    private static Task<TestService> StartAsync(TestService? besides = null) =>
        TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution(), besides);

    private static EventLog LogOf(TestService service) => service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);

    private static async Task AppendAsync(TestService service, IReadOnlyCollection<IEvent> events) =>
        await LogOf(service).AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

    private static async Task<List<T>> FactsAsync<T>(TestService service)
        where T : IEvent
    {
        var type = EventTypes.Of<T>();
        var stored = await LogOf(service).ReadStreamAsync(Ids.Derive("replays", "main"), CancellationToken.None);
        return [.. stored.Where(e => e.Type == type.Name).Select(e => (T)EventTypes.Deserialize(type, e.Data.Span))];
    }

    private static async Task<(Guid Id, int Generation)> ReplayAsync(TestService service, string rules)
    {
        var accepted = (await service.PostAsync("/v1/replays", $$"""{"rules":{{rules}}}""")).AssertStatus(HttpStatusCode.Accepted).Json;
        return (accepted.GetProperty("id").GetGuid(), accepted.GetProperty("generation").GetInt32());
    }

    private static Task<JsonElement> StateAsync(TestService service, Guid replay, string state) =>
        service.UntilAsync($"/v1/replays/{replay}", json => json.GetProperty("state").GetString() == state);

    private static Rules Read(TestService service, string rules)
    {
        using var document = JsonDocument.Parse(rules);
        return Assert.IsType<RulesAccepted>(Rules.Parse(document.RootElement, service.Services.GetRequiredService<BotLists>())).Rules;
    }

    /// <summary>By partner its shares and its amount of minor units, as one fold of the events in memory has them.</summary>
    private static List<(string Partner, decimal Shares, long AmountMinor)> Credited(IEnumerable<IEvent> events, Rules rules)
    {
        var history = History.Fold(events);
        return [.. history.Journeys.Where(j => !j.Conversion.Test).SelectMany(j => Crediting.Decide(j, history.Standings, rules).Partners)
            .GroupBy(p => p.PartnerId, StringComparer.Ordinal)
            .Select(g => (g.Key, g.Sum(p => p.Share), g.Sum(p => p.AmountMinor))).OrderBy(row => row.Key, StringComparer.Ordinal)];
    }

    private static async Task<List<(string Partner, decimal Shares, long AmountMinor)>> CreditsAsync(TestService service, int generation)
    {
        await using var command = LogOf(service).DataSource.CreateCommand(
            $"""
             select partner_id, sum(share), sum(amount_minor)::bigint
               from {AttributionService.Schema}.credits join {AttributionService.Schema}.orders using (conversion_id)
              where generation = {generation} and not test group by partner_id order by partner_id collate "C"
             """);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<(string, decimal, long)>();
        while (await reader.ReadAsync())
        {
            rows.Add((reader.GetString(0), reader.GetDecimal(1), reader.GetInt64(2)));
        }

        return rows;
    }

    /// <summary>Visitors with a few clicks each, some of whom buy; clicks of nobody, of programs and of tests among them.</summary>
    private static List<IEvent> Generated(int seed)
    {
        var random = new Random(seed);
        var events = new List<IEvent>();
        for (var visitor = 0; visitor < 300; visitor++)
        {
            var name = visitor % 10 == 0 ? null : $"v{visitor}";
            for (var i = random.Next(1, 5); i > 0; i--)
            {
                var click = Click($"p{random.Next(random.Next(1, 6))}", name, random.Next(1, 70));
                events.Add(random.Next(20) switch
                {
                    0 => click with { UserAgent = "curl/8.5.0" },
                    1 => click with { Test = true },
                    2 => click with { Signals = new ClickSignals { Purpose = "prefetch" } },
                    3 => click with { UserAgent = null, Via = ClickVia.Import },
                    _ => click,
                });
            }

            if (name is not null && random.Next(4) == 0)
            {
                events.Add(Order($"{visitor}", name) with { Test = random.Next(15) == 0 });
            }
        }

        return events;
    }

    private static ClickRecorded Click(string partner, string? visitor, int daysBefore) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_time.AddDays(-daysBefore), PartnerId = partner, VisitorId = visitor, UserAgent = Browser,
        Via = ClickVia.Redirect,
    };

    private static ConversionRecorded Order(string order, string visitor)
    {
        var id = Ids.Conversion("main", "shop", order);
        return new ConversionRecorded
        {
            EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = s_time, Kind = ConversionKind.Sale, Source = "shop", OrderId = order,
            VisitorId = visitor, AmountMinor = 10_000, Currency = "EUR",
        };
    }
}
