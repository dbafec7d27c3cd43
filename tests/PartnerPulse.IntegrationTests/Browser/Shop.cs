using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace PartnerPulse.IntegrationTests.Browser;

/// <param name="Id">Of the shop's own making.</param>
/// <param name="Click">What the form's marked field held.</param>
/// <param name="Visitor">The cookie <c>pp_vid</c> that came with the order.</param>
public sealed record ShopOrder(string Id, string? Click, string? Visitor);

/// <summary>
/// A merchant's small shop on two domains, and a partner's blog. Every page may run nothing but the landing script, and each
/// has an order form. Browsers take <c>*.localhost</c> for this machine, and <c>go</c> and <c>www</c> of <c>pulse.localhost</c> for one site.
/// </summary>
internal sealed class Shop : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Func<ShopOrder, Task> _report;

    private Shop(WebApplication app, Func<ShopOrder, Task> report)
    {
        _app = app;
        _report = report;
        app.MapGet("/blog/{slug}", (HttpContext http, string slug) => Page(http, $"""<a id="link" href="{Edge}r/{slug}">What I like</a>"""));
        app.MapGet("/{**path}", (HttpContext http) => Page(http, ShopPage(http)));
        app.MapPost("/order", (Delegate)OrderAsync);
    }

    public int Port => new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;

    /// <summary>Origins of the shop's own pages.</summary>
    public string Home => $"http://www.pulse.localhost:{Port}";

    /// <summary>The merchant's other domain.</summary>
    public string Second => $"http://pay.second.localhost:{Port}";

    /// <summary>Not the merchant's.</summary>
    public string Stranger => $"http://stranger.localhost:{Port}";

    /// <summary>Where the pages find the edge; set before the first page is asked for.</summary>
    public string Edge { get; set; } = "";

    public ConcurrentQueue<ShopOrder> Orders { get; } = [];

    /// <summary>Reports each order before the customer sees the answer.</summary>
    public static async Task<Shop> StartAsync(Func<ShopOrder, Task> report)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var shop = new Shop(builder.Build(), report);
        await shop._app.StartAsync();
        return shop;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    /// <summary>The path is what the page says of consent: <c>/denied</c>, <c>/granted</c>, <c>/pending</c>; nothing on any other.</summary>
    private string ShopPage(HttpContext http)
    {
        var consent = http.Request.Path.Value is "/denied" or "/granted" or "/pending" ? $" data-consent=\"{http.Request.Path.Value[1..]}\"" : "";
        return $"""
            <script async src="{Edge}t.js"{consent}></script>
            <h1>Shop</h1>
            <a id="inside" data-pulse href="/checkout?size=m%20l&amp;pp_click=old&amp;q=a+b#form">Inside</a>
            <a id="across" data-pulse href="{Second}/checkout?size=m%20l&amp;size=x#form">Across</a>
            <a id="stranger" data-pulse href="{Stranger}/checkout">Stranger</a>
            <a id="unmarked" href="{Second}/checkout">Unmarked</a>
            <a id="mail" data-pulse href="mailto:shop@pulse.localhost">Mail</a>
            <form method="post" action="/order"><input id="click" type="hidden" name="click" data-pulse><button id="buy">Buy</button></form>
            """;
    }

    private IResult Page(HttpContext http, string body)
    {
        var edge = Edge.TrimEnd('/');
        http.Response.Headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src {edge}; connect-src {edge}; form-action 'self'; img-src data:; base-uri 'none'; require-trusted-types-for 'script'";
        return Results.Content($"<!doctype html><html lang=\"en\"><head><title>Page</title><link rel=\"icon\" href=\"data:,\"></head><body>{body}</body></html>", "text/html", Encoding.UTF8);
    }

    private async Task<IResult> OrderAsync(HttpContext http)
    {
        var form = await http.Request.ReadFormAsync();
        var order = new ShopOrder(
            Guid.NewGuid().ToString("N", CultureInfo.InvariantCulture), form["click"].ToString() is { Length: > 0 } click ? click : null, http.Request.Cookies["pp_vid"]);
        await _report(order);
        Orders.Enqueue(order);
        return Page(http, $"<p id=\"order\">{order.Id}</p>");
    }
}
