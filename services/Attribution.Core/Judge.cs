namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Judges journeys under the rules in force, one after the other, and keeps what the last one came to until the next. It allocates only
/// while it grows, so that it can go through millions of journeys. Not for two threads at once.
/// </summary>
public sealed class Judge
{
    private readonly Claim _claim = Claim.New();
    private readonly Terms[] _terms;
    private readonly List<CommissionPart> _paid = [];
    private long[] _shares = [];
    private long[] _amounts = [];
    private long[] _touchCommissions = [];
    private long[] _weightOf = [];
    private long[] _shareOf = [];
    private long[] _amountOf = [];
    private long[] _commissionOf = [];
    private long[] _flatParts = [];

    /// <param name="names">Of the partners, requests and currencies in the facts; it may grow from journey to journey.</param>
    /// <param name="standings">Who was suspended when.</param>
    /// <param name="rules">The rules.</param>
    public Judge(FactNames names, PartnerStandings standings, RulesInForce rules)
    {
        (Names, Standings, InForce) = (names, standings, rules);
        _terms = [.. rules.Versions.Select(version => new Terms(names, standings, version.Rules))];
    }

    public FactNames Names { get; }

    public PartnerStandings Standings { get; }

    public RulesInForce InForce { get; }

    /// <summary>The place in <see cref="InForce"/> of the version that judged the last journey.</summary>
    public int Place => _claim.Place;

    /// <summary>The rules that judged it.</summary>
    public Rules Rules => Terms.Rules;

    /// <summary>The partners that have a claim, those whose part is nothing perhaps left out, by their numbers in <see cref="Names"/>, in order of their first candidate.</summary>
    public ReadOnlySpan<int> Partners => _claim.Candidates.Partners;

    /// <summary>Units of a share (<see cref="ShareDecimals"/>) by place in <see cref="Partners"/>; they add up to exactly 1.</summary>
    public ReadOnlySpan<long> Shares => _shareOf.AsSpan(0, Partners.Length);

    /// <summary>Parts of the net by place in <see cref="Partners"/>, in minor units; they add up to it exactly.</summary>
    public ReadOnlySpan<long> AmountsMinor => _amountOf.AsSpan(0, Partners.Length);

    /// <summary>Commission by place in <see cref="Partners"/>, in minor units.</summary>
    public ReadOnlySpan<long> CommissionsMinor => _commissionOf.AsSpan(0, Partners.Length);

    /// <summary>What each entry of the commission list pays each partner, in their orders, after it was asked why.</summary>
    internal IReadOnlyList<CommissionPart> Paid => _paid;

    /// <summary>A whole share is 10 to this power of units.</summary>
    public const int ShareDecimals = 18;

    internal Terms Terms => _terms[_claim.Place];

    internal Claim Claim => _claim;

    /// <summary>By candidate: units of its share.</summary>
    internal ReadOnlySpan<long> TouchShares => _shares.AsSpan(0, _claim.Candidates.Count);

    /// <summary>By candidate: its part of the net.</summary>
    internal ReadOnlySpan<long> TouchAmounts => _amounts.AsSpan(0, _claim.Candidates.Count);

    /// <summary>By partner: its weight.</summary>
    private ReadOnlySpan<long> WeightOf => _weightOf.AsSpan(0, Partners.Length);

    /// <summary>Pure: the same facts, standings and rules give the same, on every machine.</summary>
    /// <returns>Whether anybody is credited.</returns>
    public bool Credits(in JourneyFacts journey) => Credits(journey, why: false);

    /// <summary>Judges a conversion again that nobody is credited for.</summary>
    /// <returns>Why, in the words of <see cref="StopReason"/>.</returns>
    /// <exception cref="ArgumentException">Somebody is.</exception>
    public string WhyNobody(in JourneyFacts journey) =>
        Credits(journey, why: true) ? throw new ArgumentException("Somebody is credited.", nameof(journey)) : WhyNobody(journey.Conversion);

    /// <summary>Every part of the conversion that was credited last, in order, those that are nothing left out.</summary>
    /// <param name="journey">The journey that was judged.</param>
    /// <param name="parts">Where they are added.</param>
    public void AddParts(in JourneyFacts journey, List<CreditFacts> parts)
    {
        var candidates = _claim.Candidates;
        var first = journey.Conversions[_claim.InheritedFrom ?? 0].FirstTouch;
        var commissions = SpreadCommissions();
        for (var i = 0; i < candidates.Count; i++)
        {
            if (_shares[i] > 0)
            {
                var touch = candidates.Touch[i];
                parts.Add(new CreditFacts(
                    touch == Candidates.Coupon ? CreditFacts.Coupon : first + touch, candidates.Partners[candidates.Partner[i]], _shares[i], _amounts[i], commissions[i]));
            }
        }
    }

    /// <summary>By candidate: its part of its partner's commission.</summary>
    internal ReadOnlySpan<long> SpreadCommissions()
    {
        var candidates = _claim.Candidates;
        Commission.SpreadOverTouches(
            candidates, CommissionsMinor, _claim.Weights, WeightOf, TouchAmounts, AmountsMinor, _touchCommissions.AsSpan(0, candidates.Count));
        return _touchCommissions.AsSpan(0, candidates.Count);
    }

    /// <summary>Why nobody has it, after it was asked why: the touch, or the coupon, that came furthest through the rules says best what was missing.</summary>
    internal string WhyNobody(in ConversionFacts conversion)
    {
        if (conversion.SameOrder)
        {
            return StopReason.SameOrder;
        }

        if (!Terms.Counts(conversion.Kind))
        {
            return StopReason.KindNotCredited;
        }

        // A coupon whose partner was suspended, or bought itself, came as far as a touch of that partner would have.
        var furthest = conversion.CouponPartner == ConversionFacts.NoPartner || Rules.Coupon is null or CouponUse.Ignore
            ? Stop.None
            : Terms.StopOf(conversion.CouponPartner, conversion, out _);
        foreach (var stop in _claim.Stops)
        {
            furthest = stop > furthest ? stop : furthest;
        }

        return StopReason.Of(furthest) ?? StopReason.NoTouches;
    }

    /// <param name="journey">The journey.</param>
    /// <param name="why">Every touch is told what stops it (<see cref="Claim.Stops"/>), and every candidate is listed.</param>
    internal bool Credits(in JourneyFacts journey, bool why)
    {
        if (!_claim.Find(journey, _terms, why))
        {
            return false;
        }

        var candidates = _claim.Candidates;
        MakeRoom(candidates.Count, candidates.PartnerCount);
        ref readonly var conversion = ref journey.Conversion;
        if (candidates.Count == 1)
        {
            // One touch, or the coupon, has it all: most conversions, and nothing to divide.
            (_shares[0], _amounts[0]) = (Split.WholeShare, conversion.NetMinor);
            (_weightOf[0], _shareOf[0], _amountOf[0]) = (_claim.Weights[0], Split.WholeShare, conversion.NetMinor);
        }
        else
        {
            Divide(candidates, conversion.NetMinor);
        }

        var partners = candidates.PartnerCount;
        if (!why && Terms.PercentOfAll is { } percent)
        {
            Commission.OfPercent(percent, candidates, _weightOf.AsSpan(0, partners), _amountOf.AsSpan(0, partners), _commissionOf.AsSpan(0, partners));
            return true;
        }

        long total = 0;
        foreach (var weight in _weightOf.AsSpan(0, partners))
        {
            total += weight;
        }

        Commission.Of(
            conversion, Names.CurrencyCode(conversion.Currency), Terms, candidates, _weightOf.AsSpan(0, partners), total, _amountOf.AsSpan(0, partners),
            _commissionOf.AsSpan(0, partners), _flatParts.AsSpan(0, partners), _paid);
        return true;
    }

    private void Divide(Candidates candidates, long net)
    {
        var weights = _claim.Weights;
        long total = 0;
        foreach (var weight in weights)
        {
            total += weight;
        }

        Split.LargestRemainder(Split.WholeShare, weights, total, _shares.AsSpan(0, weights.Length));
        Split.LargestRemainder(net, weights, total, _amounts.AsSpan(0, weights.Length));
        _weightOf.AsSpan(0, candidates.PartnerCount).Clear();
        _shareOf.AsSpan(0, candidates.PartnerCount).Clear();
        _amountOf.AsSpan(0, candidates.PartnerCount).Clear();
        for (var i = 0; i < weights.Length; i++)
        {
            var partner = candidates.Partner[i];
            _weightOf[partner] += weights[i];
            _shareOf[partner] += _shares[i];
            _amountOf[partner] += _amounts[i];
        }
    }

    private void MakeRoom(int touches, int partners)
    {
        if (_shares.Length < touches)
        {
            var room = int.Max(touches, 2 * _shares.Length);
            (_shares, _amounts, _touchCommissions) = (new long[room], new long[room], new long[room]);
        }

        if (_weightOf.Length < partners)
        {
            var room = int.Max(partners, 2 * _weightOf.Length);
            (_weightOf, _shareOf, _amountOf) = (new long[room], new long[room], new long[room]);
            (_commissionOf, _flatParts) = (new long[room], new long[room]);
        }
    }
}
