using System.Text.Json.Serialization;

namespace PartnerPulse.Contracts;

/// <summary>
/// A dated change of a conversion's amount. It may come before the conversion that it changes.
/// Its natural key is (conversion, adjustment id).
/// </summary>
public sealed record ConversionAdjusted : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    public required Guid ConversionId { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary>The shop's own id of the adjustment.</summary>
    public required string AdjustmentId { get; init; }

    /// <summary>
    /// Change in minor units of the conversion's currency: negative takes away. Where the conversion is not known yet the
    /// unit is that of <see cref="Currency"/>.
    /// </summary>
    public required long AmountMinor { get; init; }

    /// <summary>ISO 4217. A change in another currency than the conversion's is kept and has no effect.</summary>
    public required string Currency { get; init; }

    public required AdjustmentReason Reason { get; init; }
}

[JsonConverter(typeof(CamelCaseEnum<AdjustmentReason>))]
public enum AdjustmentReason
{
    Refund,
    Chargeback,
    Cancellation,
    Correction,
}
