using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Reconciliations;

/// <summary>What became of a claim. The words of reconciliations; a word never changes meaning.</summary>
internal static class Verdict
{
    /// <summary>The partner is credited, and for as much as it claims.</summary>
    public const string Matched = "matched";

    /// <summary>A click or coupon of the partner counts or could, and others have the order.</summary>
    public const string OtherPartner = "other-partner";

    /// <summary>The partner's clicks were too early, or came after the order.</summary>
    public const string OutsideWindow = "outside-window";

    /// <summary>The partner's clicks were stopped: no person made them, the partner was suspended, or the like.</summary>
    public const string FilteredClick = "filtered-click";

    /// <summary>No click of the partner belongs to the order.</summary>
    public const string NoClickSeen = "no-click-seen";

    /// <summary>An earlier line claims the same order, or the order is the same sale as another one.</summary>
    public const string Duplicate = "duplicate";

    /// <summary>The order was credited, and money went back to the customer.</summary>
    public const string Refunded = "refunded";

    /// <summary>The partner is credited, and not for as much as it claims.</summary>
    public const string AmountDiffers = "amount-differs";

    /// <summary>The rules credit nobody for orders of this kind.</summary>
    public const string KindNotCredited = "kind-not-credited";

    /// <summary>No such order is known.</summary>
    public const string UnknownOrder = "unknown-order";

    /// <summary>The partner is credited for it, and did not claim it.</summary>
    public const string NotListed = "not-listed";

    /// <summary>All of them, in the order of reports.</summary>
    public static IReadOnlyList<string> All { get; } =
        [Matched, AmountDiffers, Refunded, OtherPartner, OutsideWindow, FilteredClick, NoClickSeen, KindNotCredited, Duplicate, UnknownOrder, NotListed];

    /// <summary>What becomes of a claim of an order that is known, by the decision on it.</summary>
    /// <param name="claim">What the partner claims.</param>
    /// <param name="journey">Of the order.</param>
    /// <param name="decision">On the order.</param>
    /// <param name="partner">Who claims.</param>
    public static string Of(ClaimLine claim, Journey journey, Decision decision, string partner)
    {
        if (decision.Partners.FirstOrDefault(p => p.PartnerId == partner) is { } part)
        {
            return OfCredited(claim, decision, part);
        }

        if (journey.SameOrder is not null)
        {
            return Duplicate;
        }

        var own = decision.Touches.Where(t => t.Touch.Click.PartnerId == partner).ToArray();
        var coupon = decision.Coupon is { } held && held.PartnerId == partner ? held : null;
        if (decision.Reason == StopReason.KindNotCredited)
        {
            return KindNotCredited;
        }

        if (own.Length == 0 && coupon is null)
        {
            return NoClickSeen;
        }

        return Array.Exists(own, t => t.StoppedBy is null) ? OtherPartner
            : own.Select(t => t.StoppedBy!).Concat(coupon?.StoppedBy is { } stopped ? [stopped] : []).MaxBy(StopReason.InOrder.IndexOf) switch
            {
                StopReason.CouponOverride or StopReason.Inherited => OtherPartner,
                StopReason.CouponFallback or StopReason.CouponIgnored => decision.Credited ? OtherPartner : FilteredClick,
                StopReason.OutsideWindow or StopReason.AfterConversion => OutsideWindow,
                _ => FilteredClick,
            };
    }

    private static string OfCredited(ClaimLine claim, Decision decision, PartnerCredit part)
    {
        if (claim.Currency is { } currency && (claim.AmountMinor ?? claim.CommissionMinor) is not null && currency != decision.Currency)
        {
            return AmountDiffers;
        }

        // A partner that shares an order may claim its part as well as the whole.
        var amountHolds = claim.AmountMinor is not { } amount || amount == decision.NetMinor || amount == part.AmountMinor;
        var commissionHolds = claim.CommissionMinor is not { } commission || commission == part.CommissionMinor;
        return decision.NetMinor < decision.OriginalMinor && (decision.NetMinor == 0 || !amountHolds) && (claim.AmountMinor is null || claim.AmountMinor == decision.OriginalMinor)
            ? Refunded
            : amountHolds && commissionHolds ? Matched : AmountDiffers;
    }
}
