using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class DestinationTests
{
    [Theory]
    [InlineData("https://shop.example", "", "https://shop.example?pp_click=7")]
    [InlineData("https://shop.example/a?", "", "https://shop.example/a?pp_click=7")]
    [InlineData("https://shop.example/a#top", "", "https://shop.example/a?pp_click=7#top")]
    [InlineData("https://shop.example/a?x=1#top", "y=2", "https://shop.example/a?x=1&y=2&pp_click=7#top")]
    [InlineData("https://shop.example/a?x=1&", "y=2", "https://shop.example/a?x=1&y=2&pp_click=7")]
    [InlineData("https://shop.example/a#f?no=query", "y=2", "https://shop.example/a?y=2&pp_click=7#f?no=query")]
    public void The_click_id_goes_behind_the_query_and_before_the_fragment(string destination, string query, string expected) =>
        Assert.Equal(expected, Destination.Parse(destination)!.For(query, "7"));

    [Theory]
    [InlineData("a=%41&b=x+y&c=%zz&d&=&&e==1;2&ä")]
    [InlineData("q=Feed:+semicomplete/main+(semicomplete.com+-+Jordan+Sissel)")]
    [InlineData("b=2&a=1&b=3")]
    public void Parameters_of_the_request_survive_in_order_and_byte_for_byte(string query) =>
        Assert.Equal($"https://shop.example/?{query}&pp_click=7", Destination.Parse("https://shop.example/")!.For(query, "7"));

    [Theory]
    [InlineData("utm_source=evil&b=2", "b=2&")]
    [InlineData("utm%5Fsource=evil&b=2", "b=2&")]
    [InlineData("b=2&utm_source", "b=2&")]
    [InlineData("UTM_SOURCE=other", "UTM_SOURCE=other&")]
    public void A_name_that_the_merchant_set_stays_the_merchants(string query, string kept) =>
        Assert.Equal($"https://shop.example/?utm_source=m&{kept}pp_click=7", Destination.Parse("https://shop.example/?utm_source=m")!.For(query, "7"));

    [Fact]
    public void A_click_id_in_the_request_is_replaced_by_the_new_one() =>
        Assert.Equal("https://shop.example/?a=1&b=2&pp_click=7", Destination.Parse("https://shop.example/")!.For("a=1&pp_click=old&pp%5Fclick=old&b=2", "7"));

    [Fact]
    public void The_wish_for_another_page_is_for_us_and_goes_no_further_but_the_merchants_own_stays() =>
        Assert.Equal("https://shop.example/?to=ours&a=1&b=2&pp_click=7", Destination.Parse("https://shop.example/?to=ours")!.For("a=1&to=%2Fx&t%6F=y&to&b=2", "7"));

    [Fact]
    public void A_number_sign_in_the_request_does_not_begin_a_fragment() =>
        Assert.Equal("https://shop.example/?a=1%23b&pp_click=7#top", Destination.Parse("https://shop.example/#top")!.For("a=1#b", "7"));

    [Fact]
    public void A_query_as_long_as_a_request_line_survives()
    {
        var query = string.Join('&', Enumerable.Range(0, 800).Select(i => $"p{i}=v{i}"));
        Assert.Equal($"https://shop.example/?{query}&pp_click=7", Destination.Parse("https://shop.example/")!.For(query, "7"));
    }

    [Fact]
    public void An_address_of_other_letters_becomes_one_that_a_header_may_carry() =>
        Assert.Equal("https://xn--mller-kva.example:8443/%C3%A4?%C3%B6=%C3%BC&pp_click=7#%C3%9F", Destination.Parse("https://müller.example:8443/ä?ö=ü#ß")!.For("", "7"));

    [Theory]
    [InlineData("javascript:alert(1)")]
    [InlineData("/relative")]
    [InlineData("//host/path")]
    [InlineData("ftp://host/")]
    [InlineData("https://xn--\u00DF/")]
    [InlineData("")]
    public void What_is_no_web_address_is_no_destination(string address) => Assert.Null(Destination.Parse(address));
}
