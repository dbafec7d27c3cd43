using PartnerPulse.Attribution;
using PartnerPulse.Conversions;
using PartnerPulse.Edge;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Outbound;
using PartnerPulse.Partners;

namespace PartnerPulse.Pulse;

/// <summary>All services in one process, on one port, with MassTransit's mediator in place of the broker.</summary>
internal static class StandaloneHost
{
    public static async Task RunAsync(string[] args, CancellationToken cancellation)
    {
        // Configuration is read once: a watched content root would watch the edge's spool in it, at each commit.
        var builder = WebApplication.CreateBuilder(["--hostBuilder:reloadConfigOnChange=false", .. args]);
        builder.AddPartnerPulse();
        builder.Services.Configure<TelemetryOptions>(telemetry => telemetry.RequestMetrics ??= true);
        builder.AddAttribution();
        builder.AddPartners();
        builder.AddConversions();
        builder.AddEdge();
        builder.AddOutbound();
        builder.AddBus();

        await using var app = builder.Build();
        app.UsePartnerPulse();
        app.MapAttribution();
        app.MapPartners();
        app.MapConversions();
        app.MapEdge();
        app.MapOutbound();
        await app.RunAsync(cancellation);
    }
}
