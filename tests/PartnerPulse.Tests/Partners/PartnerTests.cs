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
        Assert.Equal([new Link("acme", new LinkTerms("https://shop.example/"), Retired: false)], partner.Links.AsEnumerable());
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
        var asked = new LinkTerms("https://shop.example/other");

        Assert.IsType<PublishLink.PublishedDifferently>(PublishLink.Decide(partner, asked, "acme", "main", s_now, Id()));
        Assert.IsType<PublishLink.AlreadyPublished>(PublishLink.Decide(partner, asked with { Destination = "https://shop.example/" }, "acme", "main", s_now, Id()));
        var retired = Partner.Evolve(partner, Assert.IsType<RetireLink.Retired>(RetireLink.Decide(partner, "acme", "main", s_now, Id())).Link);
        Assert.IsType<RetireLink.AlreadyRetired>(RetireLink.Decide(retired, "acme", "main", s_now, Id()));
        Assert.IsType<MoveLink.NoSuchLink>(MoveLink.Decide(retired, "acme", new LinkTerms("https://shop.example/"), "main", s_now, Id()));
        var published = Assert.IsType<PublishLink.Published>(PublishLink.Decide(retired, asked, "acme", "main", s_now, Id()));
        Assert.Equal([new Link("acme", asked, Retired: false)], Partner.Evolve(retired, published.Link).Links.AsEnumerable());
    }

    [Fact]
    public void Whatever_a_link_says_differently_is_told_by_field_and_moves_it()
    {
        var terms = new LinkTerms(
            "https://shop.example/", "Spring", new Campaign { Source = "acme", Medium = "blog", Term = "shoes", Content = "top" }, s_now, "https://shop.example/over");
        var partner = Partner.Evolve(Enrolled(), ((PublishLink.Published)PublishLink.Decide(Enrolled(), terms, "spring", "main", s_now, Id())).Link);
        (string Field, LinkTerms Terms)[] others =
        [
            ("destination", terms with { Destination = "https://shop.example/b" }),
            ("campaign", terms with { Campaign = null }),
            ("utm.source", terms with { Utm = terms.Utm! with { Source = "b" } }),
            ("utm.medium", terms with { Utm = terms.Utm! with { Medium = null } }),
            ("utm.term", terms with { Utm = terms.Utm! with { Term = "b" } }),
            ("utm.content", terms with { Utm = terms.Utm! with { Content = "b" } }),
            ("expiresAt", terms with { ExpiresAt = s_now.AddTicks(1) }),
            ("fallback", terms with { Fallback = null }),
        ];

        Assert.IsType<PublishLink.AlreadyPublished>(PublishLink.Decide(partner, terms with { }, "spring", "main", s_now, Id()));
        Assert.IsType<MoveLink.AlreadyThere>(MoveLink.Decide(partner, "spring", terms with { ExpiresAt = s_now.ToOffset(TimeSpan.FromHours(1)) }, "main", s_now, Id()));
        foreach (var (field, other) in others)
        {
            var different = Assert.IsType<PublishLink.PublishedDifferently>(PublishLink.Decide(partner, other, "spring", "main", s_now, Id()));
            Assert.Equal([field, "slug"], different.Differences.Select(d => d.Field));
            var moved = Assert.IsType<MoveLink.Moved>(MoveLink.Decide(partner, "spring", other, "main", s_now, Id()));
            Assert.Equal(new Link("spring", other, Retired: false), Partner.Evolve(partner, moved.Link).FindLink("spring"));
        }
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
        Assert.IsType<PublishLink.NoSuchPartner>(PublishLink.Decide(partner: null, new LinkTerms("https://x.example/"), "xyz", "main", s_now, Id()));
        Assert.IsType<MoveLink.NoSuchPartner>(MoveLink.Decide(partner: null, "x", new LinkTerms("https://x.example/"), "main", s_now, Id()));
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
    [InlineData("adrn1n", null)]
    public void The_first_slug_is_the_id_where_that_is_a_slug(string id, string? slug) => Assert.Equal(slug, Names.SlugOf(id));

    [Theory]
    [InlineData("acme-1", "acme-l", true)]
    [InlineData("acme-1", "acmei", true)]
    [InlineData("acme", "acrne", true)]
    [InlineData("shop0", "shopo", true)]
    [InlineData("vvow", "wow", true)]
    [InlineData("vvovv", "wow", true)]
    [InlineData("a-c-m-e", "acme", true)]
    [InlineData("vvv", "wv", true)]
    [InlineData("vvv", "vw", true)]
    [InlineData("acme", "acne", false)]
    [InlineData("acme-2", "acme-3", false)]
    public void What_a_person_takes_for_another_slug_has_its_skeleton(string one, string other, bool alike) =>
        Assert.Equal(alike, Names.Skeleton(one) == Names.Skeleton(other));

    [Theory]
    [InlineData("admin", "'admin' is reserved")]
    [InlineData("t-js", "'t-js' is reserved")]
    [InlineData("adm1n", "'adm1n' reads like 'admin', which is reserved")]
    [InlineData("l0g-in", "'l0g-in' reads like 'login', which is reserved")]
    [InlineData("wvvvv", "'wvvvv' reads like 'www', which is reserved")]
    public void What_is_reserved_or_reads_like_it_is_no_slug(string slug, string reason)
    {
        var checks = new Checks(TimeProvider.System);
        Names.Slug(checks, "slug", slug);
        Assert.Equal([new FieldFault("slug", reason)], checks.Faults);
    }

    [Fact]
    public void A_slug_made_of_what_the_link_says_is_a_slug_and_another_for_each_difference()
    {
        var terms = new LinkTerms("https://shop.example/");
        string[] slugs =
        [
            Names.SlugFor("main", "acme", terms), Names.SlugFor("other", "acme", terms), Names.SlugFor("main", "rival", terms),
            .. Enumerable.Range(0, 1_000).Select(i => Names.SlugFor("main", "acme", terms with { Campaign = $"{i}" })),
            Names.SlugFor("main", "acme", terms with { Utm = new Campaign { Term = "1" } }), Names.SlugFor("main", "acme", terms with { Utm = new Campaign { Content = "1" } }),
            Names.SlugFor("main", "acme", terms with { ExpiresAt = s_now }), Names.SlugFor("main", "acme", terms with { Fallback = "https://shop.example/" }),
        ];
        Assert.Equal(slugs.Length, slugs.Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(slugs[0], Names.SlugFor("main", "acme", terms with { }));
        Assert.All(slugs, slug => Assert.Matches("^[2-9b-df-hj-km-np-tv-xz]{10}$", slug));
    }

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
