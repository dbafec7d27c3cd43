namespace PartnerPulse.Contracts;

/// <summary>
/// This customer is the partner itself, or somebody of it: what it buys is the partner's own purchase. It counts whenever it becomes
/// known. Its natural key is (program, customer key, partner).
/// </summary>
public sealed record PartnerIdentified : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }

    /// <summary>When the shop saw it. No credit depends on it.</summary>
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }

    /// <summary>Keyed hash of the customer's identity.</summary>
    public required string CustomerKey { get; init; }
}
