using System.Text;
using FsCheck;
using FsCheck.Fluent;
using PartnerPulse.Edge;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Edge;

public class DeepLinkTests(ITestOutputHelper output)
{
    /// <summary>What hostile addresses are made of.</summary>
    private static readonly string[] s_pieces =
    [
        "https", "http", "HTTPS", "javascript", "data", "file", "blob", ":", ":", "/", "/", "//", "//", "///", "\\", "%2f", "%2F", "%252f", "%5c", "%255c", "@", "%40",
        "evil.example", "evil.example", "shop.example", "shop.example", "help.example", "xn--mller-kva.example", "m\u00FCller.example", "xn--", "localhost", "127.0.0.1", "[::1]", "[", "]",
        ".", "..", "%2e", "/../", "/./", "?", "#", "%3f", "%23", "&", ";", "=", "%", "%%", "%0", "%00", "%0d%0a", "%0a", "%250a", "\t", "\r", "\n", " ", "+", "%20", "%C2%85", "%E2%80%AE",
        "\u3002", "\uFF0F", "\uFF20", "\u2215", "\u200B", "\u00AD", "\uFEFF", "\uD83D\uDE00", "\uFFFD", "\u00DF", "%FF", "%C0%AF", "%F0%9F%98%80", ":8443", ":443", ":80", ":99999", ":-1", "a", "p", "0", "-", "_", "~", "<", ">", "\"", "'", "|", "^", "`", "{", "}",
    ];

    private static readonly string[] s_allowedOrigins = ["https://shop.example", "https://help.example", "https://xn--mller-kva.example"];

    private static readonly ProgramSettings s_program = new(
        "main", [], [], ["help.example", "xn--mller-kva.example"], ["ref", "via"], Fallback: null);

    /// <summary>Values as they stand in a query. None may lead anywhere.</summary>
    public static TheoryData<string> Hostile { get; } =
    [
        // Another host, plainly.
        "https://evil.example", "https://evil.example/", "http://evil.example/", "HTTPS://EVIL.EXAMPLE/", "https%3A%2F%2Fevil.example%2F",

        // Relative to the scheme.
        "//evil.example", "//evil.example/%2e%2e", "%2F%2Fevil.example", "%2f/evil.example", "/%2fevil.example", "///evil.example", "////evil.example", "//",

        // Backslashes, which browsers take for slashes.
        "/\\evil.example", "\\\\evil.example", "\\/evil.example", "/%5Cevil.example", "%5C%5Cevil.example", "/p\\..\\evil", "https:\\\\evil.example", "https:/\\evil.example",
        "https://shop.example\\@evil.example/", "https://shop.example%5C@evil.example/", "https://evil.example\\.shop.example/", "https://shop.example\\.evil.example/",

        // Control characters, tabs and newlines, which browsers drop.
        "/%09/evil.example", "%09//evil.example", "/%0A/evil.example", "/%0D/evil.example", "%0D%0A//evil.example", "ht%09tps://evil.example", "java%0Ascript:alert(1)",
        "%01https://evil.example", "https://evil%00.shop.example/", "/%00", "/a%7Fb", "/%C2%85/evil.example",

        // Spaces at the ends, which browsers drop too.
        "+//evil.example", "%20https://evil.example", "/x%20", "%E3%80%80//evil.example", "+",

        // Header injection, also behind one more decoding.
        "/%0d%0aSet-Cookie:%20a=b", "/%0aLocation:%20https://evil.example", "https://shop.example/%0d%0a%0d%0a<script>", "/%250d%250aSet-Cookie:a=b", "/%E5%98%8A%250D%250Ax",

        // Other schemes and half ones.
        "javascript:alert(1)", "JaVaScRiPt:alert(1)", "javascript://shop.example/%0aalert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd",
        "ftp://shop.example/", "ws://shop.example/", "blob:https://shop.example/1", "mailto:a@shop.example", "intent://shop.example#Intent;end", "view-source:https://shop.example/",
        "https:evil.example", "https:/evil.example", "https:///evil.example", "https:////evil.example", "https:", "https://", "http://", "https://?", "https://#", "://evil.example", ":evil.example",

        // A user name before the host.
        "https://shop.example@evil.example/", "https://shop.example:x@evil.example/", "https://evil.example@shop.example/", "https://@shop.example/", "https://:@shop.example/",
        "https://shop.example%40evil.example/", "https://a:b@help.example/",

        // Hosts that look like an allowed one.
        "https://shop.example.evil.example/", "https://evil-shop.example/", "https://xshop.example/", "https://shop.exampl/", "https://example/", "https://www.shop.example/",
        "https://shop.example./", "https://shop.example../", "https://.shop.example/", "https://help.example./", "https://shop%2eexample.evil.example/", "https://shop.example%252f.evil.example/",
        "https://shop.example%2523.evil.example/", "https://shop.example%253f.evil.example/", "https://evil.example%2523.shop.example/", "https://evil.example%252f.shop.example/",
        "https://sh%D0%BEp.example/", "https://xn--shp-tbb.example/", "https://\u24E2hop.example/", "https://\uFF53hop.example/", "https://shop\u3002evil.example/", "https://evil.example\uFF0Fshop.example/",
        "https://evil.example\uFF03.shop.example/", "https://shop.ex\u00ADample/", "https://shop.ex\u200Bample/", "https://m\u00FCller.evil.example/", "https://xn--\u00DF/", "https://xn--\u00DF:443", "https://xn--mller-kva.example.evil.example/",

        // Addresses in numbers, and of this machine.
        "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "http://localhost/", "https://169.254.169.254/latest/meta-data/",

        // Ports and schemes besides the destination's own.
        "https://shop.example:8443/", "https://shop.example:80/", "http://shop.example/", "http://shop.example:443/", "https://help.example:8443/", "http://help.example/", "https://shop.example:99999/",
        "https://shop.example:443@evil.example/",

        // Slashes that something behind us may decode.
        "/%252Fevil.example", "/%255Cevil.example", "/%25252Fevil.example", "/%2525252525252Fevil.example", "/./%252fevil.example", "/.//evil.example", "/..//evil.example", "/x/..//evil.example",
        "/%252e%252e%252f%252fevil.example/%255c", "https://shop.example//evil.example", "https://shop.example/%252fevil.example",

        // Neither a path nor an address.
        "", "evil.example", "p", "?x=1", "%23top", ".", "..", "./p", "@evil.example", ";//evil.example", "%252F%252Fevil.example", "%25252F%25252Fevil.example",

        // No text.
        "/%FF", "/%C0%AF", "/%ED%A0%80", "%C0%AF%C0%AFevil.example",
    ];

    [Theory]
    [InlineData("/sale", "https://shop.example/sale")]
    [InlineData("%2Fsale%3Fa%3D1%26b%3D2%23top", "https://shop.example/sale?a=1&b=2#top")]
    [InlineData("/", "https://shop.example/")]
    [InlineData("/a+b/%C3%A4", "https://shop.example/a%20b/%C3%A4")]
    [InlineData("/a/../b", "https://shop.example/b")]
    [InlineData("/a//b", "https://shop.example/a//b")]
    [InlineData("/login?next=https://evil.example", "https://shop.example/login?next=https://evil.example")]
    [InlineData("/@evil.example", "https://shop.example/@evil.example")]
    [InlineData("/evil.example:80", "https://shop.example/evil.example:80")]
    [InlineData("/javascript:alert(1)", "https://shop.example/javascript:alert(1)")]
    [InlineData("https://shop.example/x?y", "https://shop.example/x?y")]
    [InlineData("HTTPS://Shop.Example:443/x", "https://shop.example/x")]
    [InlineData("https://help.example", "https://help.example/")]
    [InlineData("https://HELP.example/a%23b#c@d", "https://help.example/a#b#c@d")]
    [InlineData("https://m\u00FCller.example/", "https://xn--mller-kva.example/")]
    [InlineData("https://xn--mller-kva.example/", "https://xn--mller-kva.example/")]
    public void A_page_of_an_allowed_host_is_written_as_it_was_understood(string value, string expected)
    {
        var (page, refusal) = DeepLink.Resolve(Destination.Parse("https://shop.example/landing?a=1#f")!, s_program, value);
        Assert.Null(refusal);
        Assert.Equal(expected, page!.Address, ignoreCase: false);
    }

    [Theory]
    [MemberData(nameof(Hostile))]
    public void No_spelling_leads_to_another_host(string value)
    {
        var (page, refusal) = DeepLink.Resolve(Destination.Parse("https://shop.example/landing?a=1#f")!, s_program, value);
        Assert.Null(page?.Address);
        Assert.NotEmpty(refusal!);
    }

    [Theory]
    [InlineData("http://shop.example:8080/", "/x", "http://shop.example:8080/x")]
    [InlineData("http://shop.example:8080/", "http://shop.example:8080/x", "http://shop.example:8080/x")]
    [InlineData("http://shop.example:8080/", "http://shop.example/x", null)]
    [InlineData("http://shop.example/", "https://shop.example/x", "https://shop.example/x")]
    [InlineData("http://shop.example/", "http://help.example/x", "http://help.example/x")]
    [InlineData("http://[2001:db8::1]:81/", "/x", "http://[2001:db8::1]:81/x")]
    [InlineData("http://[2001:db8::1]:81/", "http://[2001:DB8::1]:81/x", "http://[2001:db8::1]:81/x")]
    [InlineData("https://m\u00FCller.example/", "/x", "https://xn--mller-kva.example/x")]
    public void Ports_and_schemes_are_the_destinations_own_or_the_usual_ones(string destination, string value, string? expected) =>
        Assert.Equal(expected, DeepLink.Resolve(Destination.Parse(destination)!, s_program, value).Page?.Address);

    [Fact]
    public void A_program_that_was_never_configured_allows_the_links_own_host_alone()
    {
        var own = Destination.Parse("https://shop.example/")!;
        Assert.Equal("https://shop.example/x", DeepLink.Resolve(own, program: null, "https://shop.example/x").Page!.Address);
        Assert.Null(DeepLink.Resolve(own, program: null, "https://help.example/x").Page);
    }

    [Fact]
    public void Whatever_is_asked_for_the_answer_is_a_page_of_an_allowed_host_or_none()
    {
        var own = Destination.Parse("https://shop.example/landing?a=1#f")!;
        var led = 0;
        Properties.Hold(output, Values(), 100_000, value =>
        {
            var (page, refusal) = DeepLink.Resolve(own, s_program, value);
            Assert.True(page is null != refusal is null, value);
            if (page is null)
            {
                return;
            }

            // Judged by its characters, not by the parser that wrote it.
            led++;
            var location = page.For("x=1", "7");
            var origin = s_allowedOrigins.FirstOrDefault(o => location.StartsWith(o + "/", StringComparison.Ordinal));
            Assert.True(origin is not null, $"{value} leads to {location}");
            Assert.False(location.AsSpan(origin.Length).StartsWith("//"), $"{value} leads to {location}");
            Assert.True(location.All(c => c is > ' ' and <= '~' and not '\\'), $"{value} leads to {location}");
        });
        Assert.True(led > 100, $"only {led} led anywhere: the values are too wild to show anything");
    }

    private static Arbitrary<string> Values()
    {
        var piece = Gen.Elements(s_pieces);
        var anything = from length in Gen.Choose(1, 9) from pieces in Gen.ArrayOf(piece, length) select string.Concat(pieces);
        var behind = from start in Gen.Elements("/", "https://", "https://shop.example", "https://shop.example/", "http://", "//", "/%2f", "https://help.example") from rest in anything select start + rest;
        var encoded = from text in Gen.OneOf(anything, behind) from one in Gen.Choose(0, 3) select one == 0 ? Uri.EscapeDataString(text.Replace("\uFFFD", "", StringComparison.Ordinal)) : text;
        var characters = from length in Gen.Choose(1, 20)
                         from codes in Gen.ArrayOf(Gen.Frequency((3, Gen.Choose(1, 127)), (1, Gen.Choose(128, 0xD7FF))), length)
                         select "/" + codes.Aggregate(new StringBuilder(), (text, code) => text.Append((char)code));
        return Gen.Frequency((4, encoded), (4, behind), (1, characters)).ToArbitrary();
    }
}
