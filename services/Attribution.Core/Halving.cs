using System.Numerics;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Powers of one half in integers: <c>Math.Pow</c> may differ in its last bit between machines, and credits may not.
/// </summary>
internal static class Halving
{
    // 2^(-b/256), 2^(-b/256²) … 2^(-b/256⁸) for b = 0…255, as fractions of 2^128. Entry 0 of a row is one and never read.
    private static readonly UInt128[] s_powers = Powers();

    // ln 2 as a fraction of 2^64.
    private const ulong Ln2 = 0xB17217F7D1CF79AB;

    /// <summary>The integer nearest to 2^<paramref name="bits"/> · 2^(−elapsed/halfLife), halves upwards.</summary>
    /// <param name="elapsedTicks">Not negative.</param>
    /// <param name="halfLifeTicks">More than zero.</param>
    /// <param name="bits">At most 62.</param>
    public static long Weight(long elapsedTicks, long halfLifeTicks, int bits)
    {
        var (halvings, rest) = Math.DivRem(elapsedTicks, halfLifeTicks);
        if (halvings > bits + 1)
        {
            return 0;
        }

        var exponent = bits - (int)halvings;
        if (rest == 0)
        {
            return exponent >= 0 ? 1L << exponent : 1;
        }

        // The fraction rest/halfLife to 128 bits; its first 64 through the tables, the others by 2^-g = 1 - g·ln 2, which is
        // exact here to less than 2^-128.
        var (high, left) = UInt128.DivRem(new UInt128((ulong)rest, 0), (ulong)halfLifeTicks);
        var low = (ulong)(new UInt128((ulong)left, 0) / (ulong)halfLifeTicks);
        var fraction = (ulong)high;

        var power = UInt128.Zero;
        for (var row = 0; row < 8; row++)
        {
            var digit = (int)(fraction >> (56 - (8 * row))) & 0xFF;
            if (digit != 0)
            {
                var factor = s_powers[(row * 256) + digit];
                power = power == UInt128.Zero ? factor : HighHalf(power, factor);
            }
        }

        var tail = Math.BigMul(low, Ln2, out _);
        power = power == UInt128.Zero
            ? UInt128.MaxValue - tail
            : power - Math.BigMul((ulong)(power >> 64), tail, out _);

        var shift = 128 - exponent;
        return shift > 128 ? 0 : (long)(((power >> (shift - 1)) + 1) >> 1);
    }

    /// <summary>The upper 128 bits of a product of two fractions.</summary>
    private static UInt128 HighHalf(UInt128 left, UInt128 right)
    {
        var (a, b) = ((ulong)(left >> 64), (ulong)left);
        var (c, d) = ((ulong)(right >> 64), (ulong)right);
        var ad = (UInt128)a * d;
        var bc = (UInt128)b * c;
        var carry = ((UInt128)(ulong)ad + (ulong)bc + (Math.BigMul(b, d, out _))) >> 64;
        return ((UInt128)a * c) + (ad >> 64) + (bc >> 64) + carry;
    }

    private static UInt128[] Powers()
    {
        const int Precision = 256;
        var powers = new UInt128[8 * 256];
        var root = BigInteger.One << (Precision - 1);
        for (var row = 0; row < 8; row++)
        {
            var exact = new BigInteger[256];
            exact[0] = BigInteger.One << Precision;
            for (var bit = 7; bit >= 0; bit--)
            {
                root = SquareRoot(root << Precision);
                var step = 1 << bit;
                exact[step] = root;
            }

            for (var digit = 1; digit < 256; digit++)
            {
                var lowest = digit & -digit;
                exact[digit] = digit == lowest ? exact[digit] : (exact[digit ^ lowest] * exact[lowest]) >> Precision;
                powers[(row * 256) + digit] = (UInt128)(exact[digit] >> (Precision - 128));
            }
        }

        return powers;
    }

    /// <summary>The whole part of the root, by Newton's method from above.</summary>
    private static BigInteger SquareRoot(BigInteger value)
    {
        var root = BigInteger.One << (int)((value.GetBitLength() + 1) / 2);
        while (true)
        {
            var next = (root + (value / root)) >> 1;
            if (next >= root)
            {
                return root;
            }

            root = next;
        }
    }
}
