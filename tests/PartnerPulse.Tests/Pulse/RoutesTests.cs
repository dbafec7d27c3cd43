using PartnerPulse.Pulse.Gateway;

namespace PartnerPulse.Tests.Pulse;

public class RoutesTests
{
    [Theory]
    [InlineData("/r/acme-1", nameof(Upstream.Edge))]
    [InlineData("/t", nameof(Upstream.Edge))]
    [InlineData("/t.js", nameof(Upstream.Edge))]
    [InlineData("/v1/imports/clicks", nameof(Upstream.Edge))]
    [InlineData("/v1/imports/conversions", nameof(Upstream.Conversions))]
    [InlineData("/v1/conversions/shop/1001/adjustments", nameof(Upstream.Conversions))]
    [InlineData("/v1/hooks/stripe/main", nameof(Upstream.Conversions))]
    [InlineData("/v1/orders/errors", nameof(Upstream.Conversions))]
    [InlineData("/v1/order-identities", nameof(Upstream.Conversions))]
    [InlineData("/v1/postback", nameof(Upstream.Conversions))]
    [InlineData("/v1/identities", nameof(Upstream.Conversions))]
    [InlineData("/v1/partners/acme/links", nameof(Upstream.Partners))]
    [InlineData("/v1/coupons", nameof(Upstream.Partners))]
    [InlineData("/v1/program", nameof(Upstream.Partners))]
    [InlineData("/v1/customers", nameof(Upstream.Conversions))]
    [InlineData("/v1/catalogue", nameof(Upstream.Partners))]
    [InlineData("/v1/webhooks/dead-letters", nameof(Upstream.Outbound))]
    [InlineData("/v1/postbacks/acme", nameof(Upstream.Outbound))]
    [InlineData("/v1/credits", nameof(Upstream.Attribution))]
    [InlineData("/v1/status", nameof(Upstream.Attribution))]
    [InlineData("/v1/partnership", nameof(Upstream.Attribution))]
    [InlineData("/register", null)]
    [InlineData("/", null)]
    [InlineData("/v2/rules", null)]
    public void A_path_belongs_to_one_service_by_whole_segments(string path, string? upstream) =>
        Assert.Equal(upstream, Routes.Of(path)?.ToString());
}
