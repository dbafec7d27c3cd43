using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Ledger;

/// <summary>What one revision changed of one partner's part of one conversion. Money is in minor units.</summary>
/// <param name="Position">Of the revision in the log.</param>
/// <param name="PartnerId">Whose part.</param>
/// <param name="Conversion">Of what.</param>
/// <param name="RecordedAt">When the log took what changed it.</param>
/// <param name="Period">The month whose statement has it.</param>
/// <param name="Generation">The generation that gives the part.</param>
/// <param name="Change">By how much share, amount and commission changed.</param>
/// <param name="IsFirst">The partner had nothing of the conversion before.</param>
internal sealed record LedgerEntry(
    long Position, string PartnerId, ConversionRecorded Conversion, DateTimeOffset RecordedAt, Period Period, int Generation, PartnerCredit Change, bool IsFirst)
{
    /// <summary>The partner's first part of a conversion.</summary>
    public const string Credit = "credit";

    /// <summary>A change of it while the conversion's month was open.</summary>
    public const string Revision = "revision";

    /// <summary>Whatever came after the conversion's month was closed.</summary>
    public const string Adjustment = "adjustment";

    public string Kind => Period != Period.Of(Conversion.OccurredAt) ? Adjustment : IsFirst ? Credit : Revision;

    /// <summary>
    /// The entries of one revision, ordered by partner; none of a test conversion. Sums of the entries of a conversion and a partner are
    /// the part that the last revision gives.
    /// </summary>
    /// <param name="position">Of the revision in the log.</param>
    /// <param name="revised">The revision.</param>
    /// <param name="conversion">Its conversion as it was recorded.</param>
    /// <param name="firstOpen">The first month that no statement before the revision has closed; null before the first statement.</param>
    public static IEnumerable<LedgerEntry> Of(long position, CreditsRevised revised, ConversionRecorded conversion, Period? firstOpen)
    {
        if (conversion.Test)
        {
            yield break;
        }

        var own = Period.Of(conversion.OccurredAt);
        var period = firstOpen is { } open ? Period.Later(own, open) : own;
        foreach (var partner in revised.Before.Concat(revised.After).Select(credit => credit.PartnerId).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var (was, now) = (Part(revised.Before, partner), Part(revised.After, partner));
            if (was == now)
            {
                continue;
            }

            yield return new LedgerEntry(
                position, partner, conversion, revised.OccurredAt, period, revised.Generation,
                new PartnerCredit
                {
                    PartnerId = partner,
                    Share = (now?.Share ?? 0) - (was?.Share ?? 0),
                    AmountMinor = (now?.AmountMinor ?? 0) - (was?.AmountMinor ?? 0),
                    CommissionMinor = (now?.CommissionMinor ?? 0) - (was?.CommissionMinor ?? 0),
                },
                IsFirst: was is null);
        }
    }

    private static PartnerCredit? Part(IReadOnlyList<PartnerCredit> credits, string partner) => credits.SingleOrDefault(credit => credit.PartnerId == partner);
}
