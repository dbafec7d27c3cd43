using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Npgsql;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Partners;

namespace PartnerPulse.IntegrationTests.Partners;

/// <summary>What links say, many links at once, and what programs allow, over HTTP against a real database.</summary>
public sealed class LinksTests(PartnersFixture fixture) : IClassFixture<PartnersFixture>
{
    private readonly string _id = $"p{Guid.NewGuid():N}"[..12];

    private string Path => $"/v1/partners/{_id}/links";

    [PostgresFact]
    public async Task A_link_keeps_what_it_says_and_tells_every_difference()
    {
        var service = await EnrolledAsync();
        var body = $$"""{"slug":"{{_id}}-x","destination":"https://shop.example/","campaign":"Spring","utm":{"source":"acme","medium":"blog","term":"a","content":"b"},"expiresAt":"2026-12-24T18:00:00+01:00","fallback":"https://shop.example/over"}""";

        var created = (await service.PostAsync(Path, body)).AssertStatus(HttpStatusCode.Created);
        var same = (await service.PostAsync(Path, body.Replace("18:00:00+01:00", "17:00:00Z", StringComparison.Ordinal))).AssertStatus(HttpStatusCode.OK);
        var other = await service.PostAsync(Path, $$"""{"slug":"{{_id}}-x","destination":"https://shop.example/","utm":{"source":"acme"},"expiresAt":"2026-12-24T18:00:00Z"}""");

        Assert.Equal(
            $$"""{"slug":"{{_id}}-x","url":"https://go.example/r/{{_id}}-x","urls":["https://go.example/r/{{_id}}-x"],"destination":"https://shop.example/","campaign":"Spring","utm":{"source":"acme","medium":"blog","term":"a","content":"b"},"expiresAt":"2026-12-24T17:00:00+00:00","fallback":"https://shop.example/over"}""",
            created.Text);
        Assert.Equal(created.Text, same.Text);
        Assert.Equal(
            ["campaign", "utm.medium", "utm.term", "utm.content", "expiresAt", "fallback", "slug"],
            other.Json.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()));
        Assert.Equal(HttpStatusCode.Conflict, other.Status);

        var moved = (await service.PutAsync($"{Path}/{_id}-x", """{"destination":"https://shop.example/b","expiresAt":"2026-12-31T00:00:00Z"}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal(
            $$"""{"slug":"{{_id}}-x","url":"https://go.example/r/{{_id}}-x","urls":["https://go.example/r/{{_id}}-x"],"destination":"https://shop.example/b","expiresAt":"2026-12-31T00:00:00+00:00"}""",
            moved.Text);
    }

    [PostgresTheory]
    [InlineData("""{"destination":"https://shop.example/","utm":{"name":"x"}}""", "utm.name", "is not a field that is known here")]
    [InlineData("""{"destination":"https://shop.example/","utm":"x"}""", "utm", "is not of the right type")]
    [InlineData("""{"destination":"https://shop.example/","utm":{"term":"a\tb"}}""", "utm.term", "control character U+0009")]
    [InlineData("""{"destination":"https://shop.example/","expiresAt":"2026-12-24T18:00:00"}""", "expiresAt", "is not a time with its offset")]
    [InlineData("""{"destination":"https://shop.example/","expiresAt":"1999-12-24T18:00:00Z"}""", "expiresAt", "is before 2000")]
    [InlineData("""{"destination":"https://xn--\u00DF/"}""", "destination", "is not an absolute http or https address")]
    [InlineData("""{"destination":"https://shop.example/","fallback":"/over"}""", "fallback", "is not an absolute http or https address")]
    [InlineData("""{"destination":"https://shop.example/","fallback":"https://a:b@shop.example/"}""", "fallback", "must not carry a user")]
    public async Task Bad_terms_are_answered_with_field_and_reason(string body, string field, string reason)
    {
        var service = await EnrolledAsync();

        (await service.PostAsync(Path, body)).AssertFault(HttpStatusCode.BadRequest, field, reason);
        (await service.PutAsync($"{Path}/{_id}", body)).AssertFault(HttpStatusCode.BadRequest, field, reason);
    }

    [PostgresFact]
    public async Task Slugs_that_read_alike_cannot_belong_to_two_partners_however_many_ask()
    {
        var one = await EnrolledAsync();
        await using var two = await fixture.AnotherInstanceAsync();
        var rival = $"{_id}-rival";
        (await one.PostAsync("/v1/partners", $$"""{"id":"{{rival}}","name":"Rival","destination":"https://rival.example/"}""")).AssertStatus(HttpStatusCode.Created);
        string Link(string suffix) => $$"""{"slug":"{{_id}}-{{suffix}}","destination":"https://shop.example/"}""";

        var answers = await Task.WhenAll(
            one.PostAsync(Path, Link("mo-1")), two.PostAsync($"/v1/partners/{rival}/links", Link("rnol")),
            one.PostAsync(Path, Link("m0l")), two.PostAsync($"/v1/partners/{rival}/links", Link("rn-o-i")));

        var (mine, theirs) = (answers.Where((_, i) => i % 2 == 0).ToArray(), answers.Where((_, i) => i % 2 == 1).ToArray());
        var (won, lost) = mine[0].Status == HttpStatusCode.Created ? (mine, theirs) : (theirs, mine);
        Assert.All(won, answer => answer.AssertStatus(HttpStatusCode.Created));
        Assert.All(lost, answer => answer.AssertFault(HttpStatusCode.Conflict, "slug", "can be taken for a slug of another partner"));
        (await one.PostAsync(Path, """{"slug":"adrnin","destination":"https://shop.example/"}""")).AssertFault(HttpStatusCode.BadRequest, "slug", "reads like 'admin'");
    }

    [PostgresFact]
    public async Task A_partner_whose_id_reads_like_anothers_slug_gets_a_suffix()
    {
        var service = await EnrolledAsync();

        var answer = (await service.PostAsync("/v1/partners", $$"""{"id":"{{_id[..1]}}-{{_id[1..]}}","name":"Look-alike","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);

        Assert.Matches($"^{_id[..1]}-{_id[1..]}-[a-z0-9]{{4}}$", answer.Json.GetProperty("links")[0].GetProperty("slug").GetString());
    }

    [PostgresFact]
    public async Task A_file_of_links_keeps_the_good_lines_and_names_the_faults_of_the_others()
    {
        var service = await EnrolledAsync();
        var rival = $"{_id}-rival";
        (await service.PostAsync("/v1/partners", $$"""{"id":"{{rival}}","name":"Rival","destination":"https://rival.example/"}""")).AssertStatus(HttpStatusCode.Created);
        string[] json =
        [
            $$"""{"slug":"{{_id}}-a","destination":"https://shop.example/a","utm":{"source":"acme"},"expiresAt":"2026-12-24T18:00:00Z"}""",
            """{"destination":"https://shop.example/b","campaign":"Ü"}""",
            "",
            "{not json",
            """{"destination":"javascript:alert(1)","slug":"X"}""",
            $$"""{"slug":"{{rival}}","destination":"https://shop.example/"}""",
            $$"""{"slug":"{{_id}}r-ival","destination":"https://shop.example/"}""",
            $$"""{"slug":"{{_id}}-a","destination":"https://shop.example/other","utm":{"source":"acme"},"expiresAt":"2026-12-24T18:00:00Z"}""",
            $$"""{"destination":"https://shop.example/{{new string('x', 20_000)}}"}""",
            """{"destination":"https://shop.example/c"}""",
        ];
        string[] csv =
        [
            "Slug,destination,Campaign,utm.source,expiresAt",
            $"{_id}-a,https://shop.example/a,,acme,2026-12-24T18:00:00Z",
            ",https://shop.example/b,\"Ü\",,",
            "",
            "too,few",
            "X,javascript:alert(1),,,",
            $"{rival},https://shop.example/,,,",
            $"{_id}r-ival,https://shop.example/,,,",
            $"{_id}-a,https://shop.example/other,,acme,2026-12-24T18:00:00Z",
            "a\"b,https://shop.example/,,,",
            ",https://shop.example/c,,,",
        ];

        var first = (await BulkAsync(service, string.Join("\n", json), "application/x-ndjson")).AssertStatus(HttpStatusCode.OK);
        var again = (await BulkAsync(service, string.Join("\r\n", json) + "\r\n", "application/x-ndjson; charset=utf-8")).AssertStatus(HttpStatusCode.OK);
        var table = (await BulkAsync(service, "\uFEFF" + string.Join("\r\n", csv), "text/csv")).AssertStatus(HttpStatusCode.OK);

        Assert.Equal((3, 0, 6), Counts(first));
        Assert.Equal((0, 3, 6), Counts(again));
        Assert.Equal((0, 3, 6), Counts(table));
        Assert.Equal(
            ["4 line", "5 slug", "5 destination", "9 line", "6 slug", "7 slug", "8 destination", "8 slug"],
            Faults(first));
        Assert.Equal(
            ["5 line", "6 slug", "6 destination", "10 line", "7 slug", "8 slug", "9 destination", "9 slug"],
            Faults(table));
        Assert.Equal([1, 2, 10], first.Json.GetProperty("links").EnumerateArray().Select(l => l.GetProperty("line").GetInt32()));
        Assert.Equal(
            first.Json.GetProperty("links").EnumerateArray().Select(l => l.GetProperty("url").GetString()),
            table.Json.GetProperty("links").EnumerateArray().Select(l => l.GetProperty("url").GetString()));
        var live = (await service.GetAsync($"/v1/partners/{_id}")).Json.GetProperty("links");
        Assert.Equal(
            ["https://shop.example/", "https://shop.example/a", "https://shop.example/b", "https://shop.example/c"],
            live.EnumerateArray().Select(l => l.GetProperty("destination").GetString()));

        static (int Created, int Existing, int Rejected) Counts(Answer answer) => (
            answer.Json.GetProperty("created").GetInt32(), answer.Json.GetProperty("existing").GetInt32(), answer.Json.GetProperty("rejectedTotal").GetInt32());
        static IEnumerable<string> Faults(Answer answer) =>
            answer.Json.GetProperty("rejected").EnumerateArray().Select(r => $"{r.GetProperty("line").GetInt64()} {r.GetProperty("field").GetString()}");
    }

    [PostgresFact]
    public async Task Ten_thousand_links_take_seconds_and_the_same_again_changes_nothing()
    {
        var service = await EnrolledAsync();
        var file = new StringBuilder("destination,campaign\n");
        for (var i = 0; i < 10_000; i++)
        {
            file.Append($"https://shop.example/products/{i},Catalogue\n");
        }

        var time = Stopwatch.StartNew();
        var first = (await BulkAsync(service, file.ToString(), "text/csv")).AssertStatus(HttpStatusCode.OK);
        var took = time.Elapsed;
        var again = (await BulkAsync(service, file.ToString(), "text/csv")).AssertStatus(HttpStatusCode.OK);

        Assert.Equal((10_000, 10_000), (first.Json.GetProperty("created").GetInt32(), again.Json.GetProperty("existing").GetInt32()));
        Assert.Equal(10_000, first.Json.GetProperty("links").EnumerateArray().Select(l => l.GetProperty("slug").GetString()).Distinct().Count());
        Assert.True(took < TimeSpan.FromSeconds(20), $"{took.TotalSeconds:F1} s"); // It takes about two; the bound is for a machine with other things to do.
        (await service.PostAsync(Path, """{"destination":"https://shop.example/one-more"}""")).AssertStatus(HttpStatusCode.Created);
    }

    [PostgresFact]
    public async Task Files_that_come_at_once_on_two_instances_are_each_taken_in_whole()
    {
        var one = await EnrolledAsync();
        await using var two = await fixture.AnotherInstanceAsync();
        string File(int from) => "destination\n" + string.Concat(Enumerable.Range(from, 3_000).Select(i => $"https://shop.example/{i}\n"));

        var answers = await Task.WhenAll(BulkAsync(one, File(0), "text/csv"), BulkAsync(two, File(1_000), "text/csv"), BulkAsync(one, File(2_000), "text/csv"));

        Assert.All(answers, answer => answer.AssertStatus(HttpStatusCode.OK));
        Assert.All(answers, answer => Assert.Equal(3_000, answer.Json.GetProperty("links").GetArrayLength()));
        Assert.Equal(5_000, answers.Sum(answer => answer.Json.GetProperty("created").GetInt32()));
        Assert.Equal(5_001, (await one.GetAsync($"/v1/partners/{_id}")).Json.GetProperty("links").GetArrayLength());
    }

    [PostgresFact]
    public async Task Names_from_before_are_still_held_and_what_reads_like_them_too()
    {
        await using var before = await fixture.OfItsOwnAsync();
        string[] slugs = ["acme-1", "wow-m1x", "i-o-u", "rnvv00"];
        foreach (var (slug, i) in slugs.Select((slug, i) => (slug, i)))
        {
            (await before.PostAsync("/v1/partners", $$"""{"id":"p{{i}}","ref":"r{{i}}","name":"Acme","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);
            (await before.PostAsync($"/v1/partners/p{i}/links", $$"""{"slug":"{{slug}}","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);
        }

        await using var source = NpgsqlDataSource.Create(before.Database);
        const string Claims = "select string_agg(concat_ws(' ', kind, name, owner), E'\\n' order by kind, name) from partners.claims";
        await using var read = source.CreateCommand(Claims);
        var held = (string)(await read.ExecuteScalarAsync())!;
        await using var undo = source.CreateCommand("delete from partners.claims where kind = 'skeleton'; drop index partners.ix_claims_owner; alter table partners.claims rename column owner to partner_id");
        await undo.ExecuteNonQueryAsync();

        await using var after = await TestService.StartAsync(builder => builder.AddPartners(), app => app.MapPartners(), before);

        Assert.Equal(held, await read.ExecuteScalarAsync());
    }

    [PostgresTheory]
    [InlineData("text/csv", "slug,url\nx,https://shop.example/\n", "column 2", "'url' is not known here")]
    [InlineData("text/csv", "slug,Slug,destination\n", "column 2", "is there twice")]
    [InlineData("text/csv", "slug\nabc\n", "header", "has no column 'destination'")]
    [InlineData("text/csv", "slug;destination\n", "column 1", "'slug;destination' is not known here")]
    [InlineData("text/csv", "destination,expires_at\nhttps://shop.example/,2026-01-01\n", "line 2: expires_at", "is not a time with its offset")]
    [InlineData("text/csv", "destination\n\"https://shop.example/\n", "line 2: line", "has a quote that is not closed")]
    [InlineData("application/x-ndjson", "[1]\n", "line 1: line", "")]
    [InlineData("application/x-ndjson", "{\"destination\":\"https://shop.example/\",\"colour\":1}", "line 1: colour", "is not a field that is known here")]
    public async Task A_file_without_a_good_line_is_refused(string type, string body, string field, string reason)
    {
        var service = await EnrolledAsync();

        (await BulkAsync(service, body, type)).AssertFault(HttpStatusCode.BadRequest, field, reason);
    }

    [PostgresFact]
    public async Task A_file_for_nobody_or_of_another_kind_is_refused_and_an_empty_one_is_nothing()
    {
        var service = await EnrolledAsync();

        (await BulkAsync(service, "{}", "application/json")).AssertFault(HttpStatusCode.UnsupportedMediaType, "Content-Type", "must be 'application/x-ndjson' or 'text/csv'");
        (await BulkAsync(service, "{}", "application/x-ndjson", $"/v1/partners/{_id}-none/links/bulk")).AssertFault(HttpStatusCode.NotFound, "id", "is no partner");
        Assert.Equal(
            """{"created":0,"existing":0,"links":[],"rejected":[],"rejectedTotal":0}""",
            (await BulkAsync(service, "", "application/x-ndjson")).AssertStatus(HttpStatusCode.OK).Text);
    }

    [PostgresFact]
    public async Task A_link_has_a_code_as_picture_in_the_size_that_was_asked_for()
    {
        var service = await EnrolledAsync();
        using var client = new HttpClient();

        async Task<(string Type, byte[] Bytes)> Get(string file)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(service.Address, $"{Path}/{_id}/{file}"));
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{Scope.Read}");
            using var response = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            return (response.Content.Headers.ContentType!.ToString(), await response.Content.ReadAsByteArrayAsync());
        }

        var png = await Get("qr.png?size=300");
        var svg = await Get("qr.svg?size=300");

        Assert.Equal(("image/png", "image/svg+xml"), (png.Type, svg.Type));
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], png.Bytes[..4]);
        var side = BinaryPrimitives.ReadInt32BigEndian(png.Bytes.AsSpan(16));
        Assert.InRange(side, 250, 300);
        Assert.Equal(side, BinaryPrimitives.ReadInt32BigEndian(png.Bytes.AsSpan(20)));
        Assert.Contains("width=\"300\" height=\"300\"", Encoding.UTF8.GetString(svg.Bytes), StringComparison.Ordinal);
        Assert.NotEqual(png.Bytes, (await Get("qr.png")).Bytes);

        (await service.GetAsync($"{Path}/{_id}/qr.png?size=63")).AssertFault(HttpStatusCode.BadRequest, "size", "must be 64 to 4096 pixels");
        (await service.GetAsync($"{Path}/{_id}/qr.svg?size=big")).AssertFault(HttpStatusCode.BadRequest, "size", "must be 64 to 4096 pixels");
        (await service.GetAsync($"{Path}/none/qr.svg")).AssertFault(HttpStatusCode.NotFound, "slug", "is no link");
        (await service.GetAsync($"/v1/partners/{_id}-none/links/x/qr.svg")).AssertFault(HttpStatusCode.NotFound, "id", "is no partner");
    }

    [PostgresFact]
    public async Task A_program_says_its_hosts_and_every_link_bears_them()
    {
        await using var service = await fixture.OfItsOwnAsync();
        (await service.PostAsync("/v1/partners", $$"""{"id":"{{_id}}","name":"Acme","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);
        const string Never = """{"id":"main","linkHosts":[],"origins":[],"deepLinkHosts":[],"partnerParameters":["ref","via"]}""";
        Assert.Equal(Never, (await service.GetAsync("/v1/program", Scope.Read)).AssertStatus(HttpStatusCode.OK).Text);

        var body = """{"linkHosts":["LINKS.example","go.example"],"origins":["https://shop.example:443"],"deepLinkHosts":["help.example"],"partnerParameters":["p"],"fallback":"https://shop.example/over"}""";
        var first = (await service.PutAsync("/v1/program", body)).AssertStatus(HttpStatusCode.OK);
        var again = (await service.PutAsync("/v1/program", body)).AssertStatus(HttpStatusCode.OK);

        Assert.Equal(
            """{"id":"main","linkHosts":["links.example","go.example"],"origins":["https://shop.example"],"deepLinkHosts":["help.example"],"partnerParameters":["p"],"fallback":"https://shop.example/over"}""",
            first.Text);
        Assert.Equal(first.Text, again.Text);
        Assert.Equal(first.Text, (await service.GetAsync("/v1/program")).Text);
        var link = (await service.GetAsync($"/v1/partners/{_id}")).Json.GetProperty("links")[0];
        Assert.Equal($"https://links.example/r/{_id}", link.GetProperty("url").GetString());
        Assert.Equal([$"https://links.example/r/{_id}", $"https://go.example/r/{_id}"], link.GetProperty("urls").EnumerateArray().Select(u => u.GetString()));
        Assert.Single(await ConfiguredAsync(service));

        Assert.Equal(Never, (await service.PutAsync("/v1/program", "{}")).AssertStatus(HttpStatusCode.OK).Text);
        Assert.Equal(2, (await ConfiguredAsync(service)).Count);
    }

    [PostgresFact]
    public async Task A_host_and_an_origin_belong_to_one_program_until_it_gives_them_up()
    {
        await using var service = await fixture.OfItsOwnAsync();
        const string Mine = """{"linkHosts":["go.example"],"origins":["https://a.example","https://b.example"]}""";
        (await service.PutAsync("/v1/program", Mine)).AssertStatus(HttpStatusCode.OK);

        await using var theirs = await PartnersFixture.OfAnotherProgramAsync(service);
        var taken = await theirs.CallAsync(HttpMethod.Put, "/v1/program", """{"linkHosts":["other.example","go.example"],"origins":["https://b.example"]}""", "other");
        taken.AssertFault(HttpStatusCode.Conflict, "linkHosts[1]", "'go.example' is another program's");
        taken.AssertFault(HttpStatusCode.Conflict, "origins[0]", "'https://b.example' is another program's");

        (await service.PutAsync("/v1/program", """{"linkHosts":["mine.example"],"origins":["https://a.example"]}""")).AssertStatus(HttpStatusCode.OK);
        (await theirs.CallAsync(HttpMethod.Put, "/v1/program", """{"linkHosts":["other.example","go.example"],"origins":["https://b.example"]}""", "other")).AssertStatus(HttpStatusCode.OK);
        (await service.PutAsync("/v1/program", Mine)).AssertFault(HttpStatusCode.Conflict, "linkHosts[0]", "is another program's");
        Assert.Equal("other", (await theirs.GetAsync("/v1/program", "other")).Json.GetProperty("id").GetString());
    }

    [PostgresFact]
    public async Task A_program_that_cannot_be_is_refused_with_every_fault()
    {
        var service = await EnrolledAsync();

        var answer = await service.PutAsync("/v1/program", """{"linkHosts":["https://go.example"],"origins":["http://shop.example"],"partnerParameters":["utm_source"],"fallback":"x"}""");

        answer.AssertFault(HttpStatusCode.BadRequest, "linkHosts[0]", "is not a host name");
        answer.AssertFault(HttpStatusCode.BadRequest, "origins[0]", "must begin with https://");
        answer.AssertFault(HttpStatusCode.BadRequest, "partnerParameters[0]", "has another meaning");
        answer.AssertFault(HttpStatusCode.BadRequest, "fallback", "is not an absolute http or https address");
        (await service.PutAsync("/v1/program", """{"linkHosts":["xn--\u00DF"],"origins":["https://xn--\u00DF"]}""")).AssertFault(HttpStatusCode.BadRequest, "origins[0]", "is not a host name");
        (await service.PutAsync("/v1/program", """{"linkHosts":"go.example"}""")).AssertFault(HttpStatusCode.BadRequest, "linkHosts", "is not of the right type");
        (await service.CallAsync(HttpMethod.Put, "/v1/program", "{}", Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope catalogue:write");
    }

    private static async Task<IReadOnlyList<JsonElement>> ConfiguredAsync(TestService service) =>
        [.. (await service.GetAsync("/v1/catalogue")).Json.GetProperty("events").EnumerateArray().Where(e => e.GetProperty("type").GetString() == "program_configured")];

    private async Task<TestService> EnrolledAsync()
    {
        var service = await fixture.ServiceAsync();
        (await service.PostAsync("/v1/partners", $$"""{"id":"{{_id}}","name":"Acme","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);
        return service;
    }

    private async Task<Answer> BulkAsync(TestService service, string body, string type, string? path = null)
    {
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Address, path ?? $"{Path}/bulk")) { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{Scope.Admin}");
        using var response = await client.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }
}
