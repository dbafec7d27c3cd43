namespace PartnerPulse.Contracts;

/// <summary>The generation has caught up with the log for the first time and can be compared and promoted.</summary>
public sealed record ReplayCompleted : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ReplayId { get; init; }
    public required int Generation { get; init; }

    /// <summary>Position in the attribution log up to which everything is folded.</summary>
    public required long Position { get; init; }
    public required string EngineVersion { get; init; }
}
