namespace PartnerPulse.Contracts;

/// <summary>From this time the partner is in that group, and in no other. What a group earns is said by the rules.</summary>
public sealed record PartnerGrouped : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }

    /// <summary>Absent: it is in no group from then on.</summary>
    public string? Group { get; init; }
}
