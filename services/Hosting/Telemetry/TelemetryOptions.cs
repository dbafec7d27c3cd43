namespace PartnerPulse.Hosting;

/// <summary>What OpenTelemetry's own variables have no words for.</summary>
public sealed class TelemetryOptions
{
    /// <summary>Traces that begin in a process and second at most; 0: as many as the sampler takes.</summary>
    public int TracesPerSecond { get; set; } = 100;

    /// <summary>
    /// Whether the framework measures each request (<c>http.server.*</c>). Where nobody says, it does, but not in an edge of its own: it
    /// would take some hundredths of its throughput, and redirects have a histogram that costs less.
    /// </summary>
    public bool? RequestMetrics { get; set; }
}
