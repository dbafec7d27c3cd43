namespace PartnerPulse.Contracts;

/// <summary>The generation is the one that counts from now on.</summary>
public sealed record ReplayPromoted : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ReplayId { get; init; }
    public required int Generation { get; init; }

    /// <summary>The generation that counted before.</summary>
    public required int PreviousGeneration { get; init; }
    public string? By { get; init; }
}
