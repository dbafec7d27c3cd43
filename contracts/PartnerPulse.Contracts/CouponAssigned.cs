namespace PartnerPulse.Contracts;

/// <summary>
/// A coupon code is a partner's for a time: orders that carry it then can be credited to the partner. Of assignments of one code
/// that overlap the one with the later <see cref="From"/> holds, of equal ones the one with the higher event id.
/// </summary>
public sealed record CouponAssigned : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }

    /// <summary>As <see cref="CouponCode.Of"/> writes it.</summary>
    public required string Code { get; init; }

    /// <summary>The first instant at which the partner holds it; may lie before or after <see cref="OccurredAt"/>.</summary>
    public required DateTimeOffset From { get; init; }

    /// <summary>The first instant at which the partner no longer holds it; for ever where absent.</summary>
    public DateTimeOffset? Until { get; init; }
}
