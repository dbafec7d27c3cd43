using System.Globalization;
using System.Runtime.InteropServices;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Counts of the steps that journeys took, and the chain that they make. A state is the last partners of a journey, as many as the
/// order says, fewer at its beginning. The order in which journeys are added means nothing.
/// </summary>
public sealed class Transitions
{
    /// <summary>States beside the start and the two ends; a chain of more is refused.</summary>
    public const int MostStates = 20_000;

    private readonly FactNames _names;
    private readonly int _order;
    private readonly HashSet<int> _partners = [];
    private readonly List<int[]> _states = [[]];
    private readonly Dictionary<string, int> _stateOf = new(StringComparer.Ordinal);
    private readonly Dictionary<long, int> _stepOf = [];
    private readonly List<(int From, int To, long Count)> _steps = [];
    private readonly List<long> _converted = [0];
    private readonly List<long> _notConverted = [0];

    /// <param name="names">Of the partners.</param>
    /// <param name="order">1 to <see cref="Markov.MostOrder"/>.</param>
    public Transitions(FactNames names, int order)
    {
        _names = names;
        ArgumentOutOfRangeException.ThrowIfLessThan(order, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(order, Markov.MostOrder);
        _order = order;
    }

    /// <summary>Journeys that ended in a conversion.</summary>
    public long Converted { get; private set; }

    /// <summary>Journeys that did not.</summary>
    public long NotConverted { get; private set; }

    /// <summary>Counts a journey.</summary>
    /// <param name="partners">The number of the partner of each of its touches, in order; none: nothing is counted.</param>
    /// <param name="converted">Whether it ended in a conversion.</param>
    /// <param name="times">How many there were like it.</param>
    /// <exception cref="UnfittableException">There are more than <see cref="MostStates"/> states.</exception>
    public void Add(ReadOnlySpan<int> partners, bool converted, long times = 1)
    {
        if (partners.IsEmpty)
        {
            return;
        }

        var state = AbsorbingChain.Start;
        foreach (var partner in partners)
        {
            ref var step = ref CollectionsMarshal.GetValueRefOrAddDefault(_stepOf, ((long)state << 32) | (uint)partner, out var known);
            if (!known)
            {
                step = _steps.Count;
                _partners.Add(partner);
                _steps.Add((state, After(state, partner), 0));
            }

            ref var counted = ref CollectionsMarshal.AsSpan(_steps)[step];
            counted.Count += times;
            state = counted.To;
        }

        if (converted)
        {
            _converted[state] += times;
            Converted += times;
        }
        else
        {
            _notConverted[state] += times;
            NotConverted += times;
        }
    }

    /// <summary>Every step and end with its probability: what a journey does next after its last partners.</summary>
    /// <returns>Ordered by name; the start is <c>(start)</c>, the ends <c>(conversion)</c> and <c>(null)</c>.</returns>
    public IReadOnlyList<(string From, string To, double Probability)> Probabilities()
    {
        var all = _converted.Zip(_notConverted, (c, n) => c + n).ToArray();
        foreach (var (from, _, count) in _steps)
        {
            all[from] += count;
        }

        return _steps.Select(step => (Name(step.From), Name(step.To), (double)step.Count / all[step.From]))
            .Concat(_converted.Select((count, state) => (Name(state), "(conversion)", (double)count / all[state])))
            .Concat(_notConverted.Select((count, state) => (Name(state), "(null)", (double)count / all[state])))
            .Where(step => step.Item3 > 0)
            .OrderBy(step => step.Item1, StringComparer.Ordinal).ThenBy(step => step.Item2, StringComparer.Ordinal)
            .ToArray();
    }

    /// <summary>
    /// Solves the chain for the removal effect of every partner. Whoever is removed takes all states with it that hold it: a journey
    /// comes into them through one that ends in the partner, so it is enough that those lead nowhere.
    /// </summary>
    /// <exception cref="UnfittableException">The chain is too dense to be solved.</exception>
    public Fit Solve()
    {
        // By name and not by the order of arrival: sums of doubles depend on their order.
        var ranked = _partners.OrderBy(_names.ProgramOf, StringComparer.Ordinal).ThenBy(_names.PartnerId, StringComparer.Ordinal).ToArray();
        var rankOf = ranked.Select((partner, rank) => (partner, rank)).ToDictionary(p => p.partner, p => p.rank);
        var places = Enumerable.Range(0, _states.Count).OrderBy(s => Array.ConvertAll(_states[s], partner => rankOf[partner]), s_byPlace).ToArray();
        var placeOf = new int[places.Length];
        for (var place = 0; place < places.Length; place++)
        {
            placeOf[places[place]] = place;
        }

        var rows = Array.ConvertAll(places, _ => new List<(int To, long Count)>());
        foreach (var (from, to, count) in _steps)
        {
            rows[placeOf[from]].Add((placeOf[to], count));
        }

        var groups = Array.ConvertAll(ranked, _ => new List<int>());
        for (var place = 1; place < places.Length; place++)
        {
            groups[rankOf[_states[places[place]][^1]]].Add(place);
        }

        // Of a chain that is counted from whole journeys the conversions are exactly those that were counted.
        var chain = new AbsorbingChain(rows, Array.ConvertAll(places, s => _converted[s]), Array.ConvertAll(places, s => _notConverted[s]));
        var rate = Converted / (double)(Converted + NotConverted);
        var through = Converted == 0 ? new double[groups.Length] : AbsorbingChain.Through(chain, groups);
        return new Fit(
            _order, Converted, NotConverted, places.Length - 1,
            ranked.Select((partner, rank) => new RemovalEffect
            {
                ProgramId = _names.ProgramOf(partner),
                PartnerId = _names.PartnerId(partner),
                Units = Units(Converted == 0 ? 0 : through[rank] / rate),
            }));
    }

    private static readonly Comparer<int[]> s_byPlace = Comparer<int[]>.Create(static (one, other) =>
    {
        var byLength = one.Length.CompareTo(other.Length);
        return byLength != 0 ? byLength : one.AsSpan().SequenceCompareTo(other);
    });

    /// <summary>The nearest whole number of units, halves to the even one.</summary>
    private static long Units(double effect) => (long)Math.Round(Math.Min(effect, 1) * Fit.Unit, MidpointRounding.ToEven);

    private string Name(int state) => state == AbsorbingChain.Start ? "(start)" : string.Join(" > ", _states[state].Select(_names.PartnerId));

    private int After(int state, int partner)
    {
        var before = _states[state];
        int[] after = [.. before.AsSpan(before.Length < _order ? 0 : 1), partner];
        var key = string.Join(',', after.Select(p => p.ToString(NumberFormatInfo.InvariantInfo)));
        if (_stateOf.TryGetValue(key, out var known))
        {
            return known;
        }

        if (_states.Count > MostStates)
        {
            throw new UnfittableException($"The model markov of order {_order} has more than {MostStates} states on these journeys; a lower order has fewer.");
        }

        _stateOf.Add(key, _states.Count);
        _states.Add(after);
        _converted.Add(0);
        _notConverted.Add(0);
        return _states.Count - 1;
    }
}
