using System.Net;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class AddressHashTests
{
    private static readonly DateTimeOffset s_day = new(2026, 11, 22, 10, 0, 0, TimeSpan.Zero);
    private readonly AddressHash _hash = new(new SigningKey(new byte[32]));

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.254", true)]
    [InlineData("192.0.2.1", "::ffff:192.0.2.77", true)]
    [InlineData("192.0.2.1", "192.0.3.1", false)]
    [InlineData("2001:db8:1:2::1", "2001:db8:1:ffff::9", true)]
    [InlineData("2001:db8:1::1", "2001:db8:2::1", false)]
    public void A_network_has_one_hash(string left, string right, bool same) =>
        Assert.Equal(same, Of(left, s_day) == Of(right, s_day));

    [Fact]
    public void Another_day_has_another_hash_and_the_same_day_the_same_again()
    {
        var first = Of("192.0.2.1", s_day);
        Assert.NotEqual(first, Of("192.0.2.1", s_day.AddDays(1)));
        Assert.Equal(first, Of("192.0.2.1", s_day.AddHours(13)));
        Assert.Equal(first, new AddressHash(new SigningKey(new byte[32])).Of(Network("192.0.2.9"), s_day));
    }

    [Fact]
    public void Another_key_has_another_hash() =>
        Assert.NotEqual(Of("192.0.2.1", s_day), new AddressHash(new SigningKey([.. Enumerable.Repeat((byte)1, 32)])).Of(Network("192.0.2.1"), s_day));

    [Fact]
    public void No_address_has_none() => Assert.Null(_hash.Of(null, s_day));

    private string? Of(string address, DateTimeOffset at) => _hash.Of(Network(address), at);

    private static ClientNetwork? Network(string address) => ClientNetwork.Of(IPAddress.Parse(address));
}
