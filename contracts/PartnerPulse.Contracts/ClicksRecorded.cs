namespace PartnerPulse.Contracts;

/// <summary>
/// The message in which clicks travel on the bus: up to <see cref="MaxClicks"/> at once, in the order of the edge's spool. On the
/// wire it is what the spool holds: a <see cref="ClickRecorded"/> a line, which begins with <c>"traceparent"</c> where its trace is sampled.
/// </summary>
public sealed record ClicksRecorded
{
    public const int MaxClicks = 500;

    /// <summary>Each a <see cref="ClickRecorded"/> as UTF-8 JSON, as the edge wrote it. Nobody on the way takes it apart.</summary>
    public required IReadOnlyList<ReadOnlyMemory<byte>> Clicks { get; init; }
}
