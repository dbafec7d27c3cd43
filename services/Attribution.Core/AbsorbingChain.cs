namespace PartnerPulse.Attribution.Core;

/// <summary>
/// A chain of transient states that ends in a conversion or in none, and how much of the conversions runs through each group of
/// states. States are eliminated one by one (Grassmann, Taksar, Heyman 1985): a state's way out is the sum of its other
/// transitions and never one minus something, so there are only additions, products and quotients of numbers that are not
/// negative, nothing cancels, and every result is good to a few units in the last place. The order of elimination is a function of
/// the chain, so the same chain gives the same bits everywhere.
/// </summary>
internal sealed class AbsorbingChain
{
    /// <summary>Where every journey begins.</summary>
    public const int Start = 0;

    /// <summary>Transitions held at once; a chain that fills up beyond them is refused rather than swallow the memory.</summary>
    private const int MostTransitions = 16_000_000;

    private readonly Row?[] _rows;
    private readonly List<int>?[] _into;
    private long _transitions;

    /// <param name="rows">By state, <see cref="Start"/> first: where it leads, how often. Every state leads to an end in the long run.</param>
    public AbsorbingChain(IReadOnlyList<IReadOnlyList<(int To, long Count)>> rows, IReadOnlyList<long> converted, IReadOnlyList<long> notConverted)
    {
        _rows = new Row?[rows.Count];
        _into = new List<int>?[rows.Count];
        for (var state = 0; state < rows.Count; state++)
        {
            _into[state] = [];
        }

        for (var state = 0; state < rows.Count; state++)
        {
            var all = (double)(converted[state] + notConverted[state] + rows[state].Sum(t => t.Count));
            var row = new Row(rows[state].Count) { Converts = converted[state] / all, Ends = notConverted[state] / all };
            foreach (var (to, count) in rows[state].OrderBy(t => t.To))
            {
                row.Append(to, count / all);
                _into[to]!.Add(state);
            }

            _rows[state] = row;
            _transitions += row.Count;
        }
    }

    private AbsorbingChain(AbsorbingChain other)
    {
        _rows = Array.ConvertAll(other._rows, row => row is null ? null : new Row(row));
        _into = Array.ConvertAll(other._into, into => into is null ? null : new List<int>(into));
        _transitions = other._transitions;
    }

    /// <summary>
    /// By group the probability that a journey passes through the group and ends in a conversion: what is lost where every state of
    /// the group leads nowhere.
    /// </summary>
    /// <param name="groups">The states of each group; together all but the start, each once.</param>
    /// <exception cref="UnfittableException">The chain is too dense to be solved.</exception>
    public static double[] Through(AbsorbingChain chain, IReadOnlyList<IReadOnlyList<int>> groups)
    {
        var through = new double[groups.Count];
        if (groups.Count > 0)
        {
            Halve(chain, groups, 0, groups.Count, through);
        }

        return through;
    }

    /// <summary>
    /// Of the groups from..to all states are left, of the others none. To leave each group alone once, half of the others goes
    /// before each half is looked at: all together costs about as much as solving the chain once.
    /// </summary>
    private static void Halve(AbsorbingChain chain, IReadOnlyList<IReadOnlyList<int>> groups, int from, int to, double[] through)
    {
        if (to - from == 1)
        {
            // Only this group is left between the start and the ends: what its elimination adds to the start's conversions ran through it.
            through[from] = chain.Eliminate(groups[from]);
            return;
        }

        var middle = from + ((to - from) / 2);
        var left = new AbsorbingChain(chain);
        left.Eliminate(Range(groups, middle, to));
        Halve(left, groups, from, middle, through);
        chain.Eliminate(Range(groups, from, middle));
        Halve(chain, groups, middle, to, through);
    }

    private static List<int> Range(IReadOnlyList<IReadOnlyList<int>> groups, int from, int to)
    {
        var states = new List<int>();
        for (var group = from; group < to; group++)
        {
            states.AddRange(groups[group]);
        }

        return states;
    }

    /// <summary>Takes states out, their way to everywhere handed on to whoever leads to them.</summary>
    /// <returns>What is added to the start's probability of going straight to a conversion.</returns>
    private double Eliminate(IReadOnlyList<int> states)
    {
        // Those with the fewest ways through first: each pair of a way in and a way out may become a transition.
        var order = states.OrderBy(state => (long)_into[state]!.Count * _rows[state]!.Count).ThenBy(state => state).ToArray();
        var added = 0d;
        foreach (var state in order)
        {
            added += Eliminate(state);
        }

        return added;
    }

    private double Eliminate(int state)
    {
        var row = _rows[state]!;
        var wayOut = row.Converts + row.Ends;
        for (var i = 0; i < row.Count; i++)
        {
            wayOut += row.To[i] == state ? 0 : row.Probability[i];
        }

        var added = 0d;
        foreach (var from in _into[state]!)
        {
            if (from == state || _rows[from] is not { } before)
            {
                continue;
            }

            var passes = before.Of(state) / wayOut;
            if (from == Start)
            {
                added += passes * row.Converts;
            }

            _rows[from] = Passed(from, before, state, row, passes);
        }

        _transitions -= row.Count;
        _rows[state] = null;
        _into[state] = null;
        return added;
    }

    /// <summary>The row without its transition to <paramref name="state"/>, which is spread over where that one leads.</summary>
    private Row Passed(int from, Row before, int state, Row through, double passes)
    {
        var after = new Row(before.Count + through.Count)
        {
            Converts = before.Converts + (passes * through.Converts),
            Ends = before.Ends + (passes * through.Ends),
        };
        var (i, j) = (0, 0);
        while (i < before.Count || j < through.Count)
        {
            var left = i < before.Count ? before.To[i] : int.MaxValue;
            var right = j < through.Count ? through.To[j] : int.MaxValue;
            var to = Math.Min(left, right);
            var probability = (left == to ? before.Probability[i++] : 0) + (right == to ? passes * through.Probability[j++] : 0);
            if (to == state)
            {
                continue;
            }

            after.Append(to, probability);
            if (left != to)
            {
                _into[to]!.Add(from);
            }
        }

        _transitions += after.Count - before.Count;
        return _transitions <= MostTransitions
            ? after
            : throw new UnfittableException($"The chain has more than {MostTransitions} transitions when it is solved; a lower order has fewer.");
    }

    /// <summary>Where one state leads, by state.</summary>
    private sealed class Row
    {
        public Row(int capacity) => (To, Probability) = (new int[capacity], new double[capacity]);

        public Row(Row other)
        {
            (Count, Converts, Ends) = (other.Count, other.Converts, other.Ends);
            (To, Probability) = (other.To.AsSpan(0, Count).ToArray(), other.Probability.AsSpan(0, Count).ToArray());
        }

        public int[] To { get; }

        public double[] Probability { get; }

        public int Count { get; private set; }

        public double Converts { get; init; }

        public double Ends { get; init; }

        public void Append(int to, double probability)
        {
            To[Count] = to;
            Probability[Count] = probability;
            Count++;
        }

        public double Of(int to)
        {
            var at = To.AsSpan(0, Count).BinarySearch(to);
            return at < 0 ? 0 : Probability[at];
        }
    }
}
