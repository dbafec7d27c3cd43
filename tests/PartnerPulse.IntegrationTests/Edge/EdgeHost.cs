using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Tests.Edge;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>An edge on a free port, with a folder of its own that goes with it.</summary>
internal sealed class EdgeHost : IAsyncDisposable
{
    public const string Key = "key-of-the-test";
    public const string ReadOnlyKey = "key-that-may-only-read";

    private readonly WebApplication _app;
    private readonly bool _ownsFolder;

    private EdgeHost(WebApplication app, string folder, bool ownsFolder)
    {
        _app = app;
        _ownsFolder = ownsFolder;
        Folder = folder;
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        // A visitor's browser says nothing of traces.
        Client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, ActivityHeadersPropagator = null }) { BaseAddress = address };
    }

    public string Folder { get; }

    public HttpClient Client { get; }

    public Uri Address => Client.BaseAddress!;

    public Spool Spool => _app.Services.GetRequiredService<Spool>();

    /// <summary>Starts an edge whose catalogue on disk holds <paramref name="catalogue"/>.</summary>
    public static async Task<EdgeHost> StartAsync(
        IReadOnlyList<IEvent>? catalogue = null, string? folder = null, IReadOnlyDictionary<string, string?>? settings = null,
        TimeProvider? time = null, ILoggerProvider? logs = null)
    {
        var ownsFolder = folder is null;
        folder ??= Directory.CreateTempSubdirectory("pulse-edge-").FullName;
        if (catalogue is not null)
        {
            using var file = new CatalogueFile(folder, new Catalogue(), NullLogger<CatalogueFile>.Instance);
            file.Apply(catalogue, catalogue.Count);
        }

        var keys = Path.Combine(folder, "keys.json");
        await File.WriteAllTextAsync(keys, JsonSerializer.Serialize(
            new[]
            {
                new ApiKey("test", ApiKey.Hash(Key), [Scope.Admin], "main"),
                new ApiKey("reader", ApiKey.Hash(ReadOnlyKey), [Scope.Read], "main"),
            },
            JsonSerializerOptions.Web));
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Keys:File"] = keys,
            ["Edge:Data"] = folder,
            ["Edge:Durability"] = "Process",
        });
        builder.Configuration.AddInMemoryCollection(settings ?? new Dictionary<string, string?>());
        builder.Logging.ClearProviders();
        if (logs is not null)
        {
            builder.Logging.AddProvider(logs).SetMinimumLevel(LogLevel.Trace).AddFilter("Microsoft.AspNetCore", LogLevel.Trace);
        }

        if (time is not null)
        {
            builder.Services.AddSingleton(time);
        }

        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.AddPartnerPulse();
        builder.AddEdge();
        builder.AddBus();
        var app = builder.Build();
        app.UsePartnerPulse();
        app.MapEdge();
        await app.StartAsync();
        return new EdgeHost(app, folder, ownsFolder);
    }

    public static PartnerEnrolled Enrolled(string id) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, PartnerId = id, Name = id, Ref = id, Destination = "https://shop.example/",
    };

    public static LinkPublished Published(string partner, string slug, string destination, string? campaign = null) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, PartnerId = partner, Slug = slug, Destination = destination, Campaign = campaign,
    };

    public static LinkRetired Retired(string partner, string slug) =>
        new() { EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, PartnerId = partner, Slug = slug };

    /// <summary>Everything in the spool, in its order.</summary>
    public async Task<IReadOnlyList<ClickRecorded>> ClicksAsync() =>
        [.. (await Spool.ReadAsync(0, int.MaxValue, default)).Events.Select(e => e.ReadClick())];

    /// <summary>The edge's figures in <c>/v1/status</c>.</summary>
    public async Task<JsonElement> FiguresAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/status?local=true");
        request.Headers.Authorization = new("Bearer", Key);
        using var response = await Client.SendAsync(request);
        return JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("services").EnumerateArray()
            .Single(service => service.GetProperty("name").GetString() == "edge").GetProperty("figures");
    }

    public async Task<HttpResponseMessage> FollowAsync(string pathAndQuery, params (string Name, string Value)[] headers)
    {
        // The address goes out as it is written here, and not as a Uri would write it.
        using var request = new HttpRequestMessage(
            HttpMethod.Get, new Uri($"{Address.GetLeftPart(UriPartial.Authority)}{pathAndQuery}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        foreach (var (name, value) in headers)
        {
            Assert.True(request.Headers.TryAddWithoutValidation(name, value));
        }

        return await Client.SendAsync(request);
    }

    public async Task<(HttpStatusCode Status, JsonElement Body)> ImportAsync(string lines, string? key = Key, string type = "application/x-ndjson")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/imports/clicks") { Content = new StringContent(lines) };
        request.Content.Headers.ContentType = new(type);
        request.Headers.Authorization = key is null ? null : new("Bearer", key);
        request.Headers.ExpectContinue = lines.Length > 1024 * 1024; // Else a refusal by length may meet a body under way.
        using var response = await Client.SendAsync(request);
        return (response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement);
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (_ownsFolder)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}
