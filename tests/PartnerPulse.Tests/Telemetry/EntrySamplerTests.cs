using System.Diagnostics;
using OpenTelemetry.Trace;
using PartnerPulse.Hosting;
using PartnerPulse.Tests.Edge;

namespace PartnerPulse.Tests.Telemetry;

/// <summary>Which traces begin, and which go on.</summary>
public sealed class EntrySamplerTests
{
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData(null, null, true, true, false)]
    [InlineData("parentbased_always_on", null, true, true, false)]
    [InlineData("parentbased_always_off", null, false, true, false)]
    [InlineData("parentbased_traceidratio", "0", false, true, false)]
    [InlineData("parentbased_traceidratio", "1", true, true, false)]
    [InlineData("always_on", null, true, true, true)]
    [InlineData("ALWAYS_OFF", null, false, false, false)]
    [InlineData("traceidratio", "0.0", false, false, false)]
    [InlineData("traceidratio", null, true, true, true)]
    public void A_sampler_has_the_name_that_OpenTelemetry_gives_it(string? name, string? argument, bool begins, bool followsSampled, bool followsUnsampled)
    {
        var sampler = new EntrySampler(EntrySampler.Named(name, argument), perSecond: 0, _time);

        Assert.Equal(begins, sampler.Takes(default));
        Assert.Equal(followsSampled, sampler.Takes(Remote(sampled: true)));
        Assert.Equal(followsUnsampled, sampler.Takes(Remote(sampled: false)));
    }

    [Theory]
    [InlineData("jaeger_remote", null, "OTEL_TRACES_SAMPLER is 'jaeger_remote'")]
    [InlineData("traceidratio", "half", "OTEL_TRACES_SAMPLER_ARG is 'half'")]
    [InlineData("parentbased_traceidratio", "1.5", "OTEL_TRACES_SAMPLER_ARG is '1.5'")]
    public void What_is_no_sampler_is_told_at_start(string name, string? argument, string reason) =>
        Assert.StartsWith(reason, Assert.Throws<FormatException>(() => EntrySampler.Named(name, argument)).Message, StringComparison.Ordinal);

    [Fact]
    public void Only_so_many_traces_begin_in_a_second_whoever_asks_for_them()
    {
        var sampler = new EntrySampler(EntrySampler.Named(null, null), perSecond: 3, _time);

        Assert.Equal(3, Enumerable.Range(0, 10).Count(i => sampler.Takes(i % 2 == 0 ? default : Remote(sampled: true))));
        _time.Pass(TimeSpan.FromSeconds(1));
        Assert.Equal(3, Enumerable.Range(0, 10).Count(_ => sampler.Takes(Remote(sampled: true))));
        Assert.False(IsSampled(sampler, default, ActivityKind.Internal));

        // What is under way in a sampled trace goes on beyond the bound.
        Assert.True(IsSampled(sampler, Remote(sampled: true), ActivityKind.Consumer));
        Assert.True(IsSampled(sampler, Local(sampled: true), ActivityKind.Client));
        Assert.False(IsSampled(sampler, Local(sampled: false), ActivityKind.Client));
    }

    [Fact]
    public void A_poll_of_a_database_or_a_broker_begins_no_trace()
    {
        var sampler = new EntrySampler(new AlwaysOnSampler(), perSecond: 0, _time);

        Assert.False(IsSampled(sampler, default, ActivityKind.Client));
        Assert.False(IsSampled(sampler, default, ActivityKind.Producer));
        Assert.True(IsSampled(sampler, default, ActivityKind.Internal));
    }

    [Fact]
    public void A_trace_that_was_taken_by_its_identifier_has_it()
    {
        var half = EntrySampler.Named("parentbased_traceidratio", "0.5");
        var sampler = new EntrySampler(half, perSecond: 0, _time);
        var taken = 0;
        for (var i = 0; i < 200; i++)
        {
            if (sampler.Takes(default))
            {
                taken++;
                var trace = EntrySampler.NextTrace();
                Assert.Equal(SamplingDecision.RecordAndSample, half.ShouldSample(new SamplingParameters(default, trace, "span", ActivityKind.Server)).Decision);
                Assert.NotEqual(trace, EntrySampler.NextTrace());
            }
        }

        Assert.InRange(taken, 50, 150);

        // One that goes on has its identifier from the caller, and the next that begins has another.
        var caller = Remote(sampled: true);
        Assert.True(sampler.Takes(caller));
        Assert.NotEqual(caller.TraceId, EntrySampler.NextTrace());
    }

    private static bool IsSampled(EntrySampler sampler, ActivityContext parent, ActivityKind kind) =>
        sampler.ShouldSample(new SamplingParameters(parent, parent.TraceId == default ? ActivityTraceId.CreateRandom() : parent.TraceId, "span", kind)).Decision == SamplingDecision.RecordAndSample;

    private static ActivityContext Remote(bool sampled) => new(
        ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), sampled ? ActivityTraceFlags.Recorded : ActivityTraceFlags.None, isRemote: true);

    private static ActivityContext Local(bool sampled) => new(
        ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), sampled ? ActivityTraceFlags.Recorded : ActivityTraceFlags.None);
}
