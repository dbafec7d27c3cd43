using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Attribution;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Benchmarks;

/// <summary>The servers under load, each its own process: a bare Kestrel that answers 302, the services as they are.</summary>
internal static class BenchServers
{
    public const string Bare = "bare";
    public const string Attribution = "attribution";
    public const string Conversions = "conversions";

    /// <summary>Receives OTLP over HTTP and drops it.</summary>
    public const string Otlp = "otlp";

    /// <summary>Answers how many requests the receiver has had.</summary>
    public const string ReceivedPath = "/received";

    /// <summary>Links in the catalogue of an edge under load.</summary>
    public const int Links = 100_000;

    /// <summary>Answers how many bytes the server has allocated since its start, and the microseconds of processor time that it took.</summary>
    public const string SpentPath = "/spent";

    public static Command Command()
    {
        var kind = new Argument<string>("kind");
        kind.AcceptOnlyFromAmong(Bare, nameof(Durability.Disk), nameof(Durability.Process), Attribution, Conversions, Otlp);
        var folder = new Argument<string>("folder");
        var port = new Argument<int>("port");
        var command = new Command("server", "A server under load.") { kind, folder, port };
        command.Hidden = true;
        command.SetAction(async (parsed, cancellation) =>
        {
            var (k, f, p) = (parsed.GetValue(kind)!, parsed.GetValue(folder)!, parsed.GetValue(port));
            await (k switch
            {
                Bare => BareAsync(p, cancellation),
                Attribution => AttributionAsync(f, p, cancellation),
                Conversions => ConversionsAsync(f, p, cancellation),
                Otlp => OtlpAsync(p, cancellation),
                _ => EdgeAsync(k, f, p, cancellation),
            });
        });
        return command;
    }

    /// <summary>Starts a server as a process of its own; further settings go by its environment, as in earnest.</summary>
    public static Process Start(string kind, string folder, int port, params ReadOnlySpan<(string Key, string Value)> settings)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in new[] { typeof(BenchServers).Assembly.Location, "server", kind, folder, port.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (key, value) in settings)
        {
            start.Environment[key] = value;
        }

        return Process.Start(start)!;
    }

    public static async Task StopAsync(Process server)
    {
        server.Kill(entireProcessTree: true);
        await server.WaitForExitAsync(CancellationToken.None);
        server.Dispose();
    }

    private static async Task BareAsync(int port, CancellationToken cancellation)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        await using var app = builder.Build();
        app.Run(context =>
        {
            if (context.Request.Path == SpentPath)
            {
                return context.Response.WriteAsync(Spent());
            }

            context.Response.StatusCode = StatusCodes.Status302Found;
            context.Response.Headers.Location = "https://shop.example/landing?utm_campaign=spring2026";
            return Task.CompletedTask;
        });
        await app.RunAsync(cancellation);
    }

    private static async Task OtlpAsync(int port, CancellationToken cancellation)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        await using var app = builder.Build();
        var received = 0L;
        app.MapGet("/ready", () => "");
        app.MapGet(ReceivedPath, () => received.ToString(CultureInfo.InvariantCulture));
        app.MapPost("/v1/{signal}", async (HttpContext http) =>
        {
            await http.Request.Body.CopyToAsync(Stream.Null, http.RequestAborted);
            Interlocked.Increment(ref received);
            http.Response.ContentType = "application/x-protobuf";
        });
        await app.RunAsync(cancellation);
    }

    private static string Spent() =>
        string.Create(CultureInfo.InvariantCulture, $"{GC.GetTotalAllocatedBytes()} {Environment.CpuUsage.TotalTime.TotalMicroseconds}");

    private static async Task AttributionAsync(string folder, int port, CancellationToken cancellation)
    {
        var builder = await BuilderAsync(folder, port, cancellation);
        builder.AddPartnerPulse();
        builder.AddAttribution();
        builder.AddBus();
        await using var app = builder.Build();
        app.UsePartnerPulse();
        app.MapAttribution();
        await app.RunAsync(cancellation);
    }

    private static async Task ConversionsAsync(string folder, int port, CancellationToken cancellation)
    {
        var builder = await BuilderAsync(folder, port, cancellation);
        builder.AddPartnerPulse();
        builder.AddPostgres();
        builder.AddConversions();
        builder.AddBus();
        await using var app = builder.Build();
        app.UsePartnerPulse();
        app.MapConversions();
        await app.RunAsync(cancellation);
    }

    /// <summary>A host with a key and no log output; the environment adds to it.</summary>
    private static async Task<WebApplicationBuilder> BuilderAsync(string folder, int port, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var keys = Path.Combine(folder, "keys.json");
        await File.WriteAllTextAsync(
            keys, JsonSerializer.Serialize(new[] { new ApiKey("bench", ApiKey.Hash("bench"), [Scope.Admin], "main") }, JsonSerializerOptions.Web), cancellation);
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Keys:File"] = keys });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        return builder;
    }

    private static async Task EdgeAsync(string durability, string folder, int port, CancellationToken cancellation)
    {
        WriteCatalogue(folder, Links);
        var builder = await BuilderAsync(folder, port, cancellation);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Edge:Data"] = folder,
            ["Edge:Durability"] = durability,
            ["Edge:Cookie:Mode"] = "Host",
        });
        builder.AddPartnerPulse();
        builder.AddEdge();
        builder.AddBus();
        await using var app = builder.Build();
        app.UsePartnerPulse();
        app.MapEdge();
        app.MapGet(SpentPath, Spent).AllowAnonymous();
        await app.RunAsync(cancellation);
    }

    /// <summary>A catalogue on disk, where there is none yet.</summary>
    public static void WriteCatalogue(string folder, int links)
    {
        Directory.CreateDirectory(folder);
        var catalogue = new Catalogue();
        using var file = new CatalogueFile(folder, catalogue, NullLogger<CatalogueFile>.Instance);
        if (catalogue.Position == 0)
        {
            IEvent[] events = [.. Events(links)];
            file.Apply(events, events.Length);
        }
    }

    /// <summary>Waits until an edge redirects.</summary>
    public static Task UntilUpAsync(int port, string slug, CancellationToken cancellation) =>
        UntilAnsweredAsync(port, $"/r/{slug}", System.Net.HttpStatusCode.Found, cancellation);

    /// <summary>Waits until a service says that it is ready.</summary>
    public static Task UntilReadyAsync(int port, CancellationToken cancellation) =>
        UntilAnsweredAsync(port, "/ready", System.Net.HttpStatusCode.OK, cancellation);

    private static async Task UntilAnsweredAsync(int port, string path, System.Net.HttpStatusCode status, CancellationToken cancellation)
    {
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
        while (true)
        {
            try
            {
                using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{port}{path}"), cancellation);
                if (response.StatusCode == status)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            await Task.Delay(100, cancellation);
        }
    }

    public static string Slug(int number) => string.Create(CultureInfo.InvariantCulture, $"link-{number}");

    private static IEnumerable<IEvent> Events(int links)
    {
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        yield return new PartnerEnrolled
        {
            EventId = Ids.Derive("bench", "partner"), ProgramId = "main", OccurredAt = at, PartnerId = "acme", Name = "Acme", Ref = "acme",
            Destination = "https://shop.example/",
        };
        for (var i = 0; i < links; i++)
        {
            var slug = Slug(i);
            yield return new LinkPublished
            {
                EventId = Ids.Derive("bench", slug), ProgramId = "main", OccurredAt = at, PartnerId = "acme", Slug = slug,
                Destination = $"https://shop.example/landing/{i % 5_000}?campaign=partners",
            };
        }
    }
}
