using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace PartnerPulse.Hosting;

/// <summary>The activity source and the meter of PartnerPulse. All instruments are static, and named in this folder's README.</summary>
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
    public static readonly Gauge<long> Waiting = Diagnostics.Meter.CreateGauge<long>("pulse.relay.waiting", "{position}", "Positions of the log that are not handed on yet");
}

internal static class LogMetrics
{
    public static readonly Gauge<long> Position = Diagnostics.Meter.CreateGauge<long>("pulse.log.position", "{position}", "Position of the last event of the log");
    public static readonly Gauge<long> Bytes = Diagnostics.Meter.CreateGauge<long>("pulse.log.bytes", "By", "Size of the log with its indexes in the database");
}

internal static class RetryMetrics
{
    public static readonly Counter<long> Retries = Diagnostics.Meter.CreateCounter<long>(
        "pulse.retries", "{retry}", "Attempts of a loop that failed and are made again; while it grows the loop does not get on");
}
