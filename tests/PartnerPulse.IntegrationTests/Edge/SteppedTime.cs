namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>The machine's clocks, of which somebody sets the one on the wall.</summary>
internal sealed class SteppedTime : TimeProvider
{
    private long _offset;

    public void Step(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);

    public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddTicks(Interlocked.Read(ref _offset));
}
