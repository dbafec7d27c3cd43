using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Status;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution;

/// <summary>Where Attribution stands. It is read after all senders: what they had sent by then is looked for here.</summary>
internal sealed class AttributionStatus([FromKeyedServices(AttributionService.Schema)] EventLog log, WhatIf.PackKeeper pack) : IStatusSource
{
    public int Order => 1;

    public async ValueTask<ServiceStatus> ReadAsync(CancellationToken cancellationToken)
    {
        var intake = await IntakeProgress.ReadAsync(log, cancellationToken);
        var last = await log.LastPositionAsync(cancellationToken);
        await using var command = log.DataSource.Sql($"select count(*) from {log.Schema}.set_aside");
        var setAside = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
        return new ServiceStatus
        {
            Name = "attribution",
            Log = last,
            Relay = await log.CheckpointAsync("relay", cancellationToken),
            Intake = intake,
            Projector = await log.CheckpointAsync(Projector.Checkpoint, cancellationToken),
            Figures = new Dictionary<string, long>(StringComparer.Ordinal)
            {
                ["setAside"] = setAside,
                ["sealed"] = await log.CheckpointAsync(Seals.Sealer.Progress, cancellationToken),
                ["packConversions"] = pack.Conversions,
                ["packBytes"] = pack.Bytes,
                ["packPosition"] = pack.Position,
            },
        };
    }
}

/// <summary>Red while the projector cannot get on, with the reason.</summary>
internal sealed class ProjectorCheck(ProjectionProgress progress) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(progress.Fault is { } fault ? HealthCheckResult.Unhealthy($"The projector does not get on: {fault}") : HealthCheckResult.Healthy());
}
