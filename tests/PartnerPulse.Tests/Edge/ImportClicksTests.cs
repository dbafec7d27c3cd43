using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Tests.Edge;

public class ImportClicksTests
{
    private static readonly DateTimeOffset s_at = new(2026, 10, 1, 12, 0, 0, TimeSpan.FromHours(2));
    private static readonly ImportedClick s_line = new() { Partner = "acme", OccurredAt = s_at };

    [Fact]
    public void A_line_becomes_a_click_with_its_own_time()
    {
        var click = Decide(s_line with
        {
            ClickId = "17",
            Link = "Spring",
            VisitorId = "v",
            LandingUrl = "https://shop.example/p?utm_source=news&utm_campaign=other&sub1=a#top",
            Referrer = "https://blog.example:8080/x",
            UserAgent = "UA",
            Campaign = "autumn",
        });
        Assert.Equal(
            (Ids.Click("main", "17"), s_at, "spring", "v", "https://shop.example/p?utm_source=news&utm_campaign=other&sub1=a#top"),
            (click.EventId, click.OccurredAt, click.Link, click.VisitorId, click.Destination));
        Assert.Equal(TimeSpan.Zero, click.OccurredAt.Offset);
        Assert.Equal(new Campaign { Source = "news", Name = "autumn" }, click.Campaign);
        Assert.Equal(("utm_source=news&utm_campaign=other&sub1=a", "blog.example", ClickVia.Import), (click.Query, click.ReferrerHost, click.Via));
    }

    [Fact]
    public void The_same_line_has_the_same_id_and_another_line_another()
    {
        var id = Decide(s_line).EventId;
        Assert.Equal(id, Decide(s_line with { OccurredAt = s_at.ToUniversalTime() }).EventId);
        Assert.NotEqual(id, Decide(s_line with { UserAgent = "x" }).EventId);
        Assert.NotEqual(Decide(s_line with { UserAgent = "x" }).EventId, Decide(s_line with { Campaign = "x" }).EventId);
        Assert.NotEqual(id, Decide(s_line with { OccurredAt = s_at.AddTicks(1) }).EventId);
    }

    [Fact]
    public void The_value_of_a_cookie_names_its_visitor()
    {
        var id = new string('a', VisitorId.IdLength);
        Assert.Equal(id, Decide(s_line with { VisitorId = id + "." + new string('x', VisitorId.CheckLength) }).VisitorId);
    }

    [Fact]
    public void A_link_of_the_past_may_be_named() => Assert.Equal("old", Decide(s_line with { Link = "old" }).Link);

    [Fact]
    public void The_links_campaign_is_taken_where_the_line_has_none() =>
        Assert.Equal("Spring", Decide(s_line with { Link = "spring" }).Campaign!.Name);

    [Theory]
    [InlineData("-", null)]
    [InlineData("blog.example", "blog.example")]
    [InlineData("android-app://com.example.app", "com.example.app")]
    public void A_referrer_may_be_an_address_or_a_host(string referrer, string? host) =>
        Assert.Equal(host, Decide(s_line with { Referrer = referrer }).ReferrerHost);

    [Fact]
    public void Every_fault_of_a_line_names_its_field()
    {
        Refused("partner", s_line with { Partner = null });
        Refused("partner", s_line with { Partner = "nobody" });
        Refused("occurredAt", s_line with { OccurredAt = null });
        Refused("occurredAt", s_line with { OccurredAt = s_at.AddYears(1) });
        Refused("occurredAt", s_line with { OccurredAt = default(DateTimeOffset) });
        Refused("link", s_line with { Link = "rivals" });
        Refused("link", s_line with { Link = "unknown" });
        Refused("clickId", s_line with { ClickId = new string('x', 65) });
        Refused("clickId", s_line with { ClickId = "a\u001Fb" });
        Refused("visitorId", s_line with { VisitorId = new string('x', 65) });
        Refused("landingUrl", s_line with { LandingUrl = "/relative" });
        Refused("landingUrl", s_line with { LandingUrl = "https://shop.example/" + new string('x', 9_000) });
        Refused("referrer", s_line with { Referrer = "not a host" });
        Refused("userAgent", s_line with { UserAgent = "a\0b" });
        Refused("campaign", s_line with { Campaign = new string('x', 257) });
    }

    private static void Refused(string field, ImportedClick line)
    {
        var checks = Checks();
        ImportClicks.Decide("main", line, checks, Catalogue());
        Assert.Equal(field, Assert.Single(checks.Faults).Field);
    }

    private static ClickRecorded Decide(ImportedClick line)
    {
        var checks = Checks();
        var click = ImportClicks.Decide("main", line, checks, Catalogue());
        Assert.Empty(checks.Faults);
        return click;
    }

    private static Checks Checks() => new(new Standing(new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero)));

    private static Catalogue Catalogue()
    {
        var catalogue = new Catalogue();
        var (acme, rival) = (new Partner("main", "acme", "acme"), new Partner("main", "rival", "rival"));
        catalogue.Put(acme);
        catalogue.Put(rival);
        catalogue.Put(new Link("spring", acme, Destination.Parse("https://shop.example/")!, new Campaign { Name = "Spring" }, ExpiresAt: null, Fallback: null, Retired: false));
        catalogue.Put(new Link("old", acme, Destination.Parse("https://shop.example/")!, Campaign: null, ExpiresAt: null, Fallback: null, Retired: true));
        catalogue.Put(new Link("rivals", rival, Destination.Parse("https://shop.example/")!, Campaign: null, ExpiresAt: null, Fallback: null, Retired: false));
        return catalogue;
    }

    private sealed class Standing(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
