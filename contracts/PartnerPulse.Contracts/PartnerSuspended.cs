namespace PartnerPulse.Contracts;

/// <summary>From this time the partner takes no part, until reinstated.</summary>
public sealed record PartnerSuspended : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }
}
