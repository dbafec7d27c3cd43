namespace PartnerPulse.Tests.Edge;

/// <summary>Two clocks that the test moves: the monotonic one, and the one on the wall that somebody may set.</summary>
internal sealed class ManualTime : TimeProvider
{
    private long _timestamp = 1_000_000_000_000;

    public DateTimeOffset Wall { get; set; } = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => Wall;

    public override long GetTimestamp() => Interlocked.Read(ref _timestamp);

    public void Pass(TimeSpan time) => Interlocked.Add(ref _timestamp, time.Ticks);
}
