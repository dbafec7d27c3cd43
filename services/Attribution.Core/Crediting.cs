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

/// <summary>What the rules made of the coupon on a conversion.</summary>
/// <param name="PartnerId">Who held it when the conversion happened.</param>
/// <param name="StoppedBy">Why it has nothing (<see cref="StopReason"/>); null where it has the conversion.</param>
public sealed record CouponVerdict(string PartnerId, string? StoppedBy);

/// <summary>Judges one journey under one rule set.</summary>
public static class Crediting
{
    /// <summary>Pure: the same journey, standings and rules give the same decision, on every machine.</summary>
    public static Decision Decide(Journey journey, PartnerStandings standings, Rules rules)
    {
        var conversion = journey.Conversion;
        var touches = journey.Touches;
        var net = Net.OfMinor(journey);
        var verdicts = new TouchVerdict[touches.Length];
        var claim = Claim.Of(journey, standings, rules, verdicts);
        var coupon = Coupon(journey, standings, rules, claim);
        if (claim is null)
        {
            return new Decision
            {
                ConversionId = conversion.ConversionId,
                Currency = conversion.Currency,
                OriginalMinor = conversion.AmountMinor,
                NetMinor = net,
                Credited = false,
                Reason = journey.SameOrder is not null ? StopReason.SameOrder : StopReason.MostTelling(conversion, rules, verdicts, coupon),
                Touches = ImmutableCollectionsMarshal.AsImmutableArray(verdicts),
                Coupon = coupon,
                Partners = [],
            };
        }

        var candidates = claim.Candidates;
        var weights = claim.Weights;
        var count = candidates.Count;
        var numbers = new long[3 * count];
        var shares = numbers.AsSpan(0, count);
        var amounts = numbers.AsSpan(count, count);
        var commissions = numbers.AsSpan(2 * count, count);
        long total = 0;
        foreach (var weight in weights)
        {
            total += weight;
        }

        Split.LargestRemainder(Split.WholeShare, weights, total, shares);
        Split.LargestRemainder(net, weights, total, amounts);
        var partners = Partners(conversion, net, journey, rules, candidates, weights, total, shares, amounts, commissions);

        var given = claim.InheritedFrom is not null || claim.IsByCoupon ? new CreditPart[count] : [];
        for (var i = 0; i < count; i++)
        {
            var at = candidates.Touch[i];
            var forfeits = candidates.Forfeits[candidates.Partner[i]];
            if (given.Length > 0)
            {
                var touch = at == Candidates.Coupon ? null : (claim.InheritedFrom ?? journey).Touches[at];
                given[i] = new CreditPart(
                    touch, candidates.PartnerIds[candidates.Partner[i]], forfeits, weights[i], Split.ToShare(shares[i]), amounts[i], commissions[i]);
            }
            else
            {
                verdicts[at] = new TouchVerdict
                {
                    Touch = touches[at],
                    Forfeited = forfeits,
                    Weight = weights[i],
                    Share = Split.ToShare(shares[i]),
                    AmountMinor = amounts[i],
                    CommissionMinor = commissions[i],
                };
            }
        }

        return new Decision
        {
            ConversionId = conversion.ConversionId,
            Currency = conversion.Currency,
            OriginalMinor = conversion.AmountMinor,
            NetMinor = net,
            Credited = true,
            Touches = ImmutableCollectionsMarshal.AsImmutableArray(verdicts),
            Coupon = coupon,
            InheritedFrom = claim.InheritedFrom?.Conversion,
            Given = ImmutableCollectionsMarshal.AsImmutableArray(given),
            Partners = partners,
        };
    }

    private static CouponVerdict? Coupon(Journey journey, PartnerStandings standings, Rules rules, Claim? claim)
    {
        if (journey.CouponPartner is not { } partner)
        {
            return null;
        }

        var stoppedBy = journey.SameOrder is not null ? StopReason.SameOrder
            : !rules.Kinds.Contains(journey.Conversion.Kind) ? StopReason.KindNotCredited
            : rules.Coupon is null or CouponUse.Ignore ? StopReason.CouponIgnored
            : rules.Suspended == SuspendedPartners.PassOn && standings.IsSuspended(journey.Conversion.ProgramId, partner, journey.Conversion.OccurredAt)
                ? StopReason.SuspendedPartner
            : claim?.InheritedFrom is not null ? StopReason.Inherited
            : claim is { IsByCoupon: true } ? null
            : StopReason.CouponFallback;
        return new CouponVerdict(partner, stoppedBy);
    }

    private static ImmutableArray<PartnerCredit> Partners(
        ConversionRecorded conversion,
        long net,
        Journey journey,
        Rules rules,
        Candidates candidates,
        ReadOnlySpan<long> weights,
        long total,
        ReadOnlySpan<long> shares,
        ReadOnlySpan<long> amounts,
        Span<long> commissions)
    {
        var count = candidates.PartnerIds.Count;
        var weightOf = new long[count];
        var shareOf = new long[count];
        var amountOf = new long[count];
        for (var i = 0; i < candidates.Count; i++)
        {
            var partner = candidates.Partner[i];
            weightOf[partner] += weights[i];
            shareOf[partner] += shares[i];
            amountOf[partner] += amounts[i];
        }

        var commissionOf = Commission.Of(journey, net, rules, candidates, weightOf, total, amountOf);
        Commission.SpreadOverTouches(candidates, commissionOf, weights, weightOf, amounts, amountOf, commissions);

        var credits = new List<PartnerCredit>(count);
        for (var partner = 0; partner < count; partner++)
        {
            if (shareOf[partner] != 0 || amountOf[partner] != 0 || commissionOf[partner] != 0)
            {
                credits.Add(new PartnerCredit
                {
                    PartnerId = candidates.PartnerIds[partner],
                    Share = Split.ToShare(shareOf[partner]),
                    AmountMinor = amountOf[partner],
                    CommissionMinor = commissionOf[partner],
                });
            }
        }

        credits.Sort((left, right) => string.CompareOrdinal(left.PartnerId, right.PartnerId));
        return ImmutableCollectionsMarshal.AsImmutableArray(credits.ToArray());
    }
}
