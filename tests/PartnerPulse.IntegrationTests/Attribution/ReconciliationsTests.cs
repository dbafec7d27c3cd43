using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Commands;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Partners' lists against the record, what nobody was credited for, and the audit over both. First touch in 30 days, 20 % commission.</summary>
public sealed class ReconciliationsTests
{
    private const string Partner = "partner:alpha";

    private static readonly Guid s_named = new("0195501a-2f00-7abc-8def-0000000000c1");

    [PostgresFact]
    public async Task Each_line_of_a_list_has_the_verdict_that_its_order_deserves()
    {
        await using var service = await StartAsync();
        await HistoryAsync(service);

        var answer = await ListAsync(
            service,
            "Transaction ID;date;Sale Amount;currency;click;remark",
            "matched;;100.00;EUR;;",
            "matched;;;;;again",
            "refunded;;100.00;EUR;;",
            "lost;;100.00;EUR;;",
            "early;;;;;",
            "fetched;;;;;",
            "theirs;;;;;",
            "less;;80.00;EUR;;",
            "never;2024-05-05;12.50;EUR;;",
            ";2024-05-09;77.00;EUR;;",
            $";;;;{s_named};",
            ";;;;nobody-saw-it;",
            "bad;;12,50;EUR;;",
            ";;;;;nothing at all",
            "tried;;;;;");
        var view = answer.AssertStatus(HttpStatusCode.Created).Json;

        Assert.Equal(
            [
                "2 matched matched 20.00", "3 duplicate matched", "4 refunded refunded 10.00", "5 other-partner lost", "6 outside-window early", "7 filtered-click fetched",
                "8 no-click-seen theirs", "9 amount-differs less 20.00", "10 unknown-order never", "11 matched by-amount 15.40", "12 matched by-click 20.00", "13 no-click-seen ",
                "16 unknown-order tried", " not-listed forgotten 20.00",
            ],
            view.GetProperty("lines").EnumerateArray().Select(l => $"{Text(l, "line")} {Text(l, "verdict")} {Text(l, "orderId")} {Text(l, "commission")}".TrimEnd(' ') + (Text(l, "orderId").Length == 0 ? " " : "")));
        var summary = view.GetProperty("summary");
        Assert.Equal((13, 1, 2), (summary.GetProperty("lines").GetInt32(), summary.GetProperty("notListed").GetInt32(), summary.GetProperty("rejected").GetInt32()));
        Assert.Equal(14, summary.GetProperty("totals").EnumerateArray().Sum(t => t.GetProperty("lines").GetInt32()));
        Assert.Equal(["remark"], summary.GetProperty("ignoredColumns").EnumerateArray().Select(c => c.GetString()));
        Assert.Equal(
            ["14 amount '12,50' is not a decimal number such as \"49.90\"", "15 line names no order, no click, no customer, and not both a time and an amount"],
            summary.GetProperty("faults").EnumerateArray().Select(f => $"{Text(f, "line")} {Text(f, "field")} {Text(f, "reason")}"));
        Assert.Contains("20.00", summary.GetProperty("totals").EnumerateArray().Single(t => Text(t, "verdict") == "not-listed").GetProperty("commission").ToString(), StringComparison.Ordinal);

        // It stays as it was, in every shape; the partner sees it without what is others'.
        var id = Text(summary, "id");
        var stored = (await service.GetAsync($"/v1/reconciliations/{id}?limit=3")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal((3, 3), (stored.GetProperty("lines").GetArrayLength(), stored.GetProperty("next").GetInt32()));
        Assert.Equal(14, (await service.GetAsync($"/v1/reconciliations/{id}?after=0")).Json.GetProperty("lines").GetArrayLength());
        Assert.Equal(2, (await service.GetAsync($"/v1/reconciliations/{id}?verdict=no-click-seen")).Json.GetProperty("lines").GetArrayLength());
        (await service.GetAsync($"/v1/reconciliations/{id}?verdict=wrong")).AssertFault(HttpStatusCode.BadRequest, "verdict", "must be one of matched");
        Assert.Equal(15, (await AcceptAsync(service, $"/v1/reconciliations/{id}", "text/csv")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal(14, (await AcceptAsync(service, $"/v1/reconciliations/{id}", "application/x-ndjson")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        var theirs = (await service.GetAsync($"/v1/reconciliations/{id}", Partner)).AssertStatus(HttpStatusCode.OK);
        Assert.DoesNotContain("bravo", theirs.Text, StringComparison.Ordinal);
        var lost = theirs.Json.GetProperty("lines")[3];
        Assert.Equal(("other-partner", ""), (Text(lost, "verdict"), Text(lost, "net")));
        Assert.Contains("another partner", Text(lost, "sentence"), StringComparison.Ordinal);
        Assert.StartsWith("/v1/receipts/", Text(lost, "receipt"), StringComparison.Ordinal);
        Assert.Single((await service.GetAsync("/v1/reconciliations", Partner)).Json.GetProperty("reconciliations").EnumerateArray());

        // Another partner's is not there for it, and it sends none for another.
        var bravos = Text((await ListAsync(service, "order", "lost", partner: "bravo")).AssertStatus(HttpStatusCode.Created).Json.GetProperty("summary"), "id");
        (await service.GetAsync($"/v1/reconciliations/{bravos}", Partner)).AssertFault(HttpStatusCode.NotFound, "id", "is not a reconciliation");
        (await ListAsync(service, "order", "lost", partner: "bravo", key: Partner)).AssertFault(HttpStatusCode.BadRequest, "partner", "sees 'alpha' alone");
    }

    [PostgresFact]
    public async Task A_list_that_says_nothing_is_refused_with_what_is_missing()
    {
        await using var service = await StartAsync();
        (await ListAsync(service, "name;amount", "a;1.00")).AssertFault(HttpStatusCode.BadRequest, "header", "has neither orderId, nor clickId");
        (await ListAsync(service, "orderId", "")).AssertFault(HttpStatusCode.BadRequest, "body", "has no lines");
        (await ListAsync(service, "orderId;amount", "a;1.00")).AssertFault(HttpStatusCode.BadRequest, "line 2: currency", "is needed to read amount '1.00'");
        (await service.PostAsync("/v1/reconciliations?partner=alpha", "{}")).AssertFault(HttpStatusCode.UnsupportedMediaType, "Content-Type", "a list is text/csv");
        (await ListAsync(service, "orderId", "a", partner: "")).AssertFault(HttpStatusCode.BadRequest, "partner", "is required");
    }

    [PostgresFact]
    public async Task An_e_mail_hash_finds_the_order_of_its_customer_by_the_key_that_conversions_gives_for_it()
    {
        await using var service = await StartAsync();
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await AppendAsync(log, Click("alpha", "v-2", 2));
        (await service.PostAsync(
            "/v1/conversions",
            """{"source":"shop","orderId":"1","kind":"sale","amount":"100.00","currency":"EUR","visitorId":"v-2","customer":"Ann@Example.org","occurredAt":"2024-05-05T12:00:00Z"}""")).AssertStatus(HttpStatusCode.Created);
        await SettledAsync(service, log, conversions: 1);

        var hash = Convert.ToHexString(System.Security.Cryptography.SHA256.HashData("ann@example.org"u8));
        var keys = (await service.PostAsync("/v1/customers/keys", $$"""{"sha256":["{{hash}}"]}""")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("keys");
        Assert.Equal(keys[0].GetString(), (await service.PostAsync("/v1/customers/keys", """{"customers":["ANN@example.org "]}""")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("keys")[0].GetString());
        var lines = (await ListAsync(service, "customer_key;amount;currency", $"{keys[0].GetString()};100.00;EUR")).AssertStatus(HttpStatusCode.Created);
        Assert.Equal("matched 1", $"{Text(lines.Json.GetProperty("lines")[0], "verdict")} {Text(lines.Json.GetProperty("lines")[0], "orderId")}");
        await using var stored = log.DataSource.CreateCommand(
            $"select count(*) from (select line::text as t from {log.Schema}.reconciliation_lines union all select summary::text from {log.Schema}.reconciliations) all_of_it where t like '%{keys[0].GetString()}%'");
        Assert.Equal(0L, await stored.ExecuteScalarAsync());

        (await service.PostAsync("/v1/customers/keys", """{"sha256":["abc"]}""")).AssertFault(HttpStatusCode.BadRequest, "sha256[0]", "is not a SHA-256");
        (await service.PostAsync("/v1/customers/keys", """{}""")).AssertFault(HttpStatusCode.BadRequest, "customers", "is required, or sha256");
        (await service.PostAsync("/v1/customers/keys", """{"sha256":[],"customers":[]}""")).AssertFault(HttpStatusCode.BadRequest, "customers", "only one can be");
        (await service.PostAsync("/v1/customers/keys", """{"customers":[" "]}""")).AssertFault(HttpStatusCode.BadRequest, "customers[0]", "is empty");
    }

    [PostgresFact]
    public async Task The_correction_that_a_line_suggests_is_the_request_that_mends_it()
    {
        await using var service = await StartAsync();
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await AppendAsync(log, Click("alpha", "v-1", 2, id: s_named), Click("alpha", "v-2", 2));
        (await service.PostAsync(
            "/v1/conversions",
            """{"source":"shop","orderId":"1","kind":"sale","amount":"100.00","currency":"EUR","visitorId":"v-2","occurredAt":"2024-05-05T12:00:00Z"}""")).AssertStatus(HttpStatusCode.Created);
        await SettledAsync(service, log, conversions: 1);

        string[] list = ["source;order;amount;currency;click;date", "shop;1;80.00;EUR;;", $"shop;2;50.00;EUR;{s_named};2024-05-06T12:00:00Z"];
        var lines = (await ListAsync(service, list)).AssertStatus(HttpStatusCode.Created).Json.GetProperty("lines").EnumerateArray().ToArray();
        Assert.Equal(["amount-differs", "unknown-order"], lines.Select(l => Text(l, "verdict")));
        foreach (var correction in lines.Select(l => l.GetProperty("correction")))
        {
            (await service.CallAsync(new HttpMethod(Text(correction, "method")), Text(correction, "path"), correction.GetProperty("body").GetRawText())).AssertStatus(HttpStatusCode.Created);
        }

        await SettledAsync(service, log, conversions: 2);
        lines = (await ListAsync(service, list)).AssertStatus(HttpStatusCode.Created).Json.GetProperty("lines").EnumerateArray().ToArray();
        Assert.Equal(["matched 16.00", "matched 10.00"], lines.Select(l => $"{Text(l, "verdict")} {Text(l, "commission")}"));
    }

    [PostgresFact]
    public async Task What_leaks_is_priced_by_its_cause_and_other_rules_say_who_would_have_had_it()
    {
        await using var service = await StartAsync();
        await HistoryAsync(service);

        var view = (await service.GetAsync("/v1/leakage?from=2024-05-01&to=2024-06-01")).AssertStatus(HttpStatusCode.OK).Json;
        var orders = view.GetProperty("orders").EnumerateArray().ToDictionary(o => Text(o, "orderId"));
        Assert.Equal(["early", "fetched", "nobody"], orders.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(("outside-window", "100.00"), (Text(orders["early"], "cause"), Text(orders["early"], "amount")));
        Assert.Equal(
            ["window-60 alpha 100.00 20.00", "window-90 alpha 100.00 20.00"],
            orders["early"].GetProperty("wouldCredit").EnumerateArray().Select(w => $"{Text(w, "variant")} {Text(w, "partner")} {Text(w, "amount")} {Text(w, "commission")}"));
        Assert.Equal(0, orders["nobody"].GetProperty("wouldCredit").GetArrayLength());

        var summary = view.GetProperty("summary");
        Assert.Equal(
            ["no-touches EUR 1 100.00", "outside-window EUR 1 100.00", "prefetch EUR 1 100.00"],
            summary.GetProperty("causes").EnumerateArray().Select(c => $"{Text(c, "cause")} {Text(c, "currency")} {Text(c, "conversions")} {Text(c, "amount")}").Order(StringComparer.Ordinal));
        var variants = summary.GetProperty("counterfactuals").EnumerateArray().ToDictionary(v => Text(v, "variant"));
        Assert.Equal(["coupons", "cross-device", "model-last-touch", "model-linear", "window-60", "window-90"], variants.Keys.Order(StringComparer.Ordinal));
        var wider = variants["window-60"].GetProperty("recovered")[0];
        Assert.Equal(("1", "100.00", "20.00", "0"), (Text(wider, "conversions"), Text(wider, "amount"), Text(wider, "commission"), Text(wider, "lost")));

        // Another model credits no order more; it moves the contested one.
        Assert.Equal(0, variants["model-last-touch"].GetProperty("recovered").GetArrayLength());
        Assert.Equal(
            ["alpha 100.00 20.00", "bravo -100.00 -20.00"],
            variants["model-last-touch"].GetProperty("partners").EnumerateArray().Select(p => $"{Text(p, "partner")} {Text(p, "amount")} {Text(p, "commission")}"));

        Assert.Equal(4, (await AcceptAsync(service, "/v1/leakage?from=2024-05-01&to=2024-06-01", "text/csv")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Single((await service.GetAsync("/v1/leakage?cause=prefetch")).Json.GetProperty("orders").EnumerateArray());
        Assert.Empty((await service.GetAsync("/v1/leakage?from=2024-06-01")).Json.GetProperty("orders").EnumerateArray());
        (await service.GetAsync("/v1/leakage?cause=bad-luck")).AssertFault(HttpStatusCode.BadRequest, "cause", "must be one of");
        (await service.GetAsync("/v1/leakage", Partner)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "read");
    }

    [PostgresFact]
    public async Task The_audit_of_a_month_adds_up_and_fails_when_it_does_not()
    {
        await using var service = await StartAsync();
        var log = await HistoryAsync(service);
        var folder = Directory.CreateTempSubdirectory("pulse-audit-").FullName;
        var claims = Path.Combine(folder, "claims.csv");
        await File.WriteAllTextAsync(claims, "order,amount,currency\nmatched,100.00,EUR\nnever,1.00,EUR\n");
        string[] audit = ["audit", "2024-05", "--url", service.Address.ToString(), "--key", "key-of-admin", "--out", folder];

        Assert.Equal(Exit.Ok, await PulseCommand.RunAsync([.. audit, "--partner", "alpha", "--claims", claims]));
        var summary = await File.ReadAllTextAsync(Path.Combine(folder, "summary.md"));
        Assert.Contains("The month is open", summary, StringComparison.Ordinal);
        Assert.Contains("| unknown-order | EUR | 1 | 1.00 |", summary, StringComparison.Ordinal);
        Assert.Single(Directory.GetFiles(folder, "reconciliation-alpha-*.csv"));

        (await service.PostAsync("/v1/statements/2024-05/close", """{"payableAsOf":"2024-07-01"}""")).AssertStatus(HttpStatusCode.Created);
        await service.SettledAsync();
        Assert.Equal(Exit.Ok, await PulseCommand.RunAsync(audit));
        summary = await File.ReadAllTextAsync(Path.Combine(folder, "summary.md"));
        Assert.Contains("Closed ", summary, StringComparison.Ordinal);
        Assert.DoesNotContain("**no**", summary, StringComparison.Ordinal);
        Assert.StartsWith("partner,currency,commission", await File.ReadAllTextAsync(Path.Combine(folder, "payouts.csv")), StringComparison.Ordinal);

        // An entry that is not what was told.
        await using (var command = log.DataSource.CreateCommand($"update {log.Schema}.ledger set commission_minor = commission_minor + 1 where partner_id = 'bravo'"))
        {
            Assert.True(await command.ExecuteNonQueryAsync() > 0);
        }

        Assert.Equal(Exit.Failed, await PulseCommand.RunAsync(audit));
        summary = await File.ReadAllTextAsync(Path.Combine(folder, "summary.md"));
        Assert.Contains("| **no** | Ledger and credits | bravo EUR:", summary, StringComparison.Ordinal);
        Assert.Contains("| yes | Verification |", summary, StringComparison.Ordinal);
    }

    /// <summary>One order for each thing that can become of it.</summary>
    private static async Task<EventLog> HistoryAsync(TestService service)
    {
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await AppendAsync(
            log,
            Click("alpha", "matched", 2), Order("matched"),
            Click("alpha", "refunded", 2), Order("refunded"), Refund("refunded", 5_000),
            Click("bravo", "lost", 3), Click("alpha", "lost", 2), Order("lost"),
            Click("alpha", "early", 40), Order("early"),
            Click("alpha", "fetched", 2, purpose: "prefetch"), Order("fetched"),
            Click("bravo", "theirs", 2), Order("theirs"),
            Click("alpha", "less", 2), Order("less"),
            Click("alpha", "by-amount", 2), Order("by-amount", minor: 7_700, day: 9),
            Click("alpha", "by-click", 2, id: s_named), Order("by-click"),
            Click("alpha", "forgotten", 2), Order("forgotten"),
            Order("nobody"),
            Click("alpha", "tried", 2, test: true), Order("tried", test: true));
        await SettledAsync(service, log, conversions: 12);
        return log;
    }

    private static async Task<TestService> StartAsync()
    {
        var service = await TestService.StartAsync(
            builder =>
            {
                builder.AddAttribution();
                builder.AddConversions();
            },
            app =>
            {
                app.MapAttribution();
                app.MapConversions();
            });
        var replay = await service.ReplayAsync(
            """{"rules":{"name":"paid","model":{"kind":"first-touch"},"windowDays":30,"bots":"include","coupon":"ignore","evidence":["click-id","visitor-cookie"],"commission":[{"percent":20}]}}""");
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        return service;
    }

    /// <summary>Waits until so many conversions are judged, and everything in the log is folded.</summary>
    private static async Task SettledAsync(TestService service, EventLog log, long conversions)
    {
        await Waits.UntilAsync($"{conversions} conversions are judged", async () => await CountAsync() >= conversions);
        await service.SettledAsync();
        await service.ProjectedAsync();

        async Task<long> CountAsync()
        {
            await using var command = log.DataSource.CreateCommand($"select count(*) from {log.Schema}.orders");
            return (long)(await command.ExecuteScalarAsync())!;
        }
    }

    private static Task<Answer> ListAsync(TestService service, params string[] lines) => ListAsync(service, lines, "alpha", "admin");

    private static Task<Answer> ListAsync(TestService service, string header, string line, string partner, string key = "admin") => ListAsync(service, [header, line], partner, key);

    private static async Task<Answer> ListAsync(TestService service, string[] lines, string partner, string key)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Address, $"/v1/reconciliations?partner={partner}"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{key}");
        request.Content = new StringContent(string.Join('\n', lines), Encoding.UTF8, "text/csv");
        using var response = await client.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }

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

    private static string Text(JsonElement node, string field) => node.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value.ToString() : "";

    private static Task AppendAsync(EventLog log, params IEvent[] events) => log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

    private static DateTimeOffset Day(int day) => new(2024, 5, day, 12, 0, 0, TimeSpan.Zero);

    private static Guid ConversionOf(string order) => Ids.Conversion("main", "shop", order);

    private static ClickRecorded Click(string partner, string visitor, int daysBefore, Guid? id = null, string? purpose = null, bool test = false) => new()
    {
        EventId = id ?? Guid.NewGuid(), ProgramId = "main", OccurredAt = Day(5).AddDays(-daysBefore), PartnerId = partner, VisitorId = visitor, Via = ClickVia.Import, Test = test,
        Signals = purpose is null ? null : new ClickSignals { Purpose = purpose },
    };

    private static ConversionRecorded Order(string order, long minor = 10_000, int day = 5, bool test = false) => new()
    {
        EventId = ConversionOf(order), ProgramId = "main", OccurredAt = Day(day), ConversionId = ConversionOf(order), Kind = ConversionKind.Sale, Source = "shop", OrderId = order,
        VisitorId = order, AmountMinor = minor, Currency = "EUR", Test = test,
    };

    private static ConversionAdjusted Refund(string order, long minor) => new()
    {
        EventId = Ids.Adjustment(ConversionOf(order), "r-1"), ProgramId = "main", OccurredAt = Day(7), ConversionId = ConversionOf(order), Source = "shop", OrderId = order,
        AdjustmentId = "r-1", AmountMinor = -minor, Currency = "EUR", Reason = AdjustmentReason.Refund,
    };
}
