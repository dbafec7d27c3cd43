using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Clicks keep what the request said of itself; whether they count is judged by the list that the rules name.</summary>
public sealed class BotListReplayTests : IDisposable
{
    private const string Browser = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    /// <summary>Looks like a browser to the shipped list.</summary>
    private const string Uptime = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 AcmeLookout/3";

    private static readonly DateTimeOffset s_time = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly string _lists = Directory.CreateTempSubdirectory("pulse-lists-").FullName;

    public void Dispose() => Directory.Delete(_lists, recursive: true);

    [PostgresFact]
    public async Task A_newer_list_changes_no_published_rules_and_a_replay_under_it_changes_the_verdict()
    {
        var service = await StartAsync();
        var order = Order("1001", "visitor-1");
        await AppendAsync(service,
        [
            Click("prober", 3, "visitor-1", Uptime),
            Click("acme", 2, "visitor-1", Browser),
            order,
        ]);
        Assert.Equal(["prober 1"], await CreditsAsync(service, 1));

        // The operator's own list arrives, and the service starts again: nothing changes by itself.
        await File.WriteAllTextAsync(Path.Combine(_lists, "2026-12-acme.txt"), "extends 2026-11\n[bots]\nacmelookout\n");
        await service.DisposeAsync();
        await using var again = await StartAsync(service);
        Assert.Equal(["prober 1"], await CreditsAsync(again, 1));
        Assert.Equal("2026-11", (await again.GetAsync("/v1/rules/active")).Json.GetProperty("rules").GetProperty("bots").GetProperty("exclude").GetString());

        var lists = (await again.GetAsync("/v1/bot-lists", scope: "read")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("lists").EnumerateArray().ToArray();
        Assert.Equal(
            [("2026-11", false, true), ("2026-12-acme", true, false)],
            lists.Select(l => (l.GetProperty("version").GetString()!, l.GetProperty("newest").GetBoolean(), l.GetProperty("shipped").GetBoolean())));
        Assert.Equal(
            lists[0].GetProperty("patterns").GetProperty("bots").GetInt32() + 1, lists[1].GetProperty("patterns").GetProperty("bots").GetInt32());

        // Other rules are the same with another list: replayed, compared, promoted.
        var rules = await PublishAsync(again, """{"name":"stricter","bots":{"exclude":"2026-12-acme"}}""");
        var replay = (await again.PostAsync("/v1/replays", $$"""{"rulesVersion":{{rules}}}""")).AssertStatus(HttpStatusCode.Accepted).Json;
        var id = replay.GetProperty("id").GetGuid();
        await again.ReadyAsync(id);
        Assert.Equal(["prober 1"], await CreditsAsync(again, 1));
        var diff = (await again.GetAsync($"/v1/replays/{id}/diff")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(
            [("acme", 1m), ("prober", -1m)],
            diff.GetProperty("rows").EnumerateArray()
                .Select(row => (row.GetProperty("partner").GetString()!, row.GetProperty("difference").GetProperty("shares").GetDecimal())).OrderBy(row => row.Item1, StringComparer.Ordinal));
        (await again.PostAsync($"/v1/replays/{id}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        Assert.Equal(["acme 1"], await CreditsAsync(again, 2));

        // And the receipts say why, to the operator and to the partner that lost its click.
        var receipt = (await again.GetAsync($"/v1/receipts/{order.ConversionId}")).AssertStatus(HttpStatusCode.OK).Json;
        var stopped = receipt.GetProperty("touches")[0];
        Assert.Equal(("bot", "its user agent contains \"acmelookout\""), (stopped.GetProperty("stoppedBy").GetString(), stopped.GetProperty("sign").GetString()));
        Assert.Equal("2026-12-acme", receipt.GetProperty("rules").GetProperty("bots").GetString());
        Assert.Equal(
            "You are not credited for sale 1001 of shop: your click of 2026-10-29 12:00 UTC does not count, because a program made it and no person, by the bot list 2026-12-acme (its user agent contains \"acmelookout\").",
            (await again.GetAsync($"/v1/receipts/{order.ConversionId}?partner=prober")).Json.GetProperty("summary").GetString());
    }

    [PostgresFact]
    public async Task Rules_say_which_machines_count_and_the_journey_keeps_what_the_request_said()
    {
        await using var service = await StartAsync();
        var order = Order("1002", "visitor-2");
        await AppendAsync(service,
        [
            Click("ahead", 6, "visitor-2", Browser) with { Signals = new ClickSignals { Purpose = "prefetch;prerender" } },
            Click("card", 5, "visitor-2", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
            Click("crawler", 4, "visitor-2", "ExampleCrawler/2.1 (+https://crawler.example/)"),
            Click("nobody", 3, "visitor-2", userAgent: null),
            Click("checker", 2, "visitor-2", Browser) with { Signals = new ClickSignals { Method = "HEAD" } },
            Click("brought-in", 1, "visitor-2", userAgent: null) with { Via = ClickVia.Import },
            order,
        ]);
        Assert.Equal(["brought-in 1"], await CreditsAsync(service, 1));
        var touches = (await service.GetAsync($"/v1/receipts/{order.ConversionId}")).Json.GetProperty("touches").EnumerateArray();
        Assert.Equal(
            [
                ("ahead", "prefetch", "it announced itself as \"prefetch;prerender\""),
                ("card", "preview", "its user agent contains \"linkexpan\""),
                ("crawler", "bot", "its user agent contains \"crawl\""),
                ("nobody", "bot", "it sent no user agent"),
                ("checker", "head", "it was a HEAD request"),
                ("brought-in", null, null),
            ],
            touches.Select(t => (t.GetProperty("partner").GetString()!, Text(t, "stoppedBy"), Text(t, "sign"))));

        var version = await PublishAsync(service, """{"name":"all","model":{"kind":"linear"},"bots":{"exclude":"2026-11","count":["prefetch","preview","bot","head"]}}""");
        await service.ReplayAsync($$"""{"rulesVersion":{{version}}}""");
        Assert.Equal(6, (await CreditsAsync(service, 2)).Length);
    }

    [PostgresFact]
    public async Task An_operator_asks_what_a_list_says()
    {
        await using var service = await StartAsync();
        var verdict = (await service.GetAsync("/v1/bot-lists/2026-11/verdict?userAgent=curl%2F8.5.0", scope: "read")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(("bot", "its user agent contains \"curl\""), (verdict.GetProperty("kind").GetString(), verdict.GetProperty("sign").GetString()));
        Assert.Equal("person", (await service.GetAsync($"/v1/bot-lists/2026-11/verdict?userAgent={Uri.EscapeDataString(Browser)}")).Json.GetProperty("kind").GetString());
        Assert.Equal("bot", (await service.GetAsync("/v1/bot-lists/2026-11/verdict?userAgent=")).Json.GetProperty("kind").GetString());

        (await service.GetAsync("/v1/bot-lists/2026-11/verdict")).AssertFault(HttpStatusCode.BadRequest, "userAgent", "is required");
        (await service.GetAsync($"/v1/bot-lists/2026-11/verdict?userAgent={new string('x', 2_049)}")).AssertFault(HttpStatusCode.BadRequest, "userAgent", "at most 2048");
        (await service.GetAsync("/v1/bot-lists/1999-12/verdict?userAgent=x")).AssertFault(HttpStatusCode.NotFound, "version", "there are '2026-11'");
        (await service.PostAsync("/v1/rules", """{"name":"x","bots":{"exclude":"1999-12"}}""")).AssertFault(HttpStatusCode.BadRequest, "bots.exclude", "'1999-12' is no bot list; there are '2026-11'");
        Assert.Equal(HttpStatusCode.Forbidden, (await service.GetAsync("/v1/bot-lists", scope: "catalogue:write")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await service.GetAsync("/v1/bot-lists", scope: null)).Status);
    }

    [PostgresFact]
    public async Task A_list_with_faults_stops_the_start_and_names_file_line_and_reason()
    {
        await File.WriteAllTextAsync(Path.Combine(_lists, "2026-11.txt"), "[bots]\nbot\n");
        await File.WriteAllTextAsync(Path.Combine(_lists, "2027-01.txt"), "[bots]\nbot\n[crawlers]\nspider\n");
        var fault = await Assert.ThrowsAsync<OptionsValidationException>(async () => await (await StartAsync()).DisposeAsync());
        Assert.Contains(fault.Failures, f => f.Contains("2026-11.txt: the version '2026-11' is in", StringComparison.Ordinal));
        Assert.Contains(fault.Failures, f => f.Contains($"{Path.Combine(_lists, "2027-01.txt")}:3: [crawlers] is no section", StringComparison.Ordinal));
    }

    private Task<TestService> StartAsync(TestService? besides = null) => TestService.StartAsync(
        builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal) { ["Attribution:BotLists"] = _lists });
            builder.AddAttribution();
        },
        app => app.MapAttribution(),
        besides);

    private static async Task AppendAsync(TestService service, IEnumerable<IEvent> events)
    {
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
    }

    private static async Task<int> PublishAsync(TestService service, string rules) =>
        (await service.PostAsync("/v1/rules", rules)).AssertStatus(HttpStatusCode.Created).Json.GetProperty("version").GetInt32();

    /// <summary>Partners and shares, once the projector has come to the end of the log.</summary>
    private static async Task<string[]> CreditsAsync(TestService service, int generation)
    {
        await service.ProjectedAsync();
        var credits = (await service.GetAsync($"/v1/credits?generation={generation}")).AssertStatus(HttpStatusCode.OK).Json;
        return [.. credits.GetProperty("rows").EnumerateArray().Select(row => $"{row.GetProperty("partner").GetString()} {row.GetProperty("shares").GetRawText().Trim('"')}")];
    }

    private static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static ClickRecorded Click(string partner, int daysBefore, string visitor, string? userAgent) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_time.AddDays(-daysBefore), PartnerId = partner, VisitorId = visitor, UserAgent = userAgent,
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
