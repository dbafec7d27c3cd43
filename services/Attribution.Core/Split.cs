namespace PartnerPulse.Attribution.Core;

/// <summary>Divides whole units by whole weights so that the parts add up exactly.</summary>
internal static class Split
{
    /// <summary>Units of a whole share: a share has 18 decimals.</summary>
    public const long WholeShare = 1_000_000_000_000_000_000;

    /// <summary>Weights are bounded so that a sum of them fits: every product below is less than 2^63 · 2^62.</summary>
    public const int MaxTotalBits = 62;

    private const int OnTheStack = 64;

    /// <summary>
    /// The method of largest remainder (Hamilton): everyone gets the whole units of its quota amount·weight/total; the units left
    /// go one each to the largest remainders, of equal ones to the earlier.
    /// </summary>
    /// <param name="amount">Units to give; not negative.</param>
    /// <param name="weights">Not negative, in order; their sum is <paramref name="total"/>.</param>
    /// <param name="total">More than zero, at most 2^62.</param>
    /// <param name="parts">As long as <paramref name="weights"/>; all of it is written.</param>
    public static void LargestRemainder(long amount, ReadOnlySpan<long> weights, long total, Span<long> parts)
    {
        var left = amount;
        for (var i = 0; i < weights.Length; i++)
        {
            // The models of one touch give nothing to the others, and all to it: no division says more.
            var weight = weights[i];
            parts[i] = weight == 0 ? 0 : weight == total ? amount : Quota(amount, weight, total).Quotient;
            left -= parts[i];
        }

        // Mostly all goes to one and nothing is left: remainders are worked out only to be compared.
        if (left > 0)
        {
            GiveRest(amount, weights, total, parts, left);
        }
    }

    private static void GiveRest(long amount, ReadOnlySpan<long> weights, long total, Span<long> parts, long left)
    {
        var remainders = weights.Length <= OnTheStack ? stackalloc (long Left, int Index)[OnTheStack] : new (long Left, int Index)[weights.Length];
        for (var i = 0; i < weights.Length; i++)
        {
            remainders[i] = (Quota(amount, weights[i], total).Remainder, i);
        }

        remainders = remainders[..weights.Length];
        remainders.Sort(static (one, other) =>
        {
            var byRemainder = other.Left.CompareTo(one.Left);
            return byRemainder != 0 ? byRemainder : one.Index.CompareTo(other.Index);
        });
        for (var i = 0; i < left; i++)
        {
            parts[remainders[i].Index]++;
        }
    }

    /// <summary>Whole units and remainder of amount·weight/total.</summary>
    public static (long Quotient, long Remainder) Quota(long amount, long weight, long total)
    {
        var high = Math.BigMul((ulong)amount, (ulong)weight, out var low);
        if (high == 0)
        {
            var (quotient, remainder) = Math.DivRem(low, (ulong)total);
            return ((long)quotient, (long)remainder);
        }

        var (wide, rest) = UInt128.DivRem(new UInt128(high, low), (ulong)total);
        return ((long)wide, (long)rest);
    }

    /// <summary>amount·numerator/denominator to the nearest unit, halves away from zero. Nothing is negative.</summary>
    public static long Scale(long amount, long numerator, long denominator)
    {
        var (quotient, remainder) = Quota(amount, numerator, denominator);
        return remainder >= denominator - remainder ? quotient + 1 : quotient;
    }

    /// <summary>Share units as a decimal of exactly 18 decimals.</summary>
    public static decimal ToShare(long units) => new((int)units, (int)(units >> 32), 0, isNegative: false, scale: 18);
}
