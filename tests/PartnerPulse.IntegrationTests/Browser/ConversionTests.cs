using System.Net;
using Microsoft.Playwright;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Browser;

/// <summary>
/// People come to a shop by partners' links and landings, in a real browser, and buy; the shop reports each order with what it
/// has: the click id in the form's marked field, the visitor's cookie, or both. The receipt names what carried the credit.
/// </summary>
[Collection(WholeSystems.Name)]
public sealed class ConversionTests(ConversionTests.Market market) : IClassFixture<ConversionTests.Market>
{
    private const string ByClick = "click-id";
    private const string ByCookie = "visitor-cookie";

    [BrowserSystemFact]
    public async Task Who_follows_a_link_and_buys_is_found_by_the_click_and_later_by_the_cookie()
    {
        await using var visitor = await market.NewVisitorAsync();
        var page = await market.FollowAsync(visitor, market.Acme);
        var atOnce = await BuyAsync(page);
        Assert.NotNull(atOnce.Click);
        Assert.NotNull(atOnce.Visitor);
        await market.AssertCarriedAsync(atOnce, (market.Acme, ByClick, 1m));

        // Days later, in another tab, by the shop's own address.
        var later = await BuyAsync(await market.OpenAsync(visitor, "/"));
        Assert.Null(later.Click);
        await market.AssertCarriedAsync(later, (market.Acme, ByCookie, 1m));
    }

    [BrowserSystemFact]
    public async Task Who_clears_cookies_and_clicks_again_is_somebody_else_and_found_by_the_second_click()
    {
        await using var visitor = await market.NewVisitorAsync();
        await market.FollowAsync(visitor, market.Acme);
        var before = Assert.Single(await visitor.CookiesAsync()).Value;
        await visitor.ClearCookiesAsync();
        var order = await BuyAsync(await market.FollowAsync(visitor, market.Acme));
        Assert.NotEqual(before, order.Visitor);
        await market.AssertCarriedAsync(order, (market.Acme, ByClick, 1m));
    }

    [BrowserSystemFact]
    public async Task Who_follows_a_second_partner_has_both_in_the_history()
    {
        await using var visitor = await market.NewVisitorAsync();
        await market.FollowAsync(visitor, market.Acme);
        var order = await BuyAsync(await market.FollowAsync(visitor, market.Bravo));
        await market.AssertCarriedAsync(order, (market.Acme, ByCookie, 0.5m), (market.Bravo, ByClick, 0.5m));
    }

    [BrowserSystemFact]
    public async Task Who_blocks_cookies_is_found_by_the_click_alone()
    {
        await using var visitor = await market.NewVisitorWithoutCookiesAsync();
        var order = await BuyAsync(await market.FollowAsync(visitor, market.Acme));
        Assert.Null(order.Visitor);
        await market.AssertCarriedAsync(order, (market.Acme, ByClick, 1m));
    }

    [BrowserSystemFact]
    public async Task Who_lands_by_a_partners_code_is_found_by_the_click_and_later_by_the_cookie()
    {
        await using var visitor = await market.NewVisitorAsync();
        var atOnce = await BuyAsync(await market.OpenAsync(visitor, $"/?ref={market.Acme.ToUpperInvariant()}&utm_campaign=spring2026"));
        Assert.NotNull(atOnce.Click);
        await market.AssertCarriedAsync(atOnce, (market.Acme, ByClick, 1m));

        var later = await BuyAsync(await market.OpenAsync(visitor, "/"));
        Assert.Null(later.Click);
        await market.AssertCarriedAsync(later, (market.Acme, ByCookie, 1m));
    }

    [BrowserSystemFact]
    public async Task Who_lands_by_a_code_and_blocks_cookies_is_found_by_the_click()
    {
        await using var visitor = await market.NewVisitorWithoutCookiesAsync();
        var order = await BuyAsync(await market.OpenAsync(visitor, $"/?ref={market.Bravo}"));
        Assert.Null(order.Visitor);
        await market.AssertCarriedAsync(order, (market.Bravo, ByClick, 1m));
    }

    [BrowserSystemFact]
    public async Task Who_blocks_the_script_is_found_by_the_cookie_of_the_link()
    {
        await using var visitor = await market.NewVisitorAsync();
        await visitor.RouteAsync("**/t.js", route => route.AbortAsync("blockedbyclient"));
        var order = await BuyAsync(await market.FollowAsync(visitor, market.Acme));
        Assert.Null(order.Click);
        await market.AssertCarriedAsync(order, (market.Acme, ByCookie, 1m));
    }

    private async Task<ShopOrder> BuyAsync(IPage page)
    {
        await page.ClickAsync("#buy");
        var id = await page.TextContentAsync("#order");
        return market.Orders.Single(order => order.Id == id);
    }

    /// <summary>A whole system with a cookie domain, a shop in it, and two partners.</summary>
    public sealed class Market : IAsyncLifetime
    {
        private readonly ChromiumBrowser _chromium = new();
        private readonly List<string> _profiles = [];
        private readonly Dictionary<string, string> _slugs = new(StringComparer.Ordinal);
        private PulseSystem? _system;
        private Shop? _shop;

        public string Acme { get; } = "acme-shoes";

        public string Bravo { get; } = "bravo-blog";

        public IEnumerable<ShopOrder> Orders => _shop!.Orders;

        public async Task InitializeAsync()
        {
            if (new BrowserSystemFactAttribute().Skip is not null)
            {
                return;
            }

            _system = await PulseSystem.StartAsync(
                Mode.Standalone, settings: new Dictionary<string, string?>(StringComparer.Ordinal) { ["Edge__Cookie__Domain"] = "pulse.localhost" });
            _shop = await Shop.StartAsync(ReportAsync);
            _shop.Edge = $"http://go.pulse.localhost:{_system.Port}/";
            foreach (var partner in new[] { Acme, Bravo })
            {
                _slugs[partner] = await _system.EnrolAsync(partner, _shop.Home + "/");
            }

            await _system.UseRulesAsync(new { name = "linear", model = new { kind = "linear" }, repeatMinutes = 0, bots = "include" });
            await _system.ConfigureAsync([_shop.Home, _shop.Second]);
        }

        public async Task DisposeAsync()
        {
            await _chromium.DisposeAsync();
            if (_shop is not null)
            {
                await _shop.DisposeAsync();
            }

            if (_system is not null)
            {
                await _system.DisposeAsync();
            }

            _profiles.ForEach(profile => Directory.Delete(profile, recursive: true));
        }

        public Task<IBrowserContext> NewVisitorAsync() => _chromium.NewVisitorAsync();

        public Task<IBrowserContext> NewVisitorWithoutCookiesAsync()
        {
            _profiles.Add(Directory.CreateTempSubdirectory("pulse-browser-").FullName);
            return _chromium.NewVisitorWithoutCookiesAsync(_profiles[^1]);
        }

        /// <summary>Reads about a partner's favourite and follows the link, in a new tab.</summary>
        public async Task<IPage> FollowAsync(IBrowserContext visitor, string partner)
        {
            var page = await visitor.NewPageAsync();
            await page.GotoAsync($"{_shop!.Home}/blog/{_slugs[partner]}");
            await page.ClickAsync("#link");
            await page.ArriveAsync(url => url.Contains("pp_click=", StringComparison.Ordinal));
            return page;
        }

        /// <summary>Opens a page of the shop in a new tab and waits until its script knows what it will know.</summary>
        public async Task<IPage> OpenAsync(IBrowserContext visitor, string path)
        {
            var page = await visitor.NewPageAsync();
            await page.GotoAsync(_shop!.Home + path);
            await page.EvaluateAsync("() => window.pulse.ready");
            return page;
        }

        public async Task AssertCarriedAsync(ShopOrder order, params (string Partner, string Evidence, decimal Share)[] touches)
        {
            await _system!.SettleAsync();
            var receipt = (await _system.GetAsync($"/v1/receipts?source=shop&orderId={order.Id}")).AssertStatus(HttpStatusCode.OK).Json;
            Assert.Equal(
                touches,
                receipt.GetProperty("touches").EnumerateArray().Select(t => (t.GetProperty("partner").GetString()!, t.GetProperty("evidence").GetString()!, t.GetProperty("share").GetDecimal())));
        }

        private async Task ReportAsync(ShopOrder order) =>
            (await _system!.PostAsync("/v1/conversions", new
            {
                source = "shop", orderId = order.Id, kind = "sale", amount = "59.90", currency = "EUR", clickId = order.Click, visitorId = order.Visitor,
            })).AssertStatus(HttpStatusCode.Created);
    }
}
