using System.Text.Json.Serialization;

namespace PartnerPulse.Contracts;

/// <summary>
/// A lead, a signup, a sale or a renewal, as the shop reported it. Its natural key is (program, source, order id);
/// the conversion id is derived from it, see <see cref="Ids.Conversion"/>.
/// </summary>
public sealed record ConversionRecorded : IEvent
{
    /// <summary>Equal to <see cref="ConversionId"/>: a conversion is recorded once.</summary>
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    public required Guid ConversionId { get; init; }
    public required ConversionKind Kind { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary>Keyed hash of the customer's identity.</summary>
    public string? CustomerKey { get; init; }
    public string? VisitorId { get; init; }
    public Guid? ClickId { get; init; }
    public string? Coupon { get; init; }

    /// <summary>Minor units of <see cref="Currency"/> (0, 2 or 3 decimals by ISO 4217); not negative.</summary>
    public required long AmountMinor { get; init; }

    /// <summary>ISO 4217, upper case.</summary>
    public required string Currency { get; init; }

    /// <summary>
    /// As of when the shop says this amount, where it sends orders repeatedly; see <see cref="ConversionRestated"/>. Absent: the
    /// oldest of all statements.
    /// </summary>
    public DateTimeOffset? AmountAsOf { get; init; }

    public bool? NewCustomer { get; init; }
    public bool Test { get; init; }
    public IReadOnlyList<LineItem>? Items { get; init; }
}

[JsonConverter(typeof(CamelCaseEnum<ConversionKind>))]
public enum ConversionKind
{
    Lead,
    Signup,
    Sale,
    Renewal,
}

/// <summary>One line of an order. <see cref="AmountMinor"/> is the whole line in the order's currency.</summary>
public sealed record LineItem
{
    public required string Product { get; init; }
    public int Quantity { get; init; } = 1;
    public required long AmountMinor { get; init; }
}
