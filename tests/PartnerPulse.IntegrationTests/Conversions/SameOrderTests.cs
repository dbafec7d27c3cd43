using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;
using Xunit.Abstractions;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Orders that two systems report, from the declaration to the credit, on a real database.</summary>
public sealed class SameOrderTests(ITestOutputHelper output)
{
    private const string Identities = """[{"sources":["stripe","network"],"fields":["clickId","amount","currency"],"withinHours":72}]""";

    private static readonly DateTimeOffset s_at = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    [PostgresTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_sale_is_credited_once_whichever_report_comes_first_and_twice_when_it_is_separated(bool keptFirst)
    {
        await using var service = await StartAsync(withAttribution: true);
        var click = new ClickRecorded { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at.AddDays(-1), PartnerId = "acme", UserAgent = "Mozilla/5.0 (X11; Linux x86_64)", Via = ClickVia.Redirect };
        await service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema).AppendAsync([IntakeWriter.ToNewEvent(click)], CancellationToken.None);
        (await service.PutAsync("/v1/order-identities", Identities)).AssertStatus(HttpStatusCode.OK);
        string[] reports = [Sale("stripe", "pi_1", click.EventId.ToString(), s_at), Sale("network", "N-7", click.EventId.ToString(), s_at.AddHours(5))];

        foreach (var report in keptFirst ? reports : reports.Reverse())
        {
            (await service.PostAsync("/v1/conversions", report)).AssertStatus(HttpStatusCode.Created);
        }

        await UntilGoneOverAsync(service);
        await Waits.UntilAsync("the one set aside says so", async () => (await ReceiptAsync(service, "network", "N-7"))?.GetProperty("decision").GetString() == "not-credited");
        var aside = (await ReceiptAsync(service, "network", "N-7"))!.Value;
        Assert.Equal("same-order", aside.GetProperty("reason").GetString());
        Assert.Equal("stripe/pi_1", $"{aside.GetProperty("sameOrder").GetProperty("source").GetString()}/{aside.GetProperty("sameOrder").GetProperty("orderId").GetString()}");
        await Waits.UntilAsync("the one kept is credited", async () => (await ReceiptAsync(service, "stripe", "pi_1"))?.GetProperty("decision").GetString() == "credited");
        var shown = (await service.GetAsync("/v1/conversions/network/N-7")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal("pi_1", shown.GetProperty("sameOrderAs")[0].GetProperty("orderId").GetString());
        Assert.Equal(72, shown.GetProperty("sameOrderAs")[0].GetProperty("rule").GetProperty("withinHours").GetInt32());
        Assert.Equal("N-7", (await service.GetAsync("/v1/conversions/stripe/pi_1")).Json.GetProperty("setAside")[0].GetProperty("orderId").GetString());

        (await service.PostAsync("/v1/conversions/stripe/pi_1/separate", body: null)).AssertFault(HttpStatusCode.Conflict, "orderId", "is not merged");
        Assert.Equal("separated", (await service.PostAsync("/v1/conversions/network/N-7/separate", body: null)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("status").GetString());
        Assert.Equal("already-separated", (await service.PostAsync("/v1/conversions/network/N-7/separate", body: null)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("status").GetString());
        await Waits.UntilAsync("it is credited again", async () => (await ReceiptAsync(service, "network", "N-7"))?.GetProperty("decision").GetString() == "credited");

        // For good: what is declared later does not merge it again.
        (await service.PutAsync("/v1/order-identities", Identities.Replace("72", "71", StringComparison.Ordinal))).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync("/v1/conversions", Sale("stripe", "pi_2", click.EventId.ToString(), s_at.AddHours(5)))).AssertStatus(HttpStatusCode.Created);
        await UntilGoneOverAsync(service);
        shown = (await service.GetAsync("/v1/conversions/network/N-7")).Json;
        Assert.False(shown.TryGetProperty("sameOrderAs", out _));
        Assert.True(shown.TryGetProperty("separatedAt", out _));
        Assert.False((await service.GetAsync("/v1/conversions/stripe/pi_1")).Json.TryGetProperty("setAside", out _));
        (await service.PostAsync("/v1/conversions/network/nobody/separate", body: null)).AssertFault(HttpStatusCode.NotFound, "orderId", "is not recorded");
    }

    [PostgresFact]
    public async Task A_declaration_goes_over_what_is_recorded()
    {
        const int Pairs = 2_500;
        await using var service = await StartAsync();
        foreach (var part in Enumerable.Range(0, Pairs).Chunk(250))
        {
            (await service.PostAsync("/v1/conversions", $"[{string.Join(',', part.SelectMany(i => new[]
            {
                Sale("stripe", $"pi_{i}", $"c-{i}", s_at),
                Sale("network", $"N-{i}", $"c-{i}", s_at.AddHours(i % 5 == 0 ? 73 : 72)),
                Sale("network", $"O-{i}", $"c-{i}", s_at, amount: "1.00"),
            }))}]")).AssertStatus(HttpStatusCode.OK);
        }

        (await service.PutAsync("/v1/order-identities", Identities)).AssertStatus(HttpStatusCode.OK);

        await UntilGoneOverAsync(service);
        var merges = await MergesAsync(service);
        Assert.Equal(
            Enumerable.Range(0, Pairs).Where(i => i % 5 != 0).Select(i => $"N-{i} pi_{i}").Order(StringComparer.Ordinal),
            merges.Select(m => $"{m.OrderId} {m.IntoOrderId}").Order(StringComparer.Ordinal));

        // The same declared again is nothing new, and what was merged stays when nothing is declared any more.
        (await service.PutAsync("/v1/order-identities", Identities)).AssertStatus(HttpStatusCode.OK);
        (await service.PutAsync("/v1/order-identities", "[]")).AssertStatus(HttpStatusCode.OK);
        await UntilGoneOverAsync(service);
        Assert.Equal(merges.Count, (await MergesAsync(service)).Count);
        Assert.Equal(0, (await service.GetAsync("/v1/order-identities")).Json.GetProperty("identities").GetArrayLength());
    }

    [PostgresFact]
    public async Task Whatever_the_order_of_arrival_the_same_are_set_aside_for_the_same()
    {
        var random = Seeds.Random(output);
        var reports = Enumerable.Range(0, 120).Select(i => Sale(
            random.Next(3) switch { 0 => "stripe", 1 => "network", _ => "import" }, $"o-{i}", $"c-{random.Next(12)}", s_at.AddHours(random.Next(120)), random.Next(4) == 0 ? "1.00" : "49.90")).ToArray();
        const string Three = """
            [{"sources":["stripe","network"],"fields":["clickId","amount","currency"],"withinHours":24},
             {"sources":["network","import"],"fields":["clickId"],"withinHours":12},
             {"sources":["stripe","import"],"fields":["clickId","kind"],"withinHours":24}]
            """;
        string[]? first = null;
        for (var run = 0; run < 3; run++)
        {
            await using var service = await StartAsync();
            await using var other = await StartAsync(besides: service);
            random.Shuffle(reports);
            var declaredAt = run * reports.Length / 2;
            for (var i = 0; i <= reports.Length; i++)
            {
                if (i == declaredAt)
                {
                    (await service.PutAsync("/v1/order-identities", Three)).AssertStatus(HttpStatusCode.OK);
                }

                if (i < reports.Length)
                {
                    (await (i % 2 == 0 ? service : other).PostAsync("/v1/conversions", reports[i])).AssertStatus(HttpStatusCode.Created);
                }
            }

            await UntilGoneOverAsync(service);
            var aside = (await SetAsideAsync(service)).Order(StringComparer.Ordinal).ToArray();
            Assert.True(aside.Length > 20, $"Only {aside.Length} were set aside.");
            first ??= aside;
            Assert.Equal(first, aside);
        }
    }

    [PostgresFact]
    public async Task A_declaration_the_other_way_round_does_not_set_both_aside()
    {
        await using var service = await StartAsync();
        (await service.PutAsync("/v1/order-identities", Identities)).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync("/v1/conversions", $"[{Sale("stripe", "pi_1", "c-1", s_at)},{Sale("network", "N-1", "c-1", s_at)}]")).AssertStatus(HttpStatusCode.OK);
        await UntilGoneOverAsync(service);

        (await service.PutAsync("/v1/order-identities", Identities.Replace("\"stripe\",\"network\"", "\"network\",\"stripe\"", StringComparison.Ordinal))).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync("/v1/conversions", $"[{Sale("stripe", "pi_2", "c-2", s_at)},{Sale("network", "N-2", "c-2", s_at)}]")).AssertStatus(HttpStatusCode.OK);
        await UntilGoneOverAsync(service);

        Assert.Equal(["N-1 pi_1", "pi_2 N-2"], (await SetAsideAsync(service)).Order(StringComparer.Ordinal));
    }

    [PostgresFact]
    public async Task What_cannot_be_meant_is_told_with_field_and_reason()
    {
        await using var service = await StartAsync();

        (await service.PutAsync("/v1/order-identities", """[{"sources":["stripe"],"fields":["amount"],"withinHours":72}]""")).AssertFault(HttpStatusCode.BadRequest, "[0].sources", "must be two");
        (await service.PutAsync("/v1/order-identities", """{"sources":["a","b"]}""")).AssertFault(HttpStatusCode.BadRequest, "body", "is not of the right type");
        (await service.PutAsync("/v1/order-identities", """[{"source":"a"}]""")).AssertFault(HttpStatusCode.BadRequest, "[0].source", "is not a field that is known here");
        Assert.Equal("""{"identities":[],"goneOver":0,"log":0}""", (await service.GetAsync("/v1/order-identities")).Text);
    }

    private static string Sale(string source, string order, string click, DateTimeOffset at, string amount = "49.90") =>
        $$"""{"source":"{{source}}","orderId":"{{order}}","kind":"sale","occurredAt":"{{at:O}}","amount":"{{amount}}","currency":"EUR","clickId":"{{click}}"}""";

    private static Task<TestService> StartAsync(bool withAttribution = false, TestService? besides = null) => TestService.StartAsync(
        builder =>
        {
            builder.AddConversions();
            if (withAttribution)
            {
                builder.AddAttribution();
            }
        },
        app =>
        {
            app.MapConversions();
            if (withAttribution)
            {
                app.MapAttribution();
            }
        },
        besides);

    private static async Task<JsonElement?> ReceiptAsync(TestService service, string source, string order)
    {
        var answer = await service.GetAsync($"/v1/receipts?source={source}&orderId={order}");
        return answer.Status == HttpStatusCode.OK ? answer.Json : null;
    }

    private static Task UntilGoneOverAsync(TestService service) => Waits.UntilAsync("all is gone over", async () =>
    {
        var body = (await service.GetAsync("/v1/order-identities")).AssertStatus(HttpStatusCode.OK).Json;
        return body.GetProperty("goneOver").GetInt64() == body.GetProperty("log").GetInt64();
    });

    private static async Task<IReadOnlyList<ConversionMerged>> MergesAsync(TestService service) => (await EventsAsync(service)).OfType<ConversionMerged>().ToArray();

    /// <summary>What is set aside for what, as Attribution would fold it.</summary>
    private static async Task<IEnumerable<string>> SetAsideAsync(TestService service) =>
        History.Fold(await EventsAsync(service)).Journeys.Where(j => j.SameOrder is not null).Select(j => $"{j.Conversion.OrderId} {j.SameOrder!.IntoOrderId}");

    private static async Task<IEnumerable<IEvent>> EventsAsync(TestService service)
    {
        var log = service.Services.GetRequiredKeyedService<EventLog>(ConversionsService.Schema);
        return (await log.ReadAllAsync(0, 100_000, CancellationToken.None)).Select(stored => EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span)).ToArray();
    }
}
