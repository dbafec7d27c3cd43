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
        var candidates = Candidates.Pick(journey, standings, rules, verdicts);

        if (candidates.Count == 0)
        {
            return new Decision
            {
                ConversionId = conversion.ConversionId,
                Currency = conversion.Currency,
                OriginalMinor = conversion.AmountMinor,
                NetMinor = net,
                Credited = false,
                Reason = journey.SameOrder is not null ? StopReason.SameOrder : StopReason.MostTelling(conversion, rules, verdicts),
                Touches = ImmutableCollectionsMarshal.AsImmutableArray(verdicts),
                Partners = [],
            };
        }

        var count = candidates.Count;
        var numbers = new long[5 * count];
        var times = numbers.AsSpan(0, count);
        var weights = numbers.AsSpan(count, count);
        var shares = numbers.AsSpan(2 * count, count);
        var amounts = numbers.AsSpan(3 * count, count);
        var commissions = numbers.AsSpan(4 * count, count);

        for (var i = 0; i < count; i++)
        {
            times[i] = touches[candidates.Touch[i]].Click.OccurredAt.UtcTicks;
        }

        Weights.Of(rules.Model, times, weights);
        long total = 0;
        foreach (var weight in weights)
        {
            total += weight;
        }

        Split.LargestRemainder(Split.WholeShare, weights, total, shares);
        Split.LargestRemainder(net, weights, total, amounts);
        var partners = Partners(conversion, net, journey, rules, candidates, weights, total, shares, amounts, commissions);

        for (var i = 0; i < count; i++)
        {
            var at = candidates.Touch[i];
            verdicts[at] = new TouchVerdict
            {
                Touch = touches[at],
                Forfeited = candidates.Forfeits[candidates.Partner[i]],
                Weight = weights[i],
                Share = Split.ToShare(shares[i]),
                AmountMinor = amounts[i],
                CommissionMinor = commissions[i],
            };
        }

        return new Decision
        {
            ConversionId = conversion.ConversionId,
            Currency = conversion.Currency,
            OriginalMinor = conversion.AmountMinor,
            NetMinor = net,
            Credited = true,
            Touches = ImmutableCollectionsMarshal.AsImmutableArray(verdicts),
            Partners = partners,
        };
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
