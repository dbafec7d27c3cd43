using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Partners;

namespace PartnerPulse.Tests.Partners;

/// <summary>Decisions about partners and links, without I/O.</summary>
public class PartnerTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);
    private static readonly EnrolPartner.Asked s_acme = new("acme", "Acme", "https://shop.example/", "acme");

    [Fact]
    public void Enrolling_makes_the_partner_and_its_first_link_in_one_go()
    {
        var outcome = Assert.IsType<EnrolPartner.Enrolled>(EnrolPartner.Decide(partner: null, s_acme, "acme", "main", s_now, Id()));

        var partner = Partner.Evolve(Partner.Evolve(partner: null, outcome.Partner), outcome.Link);
        Assert.Equal(("acme", "Acme", "acme", false), (partner.Id, partner.Name, partner.Ref, partner.Suspended));
        Assert.Equal([new Link("acme", "https://shop.example/", Campaign: null, Retired: false)], partner.Links.AsEnumerable());
        Assert.Equal((s_now, s_now), (outcome.Partner.OccurredAt, outcome.Link.OccurredAt));
    }

    [Fact]
    public void Enrolling_again_is_told_from_enrolling_differently()
    {
        var partner = Enrolled();

        Assert.IsType<EnrolPartner.AlreadyEnrolled>(EnrolPartner.Decide(partner, s_acme, "acme", "main", s_now, Id()));
        var different = Assert.IsType<EnrolPartner.EnrolledDifferently>(
            EnrolPartner.Decide(partner, s_acme with { Name = "Other", Ref = "other" }, "acme", "main", s_now, Id()));
        Assert.Equal(["name", "ref"], different.Differences.Select(d => d.Field));
    }

    [Fact]
    public void A_retired_slug_may_be_published_again_and_a_live_one_only_as_it_is()
    {
        var partner = Enrolled();
        var asked = new PublishLink.Asked("acme", "https://shop.example/other", Campaign: null);

        Assert.IsType<PublishLink.PublishedDifferently>(PublishLink.Decide(partner, asked, "acme", "main", s_now, Id()));
        Assert.IsType<PublishLink.AlreadyPublished>(PublishLink.Decide(partner, asked with { Destination = "https://shop.example/" }, "acme", "main", s_now, Id()));
        var retired = Partner.Evolve(partner, Assert.IsType<RetireLink.Retired>(RetireLink.Decide(partner, "acme", "main", s_now, Id())).Link);
        Assert.IsType<RetireLink.AlreadyRetired>(RetireLink.Decide(retired, "acme", "main", s_now, Id()));
        Assert.IsType<MoveLink.NoSuchLink>(MoveLink.Decide(retired, "acme", new MoveLink.Asked("https://shop.example/", Campaign: null), "main", s_now, Id()));
        var published = Assert.IsType<PublishLink.Published>(PublishLink.Decide(retired, asked, "acme", "main", s_now, Id()));
        Assert.Equal([new Link("acme", "https://shop.example/other", Campaign: null, Retired: false)], Partner.Evolve(retired, published.Link).Links.AsEnumerable());
    }

    [Fact]
    public void A_suspension_does_not_end_before_it_began()
    {
        var ahead = s_now.AddMinutes(3);
        var suspended = Partner.Evolve(Enrolled(), Assert.IsType<SuspendPartner.Suspended>(SuspendPartner.Decide(Enrolled(), ahead, "main", Id())).Event);

        var reinstated = Assert.IsType<ReinstatePartner.Reinstated>(ReinstatePartner.Decide(suspended, s_now, "main", Id()));

        Assert.Equal(ahead, reinstated.Event.OccurredAt);
        Assert.IsType<SuspendPartner.AlreadySuspended>(SuspendPartner.Decide(suspended, s_now, "main", Id()));
        var active = Partner.Evolve(suspended, reinstated.Event);
        Assert.IsType<ReinstatePartner.NotSuspended>(ReinstatePartner.Decide(active, s_now, "main", Id()));
        Assert.IsType<SuspendPartner.TooEarly>(SuspendPartner.Decide(active, s_now, "main", Id()));
        Assert.IsType<SuspendPartner.Suspended>(SuspendPartner.Decide(active, ahead, "main", Id()));
    }

    [Fact]
    public void Nothing_is_decided_about_nobody()
    {
        Assert.IsType<PublishLink.NoSuchPartner>(PublishLink.Decide(partner: null, new PublishLink.Asked("x", "https://x.example/", Campaign: null), "xyz", "main", s_now, Id()));
        Assert.IsType<MoveLink.NoSuchPartner>(MoveLink.Decide(partner: null, "x", new MoveLink.Asked("https://x.example/", Campaign: null), "main", s_now, Id()));
        Assert.IsType<RetireLink.NoSuchPartner>(RetireLink.Decide(partner: null, "x", "main", s_now, Id()));
        Assert.IsType<RetireLink.NoSuchLink>(RetireLink.Decide(Enrolled(), "x", "main", s_now, Id()));
        Assert.IsType<SuspendPartner.NoSuchPartner>(SuspendPartner.Decide(partner: null, s_now, "main", Id()));
        Assert.IsType<ReinstatePartner.NoSuchPartner>(ReinstatePartner.Decide(partner: null, s_now, "main", Id()));
    }

    [Theory]
    [InlineData("acme", "acme")]
    [InlineData("a-1", "a-1")]
    [InlineData("ab", null)]
    [InlineData("a_b_c", null)]
    [InlineData("admin", null)]
    public void The_first_slug_is_the_id_where_that_is_a_slug(string id, string? slug) => Assert.Equal(slug, Names.SlugOf(id));

    [Fact]
    public void A_slug_with_a_suffix_is_always_a_slug()
    {
        foreach (var id in (string[])["a", "a_b", "admin", new string('x', 64)])
        {
            var slug = Names.WithSuffix(id, Names.Random(4));
            var checks = new Checks(TimeProvider.System);

            Assert.Equal(slug, Names.Slug(checks, "slug", slug));
            Assert.Empty(checks.Faults);
        }
    }

    private static Partner Enrolled()
    {
        var outcome = (EnrolPartner.Enrolled)EnrolPartner.Decide(partner: null, s_acme, "acme", "main", s_now, Id());
        return Partner.Evolve(Partner.Evolve(partner: null, outcome.Partner), outcome.Link);
    }

    private static Guid Id() => Guid.CreateVersion7(s_now);
}
