using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public sealed class CatalogueTests : IDisposable
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_published_link_is_found_in_any_case_with_its_partner()
    {
        var catalogue = Given(Enrolled("acme"), Published("acme", "spring", "https://shop.example/a", "Spring"));
        var link = catalogue.Find("SpRing")!;
        Assert.Equal(("spring", "acme", "https://shop.example/a", "Spring"), (link.Slug, link.Partner.Id, link.Destination.Address, link.Campaign!.Name));
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
        Assert.False(catalogue.Find("spring")!.LeadsOn(s_now));
        Assert.Equal("acme", catalogue.Find("spring")!.Partner.Id);
        Assert.Null(catalogue.Find("never"));
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
        Assert.True(catalogue.Find("spring")!.LeadsOn(s_now));
    }

    [Fact]
    public void A_link_leads_on_until_the_moment_it_expires()
    {
        var link = Given(Enrolled("acme"), Published("acme", "spring", "https://shop.example/a") with { ExpiresAt = s_now }).Find("spring")!;
        Assert.True(link.LeadsOn(s_now.AddTicks(-1)));
        Assert.False(link.LeadsOn(s_now));
    }

    [Fact]
    public void A_program_is_found_by_id_origin_and_link_host()
    {
        var catalogue = Given(Configured("main", ["go.example", "links.example"], ["https://shop.example:8443"]));
        var program = catalogue.FindProgram("main");
        Assert.Equal(["ref", "via"], program!.PartnerParameters);
        Assert.Same(program, catalogue.ProgramOfOrigin("https://shop.example:8443"));
        foreach (var host in (string[])["go.example", "GO.example:8081", "links.example.", "links.example.:443"])
        {
            Assert.Same(program, catalogue.ProgramOfLinkHost(host));
        }

        foreach (var host in (string[])["", "example", "x.go.example", "[::1]:80", ":", new string('x', 10_000)])
        {
            Assert.Null(catalogue.ProgramOfLinkHost(host));
        }

        Assert.Null(catalogue.FindProgram("other"));
        Assert.Null(catalogue.ProgramOfOrigin("https://shop.example"));
    }

    [Fact]
    public void What_a_program_gives_up_another_may_take_in_either_order_of_reading()
    {
        var catalogue = Given(
            Configured("one", ["go.example"], ["https://shop.example"]),
            Configured("one", [], []),
            Configured("two", ["go.example"], ["https://shop.example"]),
            Configured("one", [], []));
        Assert.Equal("two", catalogue.ProgramOfLinkHost("go.example")!.Id);
        Assert.Equal("two", catalogue.ProgramOfOrigin("https://shop.example")!.Id);
        Assert.Null(Given(Configured("two", [], [])).ProgramOfLinkHost("go.example"));
    }

    [Fact]
    public void What_links_and_programs_say_is_there_after_a_restart()
    {
        var published = Published("acme", "spring", "https://shop.example/a", "Spring") with
        {
            Utm = new Campaign { Source = "acme", Medium = "blog", Term = "shoes", Content = "top" }, ExpiresAt = s_now.AddTicks(7), Fallback = "https://shop.example/over",
        };
        IEvent[] events = [Enrolled("acme"), published, Published("acme", "plain", "https://shop.example/"), Configured("main", ["go.example"], ["https://shop.example"]) with { Fallback = "https://shop.example/ä" }];
        var before = Given(events);
        var after = Given();
        foreach (var catalogue in (Catalogue[])[before, after])
        {
            var link = catalogue.Find("spring")!;
            Assert.Equal(new Campaign { Source = "acme", Medium = "blog", Name = "Spring", Term = "shoes", Content = "top" }, link.Campaign);
            Assert.Equal((s_now.AddTicks(7), "https://shop.example/over"), (link.ExpiresAt, link.Fallback));
            Assert.Null(catalogue.Find("plain")!.Campaign);
            Assert.Null(catalogue.Find("plain")!.ExpiresAt);
            Assert.Equal("https://shop.example/%C3%A4", catalogue.ProgramOfLinkHost("go.example")!.Fallback);
        }
    }

    [Fact]
    public void A_catalogue_of_another_shape_is_read_again_from_the_beginning()
    {
        Given(Enrolled("acme"), Published("acme", "one", "https://shop.example/1"));
        using (var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={_folder.File("catalogue.db")};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "pragma user_version = 0; drop table program; alter table link drop column expires;";
            command.ExecuteNonQuery();
        }

        Assert.Equal((0, 0, 0), (Given().Position, Given().PartnerCount, Given().LinkCount));
        Assert.True(Given(Enrolled("acme"), Published("acme", "one", "https://shop.example/1")).Find("one")!.LeadsOn(s_now));
    }

    [Fact]
    public void What_was_taken_in_is_there_after_a_restart()
    {
        Given(Enrolled("acme"), Published("acme", "one", "https://shop.example/1"), Published("acme", "two", "https://müller.example/ä", "Two"), Retired("acme", "one"));
        var again = Given();
        Assert.True(again.Find("one")!.Retired);
        Assert.Equal(("https://xn--mller-kva.example/%C3%A4", "Two"), (again.Find("two")!.Destination.Address, again.Find("two")!.Campaign!.Name));
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
        // Where the log of the last commits is left, SQLite has the catalogue whole from that.
        File.Delete(_folder.File("catalogue.db-wal"));
        File.WriteAllText(_folder.File("catalogue.db"), "this is no database, and it is long enough for SQLite to see it");
        Assert.Equal((0, 0), (Given().Position, Given().PartnerCount));
    }

    [Fact]
    public void Many_links_are_there_after_a_restart_and_those_of_a_damaged_page_come_again()
    {
        string[] slugs = [.. Enumerable.Range(0, 60_000).Select(n => $"link-{n}"), "ümlaut"];
        Given([Enrolled("acme"), .. slugs.Select(slug => Published("acme", slug, $"https://shop.example/{slug.Length}", "Spring"))]);
        var again = Given();
        Assert.Equal((slugs.Length, slugs.Length + 1L), (again.LinkCount, again.Position));
        Assert.All(slugs, slug => Assert.Equal((slug, "Spring"), (again.Find(slug)!.Slug, again.Find(slug)!.Campaign!.Name)));
        Assert.Same(again.Find(slugs[0])!.Partner, again.FindPartner("main", "acme"));

        using (var file = File.OpenWrite(_folder.File("catalogue.db")))
        {
            file.Position = file.Length / 2;
            file.Write([.. Enumerable.Repeat((byte)0xFF, 64 * 1024)]);
        }

        Assert.Equal(0, Given().Position);
        Assert.Equal(1, Given(Enrolled("acme"), Published("acme", "one", "https://shop.example/1")).LinkCount);
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

    private static ProgramConfigured Configured(string program, string[] linkHosts, string[] origins) =>
        new() { EventId = Guid.NewGuid(), ProgramId = program, OccurredAt = default, LinkHosts = linkHosts, Origins = origins };

    private static LinkRetired Retired(string partner, string slug) =>
        new() { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = default, PartnerId = partner, Slug = slug };
}
