using System.Net;
using Microsoft.AspNetCore.Http;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class ClientAddressTests
{
    private static readonly ClientAddress s_behindProxies = new(["10.0.0.0/8", "127.0.0.1", "2001:db8:ffff::/48"]);

    [Theory]
    [InlineData("203.0.113.7", "198.51.100.1", "203.0.113.7")] // Who comes straight is not believed.
    [InlineData("10.1.2.3", "198.51.100.1", "198.51.100.1")]
    [InlineData("::ffff:10.1.2.3", "::ffff:198.51.100.1", "198.51.100.1")]
    [InlineData("10.1.2.3", "192.0.2.66, 198.51.100.1, 10.4.4.4,127.0.0.1", "198.51.100.1")] // What stands further left anyone may have written.
    [InlineData("10.1.2.3", "198.51.100.1:51234", "198.51.100.1")]
    [InlineData("10.1.2.3", "[2001:db8::9]:443", "2001:db8::9")]
    [InlineData("10.1.2.3", "2001:db8::9 , 2001:db8:ffff::1", "2001:db8::9")]
    [InlineData("10.1.2.3", "198.51.100.1, , ", "198.51.100.1")]
    [InlineData("10.1.2.3", "198.51.100.1, unknown, 10.4.4.4", "10.4.4.4")]
    [InlineData("10.1.2.3", "198.51.100.1, 1", "10.1.2.3")]
    [InlineData("10.1.2.3", "10.7.7.7, 10.8.8.8", "10.7.7.7")]
    [InlineData("10.1.2.3", "<script>", "10.1.2.3")]
    [InlineData("10.1.2.3", "", "10.1.2.3")]
    [InlineData("10.1.2.3", null, "10.1.2.3")]
    public void The_first_hop_from_the_right_that_is_no_trusted_proxy_is_the_client(string peer, string? forwardedFor, string client) =>
        Assert.Equal(IPAddress.Parse(client), s_behindProxies.Of(Request(peer, forwardedFor)));

    [Fact]
    public void Several_headers_are_one_list_in_their_order()
    {
        var http = Request("10.1.2.3", null);
        http.Request.Headers["X-Forwarded-For"] = new(["192.0.2.66, 198.51.100.1", "10.4.4.4"]);
        Assert.Equal(IPAddress.Parse("198.51.100.1"), s_behindProxies.Of(http));
    }

    [Fact]
    public void Without_trusted_proxies_nobody_is_believed() =>
        Assert.Equal(IPAddress.Parse("127.0.0.1"), new ClientAddress([]).Of(Request("127.0.0.1", "198.51.100.1")));

    [Fact]
    public void A_connection_without_address_has_none() => Assert.Null(s_behindProxies.Of(new DefaultHttpContext()));

    [Theory]
    [InlineData("10.0.0.0/8", true)]
    [InlineData("192.0.2.1", true)]
    [InlineData("2001:db8::/32", true)]
    [InlineData("::1", true)]
    [InlineData("10.0.0.0/33", false)]
    [InlineData("10", false)]
    [InlineData("proxy.example", false)]
    [InlineData("", false)]
    public void A_trusted_proxy_is_a_network_or_an_address(string text, bool isOne) => Assert.Equal(isOne, ClientAddress.Parse(text) is not null);

    private static DefaultHttpContext Request(string peer, string? forwardedFor)
    {
        var http = new DefaultHttpContext();
        http.Connection.RemoteIpAddress = IPAddress.Parse(peer);
        if (forwardedFor is not null)
        {
            http.Request.Headers["X-Forwarded-For"] = forwardedFor;
        }

        return http;
    }
}
