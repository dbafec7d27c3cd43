using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class LandingTests
{
    private static readonly Dictionary<string, Partner> s_partners = new(StringComparer.OrdinalIgnoreCase)
    {
        ["acme"] = new("main", "acme", "acme"),
        ["müller & co"] = new("main", "mueller", "müller & co"),
    };

    [Theory]
    [InlineData("ref=acme", "acme")]
    [InlineData("utm_source=x&ref=acme&page=2", "acme")]
    [InlineData("REF=ACME", "acme")]
    [InlineData("r%65f=%61cme", "acme")]
    [InlineData("via=acme", "acme")]
    [InlineData("via=acme&ref=m%C3%BCller+%26+co", "mueller")]
    [InlineData("ref=homepage&via=acme", "acme")]
    [InlineData("ref=homepage&ref=acme", "acme")]
    [InlineData("aff=acme", null)]
    public void The_first_parameter_that_names_a_partner_counts(string query, string? partner) =>
        Assert.Equal(partner, (Decide(query) as Landing.Brought)?.Partner.Id);

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("page=2")]
    [InlineData("ref")]
    [InlineData("ref=")]
    [InlineData("=acme")]
    [InlineData("&&&")]
    public void An_address_may_name_nobody(string? query) => Assert.IsType<Landing.NoPartner>(Decide(query));

    [Theory]
    [InlineData("ref=stranger")]
    [InlineData("ref=%00")]
    [InlineData("ref=%FF&via=acm")]
    public void A_code_that_nobody_has_is_an_unknown_partner(string query) => Assert.IsType<Landing.UnknownPartner>(Decide(query));

    [Fact]
    public void A_program_tries_its_own_parameters_alone()
    {
        Assert.IsType<Landing.Brought>(Landing.Decide(["aff", "partner-id"], "Partner-ID=acme", Find));
        Assert.IsType<Landing.NoPartner>(Landing.Decide(["aff"], "ref=acme", Find));
    }

    [Fact]
    public void One_landing_is_one_click_and_another_partners_is_another()
    {
        var (acme, other) = (s_partners["acme"], s_partners["acme"] with { Id = "other" });
        Assert.Equal(Landing.ClickId(acme, "0123456789abcdef"), Landing.ClickId(acme, "0123456789abcdef"));
        Assert.Equal(4, new HashSet<Guid>
        {
            Landing.ClickId(acme, "0123456789abcdef"),
            Landing.ClickId(acme, "0123456789abcdeF"),
            Landing.ClickId(other, "0123456789abcdef"),
            Landing.ClickId(acme with { Program = "second" }, "0123456789abcdef"),
        }.Count);
    }

    [Fact]
    public void Comments_and_indentation_stay_here() =>
        Assert.Equal("a();\nb('// not this');\n", LandingScript.WithoutComments("// Why.\n  a();\r\n\n    // Because.\n  b('// not this');\n"));

    private static Landing.Outcome Decide(string? query) => Landing.Decide(["ref", "via"], query, Find);

    private static Partner? Find(string code) => s_partners.GetValueOrDefault(code);
}
