using System.Diagnostics;
using System.Globalization;
using OpenTelemetry.Trace;

namespace PartnerPulse.Hosting;

/// <summary>
/// The sampler that <c>OTEL_TRACES_SAMPLER</c> names, within a bound: so many traces begin in a process and second, whatever a visitor's
/// browser asks for, and however many click. What is under way in a trace goes on with it; polls of brokers and databases begin none.
/// </summary>
internal sealed class EntrySampler(Sampler sampler, int perSecond, TimeProvider time) : Sampler
{
    /// <summary>Traces that begin in a second at most, where <c>Telemetry:TracesPerSecond</c> says nothing.</summary>
    public const int DefaultPerSecond = 100;

    private long _second;
    private int _begun;

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
    {
        var parent = samplingParameters.ParentContext;
        if (parent.TraceId != default && !parent.IsRemote)
        {
            return new SamplingResult(parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded));
        }

        if (parent.TraceId == default && samplingParameters.Kind is ActivityKind.Client or ActivityKind.Producer)
        {
            return new SamplingResult(SamplingDecision.Drop);
        }

        if (parent.TraceId != default && samplingParameters.Kind != ActivityKind.Server)
        {
            return sampler.ShouldSample(samplingParameters);
        }

        var result = sampler.ShouldSample(samplingParameters);
        return result.Decision == SamplingDecision.Drop || MayBegin() ? result : new SamplingResult(SamplingDecision.Drop);
    }

    /// <summary>The sampler of that name with that argument.</summary>
    /// <param name="name">As the OpenTelemetry specification lists them; <c>parentbased_always_on</c> where absent.</param>
    /// <param name="argument">Of the samplers by ratio: 0 to 1; 1 where absent.</param>
    /// <exception cref="FormatException">There is no such sampler, or no such ratio.</exception>
    public static Sampler Named(string? name, string? argument) => name?.Trim().ToLowerInvariant() switch
    {
        null or "" or "parentbased_always_on" => new ParentBasedSampler(new AlwaysOnSampler()),
        "parentbased_always_off" => new ParentBasedSampler(new AlwaysOffSampler()),
        "parentbased_traceidratio" => new ParentBasedSampler(new TraceIdRatioBasedSampler(Ratio(argument))),
        "always_on" => new AlwaysOnSampler(),
        "always_off" => new AlwaysOffSampler(),
        "traceidratio" => new TraceIdRatioBasedSampler(Ratio(argument)),
        _ => throw new FormatException(
            $"OTEL_TRACES_SAMPLER is '{name}'; it must be always_on, always_off, traceidratio, or one of them after 'parentbased_'."),
    };

    private static double Ratio(string? argument) =>
        string.IsNullOrWhiteSpace(argument) ? 1
        : double.TryParse(argument, NumberStyles.Float, CultureInfo.InvariantCulture, out var ratio) && ratio is >= 0 and <= 1 ? ratio
        : throw new FormatException($"OTEL_TRACES_SAMPLER_ARG is '{argument}'; it must be a number from 0 to 1.");

    /// <summary>Counts in whole seconds. Threads that meet at the turn of one may begin a few too many.</summary>
    private bool MayBegin()
    {
        if (perSecond == 0)
        {
            return true;
        }

        var second = time.GetTimestamp() / time.TimestampFrequency;
        if (Interlocked.Exchange(ref _second, second) != second)
        {
            Interlocked.Exchange(ref _begun, 0);
        }

        return Interlocked.Increment(ref _begun) <= perSecond;
    }
}
