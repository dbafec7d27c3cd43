namespace PartnerPulse.Contracts;

/// <summary>
/// What an order is worth as of a later look at it: a shop that sends whole orders again and again says each time what the order
/// amounts to. Of all statements the newest by the shop's own time is in force, whatever order they came in. It may come before the
/// conversion. Its natural key is (conversion, as of, amount).
/// </summary>
public sealed record ConversionRestated : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }

    /// <summary>As of when: the shop's own time of its statement.</summary>
    public required DateTimeOffset OccurredAt { get; init; }

    public required Guid ConversionId { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary>The whole amount, before adjustments, in minor units of <see cref="Currency"/>; not negative.</summary>
    public required long AmountMinor { get; init; }

    /// <summary>ISO 4217. A statement in another currency than the conversion's is kept and has no effect.</summary>
    public required string Currency { get; init; }

    /// <summary>The order was called off as of then; the amount is 0.</summary>
    public bool Cancelled { get; init; }

    /// <summary>The statement that says what the conversion amounts to; null where it is still what was recorded.</summary>
    public static ConversionRestated? InForce(ConversionRecorded recorded, IEnumerable<ConversionRestated> statements)
    {
        ConversionRestated? newest = null;
        foreach (var statement in statements)
        {
            if (statement.Currency == recorded.Currency && (newest is null ? statement.Supersedes(recorded) : statement.Supersedes(newest)))
            {
                newest = statement;
            }
        }

        return newest;
    }

    /// <summary>Whether this is in force over <paramref name="recorded"/>, which any statement is where that names no time.</summary>
    public bool Supersedes(ConversionRecorded recorded) =>
        recorded.AmountAsOf is not { } asOf || Supersedes(asOf, recorded.AmountMinor, cancelled: false);

    /// <summary>Whether this is in force over <paramref name="other"/>. Nothing is in force over itself.</summary>
    public bool Supersedes(ConversionRestated other) => Supersedes(other.OccurredAt, other.AmountMinor, other.Cancelled);

    // Shops' times have seconds. Of two that a shop said in the same one neither is known to be newer; the lower one stands, so
    // that it does not matter which of them came first.
    private bool Supersedes(DateTimeOffset asOf, long amountMinor, bool cancelled)
    {
        var byTime = OccurredAt.UtcTicks.CompareTo(asOf.UtcTicks);
        var byAmount = amountMinor.CompareTo(AmountMinor);
        return byTime != 0 ? byTime > 0 : byAmount != 0 ? byAmount > 0 : Cancelled && !cancelled;
    }
}
