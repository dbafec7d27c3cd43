namespace PartnerPulse.Contracts;

/// <summary>From this time on one assignment of a coupon code holds no more. Orders of before keep the partner that held it.</summary>
public sealed record CouponWithdrawn : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }

    /// <summary>As <see cref="CouponCode.Of"/> writes it.</summary>
    public required string Code { get; init; }

    /// <summary>Event id of the <see cref="CouponAssigned"/> that it ends.</summary>
    public required Guid AssignmentId { get; init; }
}
