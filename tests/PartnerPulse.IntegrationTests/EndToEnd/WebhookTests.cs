using System.Net;
using PartnerPulse.IntegrationTests.Outbound;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>From a click to the systems outside, with the sender killed in between.</summary>
[Collection(WholeSystems.Name)]
public sealed class WebhookTests
{
    private const int Orders = 40;

    [ServersFact]
    public async Task A_sale_reaches_the_shop_and_the_partner_though_the_sender_is_killed_while_it_tells_them()
    {
        await using var system = await PulseSystem.StartAsync(Mode.Distributed, settings: new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Outbound__AllowedNetworks__0"] = "127.0.0.0/8", ["Outbound__Lease"] = "00:00:05", ["Outbound__Timeout"] = "00:00:04",
        });
        await using var shop = await Receiver.StartAsync();
        await using var tracker = await Receiver.StartAsync();
        var slug = await system.EnrolAsync("acme");
        await system.SettleAsync();
        var secret = (await system.PostAsync("/v1/webhooks", new { url = $"{shop.Address}hook", events = new[] { "conversion.recorded", "credit.revised" } }))
            .AssertStatus(HttpStatusCode.Created).Json.GetProperty("secret").GetString()!;
        (await system.SendAsync(HttpMethod.Put, "/v1/postbacks/acme", PulseSystem.Json(new { url = $"{tracker.Address}pb?cid={{click_id}}&s={{sub1}}&o={{order_id}}&st={{status}}" })))
            .AssertStatus(HttpStatusCode.Created);

        // From the tenth on the shop's server is slow, so that some are under way when the sender dies.
        shop.Answer = (_, before) => Task.Delay(before < 10 ? TimeSpan.Zero : TimeSpan.FromMilliseconds(200));
        var click = await system.FollowAsync($"{slug}?sub1=left");
        for (var i = 0; i < Orders; i++)
        {
            (await system.PostAsync("/v1/conversions", new { source = "shop", orderId = $"o-{i}", kind = "sale", amount = "10.00", currency = "EUR", clickId = click }))
                .AssertStatus(HttpStatusCode.Created);
        }

        await shop.UntilAsync(12);
        await system.KillAsync("outbound");

        await system.UntilAsync("all are told", TimeSpan.FromMinutes(1), () =>
            Task.FromResult(Distinct(shop) == 2 * Orders && tracker.Received.Select(r => r.Target).Distinct().Count() == Orders ? "" : null));
        Assert.All(shop.Received, r => Assert.True(r.IsSignedWith(secret, TimeProvider.System.GetUtcNow())));
        Assert.Equal(
            Enumerable.Range(0, Orders).Select(i => $"/pb?cid={click}&s=left&o=o-{i}&st=approved").Order(StringComparer.Ordinal),
            tracker.Received.Select(r => r.Target).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));

        static int Distinct(Receiver receiver) => receiver.Received.Select(r => r.Id).Distinct(StringComparer.Ordinal).Count();
    }
}
