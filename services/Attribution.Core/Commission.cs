namespace PartnerPulse.Attribution.Core;

/// <summary>What a partner is paid for its part.</summary>
internal static class Commission
{
    /// <summary>Index in the list of the first entry that matches; -1 where none does.</summary>
    public static int IndexOfMatch(Rules rules, Contracts.ConversionKind kind, string currency, string partnerId)
    {
        var entries = rules.Commission;
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i].Matches(kind, currency, partnerId))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Commission by number of the partner among the candidates, in minor units.</summary>
    /// <param name="conversion">The conversion.</param>
    /// <param name="currency">Its currency.</param>
    /// <param name="terms">The rules.</param>
    /// <param name="candidates">Who has it.</param>
    /// <param name="weightOf">Each partner's weight; their sum is <paramref name="total"/>.</param>
    /// <param name="total">More than zero, at most 2^62.</param>
    /// <param name="amountOf">Each partner's part of the net.</param>
    /// <param name="commissionOf">As long as the others; all of it is written.</param>
    /// <param name="flatParts">As long; for a flat sum on its way.</param>
    public static void Of(
        in ConversionFacts conversion, string currency, Terms terms, Candidates candidates, ReadOnlySpan<long> weightOf, long total,
        ReadOnlySpan<long> amountOf, Span<long> commissionOf, Span<long> flatParts)
    {
        commissionOf.Clear();
        var entries = terms.Rules.Commission;
        if (entries.IsEmpty)
        {
            return;
        }

        var splitEntry = -1;
        for (var partner = 0; partner < commissionOf.Length; partner++)
        {
            if (candidates.Forfeits[partner])
            {
                continue;
            }

            var match = IndexOfMatch(terms.Rules, conversion.Kind, currency, terms.PartnerId(candidates.Partners[partner]));
            if (match < 0)
            {
                continue;
            }

            var entry = entries[match];
            if (entry.PercentBasisPoints is { } basisPoints)
            {
                commissionOf[partner] = Split.Scale(amountOf[partner], basisPoints, 10_000);
                continue;
            }

            // A flat sum is for the whole conversion: it is split over all its partners, and whoever matches another entry,
            // or forfeits, leaves its part.
            if (splitEntry != match)
            {
                splitEntry = match;
                Split.LargestRemainder(FlatMinor(entry.FlatMinor!.Value, conversion), weightOf, total, flatParts);
            }

            commissionOf[partner] = flatParts[partner];
        }
    }

    /// <summary>
    /// A refund takes a flat sum down in proportion. An order that was worth nothing has no proportion: it pays in full unless it
    /// was cancelled.
    /// </summary>
    private static long FlatMinor(long flat, in ConversionFacts conversion) =>
        conversion.OriginalMinor > 0 ? Split.Scale(flat, conversion.NetMinor, conversion.OriginalMinor)
        : conversion.Cancelled ? 0
        : flat;

    /// <summary>
    /// Each partner's commission over its touches by their amounts, or by their weights where the partner's amount is nothing.
    /// </summary>
    public static void SpreadOverTouches(
        Candidates candidates,
        ReadOnlySpan<long> commissionOf,
        ReadOnlySpan<long> weights,
        ReadOnlySpan<long> weightOf,
        ReadOnlySpan<long> amounts,
        ReadOnlySpan<long> amountOf,
        Span<long> commissions)
    {
        commissions.Clear();
        if (commissionOf.Length == 1)
        {
            var byAmount = amountOf[0] > 0;
            Split.LargestRemainder(commissionOf[0], byAmount ? amounts : weights, byAmount ? amountOf[0] : weightOf[0], commissions);
            return;
        }

        // Touches sorted by partner, within a partner in order: each partner's are then one stretch.
        var ends = new int[commissionOf.Length];
        for (var i = 0; i < candidates.Count; i++)
        {
            ends[candidates.Partner[i]]++;
        }

        for (var partner = 1; partner < ends.Length; partner++)
        {
            ends[partner] += ends[partner - 1];
        }

        var sorted = new int[candidates.Count];
        var next = (int[])ends.Clone();
        for (var i = candidates.Count - 1; i >= 0; i--)
        {
            sorted[--next[candidates.Partner[i]]] = i;
        }

        var parts = new long[candidates.Count];
        var by = new long[candidates.Count];
        for (var partner = 0; partner < ends.Length; partner++)
        {
            if (commissionOf[partner] == 0)
            {
                continue;
            }

            var stretch = sorted.AsSpan(next[partner]..ends[partner]);
            var byAmount = amountOf[partner] > 0;
            for (var i = 0; i < stretch.Length; i++)
            {
                by[i] = byAmount ? amounts[stretch[i]] : weights[stretch[i]];
            }

            Split.LargestRemainder(
                commissionOf[partner],
                by.AsSpan(0, stretch.Length),
                byAmount ? amountOf[partner] : weightOf[partner],
                parts.AsSpan(0, stretch.Length));
            for (var i = 0; i < stretch.Length; i++)
            {
                commissions[stretch[i]] = parts[i];
            }
        }
    }
}
