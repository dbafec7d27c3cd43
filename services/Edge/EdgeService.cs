using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Status;

namespace PartnerPulse.Edge;

/// <summary>The edge as a part of any host.</summary>
public static class EdgeService
{
    /// <summary>Key of the edge's relay.</summary>
    private const string Key = "edge";

    private static readonly UTF8Encoding s_anyBytes = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: false);

    /// <summary>Spool, catalogue, relay, health and status of the edge. Options are those of <see cref="EdgeOptions"/>.</summary>
    public static void AddEdge(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<EdgeOptionsSetup>();
        services.AddSingleton<IPostConfigureOptions<EdgeOptions>>(provider => provider.GetRequiredService<EdgeOptionsSetup>());
        services.AddSingleton<IValidateOptions<EdgeOptions>>(provider => provider.GetRequiredService<EdgeOptionsSetup>());
        services.AddOptions<EdgeOptions>().BindConfiguration("Edge").ValidateOnStart();

        // Two log lines a request cost more than the redirect.
        if (builder.Configuration["Logging:LogLevel:Microsoft.AspNetCore"] is null)
        {
            builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        }

        services.Configure<TelemetryOptions>(telemetry => telemetry.RequestMetrics ??= false);

        // Kestrel refuses a request whose headers are no UTF-8. A visitor whose browser writes such ones is sent on all the same.
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.RequestHeaderEncodingSelector = static name =>
            name is "Referer" or "User-Agent" or "Cookie" ? s_anyBytes : null);

        services.AddOptions<KestrelServerOptions>().Configure<IOptions<EdgeOptions>>((kestrel, edge) => Limit(kestrel.Limits, edge.Value.Limits));

        services.AddSingleton<SigningKey>();
        services.AddSingleton<VisitorCookie>();
        services.AddSingleton<ClientAddress>();
        services.AddSingleton<AddressHash>();
        services.AddSingleton<RateLimits>();
        services.AddSingleton<RequestFacts>();
        services.AddSingleton<Spool>();
        services.AddSingleton<Catalogue>();
        services.AddSingleton<CatalogueFile>();
        services.AddSingleton<CatalogueTail>();
        services.AddHostedService(provider => provider.GetRequiredService<CatalogueTail>());
        services.AddHttpClient(nameof(CatalogueTail));
        services.AddSingleton<FollowLink>();
        services.AddSingleton<Landing>();
        services.AddSingleton<LandingScript>();
        services.AddSingleton<ImportClicks>();

        builder.AddRelayToBus(provider => provider.GetRequiredService<Spool>(), Key);

        services.AddSingleton<IStatusSource, EdgeStatus>();
        services.AddHealthChecks().AddCheck<SpoolCheck>("spool").AddCheck<CatalogueCheck>("catalogue");
    }

    /// <summary><c>/r/{slug}</c>, <c>/t</c>, <c>/t.js</c> and <c>/v1/imports/clicks</c>.</summary>
    public static void MapEdge(this WebApplication app)
    {
        FollowLink.Map(app);
        Landing.Map(app);
        LandingScript.Map(app);
        ImportClicks.Map(app);
    }

    /// <summary>Kestrel answers 414, 431, 408 and 413 by itself, and closes the connection.</summary>
    private static void Limit(KestrelServerLimits kestrel, LimitOptions limits)
    {
        kestrel.MaxRequestLineSize = limits.RequestLineBytes;
        kestrel.MaxRequestHeadersTotalSize = limits.HeadersBytes;
        kestrel.MaxRequestHeaderCount = limits.Headers;
        kestrel.MaxRequestBufferSize = Math.Max(kestrel.MaxRequestBufferSize ?? 0, limits.RequestLineBytes + limits.HeadersBytes);
        kestrel.RequestHeadersTimeout = TimeSpan.FromSeconds(limits.HeadersSeconds);
        kestrel.KeepAliveTimeout = TimeSpan.FromSeconds(limits.KeepAliveSeconds);
        kestrel.MinRequestBodyDataRate = new MinDataRate(limits.BodyBytesPerSecond, gracePeriod: TimeSpan.FromSeconds(5));
        kestrel.MaxConcurrentConnections = limits.Connections;
    }

    private sealed class EdgeStatus(Spool spool, Catalogue catalogue, CatalogueTail tail) : IStatusSource
    {
        public int Order => 0;

        public async ValueTask<ServiceStatus> ReadAsync(CancellationToken cancellationToken) => new()
        {
            Name = "edge",
            Origin = spool.Origin,
            Log = await spool.LastPositionAsync(cancellationToken),
            Relay = await spool.CheckpointAsync(cancellationToken),
            Figures = new Dictionary<string, long>(StringComparer.Ordinal)
            {
                ["spoolBytes"] = spool.Bytes,
                ["clicksWaiting"] = spool.Waiting,
                ["oldestWaitingSeconds"] = spool.OldestWaitingSeconds,
                ["clicksSalvaged"] = spool.Salvaged,
                ["clicksUnreadable"] = spool.Unreadable,
                ["clicksLost"] = spool.Lost,
                ["links"] = catalogue.LinkCount,
                ["partners"] = catalogue.PartnerCount,
                ["cataloguePosition"] = catalogue.Position,
                ["catalogueEventsUnusable"] = tail.Unusable,
            },
        };
    }

    private sealed class SpoolCheck(Spool spool) : IHealthCheck
    {
        private const double Full = 0.9;
        private static readonly TimeSpan s_behind = TimeSpan.FromMinutes(1);

        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            // Visitors are sent on in any case. It turns red where clicks are lost, or about to be; one that only waits for the
            // bus is told, and keeps the edge in service.
            var oldest = spool.OldestWaitingSeconds;
            return Task.FromResult(
                spool.Fault is { } fault ? HealthCheckResult.Unhealthy($"clicks are not kept: {fault}")
                : spool.ReadFault is { } readFault ? HealthCheckResult.Unhealthy(readFault)
                : spool.Fullness > Full ? HealthCheckResult.Unhealthy($"the spool is nearly full: {spool.Bytes} bytes; {spool.Waiting} clicks wait for the bus, the first for {oldest} s")
                : oldest > s_behind.TotalSeconds ? HealthCheckResult.Degraded($"{spool.Waiting} clicks wait for the bus, the first for {oldest} s")
                : HealthCheckResult.Healthy());
        }
    }

    private sealed class CatalogueCheck(Catalogue catalogue, CatalogueTail tail) : IHealthCheck
    {
        // With a catalogue from before, however old, links lead where they led: that is told, and keeps the edge in service.
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(
                tail.Failure is not { } failure ? HealthCheckResult.Healthy()
                : catalogue.Position == 0 ? HealthCheckResult.Unhealthy($"the catalogue {failure}")
                : HealthCheckResult.Degraded($"the catalogue {failure}; the edge goes on with position {catalogue.Position}"));
    }
}
