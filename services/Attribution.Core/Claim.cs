namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Who has a claim to a conversion, by what, and how much each weighs. At most one of the three ways holds: the coupon, the lead or
/// signup that introduced the customer, the conversion's own touches. Used again from journey to journey.
/// </summary>
internal sealed class Claim
{
    private const int Nobody = -1;

    // Whose shares a conversion may inherit. A lead inherits from nobody, so there is no third.
    private readonly Claim? _ofLead;
    private long[] _weights = [];
    private Stop[] _stops = [];
    private int _touches;
    private bool _why;

    private Claim(Claim? ofLead) => _ofLead = ofLead;

    /// <summary>Of the journey's own touches; of the lead's where it is inherited; one without a touch where it is the coupon's.</summary>
    public Candidates Candidates { get; } = new();

    /// <summary>As long as the candidates; the sum is more than zero and at most 2^62.</summary>
    public ReadOnlySpan<long> Weights => _weights.AsSpan(0, Candidates.Count);

    /// <summary>One for each touch of the conversion, in order: what keeps it from competing.</summary>
    public ReadOnlySpan<Stop> Stops => _stops.AsSpan(0, _touches);

    /// <summary>The place in the journey of the lead or signup whose shares these are; null where they are the conversion's own.</summary>
    public int? InheritedFrom { get; private set; }

    /// <summary>A partner has it by the coupon, the conversion's own or that of the lead.</summary>
    public bool IsByCoupon => Candidates.Touch[0] == Candidates.Coupon;

    /// <summary>The place among the terms of those under which it was found.</summary>
    public int Place { get; private set; }

    /// <summary>The place of those under which the lead's was, where it is inherited.</summary>
    public int PlaceOfLead => _ofLead!.Place;

    public static Claim New() => new(new Claim(null));

    /// <summary>Finds the claim to the journey's conversion under the terms that are in force for it.</summary>
    /// <param name="journey">The journey.</param>
    /// <param name="terms">The newest first; the last are for everything.</param>
    /// <param name="why">Whether <see cref="Stops"/> are asked for. Otherwise candidates that get nothing may be left out.</param>
    /// <returns>Whether anybody has one.</returns>
    public bool Find(in JourneyFacts journey, ReadOnlySpan<Terms> terms, bool why)
    {
        // Where several versions compete, candidates that get nothing may decide which of them holds.
        _why = why || terms.Length > 1;
        _ofLead!._why = _why;
        return Find(journey, journey.Conversion, terms, from: 0);
    }

    private bool Find(in JourneyFacts journey, in ConversionFacts conversion, ReadOnlySpan<Terms> terms, int from)
    {
        for (var place = from; place < terms.Length - 1; place++)
        {
            var (rules, since) = (terms[place].Rules, terms[place].EffectiveTicks);
            if ((rules.Scope.Applies == ScopeTime.ConversionsFrom && conversion.Ticks < since) || (rules.Scope.NewCustomers && conversion.NewCustomer != true))
            {
                continue;
            }

            var claimed = Find(journey, conversion, terms, place, terms[place]);
            if (rules.Scope.Applies == ScopeTime.TouchesFrom && EarliestTicks(conversion, claimed) < since)
            {
                continue;
            }

            if (rules.Scope.Partner is null || (claimed && IsAnyInScope(terms[place])))
            {
                return claimed;
            }

            // The partner has nothing under these rules. Where it would have something under those beneath, these take it away.
            var beneath = Find(journey, conversion, terms, place + 1);
            return beneath && IsAnyInScope(terms[place]) ? Find(journey, conversion, terms, place, terms[place]) : beneath;
        }

        return Find(journey, conversion, terms, terms.Length - 1, terms[^1]);
    }

    /// <summary>When the first touch that counts was clicked; without any, when the conversion happened.</summary>
    private long EarliestTicks(in ConversionFacts conversion, bool claimed)
    {
        var earliest = long.MaxValue;
        for (var i = 0; claimed && i < Candidates.Count; i++)
        {
            if (Candidates.Touch[i] != Candidates.Coupon)
            {
                earliest = long.Min(earliest, Candidates.Ticks[i]);
            }
        }

        return earliest == long.MaxValue ? conversion.Ticks : earliest;
    }

    private bool IsAnyInScope(Terms terms)
    {
        foreach (var partner in Candidates.Partners)
        {
            if (terms.IsInScope(partner))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Finds it under the terms of one place.</summary>
    private bool Find(in JourneyFacts journey, in ConversionFacts conversion, ReadOnlySpan<Terms> all, int place, Terms terms)
    {
        Place = place;
        var touches = journey.TouchesOf(conversion);
        _touches = touches.Length;
        InheritedFrom = null;
        if (_stops.Length < _touches)
        {
            _stops = new Stop[int.Max(_touches, 2 * _stops.Length)];
        }

        if (conversion.SameOrder)
        {
            return StopAll(Stop.SameOrder, claimed: false);
        }

        var kindCounts = terms.Counts(conversion.Kind);
        var coupon = kindCounts ? CouponPartner(conversion, terms) : Nobody;
        if (coupon != Nobody && terms.Rules.Coupon == CouponUse.Override)
        {
            return StopAll(Stop.CouponOverride, OfCoupon(coupon, conversion, terms));
        }

        if (kindCounts && terms.Rules.Inherit is { } inherit && Inherited(journey, conversion, all, terms, inherit))
        {
            return StopAll(Stop.Inherited, claimed: true);
        }

        Candidates.Pick(conversion, touches, terms, _stops, _why);
        if (Candidates.Count == 0)
        {
            return coupon != Nobody && OfCoupon(coupon, conversion, terms);
        }

        Core.Weights.Of(terms, Candidates, Weigh());
        return true;
    }

    /// <summary>The partner that has a claim by the conversion's coupon, whatever else there is.</summary>
    private static int CouponPartner(in ConversionFacts conversion, Terms terms)
    {
        var partner = conversion.CouponPartner;
        return partner == ConversionFacts.NoPartner || terms.Rules.Coupon is null or CouponUse.Ignore
            || terms.StopOf(partner, conversion, out _) != Stop.None
            ? Nobody
            : partner;
    }

    private bool OfCoupon(int partner, in ConversionFacts conversion, Terms terms)
    {
        Candidates.Clear(1);
        Candidates.Add(Candidates.Coupon, partner, forfeits: terms.IsSuspended(partner, conversion.Ticks), conversion.Ticks);
        Weigh()[0] = 1;
        return true;
    }

    /// <summary>
    /// The claim to the earliest lead or signup in the order of events that is near enough, was credited under the terms in force for
    /// it, and leaves something.
    /// </summary>
    private bool Inherited(in JourneyFacts journey, in ConversionFacts conversion, ReadOnlySpan<Terms> all, Terms terms, Inherit inherit)
    {
        // A lead has no introductions of its own: what it is asked under is the same journey, and it never comes here.
        if (_ofLead is null)
        {
            return false;
        }

        for (var lead = 1; lead < journey.Conversions.Length; lead++)
        {
            var age = conversion.Ticks - journey.Conversions[lead].Ticks;
            if (age <= (inherit.Days ?? long.MaxValue / TimeSpan.TicksPerDay) * TimeSpan.TicksPerDay
                && _ofLead.Find(journey, journey.Conversions[lead], all, from: 0)
                && Take(_ofLead, journey.TouchesOf(journey.Conversions[lead]), conversion, terms))
            {
                InheritedFrom = lead;
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// The shares of a lead for a later conversion. Who is suspended is asked anew at its time: under pass-on the others share what is
    /// left, and false says that nothing is; under forfeit the partner keeps its share unpaid. Nor does a partner inherit its own
    /// purchase where that is excluded.
    /// </summary>
    private bool Take(Claim lead, ReadOnlySpan<TouchFacts> touches, in ConversionFacts conversion, Terms terms)
    {
        var candidates = lead.Candidates;
        Candidates.Clear(candidates.Count);
        for (var i = 0; i < candidates.Count; i++)
        {
            var partner = candidates.Partners[candidates.Partner[i]];
            if (lead.Weights[i] == 0 || terms.StopOf(partner, conversion, out var forfeits) != Stop.None)
            {
                continue;
            }

            var touch = candidates.Touch[i];
            Candidates.Add(touch, partner, forfeits, touch == Candidates.Coupon ? conversion.Ticks : touches[touch].Ticks);
            Weigh()[^1] = lead.Weights[i];
        }

        return Candidates.Count > 0;
    }

    /// <summary>Room for a weight for each candidate; those written before stay.</summary>
    private Span<long> Weigh()
    {
        if (_weights.Length < Candidates.Count)
        {
            Array.Resize(ref _weights, int.Max(Candidates.Count, 2 * _weights.Length));
        }

        return _weights.AsSpan(0, Candidates.Count);
    }

    private bool StopAll(Stop stop, bool claimed)
    {
        _stops.AsSpan(0, _touches).Fill(stop);
        return claimed;
    }
}
