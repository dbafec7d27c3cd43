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

    /// <summary>
    /// Versions that judge what <see cref="RulesVersion"/> does not apply to, the first that applies: those of the generation that
    /// counted when the replay was requested. The last applies to everything. Absent where the replay's own does.
    /// </summary>
    public IReadOnlyList<int>? Under { get; init; }
    public string? By { get; init; }
}
