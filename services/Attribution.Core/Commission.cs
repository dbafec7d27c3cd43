namespace PartnerPulse.Attribution.Core;

/// <summary>What a partner is paid for its part.</summary>
internal static class Commission
{
    /// <summary>Index in the list of the first entry that matches; -1 where none does.</summary>
    public static int IndexOfMatch(Rules rules, Contracts.ConversionRecorded conversion, string partnerId)
    {
        var entries = rules.Commission;
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i].Matches(conversion, partnerId))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>Commission by number of the partner, in minor units.</summary>
    public static long[] Of(Journey journey, long net, Rules rules, Candidates candidates, long[] weightOf, long total, long[] amountOf)
    {
        var commissions = new long[weightOf.Length];
        if (rules.Commission.IsEmpty)
        {
            return commissions;
        }

        int splitEntry = -1;
        long[]? splitParts = null;
        for (var partner = 0; partner < commissions.Length; partner++)
        {
            if (candidates.Forfeits[partner])
            {
                continue;
            }

            var match = IndexOfMatch(rules, journey.Conversion, candidates.PartnerIds[partner]);
            if (match < 0)
            {
                continue;
            }

            var entry = rules.Commission[match];
            if (entry.PercentBasisPoints is { } basisPoints)
            {
                commissions[partner] = Split.Scale(amountOf[partner], basisPoints, 10_000);
                continue;
            }

            // A flat sum is for the whole conversion: it is split over all its partners, and whoever matches another entry,
            // or forfeits, leaves its part.
            if (splitParts is null || splitEntry != match)
            {
                splitEntry = match;
                splitParts ??= new long[weightOf.Length];
                Split.LargestRemainder(FlatMinor(entry.FlatMinor!.Value, journey, net), weightOf, total, splitParts);
            }

            commissions[partner] = splitParts[partner];
        }

        return commissions;
    }

    /// <summary>
    /// A refund takes a flat sum down in proportion. An order that was worth nothing has no proportion: it pays in full unless it
    /// was cancelled.
    /// </summary>
    public static long FlatMinor(long flat, Journey journey, long net)
    {
        var original = journey.Conversion.AmountMinor;
        return original > 0
            ? Split.Scale(flat, net, original)
            : Net.IsCancelled(journey) ? 0 : flat;
    }

    /// <summary>
    /// Each partner's commission over its touches by their amounts, or by their weights where the partner's amount is nothing.
    /// </summary>
    public static void SpreadOverTouches(
        Candidates candidates,
        long[] commissionOf,
        ReadOnlySpan<long> weights,
        long[] weightOf,
        ReadOnlySpan<long> amounts,
        long[] amountOf,
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
