namespace PartnerPulse.Attribution.Core;

/// <summary>What one entry of the commission list pays one partner.</summary>
/// <param name="Partner">Number of the partner among the candidates.</param>
/// <param name="Entry">Index in the list, from 0.</param>
/// <param name="AmountMinor">The piece of the partner's part of the net that it pays on.</param>
/// <param name="CommissionMinor">What it pays.</param>
[System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
internal readonly record struct CommissionPart(int Partner, int Entry, long AmountMinor, long CommissionMinor);

/// <summary>What a partner is paid for its part.</summary>
internal static class Commission
{
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
    /// <param name="paid">What it is made of; all of it is written.</param>
    public static void Of(
        in ConversionFacts conversion, string currency, Terms terms, Candidates candidates, ReadOnlySpan<long> weightOf, long total,
        ReadOnlySpan<long> amountOf, Span<long> commissionOf, Span<long> flatParts, List<CommissionPart> paid)
    {
        commissionOf.Clear();
        paid.Clear();
        var entries = terms.Rules.Commission;
        if (entries.IsEmpty)
        {
            return;
        }

        var splitEntry = -1;
        for (var partner = 0; partner < commissionOf.Length; partner++)
        {
            // Who has nothing of the conversion is paid nothing for it, no minimum either.
            if (candidates.Forfeits[partner] || weightOf[partner] == 0)
            {
                continue;
            }

            var first = paid.Count;
            Match(conversion, currency, terms, candidates.Partners[partner], partner, amountOf[partner], paid);
            for (var i = first; i < paid.Count; i++)
            {
                var entry = entries[paid[i].Entry];
                if (entry.FlatMinor is { } flat && splitEntry != paid[i].Entry)
                {
                    // A flat sum is for the whole conversion: it is split over all its partners, and whoever matches another entry,
                    // or forfeits, leaves its part.
                    splitEntry = paid[i].Entry;
                    Split.LargestRemainder(AfterRefunds(flat, conversion), weightOf, total, flatParts);
                }

                var commission = entry.PercentBasisPoints is { } basisPoints
                    ? Bounded(Split.Scale(paid[i].AmountMinor, basisPoints, 10_000), entry, conversion)
                    : flatParts[partner];
                paid[i] = paid[i] with { CommissionMinor = commission };
                commissionOf[partner] += commission;
            }
        }
    }

    /// <summary>The same where all there is are <see cref="Terms.PercentOfAll"/>, without what it is made of.</summary>
    public static void OfPercent(int basisPoints, Candidates candidates, ReadOnlySpan<long> weightOf, ReadOnlySpan<long> amountOf, Span<long> commissionOf)
    {
        for (var partner = 0; partner < commissionOf.Length; partner++)
        {
            commissionOf[partner] = candidates.Forfeits[partner] || weightOf[partner] == 0 ? 0 : Split.Scale(amountOf[partner], basisPoints, 10_000);
        }
    }

    /// <summary>The entries that pay the partner, each with its piece of the partner's part of the net. The pieces add up to at most that.</summary>
    private static void Match(
        in ConversionFacts conversion, string currency, Terms terms, int partnerNumber, int partner, long amount, List<CommissionPart> paid)
    {
        var (entries, id) = (terms.Rules.Commission, terms.PartnerId(partnerNumber));
        var group = terms.GroupAt(partnerNumber, conversion.Ticks);
        if (terms.HasProducts && conversion.Items != FactNames.None)
        {
            MatchItems(conversion, currency, terms, id, group, partner, amount, paid);
            return;
        }

        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i].Product is null && entries[i].Matches(conversion, currency, id, group))
            {
                paid.Add(new CommissionPart(partner, i, amount, 0));
                return;
            }
        }
    }

    /// <summary>
    /// Entries take from the order one after the other: one with a product its items, one without all that is left, which is the other
    /// items and what the order costs beyond its items. The partner's part is split in the same proportions, exactly.
    /// </summary>
    private static void MatchItems(
        in ConversionFacts conversion, string currency, Terms terms, string id, string? group, int partner, long amount, List<CommissionPart> paid)
    {
        var (entries, items) = (terms.Rules.Commission, terms.ItemsOf(conversion));
        var taken = new bool[items.Length];
        var left = items.Length;
        var beyond = conversion.OriginalMinor;
        foreach (var item in items)
        {
            beyond -= item.AmountMinor;
        }

        beyond = long.Max(0, beyond);
        var first = paid.Count;
        var weights = new List<long>();
        for (var i = 0; i < entries.Length; i++)
        {
            if (!entries[i].Matches(conversion, currency, id, group))
            {
                continue;
            }

            var product = entries[i].Product;
            var (found, weight) = (0, 0L);
            for (var item = 0; item < items.Length; item++)
            {
                if (!taken[item] && (product is null || items[item].Product == product))
                {
                    (taken[item], found, weight) = (true, found + 1, weight + items[item].AmountMinor);
                }
            }

            left -= found;
            if (product is null && (found > 0 || beyond > 0 || weights.Count == 0))
            {
                paid.Add(new CommissionPart(partner, i, 0, 0));
                weights.Add(weight + beyond);
                beyond = 0;
                break;
            }

            if (product is not null && found > 0)
            {
                paid.Add(new CommissionPart(partner, i, 0, 0));
                weights.Add(weight);
            }
        }

        if (amount == 0)
        {
            return;
        }

        // What no entry took is a piece like the others, and pays nothing.
        for (var item = 0; left > 0 && item < items.Length; item++)
        {
            beyond += taken[item] ? 0 : items[item].AmountMinor;
        }

        weights.Add(beyond);
        var pieces = new long[weights.Count];
        Split.LargestRemainder(amount, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(weights), weights.Sum(), pieces);
        for (var i = first; i < paid.Count; i++)
        {
            paid[i] = paid[i] with { AmountMinor = pieces[i - first] };
        }
    }

    /// <summary>Cap and minimum are of the order as it was: refunds take them down as they take down everything.</summary>
    private static long Bounded(long commission, CommissionEntry entry, in ConversionFacts conversion)
    {
        if (entry.CapMinor is { } cap)
        {
            commission = long.Min(commission, AfterRefunds(cap, conversion));
        }

        return entry.MinimumMinor is { } minimum ? long.Max(commission, AfterRefunds(minimum, conversion)) : commission;
    }

    /// <summary>
    /// A refund takes a sum of the rules down in proportion. An order that was worth nothing has no proportion: it pays in full unless
    /// it was cancelled.
    /// </summary>
    private static long AfterRefunds(long sum, in ConversionFacts conversion) =>
        conversion.OriginalMinor > 0 ? Split.Scale(sum, conversion.NetMinor, conversion.OriginalMinor)
        : conversion.Cancelled ? 0
        : sum;

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
