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
    /// <summary>Of the trace that was taken on this thread and begins with its next span: samplers by ratio judge by it.</summary>
    [ThreadStatic]
    private static ActivityTraceId t_taken;

    private long _second;
    private int _begun;

    /// <summary>
    /// Whether a request is traced, asked before anything is made for it. Where it is, its span is the next that the thread begins.
    /// </summary>
    /// <param name="caller">The trace in which the request came; the default where it came in none.</param>
    public bool Takes(ActivityContext caller)
    {
        if (!HasRoom())
        {
            return false;
        }

        var begins = caller.TraceId == default;
        var trace = begins ? ActivityTraceId.CreateRandom() : caller.TraceId;
        if (sampler.ShouldSample(new SamplingParameters(caller, trace, "request", ActivityKind.Server)).Decision == SamplingDecision.Drop || !MayBegin())
        {
            return false;
        }

        if (begins)
        {
            t_taken = trace;
        }

        return true;
    }

    /// <summary>The identifier of a trace that begins: what <see cref="Takes"/> has judged, else a new one.</summary>
    public static ActivityTraceId NextTrace()
    {
        var taken = t_taken;
        t_taken = default;
        return taken == default ? ActivityTraceId.CreateRandom() : taken;
    }

    public override SamplingResult ShouldSample(in SamplingParameters samplingParameters)
    {
        var parent = samplingParameters.ParentContext;
        if (samplingParameters.Kind == ActivityKind.Server)
        {
            // A request's span is begun where it was taken, and nowhere else.
            return new SamplingResult(SamplingDecision.RecordAndSample);
        }

        if (parent.TraceId != default)
        {
            return parent.IsRemote ? sampler.ShouldSample(samplingParameters) : new SamplingResult(parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded));
        }

        if (samplingParameters.Kind is ActivityKind.Client or ActivityKind.Producer)
        {
            return new SamplingResult(SamplingDecision.Drop);
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

    /// <summary>Whether one more may begin, without counting it: under load most requests end here.</summary>
    private bool HasRoom() => perSecond == 0 || Volatile.Read(ref _begun) < perSecond || Volatile.Read(ref _second) != Second();

    private long Second() => time.GetTimestamp() / time.TimestampFrequency;

    /// <summary>Counts in whole seconds. Threads that meet at the turn of one may begin a few too many.</summary>
    private bool MayBegin()
    {
        if (perSecond == 0)
        {
            return true;
        }

        var second = Second();
        if (Interlocked.Exchange(ref _second, second) != second)
        {
            Interlocked.Exchange(ref _begun, 0);
        }

        return Interlocked.Increment(ref _begun) <= perSecond;
    }
}
