using System.Collections.Immutable;
using System.Runtime.InteropServices;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Who gets what of one conversion, and why. Money is in minor units of <see cref="Currency"/>.</summary>
public sealed record Decision
{
    public required Guid ConversionId { get; init; }

    /// <summary>ISO 4217.</summary>
    public required string Currency { get; init; }

    public required long OriginalMinor { get; init; }

    /// <summary>After adjustments: never below zero nor above the original.</summary>
    public required long NetMinor { get; init; }

    public required bool Credited { get; init; }

    /// <summary>The place in <see cref="RulesInForce.Versions"/> of the version that judged it.</summary>
    public required int Place { get; init; }

    /// <summary>The place of the version that judged <see cref="InheritedFrom"/>; null where it is.</summary>
    public int? InheritedPlace { get; init; }

    /// <summary>What each commission is made of, by the entries that pay it.</summary>
    public ImmutableArray<PaidPart> Paid { get; init; } = [];

    /// <summary>
    /// Why nobody, where nobody is credited: <see cref="StopReason.NoTouches"/>, <see cref="StopReason.KindNotCredited"/>, or the
    /// reason that stopped the touch that came furthest through the rules. Null where somebody is.
    /// </summary>
    public string? Reason { get; init; }

    /// <summary>One for each touch of the journey, in its order.</summary>
    public required ImmutableArray<TouchVerdict> Touches { get; init; }

    /// <summary>What became of the coupon; null where no partner held it.</summary>
    public CouponVerdict? Coupon { get; init; }

    /// <summary>The lead or signup whose shares it took; null where it has its own.</summary>
    public ConversionRecorded? InheritedFrom { get; init; }

    /// <summary>
    /// What is credited to other things than the conversion's own touches: the coupon's whole, or the parts of the touches (or the
    /// coupon) of <see cref="InheritedFrom"/>, in order. Empty where its own touches have it.
    /// </summary>
    public ImmutableArray<CreditPart> Given { get; init; } = [];

    /// <summary>Every part of a credited conversion, in order. Shares add up to exactly 1 and amounts to the net.</summary>
    public IEnumerable<CreditPart> Parts => Given.IsEmpty
        ? Touches.Where(t => t.StoppedBy is null)
            .Select(t => new CreditPart(t.Touch, t.Touch.Click.PartnerId, t.Forfeited, t.Weight, t.Share, t.AmountMinor, t.CommissionMinor))
        : Given;

    /// <summary>Ordered by partner id, ordinal; only those that have something of the conversion.</summary>
    public required ImmutableArray<PartnerCredit> Partners { get; init; }
}

/// <summary>What the rules made of one touch.</summary>
public sealed record TouchVerdict
{
    public required Touch Touch { get; init; }

    /// <summary>The reason that keeps the touch from competing (<see cref="StopReason"/>); null for a candidate.</summary>
    public string? StoppedBy { get; init; }

    /// <summary>The partner was suspended and the rules say forfeit: the touch keeps share and amount, and pays nobody.</summary>
    public bool Forfeited { get; init; }

    /// <summary>The model's weight: the exact share is this over the sum of the weights of all touches. 0 where stopped.</summary>
    public long Weight { get; init; }

    /// <summary>0 to 1 with 18 decimals. Shares of a credited conversion add up to exactly 1.</summary>
    public decimal Share { get; init; }

    /// <summary>The touch's part of the net. The parts of a credited conversion add up to exactly the net.</summary>
    public long AmountMinor { get; init; }

    /// <summary>The touch's part of its partner's commission; these add up to it exactly.</summary>
    public long CommissionMinor { get; init; }
}

/// <summary>One part of a credited conversion. The numbers are those of <see cref="TouchVerdict"/>.</summary>
/// <param name="Touch">What has it; null for the coupon.</param>
/// <param name="PartnerId">Whose it is.</param>
/// <param name="Forfeited">The partner keeps it unpaid.</param>
/// <param name="Weight">The exact share is this over the sum of all weights.</param>
/// <param name="Share">0 to 1 with 18 decimals.</param>
/// <param name="AmountMinor">Part of the net.</param>
/// <param name="CommissionMinor">Part of the partner's commission.</param>
public sealed record CreditPart(Touch? Touch, string PartnerId, bool Forfeited, long Weight, decimal Share, long AmountMinor, long CommissionMinor);

/// <summary>What one entry of the commission list pays one partner; see <see cref="CommissionPart"/>.</summary>
public sealed record PaidPart(string PartnerId, int Entry, long AmountMinor, long CommissionMinor);

/// <summary>What the rules made of the coupon on a conversion.</summary>
/// <param name="PartnerId">Who held it when the conversion happened.</param>
/// <param name="StoppedBy">Why it has nothing (<see cref="StopReason"/>); null where it has the conversion.</param>
public sealed record CouponVerdict(string PartnerId, string? StoppedBy);

/// <summary>Judges one journey under one rule set.</summary>
public static class Crediting
{
    /// <summary>Pure: the same journey, standings and rules give the same decision, on every machine.</summary>
    public static Decision Decide(Journey journey, PartnerStandings standings, RulesInForce rules) =>
        Decide(journey, new Judge(new FactNames(), standings, rules));

    /// <summary>The same under one version alone, which judges everything whatever its scope says.</summary>
    public static Decision Decide(Journey journey, PartnerStandings standings, Rules rules) => Decide(journey, standings, RulesInForce.Only(rules));

    /// <summary>The same by one judge for many journeys; not for two threads at once.</summary>
    public static Decision Decide(Journey journey, Judge judge)
    {
        var conversions = new List<ConversionFacts>(1 + journey.Introductions.Length);
        var touchFacts = new List<TouchFacts>(journey.Touches.Length);
        JourneyFacts.Write(journey, judge.Names, conversions, touchFacts);
        var credited = judge.Credits(new JourneyFacts(CollectionsMarshal.AsSpan(conversions), CollectionsMarshal.AsSpan(touchFacts)), why: true);

        var conversion = journey.Conversion;
        var claim = credited ? judge.Claim : null;
        var stops = judge.Claim.Stops;
        var coupon = Coupon(journey, conversions[0], judge, claim);
        var decision = new Decision
        {
            ConversionId = conversion.ConversionId,
            Currency = conversion.Currency,
            OriginalMinor = conversion.AmountMinor,
            NetMinor = conversions[0].NetMinor,
            Credited = credited,
            Place = judge.Place,
            Touches = [],
            Coupon = coupon,
            Partners = [],
        };
        var verdicts = new TouchVerdict[stops.Length];
        for (var i = 0; i < verdicts.Length; i++)
        {
            verdicts[i] = new TouchVerdict { Touch = journey.Touches[i], StoppedBy = StopReason.Of(stops[i]) };
        }

        if (claim is null)
        {
            return decision with
            {
                Reason = judge.WhyNobody(conversions[0]),
                Touches = ImmutableCollectionsMarshal.AsImmutableArray(verdicts),
            };
        }

        var inheritedFrom = claim.InheritedFrom is { } lead ? journey.Introductions[lead - 1] : null;
        var parts = Parts(inheritedFrom ?? journey, judge);
        var given = inheritedFrom is not null || claim.IsByCoupon;
        for (var i = 0; i < parts.Length && !given; i++)
        {
            var at = claim.Candidates.Touch[i];
            verdicts[at] = verdicts[at] with
            {
                Forfeited = parts[i].Forfeited,
                Weight = parts[i].Weight,
                Share = parts[i].Share,
                AmountMinor = parts[i].AmountMinor,
                CommissionMinor = parts[i].CommissionMinor,
            };
        }

        return decision with
        {
            Touches = ImmutableCollectionsMarshal.AsImmutableArray(verdicts),
            InheritedFrom = inheritedFrom?.Conversion,
            InheritedPlace = inheritedFrom is null ? null : claim.PlaceOfLead,
            Paid = [.. judge.Paid.Select(p => new PaidPart(judge.Names.PartnerId(judge.Partners[p.Partner]), p.Entry, p.AmountMinor, p.CommissionMinor))],
            Given = given ? ImmutableCollectionsMarshal.AsImmutableArray(parts) : [],
            Partners = Partners(judge),
        };
    }

    private static CouponVerdict? Coupon(Journey journey, in ConversionFacts conversion, Judge judge, Claim? claim)
    {
        if (journey.CouponPartner is not { } partner)
        {
            return null;
        }

        var rules = judge.Rules;
        var stoppedBy = journey.SameOrder is not null ? StopReason.SameOrder
            : !judge.Terms.Counts(conversion.Kind) ? StopReason.KindNotCredited
            : rules.Coupon is null or CouponUse.Ignore ? StopReason.CouponIgnored
            : judge.Terms.StopOf(conversion.CouponPartner, conversion, out _) is var stop and not Stop.None ? StopReason.Of(stop)
            : claim?.InheritedFrom is not null ? StopReason.Inherited
            : claim is { IsByCoupon: true } ? null
            : StopReason.CouponFallback;
        return new CouponVerdict(partner, stoppedBy);
    }

    /// <summary>One for each candidate, in order.</summary>
    /// <param name="from">Whose touches they are.</param>
    /// <param name="judge">After it has judged.</param>
    private static CreditPart[] Parts(Journey from, Judge judge)
    {
        var (claim, candidates) = (judge.Claim, judge.Claim.Candidates);
        var commissions = judge.SpreadCommissions();
        var parts = new CreditPart[candidates.Count];
        for (var i = 0; i < parts.Length; i++)
        {
            var (at, partner) = (candidates.Touch[i], candidates.Partner[i]);
            parts[i] = new CreditPart(
                at == Candidates.Coupon ? null : from.Touches[at], judge.Names.PartnerId(candidates.Partners[partner]), candidates.Forfeits[partner],
                claim.Weights[i], Split.ToShare(judge.TouchShares[i]), judge.TouchAmounts[i], commissions[i]);
        }

        return parts;
    }

    private static ImmutableArray<PartnerCredit> Partners(Judge judge)
    {
        var credits = new List<PartnerCredit>(judge.Partners.Length);
        for (var i = 0; i < judge.Partners.Length; i++)
        {
            if (judge.Shares[i] != 0 || judge.AmountsMinor[i] != 0 || judge.CommissionsMinor[i] != 0)
            {
                credits.Add(new PartnerCredit
                {
                    PartnerId = judge.Names.PartnerId(judge.Partners[i]),
                    Share = Split.ToShare(judge.Shares[i]),
                    AmountMinor = judge.AmountsMinor[i],
                    CommissionMinor = judge.CommissionsMinor[i],
                });
            }
        }

        credits.Sort((left, right) => string.CompareOrdinal(left.PartnerId, right.PartnerId));
        return ImmutableCollectionsMarshal.AsImmutableArray(credits.ToArray());
    }
}
