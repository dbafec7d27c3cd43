namespace PartnerPulse.Contracts;

/// <summary>The generation is not wanted.</summary>
public sealed record ReplayDiscarded : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ReplayId { get; init; }
    public required int Generation { get; init; }
    public string? By { get; init; }
}
