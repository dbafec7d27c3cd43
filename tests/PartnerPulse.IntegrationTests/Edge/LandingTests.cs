using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.Edge;

public class LandingTests
{
    private const string Origin = "https://www.shop.example";
    private const string Nonce = "00112233445566778899aabbccddeeff";

    private static readonly Dictionary<string, string?> s_remembers = new(StringComparer.Ordinal) { ["Edge:Cookie:Domain"] = "shop.example" };

    private static readonly IEvent[] s_catalogue =
    [
        EdgeHost.Enrolled("acme"),
        EdgeHost.Enrolled("bravo"),
        EdgeHost.Published("acme", "acme", "https://www.shop.example/"),
        new ProgramConfigured
        {
            EventId = Guid.NewGuid(),
            ProgramId = "main",
            OccurredAt = DateTimeOffset.UnixEpoch,
            Origins = [Origin, "https://checkout.example"],
            PartnerParameters = ["ref", "aff"],
        },
    ];

    [Fact]
    public async Task A_landing_that_names_a_partner_is_a_click_before_the_answer()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        const string Page = $"{Origin}/p?REF=Acme&utm_source=News%20Letter&utm_campaign=spring&sub1=x&pp_test=1";
        using var response = await LandAsync(
            edge, new { url = Page + "#top", referrer = "https://blog.example/post?q=1", nonce = Nonce },
            headers: [("User-Agent", "Mozilla/5.0 (Test)"), ("DNT", "1"), ("Sec-Fetch-Site", "same-site")]);

        var answer = await JsonAsync(response);
        var click = Assert.Single(await edge.ClicksAsync());
        Assert.Equal((HttpStatusCode.OK, click.EventId), (response.StatusCode, answer.GetProperty("click").GetGuid()));
        Assert.Equal([Origin, "https://checkout.example"], answer.GetProperty("origins").EnumerateArray().Select(o => o.GetString()!));
        Assert.Equal(5, click.EventId.Version);
        Assert.Equal(("main", "acme", null, Page), (click.ProgramId, click.PartnerId, click.Link, click.Destination));
        Assert.Equal(new Campaign { Source = "News Letter", Name = "spring" }, click.Campaign);
        Assert.Equal((Page[(Page.IndexOf('?', StringComparison.Ordinal) + 1)..], "blog.example", "Mozilla/5.0 (Test)"), (click.Query, click.ReferrerHost, click.UserAgent));
        Assert.Equal(new ClickSignals { Dnt = true }, click.Signals);
        Assert.Equal(("x", 22, ClickVia.Landing, true), (click.SubIds!["sub1"], click.AddressHash!.Length, click.Via, click.Test));
        Assert.Equal(click.VisitorId, VisitorId.FromIdOrCookie(Cookie(response)["pp_vid=".Length..]));
        Assert.Equal((Origin, "true", "Origin", "no-store"), (Header(response, "Access-Control-Allow-Origin"), Header(response, "Access-Control-Allow-Credentials"), Header(response, "Vary"), Header(response, "Cache-Control")));
    }

    [Fact]
    public async Task The_same_landing_sent_again_is_the_same_click_of_the_same_visitor_even_if_the_first_answer_was_lost()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var lost = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce });
        using var again = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce });
        using var other = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce.Replace('f', '0') });

        var clicks = await edge.ClicksAsync();
        Assert.Equal((clicks[0].EventId, clicks[0].VisitorId), (clicks[1].EventId, clicks[1].VisitorId));
        Assert.Equal(Cookie(lost), Cookie(again));
        Assert.NotEqual(clicks[0].EventId, clicks[2].EventId);
        Assert.NotEqual(clicks[0].VisitorId, clicks[2].VisitorId);
    }

    [Fact]
    public async Task A_visitor_of_several_partners_keeps_one_id_over_links_and_landings_and_each_click_renews_it()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var first = await edge.FollowAsync("/r/acme");
        var cookie = Cookie(first);
        using var second = await LandAsync(edge, new { url = $"{Origin}/?ref=bravo", nonce = Nonce }, headers: ("Cookie", cookie));
        using var third = await LandAsync(edge, new { url = $"{Origin}/?aff=acme", nonce = Nonce }, headers: ("Cookie", cookie));
        using var look = await LandAsync(edge, new { url = $"{Origin}/?page=2", nonce = Nonce }, headers: ("Cookie", cookie));
        using var script = await edge.FollowAsync("/t.js", ("Cookie", cookie));

        var clicks = await edge.ClicksAsync();
        Assert.Equal(["acme", "bravo", "acme"], clicks.Select(c => c.PartnerId));
        Assert.Equal(VisitorId.FromIdOrCookie(cookie["pp_vid=".Length..]), Assert.Single(clicks.Select(c => c.VisitorId!).Distinct(StringComparer.Ordinal)));
        Assert.Equal([cookie, cookie], new[] { second, third }.Select(Cookie));
        Assert.All([look, script], response => Assert.False(response.Headers.Contains("Set-Cookie")));
    }

    [Theory]
    [InlineData("ref=stranger", "unknown-partner")]
    [InlineData("ref=", "no-partner")]
    [InlineData("via=acme", "no-partner")]
    [InlineData("", "no-partner")]
    public async Task Who_is_brought_by_nobody_is_no_click_and_remembered_nowhere(string query, string reason)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var response = await LandAsync(edge, new { url = $"{Origin}/?{query}", nonce = Nonce });
        Assert.Equal($$"""{"click":null,"reason":"{{reason}}"}""", await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("Set-Cookie"));
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task A_page_that_has_its_click_makes_no_second_one()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        var click = Guid.NewGuid();
        using var response = await LandAsync(edge, new { url = $"{Origin}/?ref=acme&pp_click={click}", click });
        var answer = await JsonAsync(response);
        Assert.Equal((click, Origin), (answer.GetProperty("click").GetGuid(), answer.GetProperty("origins")[0].GetString()));
        Assert.False(response.Headers.Contains("Set-Cookie"));
        Assert.Empty(await edge.ClicksAsync());
    }

    [Theory]
    [InlineData("denied", false, true)]
    [InlineData("pending", false, false)]
    [InlineData("granted", true, false)]
    [InlineData(null, null, false)]
    public async Task Without_consent_a_landing_has_a_click_and_no_visitor_and_a_refusal_is_kept(string? said, bool? consent, bool refusalKept)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var followed = await edge.FollowAsync("/r/acme");
        using var landed = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce, consent = said }, headers: ("Cookie", Cookie(followed)));

        var clicks = await edge.ClicksAsync();
        Assert.Equal(clicks[1].EventId, (await JsonAsync(landed)).GetProperty("click").GetGuid());
        Assert.Equal(consent, clicks[1].Signals?.Consent);
        Assert.Equal(consent is false ? null : clicks[0].VisitorId, clicks[1].VisitorId);
        Assert.Equal(refusalKept ? "pp_vid=refused" : consent is false ? null : Cookie(followed), landed.Headers.Contains("Set-Cookie") ? Cookie(landed) : null);
    }

    [Fact]
    public async Task A_refusal_holds_for_links_and_landings_until_the_page_tells_of_consent()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var refused = await LandAsync(edge, new { url = $"{Origin}/", nonce = Nonce, consent = "denied" });
        var cookie = ("Cookie", Cookie(refused));
        using var followed = await edge.FollowAsync("/r/acme", cookie);
        using var landed = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce }, headers: cookie);
        using var granted = await LandAsync(edge, new { url = $"{Origin}/?ref=bravo", nonce = Nonce, consent = "granted" }, headers: cookie);

        var clicks = await edge.ClicksAsync();
        Assert.Equal([false, false, true], clicks.Select(c => c.Signals!.Consent));
        Assert.All(clicks.Take(2), click => Assert.Null(click.VisitorId));
        Assert.All([followed, landed], response => Assert.False(response.Headers.Contains("Set-Cookie")));
        Assert.Equal(clicks[2].VisitorId, VisitorId.FromIdOrCookie(Cookie(granted)["pp_vid=".Length..]));
    }

    [Theory]
    [InlineData("1", null)]
    [InlineData(null, true)]
    public async Task Who_asks_for_privacy_lands_with_a_click_and_is_nobody(string? header, bool? inPage)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var followed = await edge.FollowAsync("/r/acme");
        using var landed = await LandAsync(
            edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce, consent = "granted", gpc = inPage }, headers: [("Cookie", Cookie(followed)), .. header is null ? [] : new[] { ("Sec-GPC", header) }]);

        var click = (await edge.ClicksAsync())[1];
        Assert.Equal(click.EventId, (await JsonAsync(landed)).GetProperty("click").GetGuid());
        Assert.Equal((true, true), (click.Signals!.Gpc, click.Signals.Consent));
        Assert.Null(click.VisitorId);
        Assert.False(landed.Headers.Contains("Set-Cookie"));
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("shop.example", "cross-site")]
    public async Task Where_no_cookie_can_be_first_party_the_click_is_all_there_is(string? domain, string? site)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?>(StringComparer.Ordinal) { ["Edge:Cookie:Domain"] = domain });
        using var landed = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce }, headers: site is null ? [] : [("Sec-Fetch-Site", site)]);
        using var denied = await LandAsync(edge, new { url = $"{Origin}/", nonce = Nonce, consent = "denied" }, headers: site is null ? [] : [("Sec-Fetch-Site", site)]);

        var click = Assert.Single(await edge.ClicksAsync());
        Assert.Equal(click.EventId, (await JsonAsync(landed)).GetProperty("click").GetGuid());
        Assert.Null(click.VisitorId);
        Assert.All([landed, denied], response => Assert.False(response.Headers.Contains("Set-Cookie")));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("null")]
    [InlineData("https://shop.example")]
    [InlineData("http://www.shop.example")]
    [InlineData("https://www.shop.example:8443")]
    [InlineData("https://www.shop.example.evil.example")]
    [InlineData("https://evil.example/\u0001")]
    public async Task An_origin_that_is_not_registered_is_refused_and_nothing_is_recorded(string? origin)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var response = await LandAsync(edge, new { url = $"{origin}/?ref=acme", nonce = Nonce }, origin);
        using var preflight = await PreflightAsync(edge, origin);
        foreach (var refused in new[] { response, preflight })
        {
            // A header with a control character is refused by the server, before anyone reads it.
            if (refused.StatusCode != HttpStatusCode.BadRequest)
            {
                Assert.Equal((HttpStatusCode.Forbidden, "application/problem+json", "Origin"), (refused.StatusCode, refused.Content.Headers.ContentType!.MediaType, Header(refused, "Vary")));
                Assert.Equal("Origin", (await JsonAsync(refused)).GetProperty("errors")[0].GetProperty("field").GetString());
            }

            Assert.False(refused.Headers.Contains("Access-Control-Allow-Origin"));
            Assert.False(refused.Headers.Contains("Set-Cookie"));
        }

        Assert.Empty(await edge.ClicksAsync());
    }

    [Theory]
    [InlineData("", "body", 400)]
    [InlineData("null", "body", 400)]
    [InlineData("[1]", "body", 400)]
    [InlineData("{", "body", 400)]
    [InlineData("""{"nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"/?ref=acme","nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"https://checkout.example/?ref=acme","nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"https://www.shop.example@evil.example/?ref=acme","nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"https://www.shop.example:444/?ref=acme","nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme&x=\u0000","nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme&x=\ud800","nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":17,"nonce":"00112233445566778899aabbccddeeff"}""", "url", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme"}""", "nonce", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme","nonce":"short"}""", "nonce", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme","nonce":"00112233445566778899aabbccdd eff"}""", "nonce", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme","click":"x"}""", "click", 400)]
    [InlineData("""{"url":"https://www.shop.example/?ref=acme","nonce":"00112233445566778899aabbccddeeff","consent":"maybe"}""", "consent", 400)]
    public async Task A_malformed_landing_is_told_what_is_wrong_and_recorded_nowhere(string body, string field, int status)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        using var response = await SendAsync(edge, body, Origin);
        var error = (await JsonAsync(response)).GetProperty("errors")[0];
        Assert.Equal((status, field), ((int)response.StatusCode, error.GetProperty("field").GetString()));
        Assert.NotEmpty(error.GetProperty("reason").GetString()!);
        Assert.Equal(Origin, Header(response, "Access-Control-Allow-Origin"));
        Assert.False(response.Headers.Contains("Set-Cookie"));
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task Too_large_a_body_and_another_content_type_are_refused()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var large = await SendAsync(edge, $$"""{"url":"{{Origin}}/?ref=acme","nonce":"{{Nonce}}","referrer":"{{new string('x', 40_000)}}"}""", Origin);
        using var form = await SendAsync(edge, "url=x", Origin, "application/x-www-form-urlencoded");
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "body"), (large.StatusCode, (await JsonAsync(large)).GetProperty("errors")[0].GetProperty("field").GetString()));
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "Content-Type"), (form.StatusCode, (await JsonAsync(form)).GetProperty("errors")[0].GetProperty("field").GetString()));
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task Json_that_asks_before_it_is_sent_is_let_through_and_fields_of_newer_scripts_are_passed_over()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var preflight = await PreflightAsync(edge, Origin);
        Assert.Equal(
            (HttpStatusCode.NoContent, Origin, "true", "POST", "Content-Type"),
            (preflight.StatusCode, Header(preflight, "Access-Control-Allow-Origin"), Header(preflight, "Access-Control-Allow-Credentials"), Header(preflight, "Access-Control-Allow-Methods"), Header(preflight, "Access-Control-Allow-Headers")));
        using var response = await SendAsync(edge, $$"""{"url":"{{Origin}}/?ref=acme","nonce":"{{Nonce}}","viewport":[1,2],"referrer":"not an address"}""", Origin, "application/json; charset=utf-8");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Null(Assert.Single(await edge.ClicksAsync()).ReferrerHost);
    }

    [Theory]
    [InlineData("br", "br")]
    [InlineData("gzip, deflate", "gzip")]
    [InlineData("gzip;q=0.5, br;q=0", "gzip")]
    [InlineData("identity", null)]
    [InlineData(null, null)]
    public async Task The_script_goes_out_packed_in_under_2_KB_and_is_cached(string? accepted, string? encoding)
    {
        await using var edge = await EdgeHost.StartAsync();
        using var response = await edge.FollowAsync("/t.js", accepted is null ? [] : [("Accept-Encoding", accepted)]);
        var bytes = await response.Content.ReadAsByteArrayAsync();
        Assert.Equal((HttpStatusCode.OK, "text/javascript", encoding), (response.StatusCode, response.Content.Headers.ContentType!.MediaType, response.Content.Headers.ContentEncoding.SingleOrDefault()));
        Assert.InRange(bytes.Length, 500, encoding is null ? 8_000 : 2_000);
        Assert.Equal(("public, max-age=3600, stale-while-revalidate=86400", "Accept-Encoding", "*"), (Header(response, "Cache-Control"), Header(response, "Vary"), Header(response, "Access-Control-Allow-Origin")));
        Assert.StartsWith("((w, d) => {", await UnpackAsync(bytes, encoding), StringComparison.Ordinal);

        var etag = response.Headers.ETag!.ToString();
        using var known = await edge.FollowAsync("/t.js", [("If-None-Match", $"\"other\", {etag}"), .. accepted is null ? [] : new[] { ("Accept-Encoding", accepted) }]);
        Assert.Equal((HttpStatusCode.NotModified, etag, 0L), (known.StatusCode, known.Headers.ETag!.ToString(), (await known.Content.ReadAsByteArrayAsync()).LongLength));
        using var head = await edge.Client.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/t.js"));
        Assert.Equal(HttpStatusCode.OK, head.StatusCode);
    }

    [Fact]
    public async Task A_flood_of_landings_from_one_network_is_marked_then_refused()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["Edge:TrustedProxies:0"] = "127.0.0.1", ["Edge:Limits:MarkAbove"] = "1", ["Edge:Limits:RefuseAbove"] = "2",
        });
        var answers = new List<HttpResponseMessage>();
        for (var i = 0; i < 3; i++)
        {
            answers.Add(await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = $"{Nonce}{i}" }, headers: ("X-Forwarded-For", "203.0.113.7")));
        }

        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests], answers.Select(a => a.StatusCode));
        Assert.Equal([null, true], (await edge.ClicksAsync()).Select(c => c.Signals?.Burst));
        Assert.Equal(("address", Origin), ((await JsonAsync(answers[2])).GetProperty("errors")[0].GetProperty("field").GetString(), Header(answers[2], "Access-Control-Allow-Origin")));
        Assert.InRange(answers[2].Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 10);
        answers.ForEach(a => a.Dispose());
    }

    [Fact]
    public async Task What_cannot_be_kept_is_said_to_the_page()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: s_remembers);
        edge.Spool.Dispose();
        using var response = await LandAsync(edge, new { url = $"{Origin}/?ref=acme", nonce = Nonce });
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "body"), (response.StatusCode, (await JsonAsync(response)).GetProperty("errors")[0].GetProperty("field").GetString()));
    }

    private static Task<HttpResponseMessage> LandAsync(EdgeHost edge, object body, string? origin = Origin, params (string Name, string Value)[] headers) =>
        SendAsync(edge, JsonSerializer.Serialize(body), origin, headers: headers);

    private static async Task<HttpResponseMessage> SendAsync(
        EdgeHost edge, string body, string? origin, string type = "text/plain;charset=UTF-8", params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/t") { Content = new StringContent(body, Encoding.UTF8) };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        foreach (var (name, value) in origin is null ? headers : [("Origin", origin), .. headers])
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        }

        return await edge.Client.SendAsync(request);
    }

    private static async Task<HttpResponseMessage> PreflightAsync(EdgeHost edge, string? origin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, "/t");
        request.Headers.TryAddWithoutValidation("Access-Control-Request-Method", "POST");
        request.Headers.TryAddWithoutValidation("Access-Control-Request-Headers", "content-type");
        if (origin is not null)
        {
            request.Headers.TryAddWithoutValidation("Origin", origin);
        }

        return await edge.Client.SendAsync(request);
    }

    private static string Cookie(HttpResponseMessage response) => Assert.Single(response.Headers.GetValues("Set-Cookie")).Split(';')[0];

    private static string Header(HttpResponseMessage response, string name) => string.Join(", ", response.Headers.GetValues(name));

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage response) => JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;

    private static async Task<string> UnpackAsync(byte[] bytes, string? encoding)
    {
        await using Stream stream = encoding switch
        {
            "br" => new BrotliStream(new MemoryStream(bytes), CompressionMode.Decompress),
            "gzip" => new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress),
            _ => new MemoryStream(bytes),
        };
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync();
    }
}
