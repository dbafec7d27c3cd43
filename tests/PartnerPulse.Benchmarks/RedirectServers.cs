using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Benchmarks;

/// <summary>The servers under load, each its own process: a bare Kestrel that answers 302, and the edge as it is.</summary>
internal static class RedirectServers
{
    public const int Links = 1_000;

    public static Command Command()
    {
        var kind = new Argument<string>("kind");
        kind.AcceptOnlyFromAmong("bare", "Disk", "Process");
        var folder = new Argument<string>("folder");
        var port = new Argument<int>("port");
        var command = new Command("server", "A server under load.") { kind, folder, port };
        command.Hidden = true;
        command.SetAction(async (parsed, cancellation) =>
        {
            var (k, f, p) = (parsed.GetValue(kind)!, parsed.GetValue(folder)!, parsed.GetValue(port));
            await (k == "bare" ? BareAsync(p, cancellation) : EdgeAsync(k, f, p, cancellation));
        });
        return command;
    }

    private static async Task BareAsync(int port, CancellationToken cancellation)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        await using var app = builder.Build();
        app.Run(context =>
        {
            context.Response.StatusCode = StatusCodes.Status302Found;
            context.Response.Headers.Location = "https://shop.example/landing?utm_campaign=spring2026";
            return Task.CompletedTask;
        });
        await app.RunAsync(cancellation);
    }

    private static async Task EdgeAsync(string durability, string folder, int port, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        using (var file = new CatalogueFile(folder, new Catalogue(), NullLogger<CatalogueFile>.Instance))
        {
            var catalogue = Catalogue().ToArray();
            file.Apply(catalogue, catalogue.Length);
        }

        var keys = Path.Combine(folder, "keys.json");
        await File.WriteAllTextAsync(
            keys, JsonSerializer.Serialize(new[] { new ApiKey("bench", ApiKey.Hash("bench"), [Scope.Admin], "main") }, JsonSerializerOptions.Web), cancellation);
        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Keys:File"] = keys,
            ["Edge:Data"] = folder,
            ["Edge:Durability"] = durability,
            ["Edge:Cookie:Mode"] = "Host",
        });
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.AddPartnerPulse();
        builder.AddEdge();
        builder.AddBus();
        await using var app = builder.Build();
        app.UsePartnerPulse();
        app.MapEdge();
        await app.RunAsync(cancellation);
    }

    private static IEnumerable<IEvent> Catalogue()
    {
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        yield return new PartnerEnrolled
        {
            EventId = Ids.Derive("bench", "partner"), ProgramId = "main", OccurredAt = at, PartnerId = "acme", Name = "Acme", Ref = "acme",
            Destination = "https://shop.example/",
        };
        for (var i = 0; i < Links; i++)
        {
            var slug = string.Create(CultureInfo.InvariantCulture, $"link-{i}");
            yield return new LinkPublished
            {
                EventId = Ids.Derive("bench", slug), ProgramId = "main", OccurredAt = at, PartnerId = "acme", Slug = slug,
                Destination = "https://shop.example/landing",
            };
        }
    }
}
