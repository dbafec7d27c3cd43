namespace PartnerPulse.Contracts;

/// <summary>The credit of one conversion under the active generation changed: what it was and what it is.</summary>
public sealed record CreditsRevised : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ConversionId { get; init; }
    public required int Generation { get; init; }

    /// <summary>ISO 4217 currency of every amount in here.</summary>
    public required string Currency { get; init; }

    /// <summary>Empty where nobody had credit.</summary>
    public required IReadOnlyList<PartnerCredit> Before { get; init; }
    public required IReadOnlyList<PartnerCredit> After { get; init; }

    /// <summary>
    /// The clicks that have a share now, ordered by click id: what a partner's own system needs to know its part again. Absent
    /// where nobody has one, and in events from before the field.
    /// </summary>
    public IReadOnlyList<CreditedClick>? Clicks { get; init; }
}

/// <summary>A click that has a share of a conversion, and whose it is.</summary>
public sealed record CreditedClick
{
    public required Guid ClickId { get; init; }
    public required string PartnerId { get; init; }
}

/// <summary>What one partner has of one conversion.</summary>
public sealed record PartnerCredit
{
    public required string PartnerId { get; init; }

    /// <summary>Fraction of the conversion, 0 to 1, with 18 decimals.</summary>
    public required decimal Share { get; init; }

    /// <summary>Minor units of the currency.</summary>
    public required long AmountMinor { get; init; }

    /// <summary>Minor units of the currency.</summary>
    public required long CommissionMinor { get; init; }
}
