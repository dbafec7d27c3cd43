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

    /// <summary>
    /// Further utm parameters that a click gets where its own query lacks them. The name is <see cref="Campaign"/>'s, and absent here.
    /// </summary>
    public Campaign? Utm { get; init; }

    /// <summary>From then on the link leads to <see cref="Fallback"/>. It never expires where absent.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Where an expired or retired link leads: absolute http or https address. The program's fallback where absent.</summary>
    public string? Fallback { get; init; }
}
