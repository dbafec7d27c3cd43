using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Who has a claim to a conversion, by what, and how much each weighs. At most one of the three ways holds: the coupon, the lead or
/// signup that introduced the customer, the conversion's own touches.
/// </summary>
internal sealed class Claim
{
    private Claim(Candidates candidates, long[] weights) => (Candidates, Weights) = (candidates, weights);

    /// <summary>Of the journey's own touches; of the lead's where it is inherited; one without a touch where it is the coupon's.</summary>
    public Candidates Candidates { get; }

    /// <summary>As long as the candidates; the sum is more than zero and at most 2^62.</summary>
    public long[] Weights { get; }

    /// <summary>The lead or signup whose shares these are; null where they are the conversion's own.</summary>
    public Journey? InheritedFrom { get; private init; }

    /// <summary>A partner has it by the coupon, the conversion's own or that of the lead.</summary>
    public bool IsByCoupon => Candidates.Touch[0] == Candidates.Coupon;

    /// <summary>Null where nobody has a claim. Writes the verdict of every touch that does not compete.</summary>
    public static Claim? Of(Journey journey, PartnerStandings standings, Rules rules, TouchVerdict[] verdicts)
    {
        if (journey.SameOrder is not null)
        {
            StopAll(journey, StopReason.SameOrder, verdicts);
            return null;
        }

        var kindCounts = rules.Kinds.Contains(journey.Conversion.Kind);
        var coupon = kindCounts ? OfCoupon(journey, standings, rules) : null;
        if (coupon is not null && rules.Coupon == CouponUse.Override)
        {
            StopAll(journey, StopReason.CouponOverride, verdicts);
            return coupon;
        }

        if (kindCounts && rules.Inherit is { } inherit && Inherited(journey, standings, rules, inherit) is { } inherited)
        {
            StopAll(journey, StopReason.Inherited, verdicts);
            return inherited;
        }

        var candidates = Candidates.Pick(journey, standings, rules, verdicts);
        return candidates.Count > 0 ? new Claim(candidates, Weigh(journey, candidates, rules)) : coupon;
    }

    /// <summary>The claim of the coupon's partner by itself, whatever else there is.</summary>
    private static Claim? OfCoupon(Journey journey, PartnerStandings standings, Rules rules)
    {
        if (journey.CouponPartner is not { } partner || rules.Coupon is null or CouponUse.Ignore)
        {
            return null;
        }

        var suspended = standings.IsSuspended(journey.Conversion.ProgramId, partner, journey.Conversion.OccurredAt);
        return suspended && rules.Suspended == SuspendedPartners.PassOn ? null : new Claim(Candidates.OfCoupon(partner, suspended), [1]);
    }

    /// <summary>The claim to the earliest lead or signup in the order of events that is near enough, was credited, and leaves something.</summary>
    private static Claim? Inherited(Journey journey, PartnerStandings standings, Rules rules, Inherit inherit)
    {
        foreach (var lead in journey.Introductions)
        {
            var age = journey.Conversion.OccurredAt.UtcTicks - lead.Conversion.OccurredAt.UtcTicks;
            if (age <= (inherit.Days ?? long.MaxValue / TimeSpan.TicksPerDay) * TimeSpan.TicksPerDay
                && Of(lead, standings, rules, new TouchVerdict[lead.Touches.Length]) is { } claim
                && claim.PassedOnTo(journey.Conversion, lead, standings, rules) is { } inherited)
            {
                return inherited;
            }
        }

        return null;
    }

    /// <summary>
    /// The same shares for a later conversion. Who is suspended is asked anew at its time: under pass-on the others share what is
    /// left, and null says that nothing is; under forfeit the partner keeps its share unpaid.
    /// </summary>
    private Claim? PassedOnTo(ConversionRecorded conversion, Journey lead, PartnerStandings standings, Rules rules)
    {
        var kept = new Candidates(Candidates.Count);
        var weights = new List<long>(Candidates.Count);
        for (var i = 0; i < Candidates.Count; i++)
        {
            var partner = Candidates.PartnerIds[Candidates.Partner[i]];
            var suspended = standings.IsSuspended(conversion.ProgramId, partner, conversion.OccurredAt);
            if (Weights[i] == 0 || (suspended && rules.Suspended == SuspendedPartners.PassOn))
            {
                continue;
            }

            kept.Add(Candidates.Touch[i], partner, suspended);
            weights.Add(Weights[i]);
        }

        return kept.Count == 0 ? null : new Claim(kept, [.. weights]) { InheritedFrom = lead };
    }

    private static long[] Weigh(Journey journey, Candidates candidates, Rules rules)
    {
        var times = new long[candidates.Count];
        for (var i = 0; i < times.Length; i++)
        {
            times[i] = journey.Touches[candidates.Touch[i]].Click.OccurredAt.UtcTicks;
        }

        var weights = new long[candidates.Count];
        Core.Weights.Of(rules.Model, times, weights);
        return weights;
    }

    private static void StopAll(Journey journey, string reason, TouchVerdict[] verdicts)
    {
        for (var i = 0; i < verdicts.Length; i++)
        {
            verdicts[i] = new TouchVerdict { Touch = journey.Touches[i], StoppedBy = reason };
        }
    }
}
