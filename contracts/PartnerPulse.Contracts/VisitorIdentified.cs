namespace PartnerPulse.Contracts;

/// <summary>
/// A visitor, or the visitor of a click, is this customer: a shop saw somebody log in or sign up. The tie counts whenever it becomes
/// known. Its natural key is (program, customer key, visitor id, click id).
/// </summary>
public sealed record VisitorIdentified : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }

    /// <summary>When the shop saw it. No credit depends on it.</summary>
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>Keyed hash of the customer's identity.</summary>
    public required string CustomerKey { get; init; }

    /// <summary>At least one of visitor and click is given.</summary>
    public string? VisitorId { get; init; }

    /// <summary>Ties the visitor of that click; a click without a visitor ties nobody.</summary>
    public Guid? ClickId { get; init; }
}
