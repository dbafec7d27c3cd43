namespace PartnerPulse.Contracts;

/// <summary>A tracking link exists from now on. Publishing a live slug of the same partner again moves its destination.</summary>
public sealed record LinkPublished : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }

    /// <summary>Unique over all programs; lower case letters, digits and <c>-</c>.</summary>
    public required string Slug { get; init; }

    /// <summary>Absolute http or https address.</summary>
    public required string Destination { get; init; }

    /// <summary>Campaign name that a click gets where its own query has no <c>utm_campaign</c>.</summary>
    public string? Campaign { get; init; }
}
