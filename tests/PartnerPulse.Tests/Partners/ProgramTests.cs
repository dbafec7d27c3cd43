using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Partners;

namespace PartnerPulse.Tests.Partners;

/// <summary>What a program may allow, without I/O.</summary>
public class ProgramTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("go.example", "go.example")]
    [InlineData("GO.Example", "go.example")]
    [InlineData("m\u00FCller.example", "xn--mller-kva.example")]
    [InlineData("xn--mller-kva.example", "xn--mller-kva.example")]
    [InlineData("localhost", "localhost")]
    [InlineData("1.go-2.example", "1.go-2.example")]
    public void A_host_is_kept_in_lower_case_and_punycode(string text, string host) => Assert.Equal((host, null), HostNames.Read(text));

    [Theory]
    [InlineData("https://go.example")]
    [InlineData("go.example/")]
    [InlineData("go.example:443")]
    [InlineData("go.example.")]
    [InlineData(".go.example")]
    [InlineData("go..example")]
    [InlineData("-go.example")]
    [InlineData("go-.example")]
    [InlineData("*.example")]
    [InlineData("g_o.example")]
    [InlineData("go example")]
    [InlineData("user@go.example")]
    [InlineData("127.0.0.1")]
    [InlineData("2130706433")]
    [InlineData("[::1]")]
    [InlineData("")]
    public void What_is_no_name_in_dns_is_no_host(string text) => Assert.Null(HostNames.Read(text).Host);

    [Fact]
    public void A_host_is_as_long_as_dns_allows()
    {
        var label = new string('a', 63);
        Assert.NotNull(HostNames.Read($"{label}.{label}.{label}.{label[..61]}").Host);
        Assert.Null(HostNames.Read($"{label}.{label}.{label}.{label[..62]}").Host);
        Assert.Null(HostNames.Read($"{label}a.example").Host);
    }

    [Theory]
    [InlineData("https://shop.example", "https://shop.example")]
    [InlineData("HTTPS://Shop.Example:443", "https://shop.example")]
    [InlineData("https://shop.example:8443", "https://shop.example:8443")]
    [InlineData("https://m\u00FCller.example", "https://xn--mller-kva.example")]
    [InlineData("http://localhost:5173", "http://localhost:5173")]
    [InlineData("http://127.0.0.1:5173", "http://127.0.0.1:5173")]
    [InlineData("http://[::1]:5173", "http://[::1]:5173")]
    [InlineData("http://shop.localhost:80", "http://shop.localhost")]
    public void An_origin_is_kept_as_browsers_write_it(string text, string origin) => Assert.Equal((origin, null), HostNames.ReadOrigin(text));

    [Theory]
    [InlineData("http://shop.example")]
    [InlineData("https://shop.example/")]
    [InlineData("https://shop.example/a")]
    [InlineData("https://shop.example?a")]
    [InlineData("https://shop.example#a")]
    [InlineData("https://user@shop.example")]
    [InlineData("https://shop.example:99999")]
    [InlineData("https://*.shop.example")]
    [InlineData("https://203.0.113.9")]
    [InlineData("https://")]
    [InlineData("shop.example")]
    [InlineData("null")]
    [InlineData("*")]
    [InlineData("file://shop.example")]
    [InlineData("http://localhost.evil.example")]
    public void What_is_more_or_less_than_scheme_host_and_port_is_no_origin(string text) => Assert.Null(HostNames.ReadOrigin(text).Origin);

    [Fact]
    public void Every_fault_is_told_with_its_place()
    {
        var checks = new Checks(TimeProvider.System);
        var asked = ConfigureProgram.Read(
            new ConfigureProgramAsk
            {
                LinkHosts = ["go.example", "go.example/", null],
                Origins = ["http://shop.example"],
                DeepLinkHosts = [.. Enumerable.Range(0, 51).Select(i => $"h{i}.example")],
                PartnerParameters = ["ref", "to", "a b"],
                Fallback = "javascript:alert(1)",
            },
            checks);
        Assert.Null(asked);
        Assert.Equal(
            ["linkHosts[1]", "linkHosts[2]", "origins[0]", "deepLinkHosts", "partnerParameters[1]", "partnerParameters[2]", "fallback"],
            checks.Faults.Select(f => f.Field));
        Assert.Null(ConfigureProgram.Read(new ConfigureProgramAsk { PartnerParameters = [] }, new Checks(TimeProvider.System)));
    }

    [Fact]
    public void The_same_again_changes_nothing_and_a_program_that_was_never_configured_is_as_one_that_says_nothing()
    {
        var nothing = ConfigureProgram.Read(new ConfigureProgramAsk(), new Checks(TimeProvider.System))!;
        Assert.IsType<ConfigureProgram.AlreadyConfigured>(ConfigureProgram.Decide(current: null, nothing, "main", s_now, Id()));

        var asked = ConfigureProgram.Read(new ConfigureProgramAsk { LinkHosts = ["b.example", "a.example", "B.example"], Fallback = "https://shop.example/" }, new Checks(TimeProvider.System))!;
        var configured = Assert.IsType<ConfigureProgram.Configured>(ConfigureProgram.Decide(current: null, asked, "main", s_now, Id())).Program;
        Assert.Equal(["b.example", "a.example"], configured.LinkHosts);
        Assert.Equal(ProgramConfigured.DefaultPartnerParameters, configured.PartnerParameters);
        Assert.IsType<ConfigureProgram.AlreadyConfigured>(ConfigureProgram.Decide(configured, asked, "main", s_now, Id()));
        Assert.IsType<ConfigureProgram.Configured>(ConfigureProgram.Decide(configured, nothing, "main", s_now, Id()));
    }

    private static Guid Id() => Guid.CreateVersion7(s_now);
}
