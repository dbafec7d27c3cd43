using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Status;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Outbound;

/// <summary>Tells the outside what happened: signed webhooks for the program's own systems, postbacks for the partners'.</summary>
public static class OutboundService
{
    internal const string Schema = "outbound";

    /// <summary>The log that is told: Attribution's holds the facts and what they came to.</summary>
    internal const string Source = "attribution";

    /// <summary>Subscriptions, the reader of the log and the sender. Options are those of <see cref="OutboundOptions"/>.</summary>
    public static void AddOutbound(this WebApplicationBuilder builder)
    {
        builder.AddPostgres();
        builder.AddEventLogOfAnother(Source);
        var services = builder.Services;
        services.AddSingleton<IValidateOptions<OutboundOptions>, OutboundOptionsCheck>();
        services.AddOptions<OutboundOptions>().BindConfiguration("Outbound").ValidateOnStart();
        services.ConfigureHttpJsonOptions(json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, OutboundJson.Default));
        services.AddHostedService<OpenOutbound>();
        services.AddSingleton<PublicConnection>();
        services.AddSingleton<Subscriptions>();
        services.AddSingleton<Deliveries>();
        services.AddSingleton<Sender>();
        services.AddHostedService(provider => provider.GetRequiredService<Sender>());
        services.AddSingleton<FanOut>();
        services.AddHostedService(provider => provider.GetRequiredService<FanOut>());
        services.AddHostedService<Tidy>();
        services.AddSingleton<IStatusSource, OutboundStatus>();
        services.AddFigures<OutboundFigures>();
        services.AddHealthChecks().AddCheck<FanOutCheck>("outbound");
    }

    /// <summary>The endpoints under <c>/v1/webhooks</c> and <c>/v1/postbacks</c>.</summary>
    public static void MapOutbound(this IEndpointRouteBuilder routes)
    {
        RegisterWebhook.Map(routes);
        ReadWebhooks.Map(routes);
        ChangeWebhook.Map(routes);
        RemoveWebhook.Map(routes);
        RotateSecret.Map(routes);
        TestWebhook.Map(routes);
        ReadDeliveries.Map(routes);
        DeadLetters.Map(routes);
        SetPostback.Map(routes);
    }
}

/// <summary>Creates the tables. Safe in several processes at once.</summary>
internal sealed class OpenOutbound(NpgsqlDataSource database) : BeforeStart
{
    // AwaitLog was registered before and has waited for the database in its own StartingAsync.
    public override Task StartingAsync(CancellationToken cancellationToken) =>
        new SchemaScript(typeof(OpenOutbound).Assembly, "PartnerPulse.Outbound.Sql.001_outbound.sql", OutboundService.Schema).RunAsync(database, cancellationToken);
}

/// <summary>Where Outbound stands: how far the subscription furthest behind is in Attribution's log, and what waits.</summary>
internal sealed class OutboundStatus(NpgsqlDataSource database) : IStatusSource
{
    // After Attribution, whose log it reads.
    public int Order => 2;

    public async ValueTask<ServiceStatus> ReadAsync(CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"""
             select (select count(*) from {OutboundService.Schema}.subscriptions),
                    (select count(*) from {OutboundService.Schema}.subscriptions where not enabled),
                    (select count(*) from {OutboundService.Schema}.deliveries where state = 'waiting'),
                    (select count(*) from {OutboundService.Schema}.deliveries where state = 'dead'),
                    (select coalesce(min(position), 0) from {OutboundService.Schema}.subscriptions where enabled)
             """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return new ServiceStatus
        {
            Name = "outbound",
            Figures = new Dictionary<string, long>(StringComparer.Ordinal)
            {
                ["subscriptions"] = reader.GetInt64(0),
                ["disabled"] = reader.GetInt64(1),
                ["waiting"] = reader.GetInt64(2),
                ["deadLetters"] = reader.GetInt64(3),
                ["position"] = reader.GetInt64(4),
            },
        };
    }
}

/// <summary>Red while the log cannot be read for the subscriptions, with the reason.</summary>
internal sealed class FanOutCheck(FanOut fanOut) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(fanOut.Fault is { } fault ? HealthCheckResult.Unhealthy($"Attribution's log is not read: {fault}") : HealthCheckResult.Healthy());
}
