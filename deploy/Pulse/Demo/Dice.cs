namespace PartnerPulse.Pulse.Demo;

/// <summary>
/// SplitMix64 (Steele, Lea, Flood 2014): one seed gives the same program on every machine and in every version of .NET.
/// Nothing here is a secret.
/// </summary>
internal sealed class Dice(ulong seed)
{
    private ulong _state = seed;

    public ulong Next()
    {
        _state += 0x9E3779B97F4A7C15;
        var z = _state;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>0 up to, not including, <paramref name="limit"/>.</summary>
    public int Below(int limit) => (int)(Next() % (ulong)limit);

    /// <summary>0 up to, not including, 1.</summary>
    public double Fraction() => (Next() >> 11) * (1.0 / (1UL << 53));

    public bool Chance(double probability) => Fraction() < probability;

    public T Pick<T>(IReadOnlyList<T> from) => from[Below(from.Count)];

    /// <summary>The heavier, the likelier.</summary>
    public T Pick<T>(IReadOnlyList<T> from, Func<T, double> weight)
    {
        var at = Fraction() * from.Sum(weight);
        foreach (var one in from)
        {
            at -= weight(one);
            if (at < 0)
            {
                return one;
            }
        }

        return from[^1];
    }
}
