using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Months that several versions of the rules judge together, by the date of the order and by the partner.</summary>
public sealed class ScopedStatementsTests
{
    [PostgresFact]
    public async Task A_month_under_a_stack_of_versions_is_recomputed_from_the_log_by_the_stack_that_it_was_closed_under()
    {
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);

        // 20 % to the first touch; from February on 10 % to the last.
        await PromoteAsync(service, """{"name":"base","model":{"kind":"first-touch"},"bots":"include","commission":[{"percent":20}]}""", under: "[]");
        await PromoteAsync(
            service, """{"name":"since february","model":{"kind":"last-touch"},"bots":"include","effectiveFrom":"2024-02-01T00:00:00Z","commission":[{"percent":10}]}""", under: "[2]");
        await AppendAsync(
            log,
            Click("alpha", "a", "2024-01-05"), Order("1001", "a", "2024-01-12"),
            Click("alpha", "b", "2024-01-05"), Click("bravo", "b", "2024-01-10"), Order("1002", "b", "2024-01-20"),
            Click("alpha", "c", "2024-02-01"), Click("bravo", "c", "2024-02-05"), Order("1003", "c", "2024-02-10"),
            Click("alpha", "d", "2024-02-01"), Click("charlie", "d", "2024-02-05"), Order("1004", "d", "2024-02-10"));
        var january = await CloseAsync(service, "2024-01", "2024-03-15");
        Assert.Equal("alpha amount 200.00 opening 0.00 earned 40.00 adjusted 0.00 payable 40.00 carried 0.00", Assert.Single(Lines(january)));
        Assert.Equal(3, january.Json.GetProperty("basis").GetProperty("rulesVersion").GetInt32());

        // Then bravo has terms of its own, which reach back into the closed month: what they take from alpha and give to bravo is February's.
        await PromoteAsync(
            service,
            """{"name":"bravo","model":{"kind":"last-touch"},"bots":"include","effectiveFrom":"2024-01-15T00:00:00Z","scope":{"to":{"partner":"bravo"}},"commission":[{"percent":50}]}""",
            under: "[3,2]");
        var february = await CloseAsync(service, "2024-02", "2024-04-15");
        Assert.Equal(
            [
                "alpha amount -100.00 opening 0.00 earned 0.00 adjusted -20.00 payable 0.00 carried -20.00",
                "bravo amount 200.00 opening 0.00 earned 50.00 adjusted 50.00 payable 100.00 carried 0.00",
                "charlie amount 100.00 opening 0.00 earned 10.00 adjusted 0.00 payable 10.00 carried 0.00",
            ],
            Lines(february));
        Assert.Equal(4, february.Json.GetProperty("basis").GetProperty("rulesVersion").GetInt32());

        // A refund is in proportion to what the version that judges its order pays.
        await AppendAsync(log, Refund("1002", 5_000));
        var march = await CloseAsync(service, "2024-03", "2024-05-15");
        Assert.Equal(
            [
                "alpha amount 0.00 opening -20.00 earned 0.00 adjusted 0.00 payable 0.00 carried -20.00",
                "bravo amount -50.00 opening 0.00 earned 0.00 adjusted -25.00 payable 0.00 carried -25.00",
            ],
            Lines(march));

        await VerifiedAsync(service, conversions: [2, 4, 4]);
        var ledger = (await service.GetAsync("/v1/ledger")).AssertStatus(HttpStatusCode.OK).Text;
        (await service.PostAsync("/v1/rebuild", body: null)).AssertStatus(HttpStatusCode.Accepted);
        await service.ProjectedAsync();
        Assert.Equal(ledger, (await service.GetAsync("/v1/ledger")).AssertStatus(HttpStatusCode.OK).Text);
        foreach (var closed in new[] { january, february, march })
        {
            Assert.Equal(closed.Text, (await service.GetAsync($"/v1/statements/{closed.Json.GetProperty("period").GetString()}")).Text);
        }

        await VerifiedAsync(service, conversions: [2, 4, 4]);

        // The versions beneath are the log's: another percentage in the oldest of them is another January, and no other number of bravo's.
        await using var command = log.DataSource.CreateCommand(
            $"update {log.Schema}.mt_events set data = jsonb_set(data, '{{document,commission,0,percent}}', '30') where type = 'rules_published' and data ->> 'version' = '2'");
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
        Assert.Equal(["alpha earned 40.00 60.00", "alpha payable 40.00 60.00"], await DifferencesAsync(service, "2024-01"));
        Assert.DoesNotContain(await DifferencesAsync(service, "2024-02"), difference => difference.StartsWith("bravo", StringComparison.Ordinal));
    }

    /// <summary>Publishes rules, replays under them, and lets them count above those that the replay is to say.</summary>
    private static async Task PromoteAsync(TestService service, string rules, string under)
    {
        var replay = (await service.PostAsync("/v1/replays", $$"""{"rules":{{rules}}}""")).AssertStatus(HttpStatusCode.Accepted).Json;
        Assert.Equal(under, replay.GetProperty("under").GetRawText());
        var path = $"/v1/replays/{replay.GetProperty("id").GetGuid()}";
        await service.UntilAsync(path, json => json.GetProperty("state").GetString() == "ready");
        (await service.PostAsync($"{path}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        await service.ProjectedAsync();
    }

    private static async Task<Answer> CloseAsync(TestService service, string period, string payableAsOf)
    {
        await service.ProjectedAsync();
        (await service.PostAsync($"/v1/statements/{period}/close", $$"""{"payableAsOf":"{{payableAsOf}}"}""")).AssertStatus(HttpStatusCode.Created);
        return (await service.GetAsync($"/v1/statements/{period}")).AssertStatus(HttpStatusCode.OK);
    }

    /// <summary>Each closed month is what the log says, from so many conversions.</summary>
    private static async Task VerifiedAsync(TestService service, long[] conversions)
    {
        for (var i = 0; i < conversions.Length; i++)
        {
            var verified = (await service.PostAsync($"/v1/statements/2024-0{i + 1}/verification", body: null)).AssertStatus(HttpStatusCode.OK).Json;
            Assert.True(verified.GetProperty("equal").GetBoolean(), verified.ToString());
            Assert.Equal(conversions[i], verified.GetProperty("conversions").GetInt64());
        }
    }

    private static async Task<string[]> DifferencesAsync(TestService service, string period) =>
        (await service.PostAsync($"/v1/statements/{period}/verification", body: null)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("differences").EnumerateArray()
            .Select(d => $"{d.GetProperty("partner")} {d.GetProperty("field")} {d.GetProperty("recorded")} {d.GetProperty("recomputed")}").ToArray();

    private static string[] Lines(Answer statement) => statement.Json.GetProperty("balances").EnumerateArray().Select(b =>
        $"{b.GetProperty("partner")} " + string.Join(' ', new[] { "amount", "opening", "earned", "adjusted", "payable", "carried" }.Select(f => $"{f} {b.GetProperty(f)}"))).ToArray();

    private static Task AppendAsync(EventLog log, params IEvent[] events) => log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

    private static DateTimeOffset Day(string day) => DateTimeOffset.Parse($"{day}T12:00:00Z", CultureInfo.InvariantCulture);

    private static Guid ConversionOf(string order) => Ids.Conversion("main", "shop", order);

    private static ClickRecorded Click(string partner, string visitor, string day) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = Day(day), PartnerId = partner, VisitorId = visitor, Via = ClickVia.Import,
    };

    private static ConversionRecorded Order(string order, string visitor, string day) => new()
    {
        EventId = ConversionOf(order), ProgramId = "main", OccurredAt = Day(day), ConversionId = ConversionOf(order), Kind = ConversionKind.Sale, Source = "shop", OrderId = order,
        VisitorId = visitor, AmountMinor = 10_000, Currency = "EUR",
    };

    private static ConversionAdjusted Refund(string order, long minor) => new()
    {
        EventId = Ids.Adjustment(ConversionOf(order), "r-1"), ProgramId = "main", OccurredAt = Day("2024-03-20"), ConversionId = ConversionOf(order), Source = "shop", OrderId = order,
        AdjustmentId = "r-1", AmountMinor = -minor, Currency = "EUR", Reason = AdjustmentReason.Refund,
    };
}
