using PartnerPulse.Contracts;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class VisitorCookieTests
{
    private static readonly VisitorCookie s_cookie = Make(new() { Domain = "shop.example" });

    [Fact]
    public void The_cookie_is_an_id_and_a_check_that_contracts_can_cut()
    {
        var id = VisitorCookie.NewId();
        var value = Value(s_cookie.Header(id));
        Assert.Equal(VisitorId.IdLength + 1 + VisitorId.CheckLength, value.Length);
        Assert.Equal(id, VisitorId.FromIdOrCookie(value));
        Assert.Equal(id, s_cookie.Read($"a=b; pp_vid={value}; c=d"));
    }

    [Fact]
    public void Its_attributes_are_those_of_a_first_party_cookie() =>
        Assert.EndsWith("; Max-Age=7776000; Path=/; Domain=shop.example; SameSite=Lax; HttpOnly; Secure", s_cookie.Header(VisitorCookie.NewId()), StringComparison.Ordinal);

    [Fact]
    public void A_host_cookie_has_no_domain() =>
        Assert.EndsWith("; Max-Age=2592000; Path=/; SameSite=Lax; HttpOnly", Make(new() { Mode = CookieMode.Host, Days = 30, Secure = false }).Header(VisitorCookie.NewId()), StringComparison.Ordinal);

    [Fact]
    public void A_wrong_check_names_nobody()
    {
        var value = Value(s_cookie.Header(VisitorCookie.NewId()));
        for (var i = 0; i < value.Length; i++)
        {
            var forged = value[..i] + (value[i] == '0' ? '1' : '0') + value[(i + 1)..];
            Assert.Null(s_cookie.Read($"pp_vid={forged}"));
        }

        Assert.Null(s_cookie.Read("pp_vid="));
        Assert.Null(s_cookie.Read($"pp_vid={value}x"));
        Assert.Null(s_cookie.Read($"pp_vid={value[..^1]}é"));
        Assert.Null(s_cookie.Read($"xpp_vid={value}"));
    }

    [Fact]
    public void Another_key_makes_another_check() =>
        Assert.Null(new VisitorCookie(new CookieOptions { Domain = "shop.example" }, new SigningKey(new byte[32])).Read($"pp_vid={Value(s_cookie.Header(VisitorCookie.NewId()))}"));

    private static VisitorCookie Make(CookieOptions options) => new(options, new SigningKey([.. Enumerable.Range(1, 32).Select(i => (byte)i)]));

    private static string Value(string header) => header[(header.IndexOf('=', StringComparison.Ordinal) + 1)..header.IndexOf(';', StringComparison.Ordinal)];
}
