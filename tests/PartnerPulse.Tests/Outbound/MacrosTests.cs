using Microsoft.Extensions.Options;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Outbound;

namespace PartnerPulse.Tests.Outbound;

public class MacrosTests
{
    [Fact]
    public void Each_value_is_percent_encoded_and_an_absent_one_is_empty()
    {
        var values = new Dictionary<string, string>(StringComparer.Ordinal) { ["sub1"] = "Größe 42&x=1#/?%", ["order_id"] = "..", ["payout"] = "-9.98" };

        Assert.Equal(
            "https://t.example/pb/%2E%2E?s=Gr%C3%B6%C3%9Fe%2042%26x%3D1%23%2F%3F%25&p=-9.98&c=",
            Macros.Render("https://t.example/pb/{order_id}?s={sub1}&p={payout}&c={click_id}", values));
    }

    [Fact]
    public void A_value_that_looks_like_a_macro_stays_a_value() =>
        Assert.Equal("https://t.example/?a=%7Bsub2%7D&b=x", Macros.Render("https://t.example/?a={sub1}&b={sub2}", new Dictionary<string, string>(StringComparer.Ordinal) { ["sub1"] = "{sub2}", ["sub2"] = "x" }));

    [Theory]
    [InlineData("https://t.example/?c={clickid}", "unknown macro '{clickid}'")]
    [InlineData("https://t.example/?c={}", "unknown macro '{}'")]
    [InlineData("https://t.example/?c={click_id", "belongs to no macro")]
    [InlineData("https://t.example/?c=click_id}", "belongs to no macro")]
    [InlineData("https://{sub1}.example/?c={click_id}", "before its path")]
    [InlineData("{sub1}://t.example/", "before its path")]
    [InlineData("https://t.example:{sub1}/", "before its path")]
    [InlineData("https://t.example/?n=Größe", "ASCII")]
    [InlineData("https://t.example/?n=a b", "ASCII")]
    [InlineData("ftp://t.example/?c={click_id}", "http or https")]
    [InlineData("https://user:secret@t.example/?c={click_id}", "user or password")]
    [InlineData("http://10.0.0.1/?c={click_id}", "not a public address")]
    [InlineData("", "is required")]
    public void A_template_at_fault_is_refused_with_its_reason(string template, string reason)
    {
        var checks = new Checks(TimeProvider.System);

        var read = SetPostback.Read(new SetPostbackAsk { Url = template }, checks, new PublicConnection(Options.Create(new OutboundOptions())));

        Assert.Null(read);
        Assert.All(checks.Faults, fault => Assert.Equal("url", fault.Field));
        Assert.Contains(checks.Faults, fault => fault.Reason.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public void Every_macro_can_be_used_at_once()
    {
        var template = $"https://t.example/pb?{string.Join('&', Macros.All.Select(name => $"{name}={{{name}}}"))}";
        var checks = new Checks(TimeProvider.System);

        Assert.Equal(template, SetPostback.Read(new SetPostbackAsk { Url = template }, checks, new PublicConnection(Options.Create(new OutboundOptions()))));
    }
}
