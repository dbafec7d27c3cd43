using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Partners;

namespace PartnerPulse.IntegrationTests.Partners;

/// <summary>Partners, links and the catalogue over HTTP against a real database.</summary>
public sealed class PartnersTests(PartnersFixture fixture) : IClassFixture<PartnersFixture>
{
    private readonly string _id = $"p{Guid.NewGuid():N}"[..12];

    [PostgresFact]
    public async Task Enrolling_makes_a_ref_and_a_first_link()
    {
        var service = await fixture.ServiceAsync();

        var answer = (await EnrolAsync(service, _id)).AssertStatus(HttpStatusCode.Created);

        Assert.Equal($"/v1/partners/{_id}", answer.Location!.OriginalString);
        Assert.Equal(
            $$"""{"id":"{{_id}}","name":"Acme","status":"active","ref":"{{_id}}","links":[{"slug":"{{_id}}","url":"https://go.example/r/{{_id}}","urls":["https://go.example/r/{{_id}}"],"destination":"https://shop.example/"}]}""",
            answer.Text);
        Assert.Equal(answer.Text, (await service.GetAsync($"/v1/partners/{_id}", Scope.Read)).Text);
    }

    [PostgresFact]
    public async Task Enrolling_again_gives_the_same_and_other_content_is_a_conflict_by_field()
    {
        var service = await fixture.ServiceAsync();
        var first = await EnrolAsync(service, _id);

        var again = (await EnrolAsync(service, _id)).AssertStatus(HttpStatusCode.OK);
        var other = await EnrolAsync(service, _id, name: "Other");

        Assert.Equal(first.Text, again.Text);
        other.AssertFault(HttpStatusCode.Conflict, "name", "is recorded as 'Acme'; this says 'Other'");
        Assert.Single(other.Json.GetProperty("errors").EnumerateArray());
    }

    [PostgresFact]
    public async Task A_slug_belongs_to_one_partner_only_however_many_ask_on_however_many_instances()
    {
        var one = await fixture.ServiceAsync();
        await using var two = await fixture.AnotherInstanceAsync();
        var partners = Enumerable.Range(0, 8).Select(i => $"{_id}-{i}").ToArray();
        foreach (var partner in partners)
        {
            (await EnrolAsync(one, partner)).AssertStatus(HttpStatusCode.Created);
        }

        var slug = $"{_id}-wanted";
        var answers = await Task.WhenAll(partners.Select((partner, i) =>
            (i % 2 == 0 ? one : two).PostAsync($"/v1/partners/{partner}/links", $$"""{"slug":"{{slug}}","destination":"https://shop.example/{{i}}"}""")));

        Assert.Single(answers, a => a.Status == HttpStatusCode.Created);
        Assert.All(answers.Where(a => a.Status != HttpStatusCode.Created), a => a.AssertFault(HttpStatusCode.Conflict, "slug", $"'{slug}' is another partner's"));
        Assert.Single(await CatalogueAsync(one), e => e.Type == "link_published" && e.Data.GetProperty("slug").GetString() == slug);
    }

    [PostgresFact]
    public async Task A_ref_belongs_to_one_partner_only()
    {
        var one = await fixture.ServiceAsync();
        await using var two = await fixture.AnotherInstanceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(i =>
            EnrolAsync(i % 2 == 0 ? one : two, $"{_id}-{i}", code: $"{_id}-ref")));

        Assert.Single(answers, a => a.Status == HttpStatusCode.Created);
        Assert.All(answers.Where(a => a.Status != HttpStatusCode.Created), a => a.AssertFault(HttpStatusCode.Conflict, "ref", "is another partner's"));
    }

    [PostgresFact]
    public async Task The_same_enrolment_from_many_at_once_happens_once()
    {
        var one = await fixture.ServiceAsync();
        await using var two = await fixture.AnotherInstanceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => EnrolAsync(i % 2 == 0 ? one : two, _id)));

        Assert.Single(answers, a => a.Status == HttpStatusCode.Created);
        Assert.Equal(7, answers.Count(a => a.Status == HttpStatusCode.OK));
        Assert.Single(answers.Select(a => a.Text).Distinct(StringComparer.Ordinal));
    }

    [PostgresFact]
    public async Task A_partner_whose_id_is_taken_as_a_slug_or_is_none_gets_a_suffix()
    {
        var service = await fixture.ServiceAsync();
        (await EnrolAsync(service, _id)).AssertStatus(HttpStatusCode.Created);
        (await service.PostAsync($"/v1/partners/{_id}/links", $$"""{"slug":"{{_id}}-b","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);

        var taken = (await EnrolAsync(service, $"{_id}-b")).AssertStatus(HttpStatusCode.Created);
        var none = (await EnrolAsync(service, $"{_id}_c")).AssertStatus(HttpStatusCode.Created);

        Assert.Matches($"^{_id}-b-[a-z0-9]{{4}}$", Slug(taken));
        Assert.Matches($"^{_id}-c-[a-z0-9]{{4}}$", Slug(none));
        static string Slug(Answer answer) => answer.Json.GetProperty("links")[0].GetProperty("slug").GetString()!;
    }

    [PostgresFact]
    public async Task A_link_without_a_slug_gets_a_short_readable_one()
    {
        var service = await fixture.ServiceAsync();
        await EnrolAsync(service, _id);

        var answer = (await service.PostAsync($"/v1/partners/{_id}/links", """{"destination":"https://shop.example/sale","campaign":"spring"}""")).AssertStatus(HttpStatusCode.Created);

        Assert.Matches("^[2-9a-z]{7}$", answer.Json.GetProperty("slug").GetString());
        Assert.Equal("spring", answer.Json.GetProperty("campaign").GetString());
        Assert.Equal("https://shop.example/sale", answer.Json.GetProperty("destination").GetString());
    }

    [PostgresFact]
    public async Task A_link_is_published_moved_retired_and_published_again()
    {
        var service = await fixture.ServiceAsync();
        await EnrolAsync(service, _id);
        var slug = $"{_id}-x";
        string Link(string path) => $$"""{"slug":"{{slug}}","destination":"https://shop.example/{{path}}"}""";

        (await service.PostAsync($"/v1/partners/{_id}/links", Link("a"))).AssertStatus(HttpStatusCode.Created);
        (await service.PostAsync($"/v1/partners/{_id}/links", Link("a"))).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync($"/v1/partners/{_id}/links", Link("b"))).AssertFault(HttpStatusCode.Conflict, "destination", "is recorded as 'https://shop.example/a'");
        (await service.PutAsync($"/v1/partners/{_id}/links/{slug}", """{"destination":"https://shop.example/b"}""")).AssertStatus(HttpStatusCode.OK);
        (await service.PutAsync($"/v1/partners/{_id}/links/{slug}", """{"destination":"https://shop.example/b"}""")).AssertStatus(HttpStatusCode.OK);
        (await service.DeleteAsync($"/v1/partners/{_id}/links/{slug}")).AssertStatus(HttpStatusCode.NoContent);
        (await service.DeleteAsync($"/v1/partners/{_id}/links/{slug}")).AssertStatus(HttpStatusCode.NoContent);
        (await service.PutAsync($"/v1/partners/{_id}/links/{slug}", """{"destination":"https://shop.example/b"}""")).AssertFault(HttpStatusCode.NotFound, "slug", "is no link");
        (await service.PostAsync($"/v1/partners/{_id}/links", Link("c"))).AssertStatus(HttpStatusCode.Created);

        Assert.Equal(
            ["link_published a", "link_published b", "link_retired", "link_published c"],
            (await CatalogueAsync(service)).Where(e => e.Data.TryGetProperty("slug", out var s) && s.GetString() == slug)
                .Select(e => e.Data.TryGetProperty("destination", out var d) ? $"{e.Type} {d.GetString()![^1]}" : e.Type));
    }

    [PostgresFact]
    public async Task Suspending_and_reinstating_twice_changes_nothing_the_second_time()
    {
        var service = await fixture.ServiceAsync();
        await EnrolAsync(service, _id);
        var path = $"/v1/partners/{_id}/suspension";

        Assert.Equal("suspended", Status((await service.PostAsync(path, """{"occurredAt":"2026-01-02T03:04:05+01:00"}""")).AssertStatus(HttpStatusCode.OK)));
        Assert.Equal("suspended", Status((await service.PostAsync(path, body: null)).AssertStatus(HttpStatusCode.OK)));
        Assert.Equal("active", Status((await service.DeleteAsync(path)).AssertStatus(HttpStatusCode.OK)));
        Assert.Equal("active", Status((await service.DeleteAsync(path)).AssertStatus(HttpStatusCode.OK)));
        (await service.PostAsync(path, """{"occurredAt":"2026-01-02T03:04:05+01:00"}""")).AssertFault(HttpStatusCode.BadRequest, "occurredAt", "is before the partner was reinstated");

        var events = (await CatalogueAsync(service)).Where(e => e.Data.TryGetProperty("partnerId", out var p) && p.GetString() == _id).ToArray();
        Assert.Equal(["partner_enrolled", "link_published", "partner_suspended", "partner_reinstated"], events.Select(e => e.Type));
        Assert.Equal(new DateTimeOffset(2026, 1, 2, 2, 4, 5, TimeSpan.Zero), events[2].Data.GetProperty("occurredAt").GetDateTimeOffset());
        static string? Status(Answer answer) => answer.Json.GetProperty("status").GetString();
    }

    [PostgresFact]
    public async Task The_list_is_paged_without_loss_or_repetition()
    {
        var service = await fixture.ServiceAsync();
        var mine = Enumerable.Range(0, 5).Select(i => $"{_id}-{i}").ToArray();
        foreach (var id in mine)
        {
            await EnrolAsync(service, id);
        }

        var listed = new List<string>();
        string? after = "0";
        while (after is not null)
        {
            var page = (await service.GetAsync($"/v1/partners?after={after}&limit=2", Scope.Read)).AssertStatus(HttpStatusCode.OK).Json;
            Assert.InRange(page.GetProperty("partners").GetArrayLength(), 1, 2);
            listed.AddRange(page.GetProperty("partners").EnumerateArray().Select(p => p.GetProperty("id").GetString()!));
            after = page.TryGetProperty("next", out var next) ? next.GetString() : null;
        }

        Assert.Equal(listed.Distinct(StringComparer.Ordinal).Count(), listed.Count);
        Assert.Equal(mine, listed.Where(id => id.StartsWith(_id, StringComparison.Ordinal)));
    }

    [PostgresFact]
    public async Task The_catalogue_is_tailed_page_by_page_to_its_end()
    {
        var service = await fixture.ServiceAsync();
        await EnrolAsync(service, _id);

        var position = 0L;
        var read = 0;
        while (true)
        {
            var page = (await service.GetAsync($"/v1/catalogue?after={position}&limit=1", Scope.Read)).AssertStatus(HttpStatusCode.OK).Json;
            if (page.GetProperty("events").GetArrayLength() == 0)
            {
                Assert.Equal(position, page.GetProperty("position").GetInt64());
                break;
            }

            Assert.Equal(page.GetProperty("position").GetInt64(), page.GetProperty("events")[0].GetProperty("position").GetInt64());
            Assert.True(page.GetProperty("last").GetInt64() >= page.GetProperty("position").GetInt64());
            position = page.GetProperty("position").GetInt64();
            read++;
        }

        Assert.Equal((await CatalogueAsync(service)).Count, read);
    }

    [PostgresTheory]
    [InlineData("""{"id":"Big","name":"x","destination":"https://shop.example/"}""", "id", "must be lower-case")]
    [InlineData("""{"name":"x","destination":"https://shop.example/"}""", "id", "is required")]
    [InlineData("""{"id":"x1","destination":"https://shop.example/"}""", "name", "is required")]
    [InlineData("""{"id":"x1","name":"x"}""", "destination", "is required")]
    [InlineData("""{"id":"x1","name":"x","destination":"javascript:alert(1)"}""", "destination", "is not an absolute http or https address")]
    [InlineData("""{"id":"x1","name":"x","destination":"https://me:secret@shop.example/"}""", "destination", "must not carry a user")]
    [InlineData("""{"id":"x1","name":"x","destination":"https://shop.example/","colour":"red"}""", "colour", "is not a field that is known here")]
    [InlineData("""{"id":7,"name":"x","destination":"https://shop.example/"}""", "id", "is a number where a string is expected")]
    [InlineData("""{"id":"x1","name":"a\nb","destination":"https://shop.example/"}""", "name", "control character U+000A")]
    [InlineData("""{"id":"x1",""", "body", "is not valid JSON")]
    [InlineData("", "body", "is empty")]
    [InlineData("null", "body", "is null")]
    public async Task Bad_input_is_answered_with_field_and_reason(string body, string field, string reason)
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/partners", body)).AssertFault(HttpStatusCode.BadRequest, field, reason);
    }

    [PostgresFact]
    public async Task Over_long_fields_and_reserved_slugs_are_refused()
    {
        var service = await fixture.ServiceAsync();
        await EnrolAsync(service, _id);

        (await EnrolAsync(service, new string('a', 65))).AssertFault(HttpStatusCode.BadRequest, "id", "has 65 characters; at most 64");
        (await EnrolAsync(service, $"{_id}-n", name: new string('n', 201))).AssertFault(HttpStatusCode.BadRequest, "name", "at most 200");
        (await service.PostAsync($"/v1/partners/{_id}/links", $$"""{"destination":"https://shop.example/{{new string('x', 2048)}}"}""")).AssertFault(HttpStatusCode.BadRequest, "destination", "at most 2048");
        (await service.PostAsync($"/v1/partners/{_id}/links", """{"slug":"admin","destination":"https://shop.example/"}""")).AssertFault(HttpStatusCode.BadRequest, "slug", "'admin' is reserved");
        (await service.PostAsync($"/v1/partners/{_id}/links", """{"slug":"ab","destination":"https://shop.example/"}""")).AssertFault(HttpStatusCode.BadRequest, "slug", "must be 3 to 64");
        (await service.PostAsync($"/v1/partners/{_id}-none/links", """{"destination":"https://shop.example/"}""")).AssertFault(HttpStatusCode.NotFound, "id", "is no partner");
        (await service.GetAsync($"/v1/partners/{_id}-none")).AssertFault(HttpStatusCode.NotFound, "id", "is no partner");
        (await service.PostAsync($"/v1/partners/{_id}/suspension", """{"reason":"fraud"}""")).AssertFault(HttpStatusCode.BadRequest, "reason", "is not a field that is known here");
        (await service.PostAsync($"/v1/partners/{_id}/suspension", """{"occurredAt":"2026-01-02T03:04:05"}""")).AssertFault(HttpStatusCode.BadRequest, "occurredAt", "is not a time with its offset");
        (await service.GetAsync("/v1/partners?limit=many")).AssertFault(HttpStatusCode.BadRequest, "limit", "must be 1 to 1000");
        (await service.GetAsync("/v1/catalogue?after=-1")).AssertFault(HttpStatusCode.BadRequest, "after", "must be a position");
    }

    [PostgresFact]
    public async Task A_key_may_do_what_its_scopes_say()
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/partners", "{}", scope: null)).AssertFault(HttpStatusCode.Unauthorized, "Authorization", "is missing");
        (await service.PostAsync("/v1/partners", "{}", scope: "nobody")).AssertFault(HttpStatusCode.Unauthorized, "Authorization", "is not the key of anyone");
        (await service.PostAsync("/v1/partners", "{}", Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope catalogue:write");
        (await service.GetAsync("/v1/partners", Scope.WriteCatalogue)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope read");
        (await service.GetAsync("/v1/catalogue", scope: null)).AssertFault(HttpStatusCode.Unauthorized, "Authorization", "is missing");
        (await service.PostAsync("/v1/partners", "{}", Scope.WriteCatalogue)).AssertStatus(HttpStatusCode.BadRequest);
    }

    private static Task<Answer> EnrolAsync(TestService service, string id, string name = "Acme", string? code = null) => service.PostAsync(
        "/v1/partners",
        code is null
            ? $$"""{"id":"{{id}}","name":"{{name}}","destination":"https://shop.example/"}"""
            : $$"""{"id":"{{id}}","name":"{{name}}","destination":"https://shop.example/","ref":"{{code}}"}""");

    private static async Task<IReadOnlyList<(string Type, JsonElement Data)>> CatalogueAsync(TestService service)
    {
        var page = (await service.GetAsync("/v1/catalogue", Scope.Read)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(page.GetProperty("last").GetInt64(), page.GetProperty("position").GetInt64());
        return page.GetProperty("events").EnumerateArray().Select(e => (e.GetProperty("type").GetString()!, e.GetProperty("data"))).ToArray();
    }
}

/// <summary>One running service for the class.</summary>
public sealed class PartnersFixture : IAsyncLifetime
{
    private TestService? _service;

    public Task InitializeAsync() => Task.CompletedTask;

    // Tests of a class run one after the other.
    public async Task<TestService> ServiceAsync() => _service ??= await StartAsync(besides: null);

    public async Task<TestService> AnotherInstanceAsync() => await StartAsync(await ServiceAsync());

    /// <summary>A service with a database that no other test knows; the caller's to dispose.</summary>
    public Task<TestService> OfItsOwnAsync() => StartAsync(besides: null);

    /// <summary>The deployment of another program on the same database; the caller's to dispose.</summary>
    public static Task<TestService> OfAnotherProgramAsync(TestService besides) => StartAsync(besides, program: "other");

    public async Task DisposeAsync()
    {
        if (_service is not null)
        {
            await _service.DisposeAsync();
            Directory.Delete(_service.Folder, recursive: true);
        }
    }

    private static Task<TestService> StartAsync(TestService? besides, string program = "main") => TestService.StartAsync(
        builder =>
        {
            builder.Configuration.AddInMemoryCollection([new("Pulse:Program", program)]);
            builder.AddPartners();
        },
        app => app.MapPartners(), besides);
}
