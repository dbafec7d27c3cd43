namespace PartnerPulse.Contracts;

/// <summary>A month is closed: what every partner earned in it, and what of it is to be paid. What comes later goes into the next month that is open.</summary>
public sealed record StatementClosed : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>The calendar month in UTC: <c>2026-10</c>.</summary>
    public required string Period { get; init; }

    /// <summary>Position in the attribution log up to which facts are judged in it.</summary>
    public required long Position { get; init; }

    /// <summary>The generation that counted.</summary>
    public required int Generation { get; init; }
    public required int RulesVersion { get; init; }

    /// <summary>SHA-256 of the canonical rule document.</summary>
    public required string RulesHash { get; init; }
    public required string EngineVersion { get; init; }

    /// <summary>Days from the day of a conversion until its commission is payable.</summary>
    public required int HoldDays { get; init; }

    /// <summary>The day up to which commission had to become payable to be paid by this statement: <c>2026-11-30</c>.</summary>
    public required string PayableAsOf { get; init; }

    /// <summary>Ordered by partner and currency; only those that have something.</summary>
    public required IReadOnlyList<StatementBalance> Balances { get; init; }

    /// <summary>Name of the key that closed it.</summary>
    public string? By { get; init; }
}

/// <summary>
/// What a statement says to one partner in one currency, in minor units. Opening, earned and adjusted make up what is due; of that,
/// payable is paid and carried goes on to the next statement.
/// </summary>
public sealed record StatementBalance
{
    public required string PartnerId { get; init; }

    /// <summary>ISO 4217.</summary>
    public required string Currency { get; init; }

    /// <summary>By how much the credited amounts of orders changed.</summary>
    public required long AmountMinor { get; init; }

    /// <summary>Commission carried over from the statement before; negative where the partner owes.</summary>
    public required long OpeningMinor { get; init; }

    /// <summary>Commission of the month's own conversions.</summary>
    public required long EarnedMinor { get; init; }

    /// <summary>Commission of conversions of earlier months, which changed after those were closed.</summary>
    public required long AdjustedMinor { get; init; }

    /// <summary>Commission of this and earlier months that is not payable yet.</summary>
    public required long HeldMinor { get; init; }

    /// <summary>To be paid now; never negative.</summary>
    public required long PayableMinor { get; init; }

    /// <summary>Due and not paid: what is held, and what the partner owes as a negative amount.</summary>
    public required long CarriedMinor { get; init; }
}
