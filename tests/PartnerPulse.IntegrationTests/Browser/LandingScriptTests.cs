using System.Collections.Concurrent;
using Microsoft.Playwright;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Edge;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Browser;

/// <summary>The landing script in a real browser, on a shop's own pages, against an edge.</summary>
public sealed class LandingScriptTests(ChromiumBrowser chromium) : IClassFixture<ChromiumBrowser>
{
    [BrowserFact]
    public async Task A_landing_is_sent_once_and_fills_what_is_marked_under_a_strict_policy()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/?ref=acme&utm_campaign=spring#top");
        var click = Assert.Single(await at.Edge.ClicksAsync());

        Assert.Equal($"{click.EventId}", await ClickAsync(page));
        Assert.Equal($"{click.EventId}", await page.InputValueAsync("#click"));
        Assert.Equal($"{at.Shop.Home}/checkout?size=m%20l&q=a+b&pp_click={click.EventId}#form", await HrefAsync(page, "inside"));
        Assert.Equal($"{at.Shop.Second}/checkout?size=m%20l&size=x&pp_click={click.EventId}#form", await HrefAsync(page, "across"));
        Assert.Equal($"{at.Shop.Stranger}/checkout", await HrefAsync(page, "stranger"));
        Assert.Equal($"{at.Shop.Second}/checkout", await HrefAsync(page, "unmarked"));
        Assert.Equal("mailto:shop@pulse.localhost", await HrefAsync(page, "mail"));
        Assert.Equal(($"{at.Shop.Home}/?ref=acme&utm_campaign=spring", "spring", ClickVia.Landing), (click.Destination, click.Campaign!.Name, click.Via));
        Assert.Single(at.Sent);
        Assert.Empty(at.Complaints);

        // Nothing that a script set outlives the tab.
        Assert.Equal("", await page.EvaluateAsync<string>("document.cookie"));
        Assert.Equal(0, await page.EvaluateAsync<int>("localStorage.length"));
        var cookie = Assert.Single(await page.Context.CookiesAsync());
        Assert.Equal(("pp_vid", true, true, SameSiteAttribute.Lax, ".pulse.localhost"), (cookie.Name, cookie.HttpOnly, cookie.Secure, cookie.SameSite, cookie.Domain));
        Assert.Equal(click.VisitorId, VisitorId.FromIdOrCookie(cookie.Value));
    }

    [BrowserFact]
    public async Task A_reload_and_a_way_back_are_the_same_landing_and_a_new_visit_is_a_new_one()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/?ref=acme");
        var first = await ClickAsync(page);
        await page.ReloadAsync();
        Assert.Equal(first, await ClickAsync(page));
        await page.GotoAsync(at.Shop.Home + "/about");
        Assert.Equal(first, await ClickAsync(page));
        await page.GoBackAsync();
        Assert.Equal(first, await ClickAsync(page));
        Assert.Single(at.Sent);

        // The same address asked for on its own page is a reload to a browser; from elsewhere it is a visit.
        await page.GotoAsync(at.Shop.Stranger + "/about");
        await page.GotoAsync(at.Shop.Home + "/?ref=acme");
        Assert.NotEqual(first, await ClickAsync(page));
        Assert.Equal(2, (await at.Edge.ClicksAsync()).Count);
    }

    [BrowserFact]
    public async Task Where_nothing_can_be_stored_a_reload_is_the_same_click_all_the_same()
    {
        await using var at = await Landings.StartAsync(chromium, withoutCookies: true);
        var page = await at.OpenAsync("/?ref=acme");
        var first = await ClickAsync(page);
        await page.ReloadAsync();
        Assert.Equal(first, await ClickAsync(page));
        Assert.Equal(first, await page.InputValueAsync("#click"));
        Assert.Single((await at.Edge.ClicksAsync()).Select(c => c.EventId).Distinct());
        Assert.Empty(await page.Context.CookiesAsync());
        Assert.Empty(at.Complaints);
    }

    [BrowserFact]
    public async Task A_click_by_a_link_is_kept_for_the_page_and_makes_no_second_one()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/blog/acme");
        await page.ClickAsync("#link");
        await page.ArriveAsync(url => url.Contains("pp_click=", StringComparison.Ordinal));

        var click = Assert.Single(await at.Edge.ClicksAsync());
        Assert.Equal($"{click.EventId}", await ClickAsync(page));
        Assert.Equal($"{click.EventId}", await page.InputValueAsync("#click"));
        Assert.Equal("www.pulse.localhost", click.ReferrerHost);
        Assert.All(at.Sent, body => Assert.Contains("\"click\"", body, StringComparison.Ordinal));
    }

    [BrowserFact]
    public async Task A_click_goes_over_to_the_merchants_other_domain_and_to_no_strangers()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/?ref=acme");
        var click = await ClickAsync(page);
        await page.ClickAsync("#across");
        await page.ArriveAsync(url => url.StartsWith(at.Shop.Second, StringComparison.Ordinal));
        Assert.Equal(click, await ClickAsync(page));
        Assert.Equal(click, await page.InputValueAsync("#click"));
        Assert.Single(await at.Edge.ClicksAsync());

        // Two strange links are one question for the origins, whose answer names neither.
        await page.GotoAsync(at.Shop.Home + $"/about?pp_click={Guid.NewGuid()}");
        await page.ClickAsync("#stranger");
        await page.ArriveAsync(url => url.StartsWith(at.Shop.Stranger, StringComparison.Ordinal));
        Assert.DoesNotContain("pp_click", page.Url, StringComparison.Ordinal);
    }

    [BrowserFact]
    public async Task A_stranger_that_takes_the_script_gets_no_click_and_records_none()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.Visitor.NewPageAsync();
        await page.GotoAsync(at.Shop.Stranger + "/?ref=acme");
        Assert.Null(await ClickAsync(page));
        Assert.Equal("", await page.InputValueAsync("#click"));
        Assert.Empty(await at.Edge.ClicksAsync());
        Assert.Empty(await page.Context.CookiesAsync());
    }

    [BrowserTheory]
    [InlineData("**/t.js")]
    [InlineData("**/t")]
    public async Task Where_the_script_or_its_word_is_blocked_the_page_works(string blocked)
    {
        await using var at = await Landings.StartAsync(chromium);
        await at.Visitor.RouteAsync(blocked, route => route.AbortAsync("blockedbyclient"));
        var page = await at.OpenAsync("/?ref=acme");
        await page.ClickAsync("#buy");
        var id = await page.TextContentAsync("#order");
        Assert.Equal(new ShopOrder(id!, Click: null, Visitor: null), Assert.Single(at.Shop.Orders));
        Assert.Empty(await at.Edge.ClicksAsync());
    }

    [BrowserFact]
    public async Task What_comes_into_the_page_later_is_filled_when_it_is_used()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/?ref=acme");
        var click = await ClickAsync(page);
        await page.EvaluateAsync("""
            () => {
              const field = document.createElement('input');
              field.name = 'click';
              field.setAttribute('data-pulse', '');
              document.querySelector('form').replaceChildren(field, document.querySelector('#buy'));
            }
            """);
        await page.ClickAsync("#buy");
        await page.WaitForSelectorAsync("#order");
        Assert.Equal(click, Assert.Single(at.Shop.Orders).Click);
    }

    [BrowserFact]
    public async Task Where_consent_is_refused_the_page_has_its_click_and_nobody_is_remembered()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/denied?ref=acme");
        var click = Assert.Single(await at.Edge.ClicksAsync());
        Assert.Equal($"{click.EventId}", await ClickAsync(page));
        Assert.Equal($"{click.EventId}", await page.InputValueAsync("#click"));
        Assert.Equal((false, null), (click.Signals!.Consent, click.VisitorId));
        Assert.Equal("refused", Assert.Single(await page.Context.CookiesAsync()).Value);
        Assert.Equal(0, await page.EvaluateAsync<int>("sessionStorage.length"));
    }

    [BrowserFact]
    public async Task A_page_may_wait_for_consent_and_take_it_back()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/pending?ref=acme");
        await page.WaitForFunctionAsync("window.pulse");
        Assert.Empty(at.Sent);

        await page.EvaluateAsync("pulse.consent(true)");
        var first = await ClickAsync(page);
        var click = Assert.Single(await at.Edge.ClicksAsync());
        Assert.Equal((first, true), ($"{click.EventId}", click.Signals!.Consent));
        Assert.Equal(click.VisitorId, VisitorId.FromIdOrCookie(Assert.Single(await page.Context.CookiesAsync()).Value));

        await page.RunAndWaitForResponseAsync(() => page.EvaluateAsync("pulse.consent(false)"), "**/t");
        Assert.Equal("refused", Assert.Single(await page.Context.CookiesAsync()).Value);
        Assert.Equal(0, await page.EvaluateAsync<int>("sessionStorage.length"));
        Assert.Single((await at.Edge.ClicksAsync()).Select(c => c.EventId).Distinct());
    }

    [BrowserFact]
    public async Task Who_leaves_before_deciding_has_landed_and_is_nobody()
    {
        await using var at = await Landings.StartAsync(chromium);
        var page = await at.OpenAsync("/pending?ref=acme");
        await page.WaitForFunctionAsync("window.pulse");
        await page.GotoAsync(at.Shop.Stranger + "/about");
        await at.UntilAsync(async () => (await at.Edge.ClicksAsync()).Count == 1);
        var click = Assert.Single(await at.Edge.ClicksAsync());
        Assert.Equal((false, null), (click.Signals!.Consent, click.VisitorId));
        Assert.Empty(await page.Context.CookiesAsync());
    }

    [BrowserFact]
    public async Task Who_asks_for_privacy_has_a_click_on_the_page_and_is_nobody()
    {
        await using var at = await Landings.StartAsync(chromium);
        await at.Visitor.AddInitScriptAsync("Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', { get: () => true })");
        var page = await at.OpenAsync("/granted?ref=acme");
        var click = Assert.Single(await at.Edge.ClicksAsync());
        Assert.Equal($"{click.EventId}", await ClickAsync(page));
        Assert.Equal((true, null), (click.Signals!.Gpc, click.VisitorId));
        Assert.Empty(await page.Context.CookiesAsync());
        Assert.Equal(0, await page.EvaluateAsync<int>("sessionStorage.length"));
    }

    [BrowserFact]
    public async Task Without_a_cookie_domain_the_tab_knows_its_click_on_the_pages_that_follow()
    {
        await using var at = await Landings.StartAsync(chromium, cookieDomain: null);
        var page = await at.OpenAsync("/?ref=acme");
        var click = await ClickAsync(page);
        await page.GotoAsync(at.Shop.Home + "/checkout");
        Assert.Equal(click, await ClickAsync(page));
        Assert.Equal(click, await page.InputValueAsync("#click"));
        Assert.Empty(await page.Context.CookiesAsync());
        Assert.Null(Assert.Single(await at.Edge.ClicksAsync()).VisitorId);
    }

    private static Task<string?> ClickAsync(IPage page) => page.EvaluateAsync<string?>("() => window.pulse?.ready ?? new Promise(r => addEventListener('load', () => r(window.pulse.ready)))");

    private static Task<string> HrefAsync(IPage page, string id) => page.EvaluateAsync<string>($"document.getElementById('{id}').href");

    /// <summary>An edge, a shop on two domains of its program, and a visitor.</summary>
    private sealed class Landings : IAsyncDisposable
    {
        private readonly string? _profile;

        private Landings(EdgeHost edge, Shop shop, IBrowserContext visitor, string? profile)
        {
            (Edge, Shop, Visitor, _profile) = (edge, shop, visitor, profile);
            visitor.Request += (_, request) =>
            {
                if (request.Method == "POST" && request.Url == shop.Edge + "t")
                {
                    Sent.Enqueue(request.PostData ?? "");
                }
            };
            visitor.Console += (_, message) =>
            {
                if (message.Type is "error" or "warning")
                {
                    Complaints.Enqueue(message.Text);
                }
            };
            visitor.WebError += (_, error) => Complaints.Enqueue(error.Error);
        }

        public EdgeHost Edge { get; }

        public Shop Shop { get; }

        public IBrowserContext Visitor { get; }

        /// <summary>Bodies of what the script sent.</summary>
        public ConcurrentQueue<string> Sent { get; } = [];

        /// <summary>What the browser complained of: broken policies, failed requests, exceptions.</summary>
        public ConcurrentQueue<string> Complaints { get; } = [];

        public static async Task<Landings> StartAsync(ChromiumBrowser chromium, string? cookieDomain = "pulse.localhost", bool withoutCookies = false)
        {
            var shop = await Shop.StartAsync(_ => Task.CompletedTask);
            var edge = await EdgeHost.StartAsync(
                [
                    EdgeHost.Enrolled("acme"),
                    EdgeHost.Published("acme", "acme", shop.Home + "/"),
                    new ProgramConfigured { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, Origins = [shop.Home, shop.Second] },
                ],
                settings: new Dictionary<string, string?>(StringComparer.Ordinal) { ["Edge:Cookie:Domain"] = cookieDomain });
            shop.Edge = $"http://go.pulse.localhost:{edge.Address.Port}/";
            var profile = withoutCookies ? Directory.CreateTempSubdirectory("pulse-browser-").FullName : null;
            var visitor = profile is null ? await chromium.NewVisitorAsync() : await chromium.NewVisitorWithoutCookiesAsync(profile);
            return new Landings(edge, shop, visitor, profile);
        }

        /// <summary>Opens a page of the shop and waits until its script has run, where it runs at all.</summary>
        public async Task<IPage> OpenAsync(string path)
        {
            var page = await Visitor.NewPageAsync();
            await page.GotoAsync(Shop.Home + path);
            if (await page.EvaluateAsync<bool>("!!window.pulse") && !path.StartsWith("/pending", StringComparison.Ordinal))
            {
                await ClickAsync(page);
            }

            return page;
        }

        public async Task UntilAsync(Func<Task<bool>> isSo)
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
            while (!await isSo())
            {
                await Task.Delay(20, patience.Token);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await Visitor.DisposeAsync();
            await Shop.DisposeAsync();
            await Edge.DisposeAsync();
            if (_profile is not null)
            {
                Directory.Delete(_profile, recursive: true);
            }
        }
    }
}
