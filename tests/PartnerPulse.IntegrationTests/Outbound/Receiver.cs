using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace PartnerPulse.IntegrationTests.Outbound;

/// <summary>What a receiver was sent.</summary>
internal sealed record Received(string Method, string Target, IHeaderDictionary Headers, byte[] Body)
{
    public string Id => Headers["webhook-id"].ToString();

    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    public string Type => Json.GetProperty("type").GetString()!;

    /// <summary>
    /// Verifies as a receiver does by the text of the Standard Webhooks specification, with nothing of the sender's code: the
    /// secret's base64 is the key, the signed text is id, timestamp and body, any one of the signatures may fit.
    /// </summary>
    public bool IsSignedWith(string secret, DateTimeOffset now)
    {
        Assert.StartsWith("whsec_", secret, StringComparison.Ordinal);
        var timestamp = Headers["webhook-timestamp"].ToString();
        Assert.InRange(now.ToUnixTimeSeconds() - long.Parse(timestamp), -5, 300);
        using var hmac = new HMACSHA256(Convert.FromBase64String(secret["whsec_".Length..]));
        var expected = Convert.ToBase64String(hmac.ComputeHash(Encoding.UTF8.GetBytes($"{Id}.{timestamp}.{Encoding.UTF8.GetString(Body)}")));
        return Headers["webhook-signature"].ToString().Split(' ').Contains($"v1,{expected}", StringComparer.Ordinal);
    }
}

/// <summary>Somebody's server on this machine, which answers as a test says and remembers what it was sent.</summary>
internal sealed class Receiver : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly ConcurrentQueue<Received> _received = new();

    private Receiver(WebApplication app) => _app = app;

    /// <summary>Answers; 200 where nothing else is said. Given how many came before.</summary>
    public Func<HttpContext, int, Task> Answer { get; set; } = (_, _) => Task.CompletedTask;

    public Uri Address => new(_app.Urls.Single());

    public IReadOnlyList<Received> Received => [.. _received];

    public static async Task<Receiver> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        var app = builder.Build();
        var receiver = new Receiver(app);
        app.Run(receiver.TakeAsync);
        await app.StartAsync();
        return receiver;
    }

    /// <summary>Waits until so many have been received and returns them.</summary>
    public async Task<IReadOnlyList<Received>> UntilAsync(int count, TimeSpan? within = null)
    {
        var waited = Stopwatch.StartNew();
        while (_received.Count < count)
        {
            Assert.True(waited.Elapsed < (within ?? TimeSpan.FromSeconds(30)), $"{_received.Count} of {count} arrived");
            await Task.Delay(10);
        }

        return Received;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private async Task TakeAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        int before;
        lock (_received)
        {
            before = _received.Count;
            _received.Enqueue(new Received(
                context.Request.Method, context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, new HeaderDictionary(new Dictionary<string, Microsoft.Extensions.Primitives.StringValues>(context.Request.Headers, StringComparer.OrdinalIgnoreCase)), body.ToArray()));
        }

        await Answer(context, before);
    }
}
