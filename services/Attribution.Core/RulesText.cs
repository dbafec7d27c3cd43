using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Rules in plain English: a sentence for each thing that they decide, then examples that the engine itself has worked out under
/// them (<see cref="RulesExamples"/>). The same rules give the same text.
/// </summary>
public static class RulesText
{
    private const int Width = 110;

    /// <param name="rules">With a model that is fitted or need not be; the examples fit it to themselves.</param>
    public static string Of(Rules rules)
    {
        var text = new StringBuilder().Append("Rules \"").Append(rules.Name).Append("\"\n");
        Section(text, "To whom they apply", Scope(rules));
        Section(text, "Which clicks count", WhichClicks(rules));
        Section(text, "Who gets the credit", WhoGetsIt(rules));
        Section(text, "What is paid", Commission(rules));
        RulesExamples.Write(text, rules);
        return text.ToString();
    }

    /// <summary>Wraps a paragraph, its first line after a mark and the others beneath it.</summary>
    internal static void Paragraph(StringBuilder text, string mark, string sentence)
    {
        var line = mark;
        var indent = new string(' ', mark.Length);
        var empty = true;
        foreach (var word in sentence.Split(' '))
        {
            if (!empty && line.Length + 1 + word.Length > Width)
            {
                text.Append(line).Append('\n');
                (line, empty) = (indent, true);
            }

            line += (empty ? "" : " ") + word;
            empty = false;
        }

        text.Append(line).Append('\n');
    }

    private static void Section(StringBuilder text, string title, IEnumerable<string> sentences)
    {
        text.Append('\n').Append(title).Append('\n');
        foreach (var sentence in sentences)
        {
            Paragraph(text, "- ", sentence);
        }
    }

    private static IEnumerable<string> WhichClicks(Rules rules)
    {
        yield return $"A click belongs to a conversion {Listed([.. rules.Evidence.Select(Found)], "or")}.";
        yield return $"It counts if it came at most {Days(rules.WindowDays)} before the conversion, and not after it.";
        foreach (var window in rules.PartnerWindows)
        {
            yield return $"For {window.Partner} it is {Days(window.Days)} instead.";
        }

        yield return rules.RepeatMinutes == 0
            ? "Every click counts anew, however soon it follows another on the same partner."
            : $"Within {Minutes(rules.RepeatMinutes)} after a click that counted, clicks of the same person on the same partner do not count.";
        yield return rules.Bots.List is { } list
            ? $"Programs are told by the bot list {list.Version}. {Machines(rules)}"
            : $"No user agent is judged, so programs count as people. {Machines(rules)}";
        yield return rules.Consent == ConsentUse.Require
            ? "A click whose visitor refused to be followed does not count; one whose visitor was not asked does."
            : "Whether the visitor agreed to be followed does not matter.";
        yield return rules.SelfReferral == SelfReferrals.Exclude
            ? "A partner is not credited for what it buys itself."
            : "A partner is credited for what it buys itself as for anything else.";
        yield return rules.Suspended == SuspendedPartners.PassOn
            ? "A partner that was suspended at the time of the conversion has no part in it; the others share."
            : "A partner that was suspended at the time of the conversion keeps its share, and nobody is paid for it.";
        yield return "Test traffic credits test conversions only.";
    }

    private static IEnumerable<string> WhoGetsIt(Rules rules)
    {
        yield return $"{Capital(Listed([.. rules.Kinds.Select(Plural)], "and"))} can be credited{(rules.Kinds.Length == Rules.AllKinds.Length ? "" : "; nothing else can")}.";
        if (rules.Coupon == CouponUse.Override)
        {
            yield return "First, the coupon on a conversion: the partner that held it then gets the whole, whatever was clicked.";
        }

        if (rules.Inherit is { } inherit)
        {
            yield return $"{(rules.Coupon == CouponUse.Override ? "Then" : "First")}, a sale or renewal of a customer whose earlier lead or signup was credited takes the shares of that one"
                + $"{(inherit.Days is { } days ? $", if it follows within {Days(days)}" : ", however long ago that was")}.";
        }

        yield return $"{(rules.Coupon == CouponUse.Override || rules.Inherit is not null ? "Otherwise the clicks" : "The clicks")} that count share a conversion: {Model(rules.Model)}.";
        yield return rules.Coupon switch
        {
            CouponUse.Fallback => "Where no click counts, the partner that held the coupon of the conversion gets it.",
            CouponUse.Override => "Where no click counts and there is no coupon, nobody gets it.",
            _ => "Coupons count for nothing.",
        };
    }

    private static string Model(Model model) => model switch
    {
        FirstTouch => "the first has it all",
        LastTouch => "the last has it all",
        Linear => "each has the same part",
        PositionBased p => $"the first has {Percent(p.FirstBasisPoints)}, the last {Percent(p.LastBasisPoints)}, and those between share the rest evenly; where there are only two, the same parts of the two fill the whole",
        TimeDecay d => $"a click weighs half as much with every {Number(d.HalfLifeDays)} days of its age",
        Shapley => "each partner among them has the same part, however often it was clicked",
        Markov m => "each partner among them in proportion to the conversions that would be lost without it, as learned from all journeys, those that came to nothing too; "
            + $"what a visitor does next is taken to depend on {(m.Order == 1 ? "the last partner" : $"the last {m.Order} partners")}",
        _ => throw new UnreachableException(model.ToString()),
    };

    private static IEnumerable<string> Commission(Rules rules)
    {
        if (rules.Commission.IsEmpty)
        {
            yield return "Credit is counted, and no commission is paid.";
            yield break;
        }

        for (var i = 0; i < rules.Commission.Length; i++)
        {
            var entry = rules.Commission[i];
            var pays = entry.PercentBasisPoints is { } basisPoints
                ? $"{Percent(basisPoints)} of a partner's part"
                : $"{Contracts.Currency.Format(entry.FlatMinor!.Value, entry.Currency!)} {entry.Currency} for the conversion, split by share";
            yield return $"{(i == 0 ? "" : "Else ")}{pays}{Bounds(entry)}{Matching(entry)}.";
        }

        if (rules.Commission.All(entry => Matching(entry).Length > 0))
        {
            yield return "Where none of these matches, nothing is paid.";
        }

        yield return "A refund takes the commission down in proportion.";
    }

    private static string Bounds(CommissionEntry entry)
    {
        var bounds = new List<string>();
        if (entry.MinimumMinor is { } minimum)
        {
            bounds.Add($"at least {Contracts.Currency.Format(minimum, entry.Currency!)} {entry.Currency}");
        }

        if (entry.CapMinor is { } cap)
        {
            bounds.Add($"at most {Contracts.Currency.Format(cap, entry.Currency!)} {entry.Currency}");
        }

        return bounds.Count == 0 ? "" : $", {Listed(bounds, "and")} a conversion";
    }

    private static string Matching(CommissionEntry entry)
    {
        var asks = new List<string>();
        if (entry.Kind is { } kind)
        {
            asks.Add($"the conversion is a {Words.Of(kind)}");
        }

        if (entry.Partner is { } partner)
        {
            asks.Add($"the partner is {partner}");
        }

        if (entry.Group is { } group)
        {
            asks.Add($"the partner was in the group {group}");
        }

        if (entry.Product is { } product)
        {
            asks.Add($"for the items of the product {product}");
        }

        if (entry.NewCustomer is { } isNew)
        {
            asks.Add(isNew ? "the customer is new" : "the customer is not new");
        }

        if (entry.Currency is { } currency)
        {
            asks.Add($"the order is in {currency}");
        }

        return asks.Count == 0 ? "" : $", where {Listed(asks, "and")}";
    }

    private static IEnumerable<string> Scope(Rules rules)
    {
        var scope = rules.Scope;
        var whom = scope.Partner is { } partner ? $" in which {partner} competes" : scope.NewCustomers ? " of new customers" : "";
        var since = rules.EffectiveFrom?.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", DateTimeFormatInfo.InvariantInfo);
        yield return scope.Applies switch
        {
            ScopeTime.ConversionsFrom => $"They apply to conversions{whom} that happened from {since} on.",
            ScopeTime.TouchesFrom => $"They apply to conversions{whom} whose clicks all came from {since} on.",
            ScopeTime.AllHistory => $"They apply to all conversions{whom}.",
            _ => throw new UnreachableException(scope.Applies.ToString()),
        };
        if (!rules.CoverEverything)
        {
            yield return "All others are judged by the rules that were in force before.";
        }
    }

    /// <summary>What requests say of themselves, and what counts all the same.</summary>
    private static string Machines(Rules rules)
    {
        Machine[] asked = rules.Bots.List is null ? [Machine.Prefetch, Machine.Preview, Machine.Head] : [Machine.Prefetch, Machine.Preview, Machine.Bot, Machine.Head];
        var stopped = asked.Where(machine => !rules.Bots.Counted.Contains(machine)).Select(Plural).ToList();
        var counted = asked.Where(rules.Bots.Counted.Contains).Select(Plural).ToList();
        var stop = stopped.Count == 0 ? "" : $"{Capital(Listed(stopped, "and"))} do not count.";
        var count = counted.Count == 0 ? "" : $"{Capital(Listed(counted, "and"))} count all the same.";
        return $"{stop} {count}".Trim();
    }

    private static string Plural(Machine machine) => machine switch
    {
        Machine.Prefetch => "pages that a browser fetched ahead",
        Machine.Preview => "previews of a link",
        Machine.Bot => "clicks of programs",
        Machine.Head => "requests for headers alone",
        _ => throw new UnreachableException(machine.ToString()),
    };

    private static string Found(Evidence evidence) => evidence switch
    {
        Evidence.ClickId => "if the conversion names it",
        Evidence.VisitorCookie => "if the visitor's cookie is the same",
        Evidence.Customer => "if its visitor is known to be the customer, on whatever device",
        _ => throw new UnreachableException(evidence.ToString()),
    };

    private static string Plural(Contracts.ConversionKind kind) => $"{Words.Of(kind)}s";

    private static string Days(int days) => days == 1 ? "1 day" : $"{days.ToString(NumberFormatInfo.InvariantInfo)} days";

    private static string Minutes(int minutes) => minutes == 1 ? "1 minute" : $"{minutes.ToString(NumberFormatInfo.InvariantInfo)} minutes";

    private static string Percent(int basisPoints) => $"{Number(Rules.Percent(basisPoints))} %";

    private static string Number(decimal number) => number.ToString(NumberFormatInfo.InvariantInfo);

    private static string Capital(string words) => words.Length == 0 ? words : char.ToUpperInvariant(words[0]) + words[1..];

    private static string Listed(List<string> parts, string last) =>
        parts.Count == 1 ? parts[0] : $"{string.Join(", ", parts.Take(parts.Count - 1))} {last} {parts[^1]}";
}
