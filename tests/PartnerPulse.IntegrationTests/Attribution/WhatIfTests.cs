using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using CsvHelper;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>What a what-if says beforehand is what the replay of the same rules writes, and what the credits say that count.</summary>
public sealed class WhatIfTests
{
    private const string Browser = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

    private static readonly DateTimeOffset s_start = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>Sixteen, of every model and with every kind of commission.</summary>
    private static readonly string[] s_documents =
    [
        .. new[]
        {
            """{"kind":"first-touch"}""", """{"kind":"last-touch"}""", """{"kind":"linear"}""", """{"kind":"position-based","first":30,"last":50}""", """{"kind":"time-decay","halfLifeDays":3}""",
        }.SelectMany((model, i) => new[] { 2, 30, 60 }.Select(days =>
            $$"""{"name":"set {{i}} {{days}}","model":{{model}},"windowDays":{{days}},"commission":[{"percent":12.5,"partner":"partner-1"},{"flat":"2.00","currency":"EUR","kind":"sale"},{"percent":10}]}""")),
        """{"name":"leads keep","coupon":"override","inherit":{"from":"lead"},"bots":"include","evidence":["visitor-cookie"],"suspended":"forfeit","commission":[{"percent":8}]}""",
    ];

    [PostgresFact]
    public async Task A_what_if_says_what_the_replay_would_before_and_after_whatever_comes_in_and_from_the_table_as_well()
    {
        await using var service = await StartAsync();
        await using var without = await StartAsync(service, megabytes: 0);
        await AppendAsync(service, Facts(seed: 1, people: 150));
        foreach (var document in new[] { s_documents[4], s_documents[^1] })
        {
            await AssertIsReplayAsync(service, without, document);
        }

        // Later facts of the same people, a partner that is suspended, a refund of everything.
        await AppendAsync(service, Facts(seed: 2, people: 150));
        await AppendAsync(service, [Suspended("partner-2", s_start.AddDays(10))]);
        await AssertIsReplayAsync(service, without, s_documents[10]);

        // A rebuild fills the table anew.
        (await service.PostAsync("/v1/rebuild", body: null)).AssertStatus(HttpStatusCode.Accepted);
        await AssertIsReplayAsync(service, without, s_documents[13]);

        // What is before is what counts, also when something else counts.
        var promoted = await ReplayAsync(service, s_documents[7]);
        (await service.PostAsync($"/v1/replays/{promoted}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        await AssertIsReplayAsync(service, without, s_documents[2]);
        var same = (await service.PostAsync("/v1/what-if", s_documents[7])).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(0, same.GetProperty("conversionsChanged").GetInt64());
        Assert.All(same.GetProperty("rows").EnumerateArray(), row => Assert.Equal("even", row.GetProperty("outcome").GetString()));
    }

    [PostgresFact]
    public async Task Sixteen_rule_sets_are_compared_at_once_and_each_is_as_it_is_alone()
    {
        await using var service = await StartAsync();
        await AppendAsync(service, Facts(seed: 3, people: 120));
        await service.ProjectedAsync();
        var (from, to) = ("2026-03-08", "2026-04-20T12:00:00Z");
        var query = $"?from={from}&to={to}";
        var compared = (await service.PostAsync($"/v1/comparisons{query}", $$"""{"ruleSets":[{{string.Join(',', s_documents)}}]}""")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(16, compared.GetProperty("ruleSets").GetArrayLength());
        for (var i = 0; i < s_documents.Length; i++)
        {
            var alone = (await service.PostAsync($"/v1/what-if{query}", s_documents[i])).AssertStatus(HttpStatusCode.OK).Json;
            Assert.Equal(alone.GetProperty("rulesHash").GetString(), compared.GetProperty("ruleSets")[i].GetProperty("hash").GetString());
            Assert.Equal(
                Sides(alone, row => row.GetProperty("after")), Sides(compared, row => row.GetProperty("sides")[i]));
            Assert.Equal(alone.GetProperty("unattributed").GetProperty("after").GetRawText(), compared.GetProperty("unattributed")[i].GetRawText());

            // Before is what counts, of the same time.
            var credits = (await service.GetAsync($"/v1/credits{query}")).AssertStatus(HttpStatusCode.OK).Json;
            Assert.Equal(Sides(credits, row => row), Sides(alone, row => row.GetProperty("before")));
            Assert.Equal(credits.GetProperty("unattributed").GetRawText(), alone.GetProperty("unattributed").GetProperty("before").GetRawText());
        }

        var status = (await service.GetAsync("/v1/status")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("services").EnumerateArray()
            .Single(s => s.GetProperty("name").GetString() == "attribution").GetProperty("figures");
        Assert.True(status.GetProperty("packConversions").GetInt64() > 100 && status.GetProperty("packBytes").GetInt64() > 1_000 && status.GetProperty("packPosition").GetInt64() > 0, status.GetRawText());
    }

    [PostgresFact]
    public async Task What_cannot_be_asked_is_refused_with_every_field_and_nothing_is_written()
    {
        await using var service = await StartAsync();
        await AppendAsync(service, Facts(seed: 4, people: 20));
        await service.ProjectedAsync();
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        var before = await log.LastPositionAsync(CancellationToken.None);

        var answer = await service.PostAsync("/v1/what-if?from=yesterday", """{"name":"x","windowDays":0,"colour":"red"}""");
        answer.AssertFault(HttpStatusCode.BadRequest, "from", "'yesterday' is not a time");
        answer.AssertFault(HttpStatusCode.BadRequest, "windowDays", "");
        answer.AssertFault(HttpStatusCode.BadRequest, "colour", "");
        (await service.PostAsync("/v1/what-if", "{")).AssertFault(HttpStatusCode.BadRequest, "body", "");
        foreach (var path in new[] { "/v1/credits", "/v1/ledger", "/v1/leakage", "/v1/reconciliations" })
        {
            (await service.GetAsync($"{path}?from=2026-03-02&to=2026-03-01")).AssertFault(HttpStatusCode.BadRequest, "to", "must be after 'from'");
        }

        foreach (var (path, body) in new[] { ("/v1/what-if", """{"name":"a"}"""), ("/v1/comparisons", """{"ruleSets":[{"name":"a"}]}""") })
        {
            (await service.PostAsync($"{path}?from=2026-03-01&to=2026-03-01", body)).AssertFault(HttpStatusCode.BadRequest, "to", "must be after 'from'");
        }

        (await service.PostAsync("/v1/comparisons", """{"ruleSets":[]}""")).AssertFault(HttpStatusCode.BadRequest, "ruleSets", "holds 0; 1 to 16");
        (await service.PostAsync("/v1/comparisons", $$"""{"ruleSets":[{{string.Join(',', s_documents)}},{"name":"one more"}]}""")).AssertFault(HttpStatusCode.BadRequest, "ruleSets", "holds 17");
        var several = await service.PostAsync("/v1/comparisons", """{"ruleSets":[{"name":"a"},{"name":"a"},{"name":"b","windowDays":0}]}""");
        several.AssertFault(HttpStatusCode.BadRequest, "ruleSets[1].name", "is the name of another one");
        several.AssertFault(HttpStatusCode.BadRequest, "ruleSets[2].windowDays", "");
        Assert.Equal(HttpStatusCode.Forbidden, (await service.CallAsync(HttpMethod.Post, "/v1/what-if", """{"name":"a"}""", scope: "conversions:write")).Status);

        (await service.PostAsync("/v1/what-if", """{"name":"a"}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal(before, await log.LastPositionAsync(CancellationToken.None));
        Assert.Single((await service.GetAsync("/v1/rules")).Json.GetProperty("rules").EnumerateArray());
    }

    [PostgresFact]
    public async Task The_difference_of_a_replay_comes_as_pages_lines_and_CSV_largest_first_and_adds_up()
    {
        await using var service = await StartAsync();
        await AppendAsync(service, Facts(seed: 5, people: 200));
        await service.ProjectedAsync();
        (await service.PostAsync("/v1/statements/2026-03/close", body: null)).AssertStatus(HttpStatusCode.Created);
        await service.ProjectedAsync();
        var replay = await ReplayAsync(service, s_documents[4]);

        var orders = new List<JsonElement>();
        string? next = null;
        do
        {
            var page = (await service.GetAsync($"/v1/replays/{replay}/diff/conversions?limit=7{(next is null ? "" : $"&after={next}")}")).AssertStatus(HttpStatusCode.OK).Json;
            orders.AddRange(page.GetProperty("conversions").EnumerateArray());
            next = page.TryGetProperty("next", out var cursor) ? cursor.GetString() : null;
        }
        while (next is not null);

        var diff = (await service.GetAsync($"/v1/replays/{replay}/diff")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(diff.GetProperty("conversionsChanged").GetInt64(), orders.Count);
        Assert.True(orders.Count > 20, $"{orders.Count} orders");
        Assert.Equal(orders.Count, orders.Select(o => o.GetProperty("conversionId").GetGuid()).Distinct().Count());
        Assert.Equal(orders.Select(Movement).OrderDescending(), orders.Select(Movement));

        var lines = (await TextAsync(service, $"/v1/replays/{replay}/diff/conversions", "application/x-ndjson")).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonDocument.Parse(line).RootElement).ToArray();
        Assert.Equal(
            orders.SelectMany(o => o.GetProperty("partners").EnumerateArray().Select(p => (o.GetProperty("orderId").GetString(), p.GetProperty("partner").GetString()))),
            lines.Select(l => (l.GetProperty("orderId").GetString(), l.GetProperty("partner").GetString())));

        var table = Csv(await TextAsync(service, $"/v1/replays/{replay}/diff/conversions", "text/csv"));
        Assert.Equal(lines.Length, table.Count);
        Assert.Equal(lines.Select(l => l.GetProperty("amountDifference").GetDecimal()), table.Select(r => decimal.Parse(r["amount_difference"], CultureInfo.InvariantCulture)));

        // By currency: what partners gain and lose is what entered less what left, in every shape of it.
        var text = await TextAsync(service, $"/v1/replays/{replay}/diff", "text/csv");
        Assert.Equal(text, await TextAsync(service, "/v1/what-if", "text/csv", s_documents[4]));
        var partners = Csv(text);
        Assert.Contains(table, row => row["amount_difference"].StartsWith('-'));
        foreach (var total in diff.GetProperty("totals").EnumerateArray())
        {
            var currency = total.GetProperty("currency").GetString()!;
            var difference = Money(total.GetProperty("difference"), "amount");
            Assert.Equal(difference, Money(total.GetProperty("entered"), "amount") - Money(total.GetProperty("left"), "amount"));
            Assert.Equal(difference, Sum(partners, currency, "amount_difference"));
            Assert.Equal(difference, Sum(table, currency, "amount_difference"));
            Assert.Equal(Money(total.GetProperty("difference"), "commission"), Sum(table, currency, "commission_difference"));
            Assert.Equal(Money(total.GetProperty("difference"), "commission"), Sum(partners, currency, "commission_difference"));
            Assert.True(Money(total, "moved") > 0);

            // March is closed: what differs in it would come in the next open statement.
            var march = table.Where(r => DateTimeOffset.Parse(r["occurred_at"], CultureInfo.InvariantCulture) < s_start.AddMonths(1)).ToList();
            Assert.All(table, r => Assert.Equal(march.Contains(r), bool.Parse(r["in_closed_statement"])));
            var carried = Assert.Single(diff.GetProperty("closedStatements").EnumerateArray(), c => c.GetProperty("currency").GetString() == currency);
            Assert.Equal(
                (Sum(march, currency, "amount_difference"), Sum(march, currency, "commission_difference")), (Money(carried, "amount"), Money(carried, "commission")));
            Assert.InRange(carried.GetProperty("conversions").GetInt64(), 1, orders.Count - 1);
        }

        Assert.Equal(
            orders.Select(o => o.GetProperty("occurredAt").GetDateTimeOffset() < s_start.AddMonths(1)), orders.Select(o => o.GetProperty("inClosedStatement").GetBoolean()));

        (await service.GetAsync($"/v1/replays/{replay}/diff/conversions?limit=0&after=x")).AssertFault(HttpStatusCode.BadRequest, "limit", "must be 1 to 1000");
        (await service.GetAsync($"/v1/replays/{replay}/diff/conversions?after=x")).AssertFault(HttpStatusCode.BadRequest, "after", "must be the next of an answer");
    }

    /// <summary>In minor units of two decimals, which both currencies here have.</summary>
    private static decimal Movement(JsonElement order) => order.GetProperty("partners").EnumerateArray().Sum(p =>
        Math.Abs(Money(p.GetProperty("after"), "amount") - Money(p.GetProperty("before"), "amount"))
        + Math.Abs(Money(p.GetProperty("after"), "commission") - Money(p.GetProperty("before"), "commission")));

    private static decimal Money(JsonElement of, string field) => decimal.Parse(of.GetProperty(field).GetString()!, CultureInfo.InvariantCulture);

    private static decimal Sum(List<Dictionary<string, string>> table, string currency, string column) =>
        table.Where(r => r["currency"] == currency).Sum(r => decimal.Parse(r[column], CultureInfo.InvariantCulture));

    private static List<Dictionary<string, string>> Csv(string text)
    {
        using var csv = CsvReader.Create(new MemoryStream(Encoding.UTF8.GetBytes(text)));
        csv.ReadHeader();
        var rows = new List<Dictionary<string, string>>();
        while (csv.Read())
        {
            rows.Add(csv.Headers.ToDictionary(name => name, name => csv.GetString(name), StringComparer.Ordinal));
        }

        return rows;
    }

    /// <summary>Partners with something, and what.</summary>
    private static IEnumerable<string> Sides(JsonElement answer, Func<JsonElement, JsonElement> sideOf) =>
        answer.GetProperty("rows").EnumerateArray().Select(row => (Partner: row.GetProperty("partner").GetString()!, Side: sideOf(row)))
            .Where(row => row.Side.GetProperty("conversions").GetInt64() > 0).OrderBy(row => row.Partner, StringComparer.Ordinal)
            .Select(row => $"{row.Partner} {row.Side.GetProperty("conversions")} {row.Side.GetProperty("shares")} {row.Side.GetProperty("amounts").GetRawText()}");

    private static async Task AssertIsReplayAsync(TestService service, TestService without, string document)
    {
        await service.ProjectedAsync();
        var whatIf = (await service.PostAsync("/v1/what-if", document)).AssertStatus(HttpStatusCode.OK).Json;
        var streamed = (await without.PostAsync("/v1/what-if", document)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(("memory", "table"), (whatIf.GetProperty("source").GetString(), streamed.GetProperty("source").GetString()));
        var replay = await ReplayAsync(service, document);
        var diff = (await service.GetAsync($"/v1/replays/{replay}/diff")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.True(diff.GetProperty("rows").GetArrayLength() >= 5 && diff.GetProperty("conversionsChanged").GetInt64() > 10, diff.GetRawText());
        foreach (var field in new[] { "against", "againstRulesVersion", "conversionsChanged", "winners", "losers", "rows", "totals", "unattributed" })
        {
            Assert.Equal(diff.GetProperty(field).GetRawText(), whatIf.GetProperty(field).GetRawText());
            Assert.Equal(diff.GetProperty(field).GetRawText(), streamed.GetProperty(field).GetRawText());
        }

        (await service.DeleteAsync($"/v1/replays/{replay}")).AssertStatus(HttpStatusCode.NoContent);
    }

    private static Task<Guid> ReplayAsync(TestService service, string document) => service.ReplayAsync($$"""{"rules":{{document}}}""");

    private static async Task<string> TextAsync(TestService service, string path, string accept, string? body = null)
    {
        using var client = new HttpClient { BaseAddress = service.Address };
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, path) { Content = body is null ? null : new StringContent(body) };
        request.Headers.TryAddWithoutValidation("Accept", accept);
        request.Headers.Authorization = new("Bearer", "key-of-read");
        using var response = await client.SendAsync(request);
        Assert.Equal((HttpStatusCode.OK, accept), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        return Encoding.UTF8.GetString(await response.Content.ReadAsByteArrayAsync());
    }

    private static Task<TestService> StartAsync(TestService? besides = null, int megabytes = 64) => TestService.StartAsync(
        builder =>
        {
            builder.Configuration["Attribution:WhatIfMegabytes"] = megabytes.ToString(CultureInfo.InvariantCulture);
            builder.AddAttribution();
        },
        app => app.MapAttribution(),
        besides);

    private static async Task AppendAsync(TestService service, IEnumerable<IEvent> facts)
    {
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await log.AppendAsync(facts.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
        log.SignalAppended();
    }

    /// <summary>Clicks of six partners, leads, sales and renewals in two currencies, refunds, coupons, bots and tests.</summary>
    private static IEnumerable<IEvent> Facts(int seed, int people)
    {
        var random = new Random(seed);
        for (var code = 0; code < 2; code++)
        {
            yield return new CouponAssigned
            {
                EventId = Ids.Derive("test-coupon", $"{code}"), ProgramId = "main", OccurredAt = s_start, PartnerId = $"partner-{code}", Code = $"CODE{code}", From = s_start,
            };
        }

        for (var person = 0; person < people; person++)
        {
            for (var i = random.Next(6); i > 0; i--)
            {
                yield return new ClickRecorded
                {
                    EventId = Ids.Derive("test-click", $"{seed} {person} {i}"),
                    ProgramId = "main",
                    OccurredAt = s_start.AddMinutes(random.Next(40 * 1_440)),
                    PartnerId = $"partner-{random.Next(6)}",
                    VisitorId = $"visitor-{person}",
                    UserAgent = random.Next(8) == 0 ? "ExampleBot/1.0 (+https://bot.example)" : Browser,
                    Via = ClickVia.Redirect,
                    Test = random.Next(25) == 0,
                };
            }

            for (var i = random.Next(3); i > 0; i--)
            {
                var order = $"{seed}-{person}-{i}";
                var id = Ids.Conversion("main", "shop", order);
                var sale = new ConversionRecorded
                {
                    EventId = id,
                    ConversionId = id,
                    ProgramId = "main",
                    OccurredAt = s_start.AddMinutes(random.Next(55 * 1_440)),
                    Kind = (ConversionKind)random.Next(4),
                    Source = "shop",
                    OrderId = order,
                    VisitorId = $"visitor-{person}",
                    CustomerKey = random.Next(2) == 0 ? $"customer-{person}" : null,
                    Coupon = random.Next(6) == 0 ? $"CODE{random.Next(2)}" : null,
                    AmountMinor = random.Next(20_000),
                    Currency = random.Next(3) == 0 ? "USD" : "EUR",
                    Test = random.Next(25) == 0,
                };
                yield return sale;
                if (random.Next(6) == 0)
                {
                    yield return new ConversionAdjusted
                    {
                        EventId = Ids.Adjustment(id, "refund"), ProgramId = "main", OccurredAt = sale.OccurredAt.AddDays(1), ConversionId = id, Source = "shop", OrderId = order,
                        AdjustmentId = "refund", AmountMinor = -random.Next(20_000), Currency = sale.Currency, Reason = AdjustmentReason.Refund,
                    };
                }
            }
        }
    }

    private static PartnerSuspended Suspended(string partner, DateTimeOffset at) =>
        new() { EventId = Ids.Derive("test-suspended", partner), ProgramId = "main", OccurredAt = at, PartnerId = partner };
}
