using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace PartnerPulse.Pulse.Demo;

/// <summary>
/// The shop that the demo's links lead to, in this process: it remembers with which click a visitor landed, as a real shop
/// does, and names it when the visitor buys.
/// </summary>
internal sealed class DemoShop : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly int _port;
    private readonly ConcurrentDictionary<string, string> _clicks = new(StringComparer.Ordinal);

    private DemoShop(WebApplication app, int port)
    {
        _app = app;
        _port = port;
    }

    public static async Task<DemoShop> OpenAsync(CancellationToken cancellation)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        DemoShop? shop = null;
        app.MapFallback("{**page}", context =>
        {
            if (context.Request.Query["pp_click"].ToString() is { Length: > 0 } click)
            {
                shop!._clicks[context.Request.Headers["X-Demo-Visitor"].ToString()] = click;
            }

            return context.Response.WriteAsync("Welcome.", context.RequestAborted);
        });
        await app.StartAsync(cancellation);
        shop = new DemoShop(app, new Uri(app.Urls.First()).Port);
        return shop;
    }

    /// <summary>The click with which the visitor landed last; null where none arrived here.</summary>
    public string? ClickOf(string visitor) => _clicks.GetValueOrDefault(visitor);

    /// <summary>A browser that follows redirects and finds this shop under its public name.</summary>
    public HttpClient Browser() => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = true,
        UseCookies = false,
        ConnectCallback = async (context, cancellation) =>
        {
            EndPoint target = context.DnsEndPoint.Host == new Uri(DemoProgram.Shop).Host ? new IPEndPoint(IPAddress.Loopback, _port) : context.DnsEndPoint;
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(target, cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    })
    {
        Timeout = TimeSpan.FromSeconds(30),
    };

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
