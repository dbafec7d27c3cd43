namespace PartnerPulse.Contracts;

/// <summary>History is to be judged under other rules, into a generation of its own.</summary>
public sealed record ReplayRequested : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ReplayId { get; init; }
    public required int RulesVersion { get; init; }

    /// <summary>The generation that the replay writes.</summary>
    public required int Generation { get; init; }
    public string? By { get; init; }
}
