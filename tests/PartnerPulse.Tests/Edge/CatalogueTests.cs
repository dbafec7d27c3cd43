using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public sealed class CatalogueTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_published_link_is_found_in_any_case_with_its_partner()
    {
        var catalogue = Given(Enrolled("acme"), Published("acme", "spring", "https://shop.example/a", "Spring"));
        var link = catalogue.Find("SpRing")!;
        Assert.Equal(("spring", "acme", "https://shop.example/a", "Spring"), (link.Slug, link.Partner.Id, link.Destination.Address, link.Campaign));
        Assert.Same(catalogue.FindPartner("main", "acme"), link.Partner);
        Assert.Equal("acme", catalogue.FindRef("main", "ACME-REF")!.Id);
        Assert.Null(catalogue.FindPartner("other", "acme"));
        Assert.Null(catalogue.Find(""));
        Assert.Null(catalogue.Find(new string('x', 10_000)));
    }

    [Fact]
    public void A_retired_link_leads_nowhere_and_is_remembered()
    {
        var catalogue = Given(Enrolled("acme"), Published("acme", "spring", "https://shop.example/a"), Retired("acme", "spring"), Retired("acme", "never"));
        Assert.Null(catalogue.Find("spring"));
        Assert.Equal("acme", catalogue.FindEver("spring")!.Partner.Id);
        Assert.Equal(0, catalogue.LinkCount);
    }

    [Fact]
    public void A_link_published_again_moves()
    {
        var catalogue = Given(Enrolled("acme"), Published("acme", "spring", "https://shop.example/a"), Retired("acme", "spring"), Published("acme", "spring", "https://shop.example/b"));
        Assert.Equal("https://shop.example/b", catalogue.Find("spring")!.Destination.Address);
        Assert.Equal(1, catalogue.LinkCount);
    }

    [Fact]
    public void A_suspended_partners_link_still_leads_on()
    {
        var catalogue = Given(
            Enrolled("acme"),
            Published("acme", "spring", "https://shop.example/a"),
            new PartnerSuspended { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = default, PartnerId = "acme" });
        Assert.NotNull(catalogue.Find("spring"));
    }

    [Fact]
    public void What_was_taken_in_is_there_after_a_restart()
    {
        Given(Enrolled("acme"), Published("acme", "one", "https://shop.example/1"), Published("acme", "two", "https://müller.example/ä", "Two"), Retired("acme", "one"));
        var again = Given();
        Assert.Null(again.Find("one"));
        Assert.NotNull(again.FindEver("one"));
        Assert.Equal(("https://xn--mller-kva.example/%C3%A4", "Two"), (again.Find("two")!.Destination.Address, again.Find("two")!.Campaign));
        Assert.Equal((1, 1, 4), (again.LinkCount, again.PartnerCount, again.Position));
    }

    [Fact]
    public void A_page_taken_in_twice_changes_nothing()
    {
        IEvent[] page = [Enrolled("acme"), Published("acme", "one", "https://shop.example/1"), Retired("acme", "one"), Published("acme", "one", "https://shop.example/2")];
        Given(page);
        var catalogue = Given(page);
        Assert.Equal((1, "https://shop.example/2"), (catalogue.LinkCount, catalogue.Find("one")!.Destination.Address));
    }

    [Fact]
    public void A_damaged_catalogue_is_made_anew_because_partners_has_it_all()
    {
        Given(Enrolled("acme"));
        File.WriteAllText(_folder.File("catalogue.db"), "this is no database, and it is long enough for SQLite to see it");
        Assert.Equal((0, 0), (Given().Position, Given().PartnerCount));
    }

    private Catalogue Given(params IEvent[] events)
    {
        var catalogue = new Catalogue();
        using var file = new CatalogueFile(_folder.Path, catalogue, NullLogger<CatalogueFile>.Instance);
        if (events.Length > 0)
        {
            file.Apply(events, events.Length);
        }

        return catalogue;
    }

    private static PartnerEnrolled Enrolled(string id) =>
        new() { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = default, PartnerId = id, Name = id, Ref = id + "-ref", Destination = "https://shop.example/" };

    private static LinkPublished Published(string partner, string slug, string destination, string? campaign = null) =>
        new() { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = default, PartnerId = partner, Slug = slug, Destination = destination, Campaign = campaign };

    private static LinkRetired Retired(string partner, string slug) =>
        new() { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = default, PartnerId = partner, Slug = slug };
}
