using System.Globalization;
using System.Text;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Small made-up journeys that show what rules do, each judged by the engine itself; the result is the sentence of its receipt.
/// Distances in time follow the rules, so that each example shows what it is there for.
/// </summary>
internal sealed class RulesExamples
{
    private const string Program = "example";
    private const string Browser = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    private readonly Rules _rules;
    private readonly DateTimeOffset _now;
    private readonly string _currency;
    private readonly ConversionKind _kind;
    private readonly TimeSpan _window;
    private int _ids;

    private RulesExamples(Rules rules)
    {
        _rules = rules;
        _window = TimeSpan.FromDays(rules.WindowDays);

        // Late enough that everything lies after the rules began to apply.
        _now = (rules.EffectiveFrom ?? new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero)) + (2 * _window) + TimeSpan.FromDays(1);
        _currency = rules.Commission.Select(entry => entry.Currency).FirstOrDefault(code => code is not null) ?? "EUR";
        _kind = rules.Kinds.Contains(ConversionKind.Sale) ? ConversionKind.Sale : rules.Kinds[0];
    }

    /// <summary>Writes all that there is to show of these rules.</summary>
    public static void Write(StringBuilder text, Rules rules)
    {
        var examples = new RulesExamples(rules);
        var all = examples.All().ToList();
        text.Append("\nExamples, worked out by the engine\n");
        if (rules.Model is Markov markov)
        {
            var journeys = examples.Learned().ToList();
            var fit = Fitting.Of([.. journeys.SelectMany(journey => journey)], rules);
            examples = new RulesExamples(rules with { Model = markov with { Fit = fit } });
            RulesText.Paragraph(
                text, "  ",
                $"Here the model learned from {fit.Converted + fit.NotConverted} made-up journeys, of which {fit.Converted} came to a conversion. Lost without a partner: "
                + $"{string.Join(", ", fit.Effects.Select(e => $"{e.PartnerId} {Percent(e.Units)}"))}.");
        }

        var number = 0;
        foreach (var example in all)
        {
            text.Append('\n');
            RulesText.Paragraph(text, $"{++number}. ", example.Title);
            foreach (var fact in example.Facts)
            {
                text.Append("     ").Append(When(fact.Before).PadRight(20)).Append(fact.What).Append('\n');
            }

            RulesText.Paragraph(text, "   = ", examples.Result(example));
        }
    }

    private IEnumerable<Example> All()
    {
        var (early, late) = (_window * 0.5, _window * 0.1);
        yield return Of("Two partners, one after the other", Click("acme", early), Click("bravo", late), Conversion());

        var between = TimeSpan.FromMinutes(_rules.RepeatMinutes == 0 ? 1 : Math.Max(1, _rules.RepeatMinutes / 2));
        yield return Of("The same partner twice, and another", Click("acme", early), Click("acme", early - between), Click("bravo", late), Conversion());
        yield return Of("A click that is too old", Click("acme", _window + TimeSpan.FromDays(1)), Click("bravo", late), Conversion());
        foreach (var own in _rules.PartnerWindows.Take(1))
        {
            yield return Of($"A click as old as the window of {own.Partner} lets it be", Click(own.Partner, TimeSpan.FromDays(own.Days)), Conversion());
        }

        yield return Of(
            "A click on another device, known by the customer", Click("acme", early, visitor: "phone"),
            Said(early - TimeSpan.FromMinutes(1), "the visitor logs in", new VisitorIdentified
            {
                EventId = Next(), ProgramId = Program, OccurredAt = _now - early, CustomerKey = "customer", VisitorId = "phone",
            }),
            Conversion(visitor: "laptop", customer: "customer"));
        yield return Of("A program clicks", Click("acme", early, userAgent: "curl/8.5.0", what: "a program clicks on acme"), Conversion());
        yield return Of(
            "A browser fetches a page ahead", Click("acme", early, signals: new ClickSignals { Purpose = "prefetch" }, what: "a browser fetches the link of acme ahead"), Conversion());
        yield return Of(
            "The visitor refuses to be followed", Click("acme", early, signals: new ClickSignals { Consent = false }, what: "click on acme, consent refused"), Conversion());
        yield return Of("A coupon and a click", Coupon("bravo"), Click("acme", late), Conversion(coupon: true));
        yield return Of("A coupon alone", Coupon("bravo"), Conversion(coupon: true));
        yield return Of(
            "A partner that is suspended when it comes to it", Click("acme", early), Click("bravo", late),
            Said(late / 2, "acme is suspended", new PartnerSuspended { EventId = Next(), ProgramId = Program, OccurredAt = _now - (late / 2), PartnerId = "acme" }), Conversion());
        yield return Of(
            "A partner that buys through its own link", Click("acme", late),
            Said(_window, "acme says who it is", new PartnerIdentified { EventId = Next(), ProgramId = Program, OccurredAt = _now - _window, PartnerId = "acme", CustomerKey = "customer" }),
            Conversion(customer: "customer"));
        yield return Lead();
        var refunded = Conversion();
        var sale = (ConversionRecorded)refunded.Event!;
        yield return Of("Two fifths are refunded", Click("acme", early), refunded, Said(TimeSpan.FromDays(-1), "40.00 are refunded", new ConversionAdjusted
        {
            EventId = Next(), ProgramId = Program, OccurredAt = _now.AddDays(1), ConversionId = sale.ConversionId, Source = sale.Source, OrderId = sale.OrderId,
            AdjustmentId = "refund", AmountMinor = -(sale.AmountMinor * 2 / 5), Currency = _currency, Reason = AdjustmentReason.Refund,
        }));
    }

    /// <summary>A lead through one partner, and a renewal later after a click on another.</summary>
    private Example Lead()
    {
        var age = TimeSpan.FromDays(_rules.Inherit?.Days ?? 30) / 2;
        var lead = Conversion(kind: ConversionKind.Lead, customer: "customer", before: age, what: "the customer becomes a lead");
        return Of("A renewal of a customer whom another partner introduced", Click("acme", age + TimeSpan.FromHours(1)), lead, Click("bravo", TimeSpan.FromHours(1)), Conversion(kind: ConversionKind.Renewal, customer: "customer"));
    }

    /// <summary>What the model of the examples learns from: each visitor's clicks, and what came of them.</summary>
    private IEnumerable<IEnumerable<IEvent>> Learned()
    {
        (string[] Partners, int Converted, int NotConverted)[] journeys = [(["acme"], 2, 4), (["acme", "bravo"], 3, 1), (["bravo"], 1, 5), (["acme", "bravo", "coral"], 1, 1), (["coral"], 1, 3)];
        foreach (var (partners, converted, notConverted) in journeys)
        {
            for (var i = 0; i < converted + notConverted; i++)
            {
                var visitor = Next().ToString("N");
                var clicks = partners.Select((partner, place) => Click(partner, _window * (0.5 - (place * 0.1)), visitor).Event!);
                yield return i < converted ? clicks.Append(Conversion(visitor: visitor).Event!) : clicks;
            }
        }
    }

    private string Result(Example example)
    {
        var history = History.Fold(example.Facts.Select(fact => fact.Event).OfType<IEvent>());
        var wanted = example.Facts.Select(fact => fact.Event).OfType<ConversionRecorded>().Last();
        var journey = history.Journeys.Single(j => j.Conversion.ConversionId == wanted.ConversionId);
        var inForce = RulesInForce.Only(_rules);
        return Receipt.Of(journey, Crediting.Decide(journey, history.Standings, inForce), inForce).Summary;
    }

    private static Example Of(string title, params Fact[] facts) => new(title, [.. facts.OrderByDescending(fact => fact.Before)]);

    private Fact Click(string partner, TimeSpan before, string visitor = "visitor", string userAgent = Browser, ClickSignals? signals = null, string? what = null) =>
        Said(before, what ?? $"click on {partner}", new ClickRecorded
        {
            EventId = Next(), ProgramId = Program, OccurredAt = _now - before, PartnerId = partner, VisitorId = visitor, UserAgent = userAgent, Via = ClickVia.Redirect, Signals = signals,
        });

    private Fact Conversion(
        string visitor = "visitor", string? customer = null, bool coupon = false, ConversionKind? kind = null, TimeSpan before = default, string? what = null)
    {
        var id = Next();
        var amount = Contracts.Currency.TryParse("100", _currency, out var hundred, out _) ? hundred : 0;
        return Said(before, what ?? $"{Words.Of(kind ?? _kind)} of {Contracts.Currency.Format(amount, _currency)} {_currency}{(coupon ? " with the coupon" : "")}", new ConversionRecorded
        {
            EventId = id, ConversionId = id, ProgramId = Program, OccurredAt = _now - before, Kind = kind ?? _kind, Source = "shop", OrderId = "1", CustomerKey = customer,
            VisitorId = visitor, Coupon = coupon ? "SPRING" : null, AmountMinor = amount, Currency = _currency, NewCustomer = true,
        });
    }

    private Fact Coupon(string partner) => Said(_window, $"{partner} gets the coupon SPRING", new CouponAssigned
    {
        EventId = Next(), ProgramId = Program, OccurredAt = _now - _window, PartnerId = partner, Code = "SPRING", From = _now - _window,
    });

    private static Fact Said(TimeSpan before, string what, IEvent @event) => new(before, what, @event);

    /// <summary>Ids in the order of the text; equal times go by them.</summary>
    private Guid Next() => new(++_ids, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

    private static string When(TimeSpan before)
    {
        var (size, unit) = before.Duration() switch
        {
            { TotalDays: >= 1 } days => (days.TotalDays, "day"),
            { TotalHours: >= 1 } hours => (hours.TotalHours, "hour"),
            var minutes => (minutes.TotalMinutes, "minute"),
        };
        var rounded = Math.Round(size, 1).ToString(NumberFormatInfo.InvariantInfo);
        return before == TimeSpan.Zero ? "then" : $"{rounded} {unit}{(rounded == "1" ? "" : "s")} {(before > TimeSpan.Zero ? "before" : "later")}";
    }

    private static string Percent(long units) => $"{Math.Round(units * 100m / Fit.Unit, 1).ToString(NumberFormatInfo.InvariantInfo)} %";

    /// <summary>What happened, how long before the conversion, and in words.</summary>
    private sealed record Fact(TimeSpan Before, string What, IEvent? Event);

    private sealed record Example(string Title, IReadOnlyList<Fact> Facts);
}
