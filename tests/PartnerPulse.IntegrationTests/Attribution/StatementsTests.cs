using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Months are closed over HTTP; commission is 20 %, and held for 30 days.</summary>
public sealed class StatementsTests
{
    private const string Partner = "partner:alpha";

    [PostgresFact]
    public async Task A_refund_after_the_close_is_an_adjustment_in_the_next_month_and_what_was_closed_stays()
    {
        await using var service = await StartAsync();
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await AppendAsync(
            log,
            Click("alpha", "a", "2024-01-10"), Order("1001", "a", "2024-01-20"),
            Click("bravo", "b", "2024-02-01"), Order("1002", "b", "2024-02-10"),
            Click("alpha", "t", "2024-01-10", test: true), Order("tried", "t", "2024-01-20", test: true));

        (await service.PostAsync("/v1/statements/2024-02/close", body: null)).AssertFault(HttpStatusCode.Conflict, "period", "the next one is 2024-01");
        (await service.PostAsync("/v1/statements/2024-13/close", body: null)).AssertFault(HttpStatusCode.NotFound, "period", "'2024-13' is not a month");
        (await service.PostAsync("/v1/statements/2024-01/close", """{"payableAsOf":"2024-01-30"}""")).AssertFault(HttpStatusCode.BadRequest, "payableAsOf", "from the last day of the month, 2024-01-31");
        (await service.PostAsync("/v1/statements/2024-01/close", """{"payableAsOf":"tomorrow"}""")).AssertFault(HttpStatusCode.BadRequest, "payableAsOf", "is not a day");
        (await service.PostAsync("/v1/statements/2024-01/verification", body: null)).AssertFault(HttpStatusCode.Conflict, "id", "is not closed");
        (await service.PostAsync("/v1/statements/2024-01/close", body: null, scope: "read")).AssertFault(HttpStatusCode.Forbidden, "Authorization", "admin");

        // Before it is closed it says what it would be.
        Assert.Equal(("open", "20.00"), await EarnedAsync(service, "2024-01"));
        (await service.PostAsync("/v1/statements/2024-01/close", """{"payableAsOf":"2024-02-15"}""")).AssertStatus(HttpStatusCode.Created);
        var january = await service.GetAsync("/v1/statements/2024-01");
        Assert.Equal("alpha EUR amount 100.00 opening 0.00 earned 20.00 adjusted 0.00 held 20.00 payable 0.00 carried 20.00", Assert.Single(Lines(january)));
        (await service.PostAsync("/v1/statements/2024-01/close", body: null)).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync("/v1/statements/2024-01/close", """{"payableAsOf":"2024-02-16"}""")).AssertFault(HttpStatusCode.Conflict, "payableAsOf", "was closed as of 2024-02-15");

        await AppendAsync(log, Refund("1001", "r-1", 5_000));
        var entries = (await FoldedAsync(service, "/v1/ledger?partner=alpha")).Json.GetProperty("entries").EnumerateArray().ToArray();
        Assert.Equal(["2024-01 credit 20.00", "2024-02 adjustment -10.00"], entries.Select(e => $"{e.GetProperty("period")} {e.GetProperty("kind")} {e.GetProperty("commission")}"));
        Assert.Equal("2024-02-19", entries[0].GetProperty("payableFrom").GetString());
        (await service.PostAsync("/v1/statements/2024-02/close", """{"payableAsOf":"2024-03-15"}""")).AssertStatus(HttpStatusCode.Created);
        var february = await service.GetAsync("/v1/statements/2024-02");
        Assert.Equal(
            [
                "alpha EUR amount -50.00 opening 20.00 earned 0.00 adjusted -10.00 held 0.00 payable 10.00 carried 0.00",
                "bravo EUR amount 100.00 opening 0.00 earned 20.00 adjusted 0.00 held 0.00 payable 20.00 carried 0.00",
            ],
            Lines(february));

        // All of it back after the payout: the partner owes, and is not paid before that is earned again.
        await AppendAsync(log, Refund("1001", "r-2", 5_000));
        await FoldedAsync(service, "/v1/ledger");
        (await service.PostAsync("/v1/statements/2024-03/close", """{"payableAsOf":"2024-04-15"}""")).AssertStatus(HttpStatusCode.Created);
        var march = await service.GetAsync("/v1/statements/2024-03");
        Assert.Equal("alpha EUR amount -50.00 opening 0.00 earned 0.00 adjusted -10.00 held 0.00 payable 0.00 carried -10.00", Assert.Single(Lines(march)));
        Assert.Contains("owes 10.00 EUR", march.Text, StringComparison.Ordinal);

        // Nothing that was closed is another now, whether by its month or its id, nor after everything was derived anew.
        Assert.Equal(january.Text, (await service.GetAsync("/v1/statements/2024-01")).Text);
        Assert.Equal(january.Text, (await service.GetAsync($"/v1/statements/{january.Json.GetProperty("id").GetString()}")).Text);
        var ledger = (await service.GetAsync("/v1/ledger")).Text;
        (await service.PostAsync("/v1/rebuild", body: null)).AssertStatus(HttpStatusCode.Accepted);
        Assert.Equal(ledger, (await FoldedAsync(service, "/v1/ledger")).Text);
        Assert.Equal(january.Text, (await service.GetAsync("/v1/statements/2024-01")).Text);
        foreach (var period in new[] { "2024-01", "2024-02", "2024-03" })
        {
            var verified = (await service.PostAsync($"/v1/statements/{period}/verification", body: null)).AssertStatus(HttpStatusCode.OK).Json;
            Assert.True(verified.GetProperty("equal").GetBoolean(), verified.ToString());
        }
    }

    [PostgresFact]
    public async Task Verification_names_what_was_changed_behind_its_back()
    {
        await using var service = await StartAsync();
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await AppendAsync(log, Click("alpha", "a", "2024-01-10"), Order("1001", "a", "2024-01-20"));
        (await service.PostAsync("/v1/statements/2024-01/close", """{"payableAsOf":"2024-03-01"}""")).AssertStatus(HttpStatusCode.Created);

        // A partner in the ledger and in the statement's own fact is paid more than it earned.
        await ExecuteAsync(log, $"update {log.Schema}.ledger set commission_minor = commission_minor + 500");
        await ExecuteAsync(log, $"update {log.Schema}.mt_events set data = jsonb_set(jsonb_set(data, '{{balances,0,earnedMinor}}', '2500'), '{{balances,0,payableMinor}}', '2500') where type = 'statement_closed'");

        var verified = (await service.PostAsync("/v1/statements/2024-01/verification", body: null)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.False(verified.GetProperty("equal").GetBoolean());
        Assert.Equal(
            ["alpha EUR earned 25.00 20.00", "alpha EUR payable 25.00 20.00"],
            verified.GetProperty("differences").EnumerateArray().Select(d => $"{d.GetProperty("partner")} {d.GetProperty("currency")} {d.GetProperty("field")} {d.GetProperty("recorded")} {d.GetProperty("recomputed")}"));
    }

    [PostgresFact]
    public async Task A_partner_sees_its_own_statement_payout_and_ledger_and_nobody_elses()
    {
        await using var service = await StartAsync();
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await AppendAsync(
            log, Click("alpha", "a", "2024-01-10"), Order("1001", "a", "2024-01-20"), Click("bravo", "b", "2024-01-10"), Order("1002", "b", "2024-01-21"), Order("1003", "b", "2024-01-22"));
        (await service.PostAsync("/v1/statements/2024-01/close", """{"payableAsOf":"2024-03-01"}""")).AssertStatus(HttpStatusCode.Created);

        foreach (var path in new[] { "/v1/statements", "/v1/statements/2024-01", "/v1/statements/2024-01/payouts", "/v1/ledger" })
        {
            var mine = (await service.GetAsync(path, Partner)).AssertStatus(HttpStatusCode.OK);
            Assert.DoesNotContain("bravo", mine.Text, StringComparison.Ordinal);
            Assert.DoesNotContain("40.00", mine.Text, StringComparison.Ordinal);
            Assert.Contains("20.00", mine.Text, StringComparison.Ordinal);
        }

        (await service.GetAsync("/v1/ledger?partner=bravo", Partner)).AssertFault(HttpStatusCode.BadRequest, "partner", "sees 'alpha' alone");
        (await service.GetAsync("/v1/statements/2024-01?partner=bravo", Partner)).AssertFault(HttpStatusCode.BadRequest, "partner", "sees 'alpha' alone");
        (await service.PostAsync("/v1/statements/2024-01/verification", body: null, Partner)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "read");
        Assert.Equal(2, (await service.GetAsync("/v1/ledger?partner=bravo&limit=1000")).Json.GetProperty("entries").GetArrayLength());

        var id = (await service.GetAsync("/v1/statements/2024-01")).Json.GetProperty("id").GetString();
        Assert.Equal(
            $"partner,currency,commission,opening,held,payable,carried,period,as_of,statement\r\nbravo,EUR,40.00,0.00,0.00,40.00,0.00,2024-01,2024-03-01,{id}\r\n",
            await AcceptAsync(service, "/v1/statements/2024-01/payouts?partner=bravo", "text/csv"));
        var lines = (await AcceptAsync(service, "/v1/ledger", "application/x-ndjson")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(3, lines.Length);

        // Page by page it is the same.
        var paged = new List<string>();
        for (var next = ""; next is not null;)
        {
            var page = (await service.GetAsync($"/v1/ledger?limit=1&after={Uri.EscapeDataString(next)}")).AssertStatus(HttpStatusCode.OK).Json;
            paged.AddRange(page.GetProperty("entries").EnumerateArray().Select(e => e.GetRawText()));
            next = page.TryGetProperty("next", out var more) ? more.GetString() : null;
        }

        Assert.Equal(lines, paged);
        (await service.GetAsync("/v1/ledger?after=x&limit=0&period=May&from=then")).AssertFault(HttpStatusCode.BadRequest, "after", "is not the 'next' of a page");
    }

    private static async Task<TestService> StartAsync()
    {
        var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        var replay = await service.ReplayAsync(
            """{"rules":{"name":"paid","model":{"kind":"first-touch"},"windowDays":60,"bots":"include","commission":[{"percent":20}]}}""");
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        await service.ProjectedAsync();
        return service;
    }

    /// <summary>Asks when everything in the log is folded.</summary>
    private static async Task<Answer> FoldedAsync(TestService service, string path)
    {
        await service.ProjectedAsync();
        return (await service.GetAsync(path)).AssertStatus(HttpStatusCode.OK);
    }

    private static async Task<(string State, string Earned)> EarnedAsync(TestService service, string period)
    {
        var view = (await FoldedAsync(service, $"/v1/statements/{period}")).Json;
        return (view.GetProperty("state").GetString()!, view.GetProperty("totals")[0].GetProperty("earned").GetString()!);
    }

    private static string[] Lines(Answer statement) =>
        statement.AssertStatus(HttpStatusCode.OK).Json.GetProperty("balances").EnumerateArray().Select(b =>
            $"{b.GetProperty("partner")} {b.GetProperty("currency")} " + string.Join(' ', new[] { "amount", "opening", "earned", "adjusted", "held", "payable", "carried" }.Select(f => $"{f} {b.GetProperty(f)}"))).ToArray();

    private static async Task<string> AcceptAsync(TestService service, string path, string type)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(service.Address, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "key-of-admin");
        request.Headers.Accept.ParseAdd(type);
        using var response = await client.SendAsync(request);
        Assert.Equal((HttpStatusCode.OK, type), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        return await response.Content.ReadAsStringAsync();
    }

    private static Task AppendAsync(EventLog log, params IEvent[] events) => log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

    private static async Task ExecuteAsync(EventLog log, string sql)
    {
        await using var command = log.DataSource.CreateCommand(sql);
        Assert.True(await command.ExecuteNonQueryAsync() > 0);
    }

    private static DateTimeOffset Day(string day) => DateTimeOffset.Parse($"{day}T12:00:00Z", System.Globalization.CultureInfo.InvariantCulture);

    private static Guid ConversionOf(string order) => Ids.Conversion("main", "shop", order);

    private static ClickRecorded Click(string partner, string visitor, string day, bool test = false) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = Day(day), PartnerId = partner, VisitorId = visitor, Via = ClickVia.Import, Test = test,
    };

    private static ConversionRecorded Order(string order, string visitor, string day, bool test = false) => new()
    {
        EventId = ConversionOf(order), ProgramId = "main", OccurredAt = Day(day), ConversionId = ConversionOf(order), Kind = ConversionKind.Sale, Source = "shop", OrderId = order,
        VisitorId = visitor, AmountMinor = 10_000, Currency = "EUR", Test = test,
    };

    private static ConversionAdjusted Refund(string order, string id, long minor) => new()
    {
        EventId = Ids.Adjustment(ConversionOf(order), id), ProgramId = "main", OccurredAt = Day("2024-03-20"), ConversionId = ConversionOf(order), Source = "shop", OrderId = order,
        AdjustmentId = id, AmountMinor = -minor, Currency = "EUR", Reason = AdjustmentReason.Refund,
    };
}
