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

    /// <summary>What brought it about, at most <see cref="RevisionCause.Most"/>; absent in events from before the field.</summary>
    public IReadOnlyList<RevisionCause>? Causes { get; init; }
}

/// <summary>A fact that came in and changed a credit.</summary>
public sealed record RevisionCause
{
    /// <summary>So many are named of what came in together.</summary>
    public const int Most = 8;

    /// <summary>The conversion itself.</summary>
    public const string Recorded = "recorded";

    /// <summary>A refund, a chargeback, a cancellation or a correction.</summary>
    public const string Adjustment = "adjustment";

    /// <summary>The shop said another amount.</summary>
    public const string Restatement = "restatement";

    /// <summary>The conversion was found to be the same sale as another one, or no longer.</summary>
    public const string SameOrder = "same-order";
    public const string Suspension = "suspension";
    public const string Reinstatement = "reinstatement";

    /// <summary>A partner came into another group.</summary>
    public const string Group = "group";

    /// <summary>The conversion's coupon was assigned or withdrawn.</summary>
    public const string Coupon = "coupon";

    /// <summary>A click that came in after the conversion.</summary>
    public const string LateClick = "late-click";

    /// <summary>A visitor, or a partner, became known to be the customer.</summary>
    public const string Identity = "identity";

    /// <summary>Another conversion of the same customer.</summary>
    public const string Introduction = "introduction";

    /// <summary>A replay under other rules was promoted.</summary>
    public const string Replay = "replay";

    /// <summary>Everything was derived again, with more in the log than before.</summary>
    public const string Rebuild = "rebuild";

    /// <summary>Something else that came in.</summary>
    public const string Facts = "facts";

    public required string Kind { get; init; }

    /// <summary>The event; absent for a rebuild, and for an identity, whose id is derived from the customer's key.</summary>
    public Guid? EventId { get; init; }

    /// <summary>The replay that was promoted.</summary>
    public Guid? ReplayId { get; init; }
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
