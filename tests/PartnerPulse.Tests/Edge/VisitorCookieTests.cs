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

    [Theory]
    [InlineData(30)]
    [InlineData(60)]
    [InlineData(90)]
    [InlineData(400)]
    public void It_lives_as_long_as_configured_and_each_time_it_is_set_anew(int days)
    {
        var cookie = Make(new() { Domain = "shop.example", Days = days });
        var id = VisitorCookie.NewId();
        Assert.Contains($"; Max-Age={days * 24 * 60 * 60};", cookie.Header(id), StringComparison.Ordinal);
        Assert.Equal(cookie.Header(id), cookie.Header(cookie.Read($"pp_vid={Value(cookie.Header(id))}")!));
    }

    [Fact]
    public void Without_a_domain_nobody_is_remembered()
    {
        Assert.False(Make(new()).IsSet);
        Assert.False(Make(new() { Mode = CookieMode.Off }).IsSet);
        Assert.True(Make(new() { Mode = CookieMode.Host }).IsSet);
    }

    [Fact]
    public void A_refusal_is_a_word_in_the_place_of_the_id()
    {
        Assert.Equal("refused", Value(s_cookie.RefusalHeader));
        Assert.Equal(Attributes(s_cookie.Header(VisitorCookie.NewId())), Attributes(s_cookie.RefusalHeader));
        Assert.Null(s_cookie.Read("pp_vid=refused"));
        Assert.True(VisitorCookie.Refuses("a=b; pp_vid=refused"));
        Assert.True(VisitorCookie.Refuses(new(["a=b", "pp_vid=refused; c=d"])));
        Assert.All(["", "pp_vid=refused2", "xpp_vid=refused", "pp_vid=", "a=pp_vid=refused"], header => Assert.False(VisitorCookie.Refuses(header)));
    }

    [Fact]
    public void Who_lands_as_nobody_gets_an_id_that_the_landing_alone_decides_and_no_page_can_make()
    {
        var id = s_cookie.IdOfLanding("main", "0123456789abcdef");
        Assert.Equal(id, s_cookie.IdOfLanding("main", "0123456789abcdef"));
        Assert.Equal(id, s_cookie.Read($"pp_vid={Value(s_cookie.Header(id))}"));
        Assert.Equal(4, new HashSet<string>(StringComparer.Ordinal)
        {
            id,
            s_cookie.IdOfLanding("main", "0123456789abcdeF"),
            s_cookie.IdOfLanding("second", "0123456789abcdef"),
            new VisitorCookie(new CookieOptions { Domain = "shop.example" }, new SigningKey(new byte[32])).IdOfLanding("main", "0123456789abcdef"),
        }.Count);
    }

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

    private static string Attributes(string header) => header[header.IndexOf(';', StringComparison.Ordinal)..];

    private static string Value(string header) => header[(header.IndexOf('=', StringComparison.Ordinal) + 1)..header.IndexOf(';', StringComparison.Ordinal)];
}
