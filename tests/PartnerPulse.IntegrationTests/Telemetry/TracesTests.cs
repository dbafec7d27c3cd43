using System.Net;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Outbound;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>From a click to its credit, and on to who is told of it, in one trace.</summary>
[Collection(WholeSystems.Name)]
public sealed class TracesTests
{
    [ServersFact]
    public async Task One_trace_leads_from_a_click_to_its_credit_through_every_service()
    {
        await using var collector = await OtlpReceiver.StartAsync();
        await using var shop = await Receiver.StartAsync();
        await using var system = await PulseSystem.StartAsync(Mode.Distributed, settings: new Dictionary<string, string?>(collector.Variables, StringComparer.Ordinal)
        {
            ["Outbound__AllowedNetworks__0"] = "127.0.0.0/8",
        });
        var slug = await system.EnrolAsync("acme");
        await system.SettleAsync();
        (await system.PostAsync("/v1/webhooks", new { url = $"{shop.Address}hook", events = new[] { "credit.revised" } })).AssertStatus(HttpStatusCode.Created);
        Guid click = default;
        var spans = await FollowAsync("4bf92f3577b34da6a3ce929d0e0e4736");
        Console.Error.WriteLine(string.Join('\n', spans));
        foreach (var s in spans) Console.Error.WriteLine(s.Name + ": " + string.Join(' ', s.Attributes));
        Console.Error.WriteLine(string.Join('\n', collector.Spans.Select(s => s.Trace + " " + s)));
        Console.Error.WriteLine(string.Join('\n', collector.Metrics.Select(s => s.ToString())));

        async Task<IReadOnlyList<SpanReceived>> FollowAsync(string trace)
        {
            system.Http.DefaultRequestHeaders.Add("traceparent", $"00-{trace}-00f067aa0ba902b7-01");
            click = await system.FollowAsync($"{slug}?utm_source=blog");
            await system.SettleAsync();
            (await system.PostAsync("/v1/conversions", new { source = "shop", orderId = "o-1", kind = "sale", amount = "10.00", currency = "EUR", clickId = click }))
                .AssertStatus(HttpStatusCode.Created);
            return await collector.UntilAsync(trace, "somebody is told", all => all.Any(span => span.Name == "deliver"));
        }
    }
}
