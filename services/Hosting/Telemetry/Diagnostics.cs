using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace PartnerPulse.Hosting;

/// <summary>The activity source and the meter of PartnerPulse.</summary>
public static class Diagnostics
{
    public const string Name = "PartnerPulse";

    public static ActivitySource Source { get; } = new(Name);

    public static Meter Meter { get; } = new(Name);
}

internal static class RelayMetrics
{
    public static readonly Counter<long> Events = Diagnostics.Meter.CreateCounter<long>("pulse.relay.events", "{event}", "Events handed on and confirmed");
    public static readonly Counter<long> Retries = Diagnostics.Meter.CreateCounter<long>("pulse.relay.retries", "{retry}", "Attempts to hand on that failed");
}
