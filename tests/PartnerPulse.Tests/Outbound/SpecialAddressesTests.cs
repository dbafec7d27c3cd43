using System.Net;
using Microsoft.Extensions.Options;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Outbound;

namespace PartnerPulse.Tests.Outbound;

public class SpecialAddressesTests
{
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("127.255.255.254")]
    [InlineData("0.0.0.0")]
    [InlineData("0.1.2.3")]
    [InlineData("10.0.0.1")]
    [InlineData("100.64.0.1")]
    [InlineData("100.127.255.255")]
    [InlineData("169.254.169.254")]
    [InlineData("172.16.0.1")]
    [InlineData("172.31.255.255")]
    [InlineData("192.0.0.1")]
    [InlineData("192.0.2.1")]
    [InlineData("192.88.99.1")]
    [InlineData("192.168.1.1")]
    [InlineData("198.18.0.1")]
    [InlineData("198.19.255.255")]
    [InlineData("198.51.100.1")]
    [InlineData("203.0.113.1")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("168.63.129.16")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("::127.0.0.1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:10.0.0.1")]
    [InlineData("::ffff:0:10.0.0.1")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("64:ff9b::a9fe:a9fe")]
    [InlineData("64:ff9b:1::1")]
    [InlineData("100::1")]
    [InlineData("2001::1")]
    [InlineData("2001:db8::1")]
    [InlineData("2002:7f00:1::")]
    [InlineData("2002:808:808::")]
    [InlineData("3fff::1")]
    [InlineData("5f00::1")]
    [InlineData("fc00::1")]
    [InlineData("fd00:ec2::254")]
    [InlineData("fe80::1")]
    [InlineData("fe80::1%3")]
    [InlineData("fec0::1")]
    [InlineData("ff02::1")]
    public void An_address_that_is_no_strangers_server_is_refused(string address) =>
        Assert.True(SpecialAddresses.Refuses(IPAddress.Parse(address), []));

    [Theory]
    [InlineData("1.1.1.1")]
    [InlineData("100.63.255.255")]
    [InlineData("100.128.0.1")]
    [InlineData("172.15.255.255")]
    [InlineData("172.32.0.1")]
    [InlineData("192.0.1.1")]
    [InlineData("223.255.255.255")]
    [InlineData("::ffff:8.8.8.8")]
    [InlineData("64:ff9b::808:808")]
    [InlineData("2001:4860:4860::8888")]
    [InlineData("2606:4700::1111")]
    [InlineData("2a00:1450:4001::1")]
    public void A_public_address_is_told(string address) => Assert.False(SpecialAddresses.Refuses(IPAddress.Parse(address), []));

    [Fact]
    public void A_network_that_is_allowed_is_told_in_whatever_clothes()
    {
        IPNetwork[] allowed = [IPNetwork.Parse("10.1.0.0/16"), IPNetwork.Parse("fd00::/8")];

        Assert.False(SpecialAddresses.Refuses(IPAddress.Parse("10.1.2.3"), allowed));
        Assert.False(SpecialAddresses.Refuses(IPAddress.Parse("::ffff:10.1.2.3"), allowed));
        Assert.False(SpecialAddresses.Refuses(IPAddress.Parse("fd12::1"), allowed));
        Assert.True(SpecialAddresses.Refuses(IPAddress.Parse("10.2.0.1"), allowed));
        Assert.True(SpecialAddresses.Refuses(IPAddress.Loopback, allowed));
    }

    /// <summary>Spellings that browsers, C libraries and the framework take for addresses of this machine.</summary>
    [Theory]
    [InlineData("http://127.0.0.1/")]
    [InlineData("http://127.1/")]
    [InlineData("http://2130706433/")]
    [InlineData("http://0x7f000001/")]
    [InlineData("http://0x7f.0.0.1/")]
    [InlineData("http://0177.0.0.1/")]
    [InlineData("http://0/")]
    [InlineData("http://[::1]/")]
    [InlineData("http://[::ffff:127.0.0.1]/")]
    [InlineData("http://[0:0:0:0:0:ffff:7f00:1]/")]
    [InlineData("http://[64:ff9b::7f00:1]/")]
    [InlineData("http://localhost/")]
    [InlineData("http://LOCALHOST./")]
    [InlineData("http://hooks.localhost:8080/")]
    [InlineData("http://169.254.169.254/latest/meta-data/")]
    public void A_webhook_to_this_machine_is_refused_when_it_is_set_up_however_it_is_spelt(string url)
    {
        var checks = new Checks(TimeProvider.System);

        var asked = RegisterWebhook.Read(new RegisterWebhookAsk { Url = url, Events = [EventNames.CreditRevised] }, checks, new PublicConnection(Options.Create(new OutboundOptions())));

        Assert.Null(asked);
        Assert.Equal("url", Assert.Single(checks.Faults).Field);
    }

    [Fact]
    public void Settings_that_make_no_sense_are_all_told_at_once()
    {
        var options = new OutboundOptions { AllowedNetworks = ["10.0.0.0/8", "all"], Lease = TimeSpan.FromSeconds(1), MaxAttempts = 0 };

        var faults = new OutboundOptionsCheck().Validate(name: null, options).Failures!.ToArray();

        Assert.Equal(3, faults.Length);
        Assert.Contains(faults, fault => fault.Contains("'all'", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.Contains("Outbound:Lease", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.Contains("Outbound:MaxAttempts", StringComparison.Ordinal));
    }
}
