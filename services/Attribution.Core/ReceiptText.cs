using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace PartnerPulse.Attribution.Core;

/// <summary>A receipt as a page of plain text, of what the JSON says and nothing else. The same receipt gives the same bytes.</summary>
public static class ReceiptText
{
    public static string Of(ConversionReceipt receipt)
    {
        var page = new StringBuilder();
        var conversion = receipt.Conversion;
        page.Append(NumberFormatInfo.InvariantInfo, $"Receipt for {conversion.Kind} {conversion.OrderId} of {conversion.Source}\n");
        if (receipt.Partner is { } viewer)
        {
            page.Append(NumberFormatInfo.InvariantInfo, $"As {viewer} may see it\n");
        }

        page.Append('\n').Append(receipt.Summary).Append('\n');
        Conversion(page, receipt);
        Rules(page, receipt);
        Coupon(page, receipt.Coupon, conversion.Currency);
        if (receipt.InheritedFrom is { } lead)
        {
            var order = lead.OrderId is null ? "" : $" {lead.OrderId} of {lead.Source}";
            Heading(page, "Inherited");
            page.Append(NumberFormatInfo.InvariantInfo, $"  from the {lead.Kind}{order}, {Time(lead.OccurredAt)}\n");
            Touches(page, lead.Touches, conversion.Currency);
            Coupon(page, lead.Coupon, conversion.Currency);
            Fit(page, lead.Fit);
        }

        Fit(page, receipt.Fit);
        Heading(page, "Touches");
        if (receipt.Touches.IsEmpty)
        {
            page.Append("  none\n");
        }

        Touches(page, receipt.Touches, conversion.Currency);
        Partners(page, receipt);
        Amounts(page, receipt);
        History(page, receipt);
        return page.ToString();
    }

    private static void Conversion(StringBuilder page, ConversionReceipt receipt)
    {
        var conversion = receipt.Conversion;
        Heading(page, "Conversion");
        Line(page, "id", $"{conversion.Id}");
        Line(page, "program", conversion.ProgramId);
        Line(page, "time", Time(conversion.OccurredAt));
        Line(page, "amount", conversion.Amount is null ? null : $"{conversion.Amount} {conversion.Currency}");
        Line(page, "net", conversion.Net is null ? null : $"{conversion.Net} {conversion.Currency}");
        Line(page, "test", conversion.Test ? "yes" : null);
        Line(page, "customer", conversion.Customer);
        Line(page, "decision", receipt.Reason is null ? receipt.Decision : $"{receipt.Decision}: {receipt.Reason}");
        Line(page, "same sale", receipt.SameOrder is not { } same ? null : $"{same.OrderId} of {same.Source}, by {string.Join(", ", same.Fields)} within {same.WithinHours} hours");
    }

    private static void Rules(StringBuilder page, ConversionReceipt receipt)
    {
        var rules = receipt.Rules;
        Heading(page, "Rules");
        Line(page, "version", string.Create(NumberFormatInfo.InvariantInfo, $"{rules.Version}, {rules.Name}"));
        Line(page, "of", rules.Stack is null ? null : $"{string.Join(", ", rules.Stack)}; the first that applies to the conversion judges it");
        Line(page, "since", rules.EffectiveFrom is { } since ? Time(since) : null);
        Line(page, "hash", rules.Hash);
        Line(page, "model", string.Create(NumberFormatInfo.InvariantInfo, $"{rules.Model}, window {rules.WindowDays} days, repeats within {rules.RepeatMinutes} minutes"));
        Line(page, "bots", rules.Bots);
        Line(page, "engine", receipt.EngineVersion);
    }

    private static void Fit(StringBuilder page, ReceiptFit? fit)
    {
        if (fit is null)
        {
            return;
        }

        Heading(page, "Removal effects");
        Line(page, "order", string.Create(NumberFormatInfo.InvariantInfo, $"{fit.Order}"));
        Line(page, "journeys", fit.Converted is null ? null : string.Create(NumberFormatInfo.InvariantInfo, $"{fit.Converted} converted, {fit.NotConverted} did not"));
        foreach (var effect in fit.Effects)
        {
            var lost = effect.RemovalEffect is { } part ? $"without it {Number(100 * part)} % of all conversions would be lost" : "came after the fit";
            page.Append(NumberFormatInfo.InvariantInfo, $"  {effect.Partner}: {lost}, weight {effect.Weight}\n");
        }
    }

    private static void Coupon(StringBuilder page, ReceiptCoupon? coupon, string currency)
    {
        if (coupon is null)
        {
            return;
        }

        Heading(page, "Coupon");
        Line(page, "code", coupon.Code);
        Line(page, "partner", coupon.Partner);
        Line(page, "rule", coupon.Rule);
        Line(page, "stopped", coupon.StoppedBy);
        Line(page, "share", coupon.Share is { } share ? $"{Number(share)}, {coupon.Amount} {currency}, commission {coupon.Commission}{(coupon.Forfeited == true ? ", kept unpaid" : "")}" : null);
    }

    private static void Touches(StringBuilder page, ImmutableArray<ReceiptTouch> touches, string currency)
    {
        for (var i = 0; i < touches.Length; i++)
        {
            var touch = touches[i];
            page.Append(NumberFormatInfo.InvariantInfo, $"  {i + 1}. {Time(touch.OccurredAt)}  {touch.Partner}, found by {touch.Evidence}");
            Append(page, ", link ", touch.Link);
            Append(page, ", campaign ", touch.Campaign);
            Append(page, ", click ", touch.ClickId?.ToString());
            page.Append('\n');
            if (touch.StoppedBy is { } reason)
            {
                page.Append("     stopped: ").Append(reason);
                Append(page, ", ", touch.Sign);
                page.Append('\n');
            }

            if (touch.Share is { } share)
            {
                page.Append(NumberFormatInfo.InvariantInfo, $"     share {Number(share)}: {touch.Amount} {currency}");
                page.Append(NumberFormatInfo.InvariantInfo, $" (exactly {touch.QuotaMinor} minor units; rounding adds {touch.RemainderMinor})");
                page.Append(NumberFormatInfo.InvariantInfo, $", commission {touch.Commission}{(touch.Forfeited == true ? ", kept unpaid" : "")}\n");
            }
        }
    }

    private static void Partners(StringBuilder page, ConversionReceipt receipt)
    {
        if (receipt.Partners.IsEmpty)
        {
            return;
        }

        Heading(page, "Credit");
        foreach (var partner in receipt.Partners)
        {
            page.Append(NumberFormatInfo.InvariantInfo, $"  {partner.Partner}: share {Number(partner.Share)}, {partner.Amount} {receipt.Conversion.Currency}, commission {partner.Commission}");
            page.AppendJoin(" and", (partner.By ?? []).Select(by => Entry(by, receipt.Conversion.Currency))).Append('\n');
        }
    }

    private static string Entry(ReceiptCommission by, string currency)
    {
        var rate = by.Percent is { } percent ? $"{Number(percent)} %" : $"{by.Flat} {currency} flat";
        var product = by.Product is null ? "" : $" for {by.Of} of {by.Product}";
        var cap = by.Cap is null ? "" : $", at most {by.Cap}";
        var minimum = by.Minimum is null ? "" : $", at least {by.Minimum}";
        return string.Create(NumberFormatInfo.InvariantInfo, $" by commission entry {by.Entry}, {rate}{product}{cap}{minimum}");
    }

    private static void Amounts(StringBuilder page, ConversionReceipt receipt)
    {
        if (receipt.Statements is { } statements)
        {
            Heading(page, "Statements of the amount");
            foreach (var statement in statements)
            {
                page.Append("  ").Append(statement.AsOf is { } asOf ? Time(asOf) : "as first recorded");
                Append(page, "  ", statement.Amount is null ? null : $"{statement.Amount} {statement.Currency}");
                page.Append(statement.Cancelled ? ", cancelled" : "").Append(statement.InForce ? ", in force" : "").Append('\n');
            }
        }

        if (receipt.Adjustments.IsEmpty)
        {
            return;
        }

        Heading(page, "Adjustments");
        foreach (var adjustment in receipt.Adjustments)
        {
            page.Append(NumberFormatInfo.InvariantInfo, $"  {Time(adjustment.OccurredAt)}  {adjustment.Reason} {adjustment.Id}");
            Append(page, "  ", adjustment.Amount is null ? null : $"{adjustment.Amount} {adjustment.Currency}");
            Append(page, ", net ", adjustment.Net);
            page.Append(adjustment.Counted ? "" : ", another currency: it has no effect").Append('\n');
        }
    }

    private static void History(StringBuilder page, ConversionReceipt receipt)
    {
        if (receipt.History is not { Revisions.IsEmpty: false } history)
        {
            return;
        }

        Heading(page, $"History: {history.Status}");
        foreach (var revision in history.Revisions)
        {
            var causes = revision.Causes is { } some ? string.Join("; ", some.Select(InWords)) : "not written down";
            page.Append(NumberFormatInfo.InvariantInfo, $"  {Time(revision.At)}  {causes}\n");
            foreach (var part in revision.Partners)
            {
                page.Append(NumberFormatInfo.InvariantInfo, $"     {part.Partner}: {Part(part.Before, receipt)} -> {Part(part.After, receipt)}\n");
            }
        }
    }

    private static string InWords(ReceiptCause cause) =>
        cause.Replay is { } replay ? $"{cause.Kind} {replay}" : cause.Event is { } id ? $"{cause.Kind} {id}" : cause.Kind;

    private static string Part(ReceiptPart? part, ConversionReceipt receipt) =>
        part is null ? "nothing" : $"{Number(part.Share)}, {part.Amount} {receipt.Conversion.Currency}, commission {part.Commission}";

    private static void Heading(StringBuilder page, string heading) => page.Append('\n').Append(heading).Append('\n');

    private static void Line(StringBuilder page, string name, string? value)
    {
        if (value is not null)
        {
            page.Append(NumberFormatInfo.InvariantInfo, $"  {name,-10}{value}\n");
        }
    }

    private static void Append(StringBuilder page, string before, string? value)
    {
        if (value is not null)
        {
            page.Append(before).Append(value);
        }
    }

    private static string Number(decimal number) => number.ToString("0.##################", NumberFormatInfo.InvariantInfo);

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", DateTimeFormatInfo.InvariantInfo);
}
