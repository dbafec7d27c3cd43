using System.Diagnostics;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Who reports an order is told whether it has a click, and is never kept waiting for that.</summary>
public sealed class MatchesTests
{
    [PostgresFact]
    public async Task An_order_without_a_click_says_so_and_why()
    {
        await using var attribution = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        await using var service = await ConversionsAsync(attribution.Address.OriginalString);
        var click = new ClickRecorded { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch.AddYears(50), PartnerId = "acme", VisitorId = "known", Via = ClickVia.Redirect };
        await attribution.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema).AppendAsync(
            [PartnerPulse.Attribution.Intake.IntakeWriter.ToNewEvent(click)], CancellationToken.None);
        var stranger = Guid.NewGuid();

        // The first question of a process meets code that is not compiled yet, and may take longer than an order waits.
        var warm = Stopwatch.StartNew();
        while ((await ReportAsync(service, "")).Matched is null && warm.Elapsed < TimeSpan.FromSeconds(20))
        {
        }

        Assert.Equal((true, null), await ReportAsync(service, $"\"clickId\":\"{click.EventId}\""));
        Assert.Equal((true, null), await ReportAsync(service, "\"visitorId\":\"known\""));
        Assert.Equal((false, "it names no click, no visitor, no customer and no coupon"), await ReportAsync(service, ""));
        Assert.Equal(
            (false, $"the click {stranger} is not known; the visitor has no click that is known; no click of the customer is known; the coupon 'NONE' was never a partner's"),
            await ReportAsync(service, $"\"clickId\":\"{stranger}\",\"visitorId\":\"stranger\",\"customer\":\"ann@example.org\",\"coupon\":\"NONE\""));

        var list = (await service.PostAsync("/v1/conversions", $"[{Order("\"visitorId\":\"known\"")},{Order("\"visitorId\":\"stranger\"")},{{}}]")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(
            ["True", "False", "none"],
            list.EnumerateArray().Select(answer => answer.TryGetProperty("matched", out var matched) ? matched.GetBoolean().ToString() : "none"));
    }

    [PostgresFact]
    public async Task An_order_is_recorded_while_attribution_is_away_and_says_what_is_not_known()
    {
        using var silent = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        await using var service = await ConversionsAsync($"http://127.0.0.1:{((IPEndPoint)silent.LocalEndpoint).Port}");
        var watch = Stopwatch.StartNew();

        Assert.Equal((null, "Attribution could not be asked"), await ReportAsync(service, "\"visitorId\":\"v\""));

        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    private static Task<TestService> ConversionsAsync(string attribution) => TestService.StartAsync(
        builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                ["Conversions:Attribution:Url"] = attribution, ["Conversions:Attribution:Key"] = $"key-of-{Scope.Read}",
            });
            builder.AddConversions();
        },
        app => app.MapConversions());

    private static async Task<(bool? Matched, string? Reason)> ReportAsync(TestService service, string names)
    {
        var answer = (await service.PostAsync("/v1/conversions", Order(names))).AssertStatus(HttpStatusCode.Created).Json;
        return (
            answer.TryGetProperty("matched", out var matched) ? matched.GetBoolean() : null,
            answer.TryGetProperty("matchReason", out var reason) ? reason.GetString() : null);
    }

    private static string Order(string names) =>
        $$"""{"source":"shop","orderId":"{{Guid.NewGuid():N}}","kind":"sale","amount":"10","currency":"EUR"{{(names.Length > 0 ? "," + names : "")}}}""";
}
