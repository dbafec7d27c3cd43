using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.Edge;

public class CatalogueTailTests
{
    [Fact]
    public async Task A_link_published_elsewhere_is_followed_here_within_a_second_and_stays_after_a_restart()
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "first", "https://shop.example/1"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.Client.GetAsync(new Uri("/ready", UriKind.Relative)), HttpStatusCode.OK, TimeSpan.FromSeconds(20));

        log.Append(EdgeHost.Published("acme", "second", "https://shop.example/2"), EdgeHost.Retired("acme", "first"));
        await Until(() => edge.FollowAsync("/r/second"), HttpStatusCode.Found, TimeSpan.FromSeconds(1));
        using var retired = await edge.FollowAsync("/r/first");
        Assert.Equal(HttpStatusCode.NotFound, retired.StatusCode);
    }

    [Fact]
    public async Task More_than_a_page_is_read_to_its_end_and_unknown_events_are_passed_over()
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"));
        log.Append([.. Enumerable.Range(0, 12_000).Select(i => EdgeHost.Published("acme", $"link-{i}", "https://shop.example/"))]);
        log.AppendUnknown("coupon_assigned");
        log.Append(EdgeHost.Published("acme", "last", "https://shop.example/"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.FollowAsync("/r/last"), HttpStatusCode.Found, TimeSpan.FromSeconds(30));
        using var one = await edge.FollowAsync("/r/link-11999");
        Assert.Equal(HttpStatusCode.Found, one.StatusCode);
    }

    [Fact]
    public async Task A_partner_enrolled_a_moment_ago_can_be_imported_at_once()
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.Client.GetAsync(new Uri("/ready", UriKind.Relative)), HttpStatusCode.OK, TimeSpan.FromSeconds(20));

        log.Append(EdgeHost.Enrolled("newcomer"));
        var (status, _) = await edge.ImportAsync("""{"partner":"newcomer","occurredAt":"2026-01-02T03:04:05Z"}""");
        Assert.Equal(HttpStatusCode.Accepted, status);
    }

    [Fact]
    public async Task A_link_that_moves_takes_its_new_clicks_along_and_old_ones_keep_their_destination()
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/old", "Old"), EdgeHost.Published("acme", "mark", "https://shop.example/"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.FollowAsync("/r/acme"), HttpStatusCode.Found, TimeSpan.FromSeconds(20));

        // Events take effect in their order: when the mark is gone, the link has moved.
        log.Append(EdgeHost.Published("acme", "acme", "https://shop.example/new", "New"), EdgeHost.Retired("acme", "mark"));
        await Until(() => edge.FollowAsync("/r/mark"), HttpStatusCode.NotFound, TimeSpan.FromSeconds(20));
        using var moved = await edge.FollowAsync("/r/acme");

        var clicks = (await edge.ClicksAsync()).Where(c => c.Link == "acme").ToArray();
        Assert.Equal(
            [("https://shop.example/old", "Old"), ("https://shop.example/new", "New")],
            clicks.Select(c => (c.Destination, c.Campaign!.Name)));
        Assert.Equal("/new", moved.Headers.Location!.AbsolutePath);
    }

    [Fact]
    public async Task What_a_program_allows_holds_here_soon_after_it_is_said()
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.FollowAsync("/r/acme"), HttpStatusCode.Found, TimeSpan.FromSeconds(20));
        using var before = await edge.FollowAsync("/r/acme?to=https://help.example/");

        log.Append(new ProgramConfigured { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, DeepLinkHosts = ["help.example"] });

        Assert.Equal(HttpStatusCode.BadRequest, before.StatusCode);
        await Until(() => edge.FollowAsync("/r/acme?to=https://help.example/"), HttpStatusCode.Found, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Events_that_are_none_are_passed_over_told_and_keep_nobody_from_what_comes_after()
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"));
        log.AppendRaw("link_published", "null");
        log.AppendRaw("link_published", "[1,2]");
        log.AppendRaw("link_published", """{"slug":"half"}""");
        log.AppendRaw("link_published", """{"eventId":"0e3f6b0e-6ee1-4a1b-9a5e-0d2c8a6b3f11","programId":"main","occurredAt":"2026-01-01T00:00:00Z","partnerId":"acme","slug":null,"destination":"https://shop.example/"}""");
        log.AppendRaw("partner_enrolled", """{"eventId":"not-an-id"}""");
        log.Append(EdgeHost.Published("acme", "script", "javascript:alert(1)"), EdgeHost.Published("acme", "nowhere", "https://"), EdgeHost.Published("acme", "split", "https://shop.example/\r\nX: y"));
        log.AppendUnknown("something_new");
        log.Append(EdgeHost.Published("acme", "good", "https://shop.example/"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.FollowAsync("/r/good"), HttpStatusCode.Found, TimeSpan.FromSeconds(20));

        foreach (var slug in new[] { "half", "script", "nowhere" })
        {
            using var response = await edge.FollowAsync($"/r/{slug}");
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }

        Assert.Equal(5, (await edge.FiguresAsync()).GetProperty("catalogueEventsUnusable").GetInt64());
        using var ready = await edge.Client.GetAsync(new Uri("/ready", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, ready.StatusCode);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"position":9,"events":null,"last":9}""")]
    [InlineData("""{"position":9,"events":[null],"last":9}""")]
    [InlineData("""{"position":9,"events":[{"position":9,"type":null,"data":{}}],"last":9}""")]
    [InlineData("""{"position":"nine","events":[],"last":9}""")]
    public async Task A_page_that_is_none_is_told_while_links_lead_on_and_the_next_good_one_is_taken(string page)
    {
        await using var log = await CatalogueLog.StartAsync();
        log.Append(EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "first", "https://shop.example/"));
        await using var edge = await EdgeHost.StartAsync(settings: log.Settings);
        await Until(() => edge.FollowAsync("/r/first"), HttpStatusCode.Found, TimeSpan.FromSeconds(20));

        log.Answer = page;
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (!(await edge.Client.GetStringAsync(new Uri("/ready", UriKind.Relative), patience.Token)).Contains("catalogue", StringComparison.Ordinal))
        {
            await Task.Delay(20, patience.Token);
        }

        using (var response = await edge.FollowAsync("/r/first"))
        {
            Assert.Equal(HttpStatusCode.Found, response.StatusCode);
        }

        log.Append(EdgeHost.Published("acme", "second", "https://shop.example/"));
        log.Answer = null;
        await Until(() => edge.FollowAsync("/r/second"), HttpStatusCode.Found, TimeSpan.FromSeconds(20));
    }

    private static async Task Until(Func<Task<HttpResponseMessage>> ask, HttpStatusCode expected, TimeSpan patience)
    {
        using var end = new CancellationTokenSource(patience);
        while (true)
        {
            using var response = await ask();
            if (response.StatusCode == expected)
            {
                return;
            }

            await Task.Delay(20, end.Token);
        }
    }

    /// <summary>The log of Partners as an edge sees it, with the real wire shape.</summary>
    private sealed class CatalogueLog : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private readonly List<(string Type, JsonElement Data)> _events = [];

        /// <summary>What is answered instead of a page.</summary>
        public string? Answer { get; set; }

        private CatalogueLog(WebApplication app)
        {
            _app = app;
            app.MapGet("/v1/catalogue", (HttpRequest request, long after, int limit) =>
            {
                Assert.Equal("Bearer the-key", request.Headers.Authorization.ToString());
                if (Answer is { } other)
                {
                    return Results.Text(other, "application/json");
                }

                lock (_events)
                {
                    var page = _events.Select((e, i) => new { position = (long)i + 1, type = e.Type, data = e.Data }).Skip((int)after).Take(limit).ToArray();
                    return Results.Json(new { position = page.Length > 0 ? page[^1].position : after, events = page, last = (long)_events.Count });
                }
            });
        }

        public IReadOnlyDictionary<string, string?> Settings => new Dictionary<string, string?>
        {
            ["Edge:Partners:Url"] = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single(),
            ["Edge:Partners:Key"] = "the-key",
        };

        public static async Task<CatalogueLog> StartAsync()
        {
            var builder = WebApplication.CreateBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            var log = new CatalogueLog(builder.Build());
            await log._app.StartAsync();
            return log;
        }

        public void Append(params IReadOnlyList<IEvent> events)
        {
            lock (_events)
            {
                _events.AddRange(events.Select(e => (EventTypes.Of(e).Name, JsonDocument.Parse(EventTypes.Serialize(e)).RootElement)));
            }
        }

        public void AppendUnknown(string type) => AppendRaw(type, "{}");

        public void AppendRaw(string type, string data)
        {
            lock (_events)
            {
                _events.Add((type, JsonDocument.Parse(data).RootElement));
            }
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();
    }
}
