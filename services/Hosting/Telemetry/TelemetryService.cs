using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace PartnerPulse.Hosting;

/// <summary>
/// Sends traces and metrics where the standard variable <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> says; does nothing without it.
/// </summary>
internal sealed class TelemetryService(IConfiguration configuration, IHostEnvironment environment) : IHostedService
{
    private OpenTelemetrySdk? _sdk;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            return Task.CompletedTask;
        }

        _sdk = OpenTelemetrySdk.Create(builder => builder
            .ConfigureResource(resource => resource.AddService(configuration["OTEL_SERVICE_NAME"] ?? environment.ApplicationName))
            .WithTracing(tracing => tracing
                .AddSource(Diagnostics.Name, "MassTransit", "Npgsql", "Microsoft.AspNetCore", "System.Net.Http")
                .AddOtlpExporter())
            .WithMetrics(metrics => metrics
                .AddMeter(Diagnostics.Name, "MassTransit", "Npgsql", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "Polly", "System.Runtime")
                .AddOtlpExporter()));
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        _sdk?.Dispose();
        return Task.CompletedTask;
    }
}
