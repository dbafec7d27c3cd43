using System.Diagnostics;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace PartnerPulse.Hosting;

/// <summary>
/// Sends traces and metrics where the standard variables of OpenTelemetry say (<c>OTEL_EXPORTER_OTLP_ENDPOINT</c> and its kin); does nothing
/// without one. What is sent, and how it is named, is in this folder's README.
/// </summary>
internal sealed class TelemetryService(
    IConfiguration configuration, IHostEnvironment environment, IOptions<TelemetryOptions> options, RequestSpans requests, TimeProvider time) : IHostedService
{
    /// <summary>
    /// Of the framework's own advice the shortest is 5 ms, and a redirect takes a tenth of one.
    /// </summary>
    private static readonly double[] s_requestSeconds =
        [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

    private OpenTelemetrySdk? _sdk;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var (traces, metrics) = (IsWanted("TRACES"), IsWanted("METRICS"));
        if (!traces && !metrics)
        {
            return Task.CompletedTask;
        }

        var sampler = new EntrySampler(
            EntrySampler.Named(configuration["OTEL_TRACES_SAMPLER"], configuration["OTEL_TRACES_SAMPLER_ARG"]),
            options.Value.TracesPerSecond,
            time);
        _sdk = OpenTelemetrySdk.Create(builder =>
        {
            // The exporters read their variables from it: the host's own has the environment, and what else the host was told.
            builder.Services.AddSingleton(configuration);

            // What the variables say of the resource counts for more than our name.
            builder.ConfigureResource(resource => resource.Clear().AddService(environment.ApplicationName).AddTelemetrySdk().AddEnvironmentVariableDetector());
            if (traces)
            {
                Activity.TraceIdGenerator = EntrySampler.NextTrace;
                builder.WithTracing(tracing => tracing
                    .SetSampler(sampler)
                    .AddSource(Diagnostics.Name, "Npgsql", "System.Net.Http")
                    .AddProcessor(new SpanScrubber())
                    .AddOtlpExporter());
            }

            if (metrics)
            {
                builder.WithMetrics(meters => meters
                    .AddMeter(Diagnostics.Name, "MassTransit", "Npgsql", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime")
                    .AddMeter(options.Value.RequestMetrics is false ? [] : ["Microsoft.AspNetCore.Hosting"])
                    .AddView("http.server.request.duration", new ExplicitBucketHistogramConfiguration { Boundaries = s_requestSeconds })
                    .AddOtlpExporter());
            }
        });
        requests.Sampler = traces ? sampler : null;
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        requests.Sampler = null;
        _sdk?.Dispose();
        return Task.CompletedTask;
    }

    /// <summary>Whether the variables name a receiver for the signal, and nothing speaks against it.</summary>
    private bool IsWanted(string signal) =>
        !string.Equals(configuration["OTEL_SDK_DISABLED"], "true", StringComparison.OrdinalIgnoreCase)
        && !string.Equals(configuration[$"OTEL_{signal}_EXPORTER"], "none", StringComparison.OrdinalIgnoreCase)
        && (!string.IsNullOrEmpty(configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]) || !string.IsNullOrEmpty(configuration[$"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"]));
}
