using System.Text.Json.Serialization;

namespace PartnerPulse.Contracts;

/// <summary>Which conversions of different sources are one sale. Each declaration replaces the one before as a whole.</summary>
public sealed record OrderIdentitiesDeclared : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>Empty where nothing is one sale by itself.</summary>
    public required IReadOnlyList<OrderIdentity> Identities { get; init; }

    /// <summary>Name of the API key that declared it.</summary>
    public string? By { get; init; }
}

/// <summary>
/// Two conversions of the two sources are one sale where all the fields are present and equal in both, and not more than so many
/// hours lie between them.
/// </summary>
public sealed record OrderIdentity
{
    /// <summary>Two. The conversion of the first is kept, that of the second is set aside.</summary>
    public required IReadOnlyList<string> Sources { get; init; }

    public required IReadOnlyList<OrderField> Fields { get; init; }

    public required int WithinHours { get; init; }
}

/// <summary>What two reports of one sale may have in common.</summary>
[JsonConverter(typeof(CamelCaseEnum<OrderField>))]
public enum OrderField
{
    OrderId,
    ClickId,
    VisitorId,
    Customer,
    Coupon,
    Amount,
    Currency,
    Kind,
}
