using System.Net;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>Coupons, identities, leads and renewals from the request to the credit and its receipt.</summary>
public sealed class CouponsToCreditTests
{
    private static string Ago(double days) => TimeProvider.System.GetUtcNow().AddDays(-days).ToString("O");

    [PostgresFact]
    public async Task An_order_with_a_coupon_is_credited_to_whoever_held_it_then_also_when_that_becomes_known_later()
    {
        await using var system = await ThreeServices.StartAsync();
        await system.EnrolAsync("acme");
        await system.EnrolAsync("bravo");

        object Order(string id, double daysAgo) => new { source = "shop", orderId = id, kind = "sale", amount = "10.00", currency = "EUR", coupon = " spring10", occurredAt = Ago(daysAgo) };
        await system.PostAsync("/v1/conversions", new[] { Order("1", 9), Order("2", 4), Order("3", 0) }, HttpStatusCode.OK);
        Assert.Equal(["nobody 3"], await system.CreditsAsync());

        await system.PostAsync("/v1/coupons", new { code = "Spring10", partner = "acme", from = Ago(10), until = Ago(5) }, HttpStatusCode.Created);
        Assert.Equal(["acme 10.00", "nobody 2"], await system.CreditsAsync());
        await system.PostAsync("/v1/coupons", new { code = "SPRING10", partner = "bravo", from = Ago(5) }, HttpStatusCode.Created);
        Assert.Equal(["acme 10.00", "bravo 20.00", "nobody 0"], await system.CreditsAsync());

        var receipt = await system.ReceiptAsync("2");
        Assert.Equal(("bravo", "coupon", "SPRING10"), (Text(receipt, "partner"), Text(receipt, "evidence"), Text(receipt, "code")));
        Assert.Equal("another partner", Text(await system.ReceiptAsync("2", "&partner=acme"), "partner"));

        // From now on it is nobody's; what was ordered before keeps its partner.
        (await system.Service.DeleteAsync("/v1/coupons/spring10")).AssertStatus(HttpStatusCode.NoContent);
        await system.PostAsync("/v1/conversions", new { source = "shop", orderId = "4", kind = "sale", amount = "10.00", currency = "EUR", coupon = "SPRING10" }, HttpStatusCode.Created);
        Assert.Equal(["acme 10.00", "bravo 20.00", "nobody 1"], await system.CreditsAsync());
        await system.AssertIsOneFoldAsync();
        await system.RebuildAsync();
        await system.AssertIsOneFoldAsync();

        static string? Text(System.Text.Json.JsonElement receipt, string field) => receipt.GetProperty("coupon").GetProperty(field).GetString();
    }

    [PostgresFact]
    public async Task Who_logs_in_after_the_order_was_the_one_that_clicked_and_the_renewal_stays_with_the_lead()
    {
        await using var system = await ThreeServices.StartAsync();
        await system.UseRulesAsync(new { name = "inherit", inherit = new { from = "lead", days = 365 } });
        await system.ClickAsync("acme", "phone", daysAgo: 20);
        await system.ClickAsync("bravo", "laptop", daysAgo: 1);
        await system.PostAsync("/v1/conversions", new { source = "shop", orderId = "lead", kind = "lead", customer = "ann@example.org", occurredAt = Ago(10) }, HttpStatusCode.Created);
        await system.PostAsync(
            "/v1/conversions", new { source = "shop", orderId = "sale", kind = "sale", amount = "10.00", currency = "EUR", customer = "ann@example.org", visitorId = "laptop" },
            HttpStatusCode.Created);
        Assert.Equal(["bravo 10.00", "nobody 1"], await system.CreditsAsync());

        await system.PostAsync("/v1/identities", new { customer = " Ann@Example.org", visitorId = "phone" }, HttpStatusCode.Created);
        await system.PostAsync("/v1/identities", new { customer = "ann@example.org", visitorId = "phone" }, HttpStatusCode.OK);
        Assert.Equal(["acme 10.00", "nobody 0"], await system.CreditsAsync());
        var receipt = await system.ReceiptAsync("sale");
        Assert.Equal("lead", receipt.GetProperty("inheritedFrom").GetProperty("orderId").GetString());
        Assert.EndsWith("inherited from lead lead of shop.", receipt.GetProperty("summary").GetString(), StringComparison.Ordinal);

        // A suspension concerns what the partner has by a lead alone.
        await system.EnrolAsync("acme");
        (await system.Service.PostAsync("/v1/partners/acme/suspension", $$"""{"occurredAt":"{{Ago(2)}}"}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal(["acme 0.00", "bravo 10.00", "nobody 0"], await system.CreditsAsync());
        await system.AssertIsOneFoldAsync();
        await system.RebuildAsync();
        await system.AssertIsOneFoldAsync();
    }
}
