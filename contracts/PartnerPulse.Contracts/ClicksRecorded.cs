namespace PartnerPulse.Contracts;

/// <summary>The message in which clicks travel on the bus: up to <see cref="MaxClicks"/> at once, in the order of the edge's spool.</summary>
public sealed record ClicksRecorded
{
    public const int MaxClicks = 500;

    public required IReadOnlyList<ClickRecorded> Clicks { get; init; }
}
