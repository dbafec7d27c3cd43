using System.Net;
using System.Net.Sockets;
using System.Text;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.Edge;

public class FollowLinkTests
{
    private static readonly ProgramConfigured s_program = new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch,
        LinkHosts = ["go.example"], DeepLinkHosts = ["help.example"], Fallback = "https://shop.example/program",
    };

    private static readonly IEvent[] s_catalogue =
    [
        EdgeHost.Enrolled("acme"),
        EdgeHost.Published("acme", "acme", "https://shop.example/p?a=1#top", campaign: "Default"),
        EdgeHost.Published("acme", "gone", "https://shop.example/"),
        EdgeHost.Retired("acme", "gone"),
    ];

    [Fact]
    public async Task A_click_is_kept_before_the_visitor_is_sent_on()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var response = await edge.FollowAsync(
            "/r/ACME?utm_source=News%20Letter&a=2&sub1=x",
            ("Referer", "https://blog.example/post?q=1"), ("User-Agent", "Mozilla/5.0 (Test)"), ("DNT", "1"), ("Sec-Purpose", "prefetch;prerender"));

        var click = Assert.Single(await edge.ClicksAsync());
        Assert.Equal(HttpStatusCode.Found, response.StatusCode);
        Assert.Equal("no-store", response.Headers.CacheControl!.ToString());
        Assert.Equal($"https://shop.example/p?a=1&utm_source=News%20Letter&sub1=x&pp_click={click.EventId}#top", response.Headers.Location!.OriginalString);
        Assert.False(response.Headers.Contains("Set-Cookie"));
        Assert.Equal(7, click.EventId.Version);
        Assert.Equal(("main", "acme", "acme", "https://shop.example/p?a=1#top"), (click.ProgramId, click.PartnerId, click.Link, click.Destination));
        Assert.Equal(new Campaign { Source = "News Letter", Name = "Default" }, click.Campaign);
        Assert.Equal(("utm_source=News%20Letter&a=2&sub1=x", "blog.example", "Mozilla/5.0 (Test)"), (click.Query, click.ReferrerHost, click.UserAgent));
        Assert.Equal(new ClickSignals { Purpose = "prefetch;prerender", Dnt = true }, click.Signals);
        Assert.Equal(("x", 22, ClickVia.Redirect, false), (click.SubIds!["sub1"], click.AddressHash!.Length, click.Via, click.Test));
        Assert.Null(click.VisitorId);
    }

    [Fact]
    public async Task Head_is_answered_alike_and_marked()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:Cookie:Mode"] = "host" });
        using var request = new HttpRequestMessage(HttpMethod.Head, "/r/acme");
        using var response = await edge.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Found, response.StatusCode);
        Assert.StartsWith("https://shop.example/p?a=1&pp_click=", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Set-Cookie"));
        Assert.Equal("HEAD", Assert.Single(await edge.ClicksAsync()).Signals!.Method);
    }

    [Theory]
    [InlineData("/r/unknown")]
    [InlineData("/r/gone")]
    [InlineData("/r/%00")]
    [InlineData("/r/https%3A%2F%2Fevil.example")]
    public async Task What_is_no_link_is_a_plain_404_or_the_fallback_page(string path)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var response = await edge.FollowAsync(path);
        Assert.Contains(response.StatusCode, new[] { HttpStatusCode.NotFound, HttpStatusCode.BadRequest });
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task The_fallback_page_takes_visitors_of_unknown_links()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:FallbackUrl"] = "https://shop.example/welcome" });
        using var response = await edge.FollowAsync("/r/gone");
        Assert.Equal((HttpStatusCode.Found, "https://shop.example/welcome"), (response.StatusCode, response.Headers.Location!.OriginalString));
    }

    [Fact]
    public async Task The_query_never_says_where_to_go()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var response = await edge.FollowAsync("/r/acme?url=//evil.example&redirect=https://evil.example&To=//evil.example");
        Assert.Equal("shop.example", response.Headers.Location!.Host);
    }

    [Theory]
    [InlineData("/r/acme?to=https://evil.example", "must lead to the link's own host, or to one that the program allows")]
    [InlineData("/r/acme?a=1&t%6F=%2F%2Fevil.example", "must begin with one '/' or be an http or https address")]
    [InlineData("/r/acme?to=/ok%0d%0aSet-Cookie:a", "must not hold control characters or backslashes")]
    public async Task A_deep_link_that_leads_away_is_refused_with_its_reason_and_is_no_click(string path, string reason)
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var response = await edge.FollowAsync(path);
        Assert.Equal(
            (HttpStatusCode.BadRequest, $"The parameter 'to' {reason}.\n", "text/plain"),
            (response.StatusCode, await response.Content.ReadAsStringAsync(), response.Content.Headers.ContentType!.MediaType));
        Assert.Null(response.Headers.Location);
        Assert.Empty(await edge.ClicksAsync());
    }

    [Fact]
    public async Task A_deep_link_is_the_clicks_destination_and_the_wish_goes_no_further()
    {
        await using var edge = await EdgeHost.StartAsync([.. s_catalogue, s_program]);
        using var own = await edge.FollowAsync("/r/acme?utm_source=n&to=%2Fshoes%3Fsize%3D9%23top&b=2");
        using var other = await edge.FollowAsync("/r/acme?to=https://help.example/faq&to=//evil.example&b=2");
        using var none = await edge.FollowAsync("/r/acme?to=&b=2");

        var clicks = await edge.ClicksAsync();
        Assert.Equal(
            ["https://shop.example/shoes?size=9#top", "https://help.example/faq", "https://shop.example/p?a=1#top"], clicks.Select(c => c.Destination));
        Assert.Equal($"https://shop.example/shoes?size=9&utm_source=n&b=2&pp_click={clicks[0].EventId}#top", own.Headers.Location!.OriginalString);
        Assert.Equal($"https://help.example/faq?b=2&pp_click={clicks[1].EventId}", other.Headers.Location!.OriginalString);
        Assert.Equal($"https://shop.example/p?a=1&b=2&pp_click={clicks[2].EventId}#top", none.Headers.Location!.OriginalString);
        Assert.Equal("utm_source=n&to=%2Fshoes%3Fsize%3D9%23top&b=2", clicks[0].Query);
    }

    [Theory]
    [InlineData("over", "https://shop.example/over-own", "https://shop.example/over-own")]
    [InlineData("over-plain", "https://shop.example/program", "https://shop.example/edge")]
    [InlineData("gone", "https://shop.example/program", "https://shop.example/edge")]
    [InlineData("unknown", "https://shop.example/edge", "https://shop.example/edge")]
    public async Task An_ended_link_leads_to_its_own_fallback_then_the_programs_then_the_edges_then_nowhere(string slug, string configured, string unconfigured)
    {
        IEvent[] catalogue =
        [
            .. s_catalogue,
            EdgeHost.Published("acme", "over", "https://shop.example/") with { ExpiresAt = DateTimeOffset.UnixEpoch, Fallback = "https://shop.example/over-own" },
            EdgeHost.Published("acme", "over-plain", "https://shop.example/") with { ExpiresAt = DateTimeOffset.UnixEpoch },
        ];
        var settings = new Dictionary<string, string?> { ["Edge:FallbackUrl"] = "https://shop.example/edge" };
        await using var both = await EdgeHost.StartAsync([.. catalogue, s_program], settings: settings);
        await using var edges = await EdgeHost.StartAsync(catalogue, settings: settings);
        await using var neither = await EdgeHost.StartAsync(catalogue);

        using var first = await both.FollowAsync($"/r/{slug}?to=//evil.example");
        using var second = await edges.FollowAsync($"/r/{slug}");
        using var third = await neither.FollowAsync($"/r/{slug}");
        Assert.Equal((HttpStatusCode.Found, configured), (first.StatusCode, first.Headers.Location!.OriginalString));
        Assert.Equal((HttpStatusCode.Found, unconfigured), (second.StatusCode, second.Headers.Location!.OriginalString));
        Assert.Equal(slug == "over" ? HttpStatusCode.Found : HttpStatusCode.NotFound, third.StatusCode);
        Assert.Empty(await both.ClicksAsync());
    }

    [Fact]
    public async Task On_a_programs_own_host_only_its_slugs_lead_on()
    {
        await using var edge = await EdgeHost.StartAsync(
        [
            .. s_catalogue, s_program,
            EdgeHost.Enrolled("rival") with { ProgramId = "other" },
            EdgeHost.Published("rival", "rival", "https://rival.example/") with { ProgramId = "other" },
        ]);
        async Task<string> To(string slug, string host)
        {
            using var response = await edge.FollowAsync($"/r/{slug}", ("Host", host));
            return response.Headers.Location!.GetLeftPart(UriPartial.Path);
        }

        Assert.Equal("https://shop.example/p", await To("acme", "GO.example:8081"));
        Assert.Equal("https://shop.example/program", await To("rival", "go.example"));
        Assert.Equal("https://rival.example/", await To("rival", "anything.example"));
        Assert.Equal("https://shop.example/p", await To("acme", "anything.example"));
    }

    [Fact]
    public async Task A_links_own_campaign_fills_what_the_query_does_not_say_and_stays_off_the_destination()
    {
        await using var edge = await EdgeHost.StartAsync(
        [
            .. s_catalogue,
            EdgeHost.Published("acme", "blog", "https://shop.example/", campaign: "Spring") with { Utm = new Campaign { Source = "acme", Medium = "blog", Content = "top" } },
        ]);
        using var response = await edge.FollowAsync("/r/blog?utm_medium=mail&utm_term=shoes");
        using var bare = await edge.FollowAsync("/r/blog");

        var clicks = await edge.ClicksAsync();
        Assert.Equal(new Campaign { Source = "acme", Medium = "mail", Name = "Spring", Term = "shoes", Content = "top" }, clicks[0].Campaign);
        Assert.Equal(new Campaign { Source = "acme", Medium = "blog", Name = "Spring", Content = "top" }, clicks[1].Campaign);
        Assert.Equal($"https://shop.example/?utm_medium=mail&utm_term=shoes&pp_click={clicks[0].EventId}", response.Headers.Location!.OriginalString);
        Assert.Equal($"https://shop.example/?pp_click={clicks[1].EventId}", bare.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task A_visitor_keeps_the_id_and_a_forged_one_is_replaced()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:Cookie:Domain"] = "shop.example" });
        using var first = await edge.FollowAsync("/r/acme");
        var cookie = Assert.Single(first.Headers.GetValues("Set-Cookie")).Split(';')[0];
        using var second = await edge.FollowAsync("/r/acme", ("Cookie", $"x=y; {cookie}"));
        using var forged = await edge.FollowAsync("/r/acme", ("Cookie", cookie[..^1] + (cookie[^1] == 'A' ? 'Q' : 'A')));

        var visitors = (await edge.ClicksAsync()).Select(c => c.VisitorId!).ToArray();
        Assert.Equal(VisitorId.FromIdOrCookie(cookie["pp_vid=".Length..]), visitors[0]);
        Assert.Equal(visitors[0], visitors[1]);
        Assert.NotEqual(visitors[0], visitors[2]);
    }

    [Fact]
    public async Task Who_asks_for_privacy_gets_no_id_and_is_none()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?> { ["Edge:Cookie:Mode"] = "host" });
        using var first = await edge.FollowAsync("/r/acme");
        var cookie = Assert.Single(first.Headers.GetValues("Set-Cookie")).Split(';')[0];
        using var response = await edge.FollowAsync("/r/acme", ("Cookie", cookie), ("Sec-GPC", "1"));

        var click = (await edge.ClicksAsync())[1];
        Assert.False(response.Headers.Contains("Set-Cookie"));
        Assert.Contains($"pp_click={click.EventId}", response.Headers.Location!.OriginalString, StringComparison.Ordinal);
        Assert.Null(click.VisitorId);
        Assert.True(click.Signals!.Gpc);
    }

    [Fact]
    public async Task Headers_that_are_no_text_do_not_stop_the_visitor()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var socket = new TcpClient(edge.Address.Host, edge.Address.Port);
        await using var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes("GET /r/acme?x=%00 HTTP/1.1\r\nHost: edge\r\nUser-Agent: caf\u00e9\r\nReferer: http://blog.example/\u00e9\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(stream);
        Assert.Equal("HTTP/1.1 302 Found", await reader.ReadLineAsync());
        Assert.Equal("blog.example", Assert.Single(await edge.ClicksAsync()).ReferrerHost);
    }

    [Fact]
    public async Task A_referrer_whose_host_is_no_name_does_not_stop_the_visitor()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        using var socket = new TcpClient(edge.Address.Host, edge.Address.Port);
        await using var stream = socket.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes("GET /r/acme HTTP/1.1\r\nHost: edge\r\nReferer: https://xn--\u00DF/a\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(stream);
        Assert.Equal("HTTP/1.1 302 Found", await reader.ReadLineAsync());
        Assert.Null(Assert.Single(await edge.ClicksAsync()).ReferrerHost);
    }

    [Fact]
    public async Task The_edge_restarts_with_everything_else_down()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var settings = new Dictionary<string, string?> { ["Edge:Partners:Url"] = "http://127.0.0.1:1", ["Edge:Partners:Key"] = "x", ["Edge:Data"] = Path.Combine(edge.Folder, "copy") };
        Directory.CreateDirectory(settings["Edge:Data"]!);
        File.Copy(Path.Combine(edge.Folder, "catalogue.db"), Path.Combine(settings["Edge:Data"]!, "catalogue.db"));
        await using var alone = await EdgeHost.StartAsync(folder: settings["Edge:Data"], settings: settings);
        using var ready = await alone.Client.GetAsync(new Uri("/ready", UriKind.Relative));
        using var response = await alone.FollowAsync("/r/acme");
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Found), (ready.StatusCode, response.StatusCode));
    }

    [Fact]
    public async Task Without_any_catalogue_the_edge_is_not_ready_and_says_why()
    {
        await using var edge = await EdgeHost.StartAsync(settings: new Dictionary<string, string?> { ["Edge:Partners:Url"] = "http://127.0.0.1:1", ["Edge:Partners:Key"] = "x" });
        using var ready = await edge.Client.GetAsync(new Uri("/ready", UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains("catalogue", await ready.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Many_visitors_at_once_are_each_kept_once()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue);
        var locations = await Task.WhenAll(Enumerable.Range(0, 16).Select(async client =>
        {
            var mine = new List<string>();
            for (var i = 0; i < 100; i++)
            {
                using var response = await edge.FollowAsync($"/r/acme?n={client}-{i}");
                mine.Add(response.Headers.Location!.OriginalString);
            }

            return mine;
        }));
        var clicks = await edge.ClicksAsync();
        Assert.Equal(
            locations.SelectMany(l => l).Order(),
            clicks.Select(c => $"https://shop.example/p?a=1&{c.Query}&pp_click={c.EventId}#top").Order());
    }
}
