using System.Text;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
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

        // Kestrel refuses a request whose headers are no UTF-8. A visitor whose browser writes such ones is sent on all the same.
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.RequestHeaderEncodingSelector = static name =>
            name is "Referer" or "User-Agent" or "Cookie" ? s_anyBytes : null);

        services.AddSingleton<SigningKey>();
        services.AddSingleton<VisitorCookie>();
        services.AddSingleton<AddressHash>();
        services.AddSingleton<RequestFacts>();
        services.AddSingleton<Spool>();
        services.AddSingleton<Catalogue>();
        services.AddSingleton<CatalogueFile>();
        services.AddSingleton<CatalogueTail>();
        services.AddHostedService(provider => provider.GetRequiredService<CatalogueTail>());
        services.AddHttpClient(nameof(CatalogueTail));
        services.AddSingleton<FollowLink>();
        services.AddSingleton<ImportClicks>();

        builder.AddRelayToBus(provider => provider.GetRequiredService<Spool>(), Key);

        services.AddSingleton<IStatusSource, EdgeStatus>();
        services.AddHealthChecks().AddCheck<SpoolCheck>("spool").AddCheck<CatalogueCheck>("catalogue");
    }

    /// <summary><c>/r/{slug}</c> and <c>/v1/imports/clicks</c>.</summary>
    public static void MapEdge(this WebApplication app)
    {
        FollowLink.Map(app);
        ImportClicks.Map(app);
    }

    private sealed class EdgeStatus(Spool spool, Catalogue catalogue) : IStatusSource
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
                ["clicksLost"] = spool.Lost,
                ["links"] = catalogue.LinkCount,
                ["partners"] = catalogue.PartnerCount,
                ["cataloguePosition"] = catalogue.Position,
            },
        };
    }

    private sealed class SpoolCheck(Spool spool) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(spool.Fault is { } fault
                ? HealthCheckResult.Unhealthy($"clicks are not kept: {fault}")
                : HealthCheckResult.Healthy());
    }

    private sealed class CatalogueCheck(Catalogue catalogue, CatalogueTail tail) : IHealthCheck
    {
        // With a catalogue from before, however old, links lead where they led.
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(catalogue.Position == 0 && tail.Failure is { } failure
                ? HealthCheckResult.Unhealthy($"the catalogue {failure}")
                : HealthCheckResult.Healthy());
    }
}
