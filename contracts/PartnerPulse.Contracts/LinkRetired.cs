namespace PartnerPulse.Contracts;

/// <summary>The link no longer leads anywhere. Its old clicks stay what they were.</summary>
public sealed record LinkRetired : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }
    public required string Slug { get; init; }
}
