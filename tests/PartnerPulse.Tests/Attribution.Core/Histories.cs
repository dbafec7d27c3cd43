using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using FsCheck;
using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>A generated log and the rules to judge it by.</summary>
/// <param name="Events">Each once, in no order.</param>
/// <param name="Rules">Any that can be written.</param>
/// <param name="Beneath">What judges the rest where those are for a part of it; the last is for everything.</param>
/// <param name="Disorder">Decides how <see cref="Disturbed"/> shuffles and repeats.</param>
internal sealed record Case(ImmutableArray<IEvent> Events, Rules Rules, ImmutableArray<Rules> Beneath, int Disorder)
{
    /// <summary>The newest first.</summary>
    public IReadOnlyList<Rules> Stack => [.. Beneath.Prepend(Rules).TakeWhile((_, i) => i == 0 || !Beneath.Prepend(Rules).Take(i).Any(r => r.CoverEverything))];

    public RulesInForce InForce => RulesInForce.Of(Stack.Select((rules, place) => new VersionedRules(Stack.Count - place, rules)));

    /// <summary>The same events shuffled, some of them twice or three times.</summary>
    public List<IEvent> Disturbed()
    {
        var random = new Random(Disorder);
        var events = Events.Concat(Events.Where(_ => random.Next(3) == 0)).Concat(Events.Where(_ => random.Next(5) == 0)).ToArray();
        random.Shuffle(events);
        return [.. events];
    }

    public IEnumerable<(Journey Journey, Decision Decision)> Decided(IEnumerable<IEvent>? events = null)
    {
        var history = History.Fold(events ?? Events);
        var judge = new Judge(new FactNames(), history.Standings, InForce);
        return history.Journeys.Select(journey => (journey, Crediting.Decide(journey, judge)));
    }

    /// <summary>What FsCheck prints of a failing case: enough to write it down as an example.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        foreach (var rules in Stack)
        {
            text.AppendLine(Encoding.UTF8.GetString(rules.ToCanonicalJson()));
        }

        foreach (var @event in Events)
        {
            text.Append(EventTypes.Of(@event).Name).Append(' ').AppendLine(Encoding.UTF8.GetString(EventTypes.Serialize(@event)));
        }

        return text.ToString();
    }
}

/// <summary>
/// Small worlds in which everything collides: a handful of partners, visitors and customers, times on a coarse grid so that equal
/// times and window boundaries are common, amounts from nothing to the largest there is.
/// </summary>
internal static class Histories
{
    private static readonly DateTimeOffset s_start = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly string[] s_partners = ["acme", "bravo", "coral", "delta"];
    private static readonly string[] s_visitors = ["v1", "v2", "v3"];
    private static readonly string[] s_customers = ["c1", "c2"];

    /// <summary>As orders have them; the same code in two spellings among them.</summary>
    private static readonly string[] s_coupons = ["SPRING", " spring ", "summer"];

    /// <summary>Beside those of a browser: of each kind that the small list knows, and next to it.</summary>
    private static readonly string?[] s_userAgents =
    [
        null, " ", "ExampleBot/1.0 (x)", "CUBOT P20 (Android)", "CUBOT P20", "CUBOT (robot)", "card of a link (x)", "Mozilla (crawl)", "Mozilla (crawler)",
        "curl/8.5 (x)", "(curl/8.5)", "(x) detail", "(x) details", "Mozilla/5.0",
    ];

    private static readonly string[] s_products = ["shoe", "lace", "sock"];
    private static readonly string[] s_groups = ["gold", "silver"];
    private static readonly Machine[] s_machines = Enum.GetValues<Machine>();

    public static Arbitrary<Case> All { get; } = Arb.From(Cases(), Smaller);

    private static Gen<DateTimeOffset> Times() =>
        from day in Gen.Frequency((3, Gen.Choose(0, 12)), (1, Gen.Choose(0, 400)))
        from minute in Gen.Elements(0, 0, 1, 10, 29, 30, 31, 61, 720)
        from tick in Gen.Frequency((8, Gen.Constant(0)), (1, Gen.Elements(-1, 1)), (1, Gen.Choose(0, 100_000_000)))
        select s_start.AddDays(day + 1).AddMinutes(minute).AddTicks(tick);

    private static Gen<string> Programs() => Gen.Frequency((12, Gen.Constant("default")), (1, Gen.Constant("other")));

    private static Gen<string?> Maybe(string[] from, int none) => Gen.Frequency((from.Length * 2, Gen.Elements(from).Select(x => (string?)x)), (none, Gen.Constant<string?>(null)));

    private static Gen<bool> Rarely(int of) => Gen.Choose(1, of).Select(x => x == 1);

    private static Gen<ClickRecorded> Click(int number) =>
        from at in Times()
        from program in Programs()
        from partner in Gen.Elements(s_partners)
        from visitor in Maybe(s_visitors, 1)
        from test in Rarely(15)
        from signals in Gen.Frequency<ClickSignals?>(
            (20, Gen.Constant<ClickSignals?>(null)),
            (1, Gen.Elements("prefetch", "prefetch;prerender", "Prerender", "preview", "instant", "navigate").Select(p => (ClickSignals?)new ClickSignals { Purpose = p })),
            (1, Gen.Constant<ClickSignals?>(new ClickSignals { Consent = false })),
            (1, Gen.Constant<ClickSignals?>(new ClickSignals { Consent = true, Dnt = true })),
            (1, Gen.Constant<ClickSignals?>(new ClickSignals { Method = "HEAD", Gpc = true })),
            (1, Gen.Constant<ClickSignals?>(new ClickSignals { Gpc = true })))
        from via in Gen.Elements(ClickVia.Redirect, ClickVia.Landing, ClickVia.Import)
        from userAgent in Gen.Frequency((30, Gen.Constant<string?>(TestBots.Browser)), (10, Gen.Elements(s_userAgents)))
        select new ClickRecorded
        {
            EventId = ClickId(number),
            ProgramId = program,
            OccurredAt = at,
            PartnerId = partner,
            Link = $"link-of-{partner}",
            VisitorId = visitor,
            Campaign = number % 3 == 0 ? new Campaign { Name = $"campaign-of-{partner}" } : null,
            UserAgent = userAgent,
            Via = via,
            Test = test,
            Signals = signals,
        };

    // Derived, so that the order of ids is not the order of numbers.
    private static Guid ClickId(int number) => Ids.Derive("test", number.ToString(CultureInfo.InvariantCulture));

    private static Gen<long> Amounts() => Gen.OneOf(
        Gen.Choose(0, 3).Select(x => (long)x),
        Gen.Choose(0, 20_000).Select(x => (long)x),
        Gen.Elements(1, 99, 100, 101, 9_999, Currency.MaxMinor - 1, Currency.MaxMinor),
        Gen.Choose(0, int.MaxValue).Select(x => x * 40_000L));

    private static Gen<string> Currencies() => Gen.Elements("EUR", "EUR", "JPY", "KWD", "CLF");

    private static Gen<ConversionRecorded> Conversion(int number, int clicks) =>
        from at in Times()
        from program in Programs()
        from kind in Gen.Elements(Rules.AllKinds.AsEnumerable())
        from visitor in Maybe(s_visitors, 2)
        from customer in Maybe(s_customers, 2)
        from click in Gen.Choose(-clicks, clicks)
        from amount in Amounts()
        from currency in Currencies()
        from test in Rarely(15)
        from snapshot in Gen.Elements(true, false)
        from asOf in Times()
        from coupon in Maybe(s_coupons, 4)
        from newCustomer in Gen.Elements<bool?>(null, true, false)
        from itemCount in Gen.Frequency((2, Gen.Constant(0)), (1, Gen.Choose(1, 4)))
        from items in Gen.ArrayOf(Item(amount), itemCount)
        let id = Ids.Conversion(program, "shop", $"order-{number}")
        select new ConversionRecorded
        {
            EventId = id,
            ConversionId = id,
            ProgramId = program,
            OccurredAt = at,
            Kind = kind,
            Source = "shop",
            OrderId = $"order-{number}",
            CustomerKey = customer,
            VisitorId = visitor,
            ClickId = click > 0 ? ClickId(click) : null, // The last number was never clicked: a shop may name any id.
            Coupon = coupon,
            AmountMinor = amount,
            Currency = currency,
            AmountAsOf = snapshot ? asOf : null,
            NewCustomer = newCustomer,
            Test = test,
            Items = items.Length == 0 ? null : items,
        };

    /// <summary>Together they may be less than the order, as much, or more; a discount may be a line of its own.</summary>
    private static Gen<LineItem> Item(long order) =>
        from product in Gen.Elements(s_products)
        from part in Gen.Elements(0, 1, 2, 3, 3, -10)
        from odd in Gen.Choose(0, 2)
        select new LineItem { Product = product, AmountMinor = part == 0 ? odd : (order / part) + (part < 0 ? 0 : odd) };

    private static Gen<ConversionAdjusted> Adjustment(int number, ConversionRecorded[] conversions) =>
        from conversion in Gen.Elements(conversions)
        from at in Times()
        from amount in Amounts()
        from sign in Gen.Elements(-1, -1, -1, 1)
        from proportion in Gen.Elements(0, 1, 2, 3)
        from reason in Gen.Elements(Enum.GetValues<AdjustmentReason>())
        from elsewhere in Rarely(8)
        select new ConversionAdjusted
        {
            EventId = Ids.Adjustment(conversion.ConversionId, $"adjustment-{number}"),
            ProgramId = conversion.ProgramId,
            OccurredAt = at,
            ConversionId = conversion.ConversionId,
            Source = conversion.Source,
            OrderId = conversion.OrderId,
            AdjustmentId = $"adjustment-{number}",
            AmountMinor = sign * (proportion == 0 ? amount : conversion.AmountMinor / proportion),
            Currency = elsewhere ? "GBP" : conversion.Currency,
            Reason = reason,
        };

    private static Gen<ConversionRestated> Statement(ConversionRecorded[] conversions) =>
        from conversion in Gen.Elements(conversions)
        from at in Times()
        from same in Rarely(4)
        from amount in Gen.OneOf(Amounts(), Gen.Constant(conversion.AmountMinor))
        from cancelled in Rarely(4)
        from elsewhere in Rarely(8)
        let asOf = same && conversion.AmountAsOf is { } recorded ? recorded : at
        let worth = cancelled ? 0 : amount
        let currency = elsewhere ? "GBP" : conversion.Currency
        select new ConversionRestated
        {
            // The currency is no part of the key: a shop's order has one. Here both may be said of the same moment.
            EventId = elsewhere
                ? Ids.Derive("test", $"{conversion.ConversionId:N}-{asOf.UtcTicks}-{worth}-{cancelled}")
                : Ids.Restatement(conversion.ConversionId, asOf, worth, cancelled),
            ProgramId = conversion.ProgramId,
            OccurredAt = asOf,
            ConversionId = conversion.ConversionId,
            Source = conversion.Source,
            OrderId = conversion.OrderId,
            AmountMinor = worth,
            Currency = currency,
            Cancelled = cancelled,
        };

    /// <summary>That an order is the same sale as another, or a sale of its own; now and then of orders that never came.</summary>
    private static Gen<IEvent> Identity(int number, ConversionRecorded[] conversions) =>
        from aside in Gen.Elements(conversions)
        from kept in Gen.Elements(conversions)
        from separated in Rarely(4)
        select separated
            ? (IEvent)new ConversionSeparated
            {
                EventId = Ids.Separation(aside.ConversionId), ProgramId = aside.ProgramId, OccurredAt = aside.OccurredAt, ConversionId = aside.ConversionId, Source = aside.Source, OrderId = aside.OrderId,
            }
            : new ConversionMerged
            {
                EventId = Ids.Merge(aside.ConversionId, kept.ConversionId),
                ProgramId = aside.ProgramId,
                OccurredAt = aside.OccurredAt.AddMinutes(number),
                ConversionId = aside.ConversionId,
                Source = aside.Source,
                OrderId = aside.OrderId,
                Into = kept.ConversionId,
                IntoSource = kept.Source,
                IntoOrderId = kept.OrderId,
                IntoOccurredAt = kept.OccurredAt,
                Rule = new OrderIdentity { Sources = ["shop", "network"], Fields = [OrderField.OrderId], WithinHours = 72 },
            };

    private static Gen<IEvent> Standing(int number) =>
        from partner in Gen.Elements(s_partners[..2])
        from at in Times()
        from what in Gen.Elements(0, 1, 2)
        from wanted in Maybe(s_groups, 1)
        let id = Ids.Derive("standing", number.ToString(CultureInfo.InvariantCulture))
        select what == 0 ? (IEvent)new PartnerSuspended { EventId = id, ProgramId = "default", OccurredAt = at, PartnerId = partner }
            : what == 1 ? new PartnerGrouped { EventId = id, ProgramId = "default", OccurredAt = at, PartnerId = partner, Group = wanted }
            : new PartnerReinstated { EventId = id, ProgramId = "default", OccurredAt = at, PartnerId = partner };

    private static Gen<VisitorIdentified> Identified(int clicks) =>
        from at in Times()
        from program in Programs()
        from customer in Gen.Elements(s_customers)
        from visitor in Maybe(s_visitors, 2)
        from click in Gen.Choose(-clicks, clicks)
        let clickId = click > 0 || visitor is null ? ClickId(Math.Max(1, click)) : (Guid?)null
        select new VisitorIdentified
        {
            EventId = Ids.Identity(program, customer, visitor, clickId), ProgramId = program, OccurredAt = at, CustomerKey = customer, VisitorId = visitor, ClickId = clickId,
        };

    private static Gen<PartnerIdentified> Own() =>
        from at in Times()
        from program in Programs()
        from customer in Gen.Elements(s_customers)
        from partner in Gen.Elements(s_partners[1..])
        select new PartnerIdentified
        {
            EventId = Ids.PartnerIdentity(program, customer, partner), ProgramId = program, OccurredAt = at, PartnerId = partner, CustomerKey = customer,
        };

    private static Gen<CouponAssigned> Assigned(int number) =>
        from at in Times()
        from program in Programs()
        from start in Times()
        from days in Gen.Elements<int?>(null, null, 0, 1, 5, 200)
        from partner in Gen.Elements(s_partners[..3])
        from code in Gen.Elements("SPRING", "SUMMER")
        select new CouponAssigned
        {
            EventId = Ids.Derive("coupon-assigned", number.ToString(CultureInfo.InvariantCulture)),
            ProgramId = program,
            OccurredAt = at,
            PartnerId = partner,
            Code = code,
            From = start,
            Until = days is { } length ? start.AddDays(length) : null,
        };

    private static Gen<CouponWithdrawn> Withdrawn(int number, CouponAssigned[] assigned) =>
        from coupon in Gen.Elements(assigned)
        from at in Times()
        select new CouponWithdrawn
        {
            EventId = Ids.Derive("coupon-withdrawn", number.ToString(CultureInfo.InvariantCulture)),
            ProgramId = coupon.ProgramId,
            OccurredAt = at,
            PartnerId = coupon.PartnerId,
            Code = coupon.Code,
            AssignmentId = coupon.EventId,
        };

    public static Gen<Model> Models() => Gen.OneOf(
        Gen.Constant<Model>(new FirstTouch()),
        Gen.Constant<Model>(new LastTouch()),
        Gen.Constant<Model>(new Linear()),
        Gen.Constant<Model>(new Shapley()),
        from first in Gen.Elements(0, 1, 2_500, 3_333, 4_000, 5_000)
        from last in Gen.Elements(0, 1, 2_500, 3_333, 4_000, 5_000)
        select (Model)new PositionBased(first, last),
        Gen.Elements(0.0001m, 0.5m, 1m, 7m, 30.25m, 3_650m).Select(days => (Model)new TimeDecay(days)));

    private static Gen<CommissionEntry> CommissionEntries() =>
        from percent in Gen.Elements<int?>(0, 1, 750, 2_000, 3_333, 10_000, null, null)
        from flat in Amounts()
        from currency in Currencies()
        from anyCurrency in Gen.Elements(true, false)
        from kind in Gen.Elements<ConversionKind?>(null, null, ConversionKind.Sale, ConversionKind.Lead)
        from partner in Maybe(s_partners, 10)
        from wanted in Maybe(s_groups, 8)
        from product in Maybe(s_products, 6)
        from newCustomer in Gen.Elements<bool?>(null, null, null, true, false)
        from bounded in Gen.Elements(0, 0, 1, 2, 3)
        from bounds in Gen.Two(Amounts())
        let least = percent is not null && bounded >= 2 ? Math.Min(bounds.Item1, bounds.Item2) : (long?)null
        let most = percent is not null && bounded % 2 == 1 ? Math.Max(bounds.Item1, bounds.Item2) : (long?)null
        select new CommissionEntry
        {
            Group = wanted,
            Product = product,
            NewCustomer = newCustomer,
            MinimumMinor = least,
            CapMinor = most,
            PercentBasisPoints = percent,
            FlatMinor = percent is null ? flat : null,
            Currency = percent is null || !anyCurrency || (least ?? most) is not null ? currency : null,
            Kind = kind,
            Partner = partner,
        };

    public static Gen<Rules> RuleSets() =>
        from model in Models()
        from windowDays in Gen.Elements(1, 2, 7, 30, 60, 60, 3_650)
        from repeatMinutes in Gen.Elements(0, 0, 1, 30, 30, 1_440)
        from suspended in Gen.Elements(SuspendedPartners.PassOn, SuspendedPartners.Forfeit)
        from kinds in Gen.Frequency((5, Gen.Constant(Rules.AllKinds)), (1, Gen.Constant<ImmutableArray<ConversionKind>>([ConversionKind.Lead, ConversionKind.Sale])))
        from evidence in Gen.Frequency((5, Gen.Constant(Rules.AllEvidence)), (1, Gen.Elements(Rules.AllEvidence.AsEnumerable()).Select(e => ImmutableArray.Create(e))))
        from bots in Gen.Elements(Bots.Include, Bots.Exclude(TestBots.Small), Bots.Exclude(TestBots.Small, Machine.Preview), Bots.Exclude(TestBots.Small, s_machines))
        from coupon in Gen.Elements(Enum.GetValues<CouponUse>())
        from inherit in Gen.Elements(null, null, new Inherit(null), new Inherit(1), new Inherit(30))
        from consent in Gen.Elements(Enum.GetValues<ConsentUse>())
        from selfReferral in Gen.Elements(Enum.GetValues<SelfReferrals>())
        from windowCount in Gen.Choose(0, 2)
        from windows in Gen.ArrayOf(
            from partner in Gen.Elements(s_partners) from days in Gen.Elements(1, 3, 30, 400) select new PartnerWindow(partner, days), windowCount)
        from count in Gen.Choose(0, 4)
        from commission in Gen.ArrayOf(CommissionEntries(), count)
        select new Rules
        {
            Name = "generated",
            Model = model,
            WindowDays = windowDays,
            RepeatMinutes = repeatMinutes,
            Bots = bots,
            Suspended = suspended,
            Kinds = kinds,
            Evidence = evidence,
            Coupon = coupon,
            Inherit = inherit,
            Consent = consent,
            SelfReferral = selfReferral,
            PartnerWindows = [.. windows.DistinctBy(w => w.Partner).OrderBy(w => w.Partner, StringComparer.Ordinal)],
            Commission = [.. commission],
        };

    /// <summary>Any rules, for a part of history.</summary>
    private static Gen<Rules> ScopedRuleSets() =>
        from rules in RuleSets()
        from applies in Gen.Elements(Enum.GetValues<ScopeTime>())
        from since in Times()
        from to in Gen.Elements(0, 1, 2)
        from partner in Gen.Elements(s_partners)
        select rules with
        {
            EffectiveFrom = applies == ScopeTime.AllHistory ? null : since,
            Scope = new RulesScope(applies, NewCustomers: to == 1, Partner: to == 2 ? partner : null),
        };

    private static Gen<Case> Cases() =>
        from clickCount in Gen.Frequency((8, Gen.Choose(0, 14)), (1, Gen.Choose(15, 90)))
        from clicks in Gen.CollectToArray(Enumerable.Range(0, clickCount).Select(Click))
        from conversionCount in Gen.Choose(1, 6)
        from conversions in Gen.CollectToArray(Enumerable.Range(0, conversionCount).Select(i => Conversion(i, clickCount + 1)))
        from adjustmentCount in Gen.Choose(0, 4)
        from adjustments in Gen.CollectToArray(Enumerable.Range(0, adjustmentCount).Select(i => Adjustment(i, conversions)))
        from statementCount in Gen.Choose(0, 3)
        from statements in Gen.CollectToArray(Enumerable.Range(0, statementCount).Select(_ => Statement(conversions)))
        from standingCount in Gen.Choose(0, 3)
        from standings in Gen.CollectToArray(Enumerable.Range(0, standingCount).Select(Standing))
        from identifiedCount in Gen.Choose(0, 2)
        from identified in Gen.CollectToArray(Enumerable.Range(0, identifiedCount).Select(_ => Identified(clickCount + 1)))
        from assignedCount in Gen.Choose(0, 3)
        from assigned in Gen.CollectToArray(Enumerable.Range(0, assignedCount).Select(Assigned))
        from withdrawnCount in Gen.Choose(0, assignedCount == 0 ? 0 : 2)
        from withdrawn in Gen.CollectToArray(Enumerable.Range(0, withdrawnCount).Select(i => Withdrawn(i, assigned)))
        from identityCount in Gen.Frequency((5, Gen.Constant(0)), (1, Gen.Choose(1, 3)))
        from identities in Gen.CollectToArray(Enumerable.Range(0, identityCount).Select(i => Identity(i, conversions)))
        from ownCount in Gen.Choose(0, 2)
        from own in Gen.CollectToArray(Enumerable.Range(0, ownCount).Select(_ => Own()))
        from scopedCount in Gen.Frequency((2, Gen.Constant(0)), (2, Gen.Constant(1)), (1, Gen.Choose(2, 3)))
        from scoped in Gen.ArrayOf(ScopedRuleSets(), scopedCount)
        from last in RuleSets()
        let stack = (Rules[])[.. scoped, last]
        from disorder in Gen.Choose(0, int.MaxValue)
        select new Case([.. clicks, .. conversions, .. adjustments, .. statements, .. identities.DistinctBy(e => e.EventId), .. standings, .. identified, .. own.DistinctBy(e => e.EventId), .. assigned, .. withdrawn],
            stack[0], [.. stack[1..]], disorder);

    private static IEnumerable<Case> Smaller(Case given)
    {
        var half = given.Events.Length / 2;
        if (half > 1)
        {
            yield return given with { Events = given.Events[..half] };
            yield return given with { Events = given.Events[half..] };
        }

        for (var i = 0; i < given.Events.Length; i++)
        {
            yield return given with { Events = given.Events.RemoveAt(i) };
        }

        for (var i = 0; i < given.Beneath.Length; i++)
        {
            yield return given with { Rules = given.Beneath[i], Beneath = given.Beneath[(i + 1)..] };
        }

        for (var i = 0; i < given.Rules.Commission.Length; i++)
        {
            yield return given with { Rules = given.Rules with { Commission = given.Rules.Commission.RemoveAt(i) } };
        }

        if (given.Rules.Inherit is not null)
        {
            yield return given with { Rules = given.Rules with { Inherit = null } };
        }

        if (given.Rules.Model is not Linear)
        {
            yield return given with { Rules = given.Rules with { Model = new Linear() } };
        }
    }
}
