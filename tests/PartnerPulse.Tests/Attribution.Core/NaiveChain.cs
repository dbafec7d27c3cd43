using System.Numerics;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>
/// Removal effects as they are defined, in exact fractions: the chain of the journeys, the same chain without the partner, both
/// solved by Gauss's elimination.
/// </summary>
internal static class NaiveChain
{
    public static Dictionary<string, Fraction> Effects(IReadOnlyList<(List<string> Partners, bool Converted)> paths, int order)
    {
        if (paths.Count == 0)
        {
            return [];
        }

        var all = Converting(paths, order, without: null);
        return paths.SelectMany(p => p.Partners).Distinct(StringComparer.Ordinal).ToDictionary(
            partner => partner,
            partner => all.IsZero ? all : (all - Converting(paths, order, partner)) / all,
            StringComparer.Ordinal);
    }

    /// <summary>The probability that a journey through the chain converts, where every state with that partner in it leads nowhere.</summary>
    private static Fraction Converting(IReadOnlyList<(List<string> Partners, bool Converted)> paths, int order, string? without)
    {
        var steps = new Dictionary<(string From, string To), int>();
        foreach (var (partners, converted) in paths)
        {
            var from = "";
            for (var i = 0; i < partners.Count; i++)
            {
                var to = string.Join('|', partners.Take(i + 1).TakeLast(order));
                steps[(from, to)] = steps.GetValueOrDefault((from, to)) + 1;
                from = to;
            }

            var end = converted ? "+" : "-";
            steps[(from, end)] = steps.GetValueOrDefault((from, end)) + 1;
        }

        var states = steps.Keys.Select(s => s.From).Distinct(StringComparer.Ordinal).Where(s => without is null || !s.Split('|').Contains(without)).ToList();
        var matrix = states.Select(state =>
        {
            var total = steps.Where(s => s.Key.From == state).Sum(s => s.Value);
            Fraction To(string to) => new(steps.GetValueOrDefault((state, to)), total);
            return states.Select(to => (to == state ? Fraction.One : Fraction.Zero) - To(to)).Append(To("+")).ToArray();
        }).ToArray();
        return Solve(matrix, states.IndexOf(""));
    }

    private static Fraction Solve(Fraction[][] matrix, int wanted)
    {
        var n = matrix.Length;
        for (var column = 0; column < n; column++)
        {
            var pivot = Enumerable.Range(column, n - column).First(row => !matrix[row][column].IsZero);
            (matrix[column], matrix[pivot]) = (matrix[pivot], matrix[column]);
            var by = matrix[column][column];
            matrix[column] = Array.ConvertAll(matrix[column], x => x.IsZero ? x : x / by);
            for (var row = 0; row < n; row++)
            {
                var times = matrix[row][column];
                if (row != column && !times.IsZero)
                {
                    matrix[row] = [.. matrix[row].Zip(matrix[column], (x, y) => y.IsZero ? x : x - (times * y))];
                }
            }
        }

        return matrix[wanted][n];
    }

    /// <summary>A fraction in lowest terms.</summary>
    internal readonly record struct Fraction
    {
        public Fraction(BigInteger numerator, BigInteger denominator)
        {
            var divisor = BigInteger.GreatestCommonDivisor(numerator, denominator) * denominator.Sign;
            (Numerator, Denominator) = (numerator / divisor, denominator / divisor);
        }

        public static Fraction Zero => new(0, 1);

        public static Fraction One => new(1, 1);

        public BigInteger Numerator { get; }

        public BigInteger Denominator { get; }

        public bool IsZero => Numerator.IsZero;

        public static Fraction operator -(Fraction x, Fraction y) => new((x.Numerator * y.Denominator) - (y.Numerator * x.Denominator), x.Denominator * y.Denominator);

        public static Fraction operator *(Fraction x, Fraction y) => new(x.Numerator * y.Numerator, x.Denominator * y.Denominator);

        public static Fraction operator /(Fraction x, Fraction y) => new(x.Numerator * y.Denominator, x.Denominator * y.Numerator);

        /// <summary>How far a number of 2^-40 is from this, in such units; precise to a millionth of one.</summary>
        public double UnitsFrom(long units) =>
            (double)(BigInteger.Abs((Numerator << 40) - (units * Denominator)) * 1_000_000 / Denominator) / 1_000_000;
    }
}
