using Microsoft.Extensions.Configuration;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class EdgeOptionsTests
{
    [Fact]
    public void All_faults_are_told_at_once_and_name_their_key()
    {
        var faults = EdgeOptionsSetup.Faults(new EdgeOptions
        {
            Name = "Not A Name",
            Durability = (Durability)7,
            SpoolMaxBytes = 1,
            ImportMaxBytes = 1,
            FallbackUrl = "nowhere",
            PublicUrl = "ftp://x",
            Partners = new() { Url = "https://partners.example" },
            Cookie = new() { Days = 401, Mode = CookieMode.Domain },
            TrustedProxies = ["10.0.0.0/8", "proxy.example"],
            Limits = new() { MarkAbove = 10, RefuseAbove = 9, RequestLineBytes = 1, HeadersBytes = 1, Headers = 1, HeadersSeconds = 0, KeepAliveSeconds = 0, BodyBytesPerSecond = 0, Connections = 0 },
        }).ToArray();
        Assert.Equal(
            ["Edge:Name", "Edge:Durability", "Edge:SpoolMaxBytes", "Edge:ImportMaxBytes", "Edge:FallbackUrl", "Edge:PublicUrl", "Edge:Partners:Key", "Edge:TrustedProxies", "Edge:Limits:RequestLineBytes",
             "Edge:Limits:HeadersBytes", "Edge:Limits:Headers", "Edge:Limits:HeadersSeconds", "Edge:Limits:KeepAliveSeconds", "Edge:Limits:BodyBytesPerSecond",
             "Edge:Limits:Connections", "Edge:Limits:MarkAbove", "Edge:Cookie:Days", "Edge:Cookie:Domain"],
            faults.Select(f => f[..f.IndexOf(' ', StringComparison.Ordinal)]));
    }

    [Fact]
    public void The_defaults_are_valid_and_set_no_cookie()
    {
        Assert.Empty(EdgeOptionsSetup.Faults(new EdgeOptions()));
        Assert.Equal(CookieMode.Off, new CookieOptions().EffectiveMode);
        Assert.Equal(CookieMode.Domain, new CookieOptions { Domain = "shop.example" }.EffectiveMode);
    }

    [Theory]
    [InlineData(29, false)]
    [InlineData(30, true)]
    [InlineData(60, true)]
    [InlineData(400, true)]
    [InlineData(401, false)]
    public void A_visitor_is_remembered_for_30_to_400_days(int days, bool allowed) =>
        Assert.Equal(allowed, !EdgeOptionsSetup.Faults(new EdgeOptions { Cookie = new() { Days = days } }).Any());

    [Fact]
    public void A_domain_contradicts_a_cookie_of_the_host_alone() =>
        Assert.Contains("Edge:Cookie:Domain", Assert.Single(EdgeOptionsSetup.Faults(new EdgeOptions { Cookie = new() { Mode = CookieMode.Host, Domain = "shop.example" } })), StringComparison.Ordinal);

    [Fact]
    public void Folder_and_key_lie_under_the_data_of_the_installation()
    {
        var options = new EdgeOptions();
        new EdgeOptionsSetup(new ConfigurationBuilder().AddInMemoryCollection([new("Pulse:Data", "/data")]).Build()).PostConfigure(null, options);
        Assert.Equal((Path.Combine("/data", "edge"), Path.Combine("/data", "edge", "signing.key")), (options.Data, options.SigningKeyFile));
    }
}
