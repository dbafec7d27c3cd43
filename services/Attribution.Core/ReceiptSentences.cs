using System.Diagnostics;
using System.Globalization;

namespace PartnerPulse.Attribution.Core;

/// <summary>The plain sentence of a receipt.</summary>
internal static class ReceiptSentences
{
    private const int MaxListed = 5;

    public static string ForOperator(ConversionReceipt receipt)
    {
        var order = Order(receipt);
        if (receipt.Decision != "credited")
        {
            return $"Nobody is credited for {order}: {Nobody(receipt)}.";
        }

        var parts = receipt.Partners.Take(MaxListed)
            .Select(p => $"{p.Partner} has {Portion(p.Share)} ({p.Amount} {receipt.Conversion.Currency}, commission {p.Commission})").ToList();
        if (receipt.Partners.Length > MaxListed)
        {
            parts.Add($"{receipt.Partners.Length - MaxListed} more have the rest");
        }

        var worth = $"Of {order}, worth {receipt.Conversion.Net} {receipt.Conversion.Currency}, {Listed(parts)}";
        if (receipt.InheritedFrom is { } lead)
        {
            return $"{worth}, inherited from {Lead(lead)}.";
        }

        if (receipt.Coupon is { StoppedBy: null } coupon)
        {
            return $"{worth}, by the coupon {coupon.Code}{WhyCoupon(coupon)}.";
        }

        var candidates = receipt.Touches.Count(t => t.StoppedBy is null);
        return $"{worth}, by {receipt.Rules.Model} "
            + $"over {Clicks(candidates)} that count{(candidates == 1 ? "s" : "")}{Stopped(receipt)}.";
    }

    public static string ForPartner(ConversionReceipt receipt, string partnerId)
    {
        var order = Order(receipt);
        var own = receipt.Touches.Where(t => t.Partner == partnerId).ToList();
        var coupon = receipt.Coupon is { } held && held.Partner == partnerId ? held : null;
        var credit = receipt.Partners.FirstOrDefault(p => p.Partner == partnerId);
        if (receipt.InheritedFrom is { } lead && (credit is not null || own.Count > 0 || coupon is not null))
        {
            var forfeited = lead.Coupon?.Forfeited == true || lead.Touches.Any(t => t.Partner == partnerId && t.Forfeited == true);
            return credit is null
                ? $"You are not credited for {order}: {Because(StopReason.Inherited, receipt, touch: null)}, and you have no part of that."
                : Credited(receipt, credit, forfeited, $"inherited from {Lead(lead)}");
        }

        if (coupon is { StoppedBy: null } && credit is not null)
        {
            return Credited(receipt, credit, coupon.Forfeited == true, $"it carries your coupon {coupon.Code}{WhyCoupon(coupon)}");
        }

        var candidates = receipt.Touches.Where(t => t.StoppedBy is null).ToList();
        var ownCandidates = own.Where(t => t.StoppedBy is null).ToList();
        if (ownCandidates.Count == 0 && coupon is not null)
        {
            return $"You are not credited for {order}: your coupon {coupon.Code} does not count, because {Because(coupon.StoppedBy!, receipt, touch: null)}.";
        }

        if (own.Count == 0)
        {
            return $"You are not credited for {order}: no click on a link of yours belongs to it.";
        }

        if (ownCandidates.Count == 0)
        {
            var telling = own.MaxBy(t => StopReason.InOrder.IndexOf(t.StoppedBy!))!;
            return $"You are not credited for {order}: your click of {Time(telling.OccurredAt)} does not count, because {Because(telling.StoppedBy!, receipt, telling)}.";
        }

        var why = Why(receipt, candidates, ownCandidates);
        return credit is null
            ? $"You are not credited for {order}: {why}."
            : Credited(receipt, credit, ownCandidates.Exists(t => t.Forfeited == true), why);
    }

    private static string Credited(ConversionReceipt receipt, ReceiptPartner credit, bool forfeited, string why)
    {
        var gets = $"{Portion(credit.Share)} of {Order(receipt)} ({credit.Amount} {receipt.Conversion.Currency})";
        return forfeited
            ? $"Your part, {gets}, is kept and not paid: you were suspended at the time of the conversion."
            : $"You are credited with {gets}, commission {credit.Commission} {receipt.Conversion.Currency}: {why}.";
    }

    private static string Lead(ReceiptInheritance lead) => $"{lead.Kind} {lead.OrderId} of {lead.Source}";

    private static string WhyCoupon(ReceiptCoupon coupon) =>
        coupon.Rule == "override" ? ", which the rules put before clicks" : ", because no click counts";

    private static string Why(ConversionReceipt receipt, List<ReceiptTouch> candidates, List<ReceiptTouch> own)
    {
        var (first, last) = (candidates[0], candidates[^1]);
        switch (receipt.Rules.Model)
        {
            case "first-touch":
                return own.Contains(first)
                    ? $"your click of {Time(first.OccurredAt)} was the first that counts"
                    : $"the first click that counts came through another partner, at {Time(first.OccurredAt)}; your first was at {Time(own[0].OccurredAt)}";
            case "last-touch":
                return own.Contains(last)
                    ? $"your click of {Time(last.OccurredAt)} was the last that counts"
                    : $"the last click that counts came through another partner, at {Time(last.OccurredAt)}; your last was at {Time(own[^1].OccurredAt)}";
            case "linear":
                return $"each of {Clicks(candidates.Count)} that count has the same part, and {own.Count} of them {(own.Count == 1 ? "is" : "are")} yours";
            case "position-based":
                return $"the part of a click goes by its place among the {Clicks(candidates.Count)} that count, and yours {(own.Count == 1 ? "has" : "have")} {Places(candidates, own)}";
            case "time-decay":
                return $"the part of a click halves with every half-life of its age, and {own.Count} of {Clicks(candidates.Count)} that count {(own.Count == 1 ? "is" : "are")} yours, the latest at {Time(own[^1].OccurredAt)}";
            case "shapley":
                return $"each of {Partners(candidates)} whose clicks count has the same part, and you are one of them";
            case "markov":
                return $"the part of each of {Partners(candidates)} whose clicks count goes by how many conversions would be lost without it, and you are one of them";
            default:
                throw new UnreachableException(receipt.Rules.Model);
        }
    }

    private static string Nobody(ConversionReceipt receipt) => receipt.Reason switch
    {
        StopReason.SameOrder => Because(StopReason.SameOrder, receipt, touch: null),
        StopReason.NoTouches => "no click belongs to it",
        StopReason.KindNotCredited => Because(StopReason.KindNotCredited, receipt, touch: null),
        StopReason.SuspendedPartner when receipt.Coupon?.StoppedBy == StopReason.SuspendedPartner => "the partner of its coupon was suspended at the time of the conversion",
        StopReason.SelfReferral when receipt.Coupon?.StoppedBy == StopReason.SelfReferral => "the partner of its coupon is the customer itself",
        { } reason when receipt.Touches.Length == 1 => $"its one click does not count, because {Because(reason, receipt, FirstOf(reason, receipt))}",
        { } reason => $"none of its {receipt.Touches.Length} clicks counts; the nearest does not, because {Because(reason, receipt, FirstOf(reason, receipt))}",
        null => throw new UnreachableException("A conversion without credit has a reason."),
    };

    private static ReceiptTouch FirstOf(string reason, ConversionReceipt receipt) => receipt.Touches.First(t => t.StoppedBy == reason);

    private static string Because(string reason, ConversionReceipt receipt, ReceiptTouch? touch) => reason switch
    {
        StopReason.SameOrder => $"it is the same sale as order {receipt.SameOrder!.OrderId} of {receipt.SameOrder.Source}, which is kept",
        StopReason.KindNotCredited => $"the rules do not credit a {receipt.Conversion.Kind}",
        StopReason.CouponOverride => "the rules put the coupon of another partner before clicks",
        StopReason.Inherited => $"the {receipt.InheritedFrom!.Kind} of {Time(receipt.InheritedFrom.OccurredAt)} introduced the customer, whose shares it takes",
        StopReason.CouponIgnored => "the rules let coupons count for nothing",
        StopReason.CouponFallback => "a coupon counts only where no click does, and one does",
        StopReason.EvidenceNotCounted => "the rules do not count the way in which it was found",
        StopReason.Test => receipt.Conversion.Test ? "the conversion is a test and the click is not" : "the click is a test and the conversion is not",
        StopReason.WrongProgram => "it belongs to another program",
        StopReason.AfterConversion => "it came after the conversion",
        StopReason.OutsideWindow => $"it came more than {touch?.WindowDays ?? receipt.Rules.WindowDays} days before the conversion",
        StopReason.Prefetch => $"a browser fetched the page ahead and nobody had clicked{Shown(touch)}",
        StopReason.Preview => $"it was the preview of a link and nobody had clicked{Shown(touch)}",
        StopReason.Bot => $"a program made it and no person, by the bot list {receipt.Rules.Bots}{Shown(touch)}",
        StopReason.Head => "it only asked for headers, which no visitor does",
        StopReason.NoConsent => "its visitor refused to be followed, and the rules require consent",
        StopReason.SelfReferral => "the customer is the partner itself, and the rules credit nobody for its own purchase",
        StopReason.SuspendedPartner => "the partner was suspended at the time of the conversion",
        StopReason.RepeatClick => $"it came within {receipt.Rules.RepeatMinutes} minutes after another click on the same partner",
        _ => throw new UnreachableException(reason),
    };

    private static string Shown(ReceiptTouch? touch) => touch?.Sign is { } sign ? $" ({sign})" : "";

    private static string Order(ConversionReceipt receipt) =>
        $"{receipt.Conversion.Kind} {receipt.Conversion.OrderId} of {receipt.Conversion.Source}";

    private static string Portion(decimal share) => share == 1 ? "the whole" : $"{(share * 100).ToString("0.##", NumberFormatInfo.InvariantInfo)} %";

    private static string Clicks(int count) => count == 1 ? "1 click" : $"{count} clicks";

    private static string Partners(List<ReceiptTouch> candidates)
    {
        var count = candidates.Select(t => t.Partner).Distinct(StringComparer.Ordinal).Count();
        return count == 1 ? "1 partner" : $"{count} partners";
    }

    private static string Stopped(ConversionReceipt receipt)
    {
        var stopped = receipt.Touches.Count(t => t.StoppedBy is not null);
        return stopped == 0 ? "" : $"; {stopped} more {(stopped == 1 ? "does" : "do")} not";
    }

    private static string Places(List<ReceiptTouch> candidates, List<ReceiptTouch> own)
    {
        var places = new List<string>();
        for (var i = 0; i < candidates.Count && places.Count < MaxListed; i++)
        {
            if (candidates[i].Partner == own[0].Partner)
            {
                places.Add((i + 1).ToString(NumberFormatInfo.InvariantInfo));
            }
        }

        if (own.Count > MaxListed)
        {
            places.Add($"{own.Count - MaxListed} more");
        }

        return $"place{(places.Count == 1 ? "" : "s")} {Listed(places)}";
    }

    private static string Listed(List<string> parts) =>
        parts.Count == 1 ? parts[0] : $"{string.Join(", ", parts.Take(parts.Count - 1))} and {parts[^1]}";

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", DateTimeFormatInfo.InvariantInfo);
}
