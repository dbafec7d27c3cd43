using System.Globalization;
using System.Numerics;
using System.Text;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>
/// The text of attribution once more, as slow and plain as it reads: exact fractions, everything looked up by going through all
/// events. Shares no code with the engine, only the shape of events and rules; where the two differ, one of them misreads the text.
/// </summary>
internal static class Naive
{
    /// <summary>One paragraph a conversion, in order of conversion id. See <see cref="Describe"/> for the engine's side.</summary>
    /// <param name="events">All of them, in any order.</param>
    /// <param name="stack">The newest rules first; each conversion is judged by the first that are for it, and by the last where none are.</param>
    public static string Credits(IEnumerable<IEvent> events, params IReadOnlyList<Rules> stack)
    {
        var all = events.DistinctBy(e => e.EventId).ToList();
        var text = new StringBuilder();
        foreach (var conversion in all.OfType<ConversionRecorded>().OrderBy(c => Hex(c.ConversionId), StringComparer.Ordinal))
        {
            text.Append(Credit(conversion, all, stack));
        }

        return text.ToString();
    }

    /// <summary>The engine's decisions in the same words.</summary>
    public static string Describe(IEnumerable<Decision> decisions)
    {
        var text = new StringBuilder();
        foreach (var d in decisions)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{Hex(d.ConversionId)} {d.OriginalMinor} -> {d.NetMinor} {d.Currency} {(d.Credited ? "credited" : d.Reason)} by {d.Place}");
            foreach (var t in d.Touches)
            {
                text.AppendLine(TouchLine(
                    t.Touch.Click, t.Touch.Evidence, t.StoppedBy, (BigInteger)(t.Share * 1_000_000_000_000_000_000m), t.AmountMinor, t.CommissionMinor, t.Forfeited));
            }

            foreach (var g in d.Given)
            {
                text.AppendLine(GivenLine(
                    g.Touch?.Click, g.PartnerId, (BigInteger)(g.Share * 1_000_000_000_000_000_000m), g.AmountMinor, g.CommissionMinor, g.Forfeited));
            }

            if (d.InheritedFrom is { } lead)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"  inherited from {Hex(lead.ConversionId)}");
            }

            if (d.Coupon is { } coupon)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"  coupon of {coupon.PartnerId} {coupon.StoppedBy ?? "counts"}");
            }

            foreach (var p in d.Partners)
            {
                text.AppendLine(PartnerLine(p.PartnerId, (BigInteger)(p.Share * 1_000_000_000_000_000_000m), p.AmountMinor, p.CommissionMinor));
            }
        }

        return text.ToString();
    }

    private static string Credit(ConversionRecorded c, List<IEvent> all, IReadOnlyList<Rules> stack)
    {
        var place = Place(c, all, stack, 0);
        var rules = stack[place];

        // The newest word on the amount; of two of the same time the lower one.
        var said = all.OfType<ConversionRestated>().Where(s => s.ConversionId == c.ConversionId && s.Currency == c.Currency)
            .Select(s => (At: (DateTimeOffset?)s.OccurredAt, Amount: s.AmountMinor, s.Cancelled))
            .Append((At: c.AmountAsOf, Amount: c.AmountMinor, Cancelled: false))
            .OrderByDescending(s => s.At ?? DateTimeOffset.MinValue).ThenBy(s => s.Amount).ThenByDescending(s => s.Cancelled).First();
        c = c with { AmountMinor = said.Amount };

        var adjustments = all.OfType<ConversionAdjusted>().Where(a => a.ConversionId == c.ConversionId && a.Currency == c.Currency).ToList();
        var sum = c.AmountMinor + adjustments.Aggregate(BigInteger.Zero, (s, a) => s + a.AmountMinor);
        var net = BigInteger.Max(0, BigInteger.Min(c.AmountMinor, sum));

        var isAside = IsAside(c, all);
        var (judged, parts, lead) = Parts(c, all, stack, place);
        var couponLine = CouponLine(c, all, rules, parts, lead);
        var text = new StringBuilder();
        if (parts.Count == 0)
        {
            string[] order =
            [
                "evidence-not-counted", "test", "wrong-program", "after-conversion", "outside-window", "prefetch", "preview", "bot", "head",
                "no-consent", "suspended-partner", "self-referral", "repeat-click",
            ];
            var reasons = judged.Select(j => j.Stop!).Concat(((string[])["suspended-partner", "self-referral"]).Where(couponLine.EndsWith)).ToList();
            var reason = isAside ? "same-order"
                : !rules.Kinds.Contains(c.Kind) ? "kind-not-credited"
                : reasons.Count == 0 ? "no-touches"
                : reasons.MaxBy(stop => Array.IndexOf(order, stop))!;
            text.AppendLine(CultureInfo.InvariantCulture, $"{Hex(c.ConversionId)} {c.AmountMinor} -> {net} {c.Currency} {reason} by {place}");
            foreach (var (click, evidence, stop) in judged)
            {
                text.AppendLine(TouchLine(click, evidence, stop, 0, 0, 0, forfeited: false));
            }

            return text.Append(couponLine.Length > 0 ? couponLine + Environment.NewLine : "").ToString();
        }

        var weights = parts.Select(p => p.Weight).ToList();
        var shares = Split(BigInteger.Pow(10, 18), weights);
        var amounts = Split(net, weights);

        var partners = parts.Select(p => p.Partner).Distinct().ToList();
        var commissions = partners.ToDictionary(p => p, p => BigInteger.Zero);
        var forfeited = partners.Where(p => rules.Suspended == SuspendedPartners.Forfeit && Suspended(c.ProgramId, p, c.OccurredAt, all)).ToHashSet();
        foreach (var partner in partners.Where(p => !forfeited.Contains(p)))
        {
            commissions[partner] = Of(partner, weights) == 0 ? 0 : Earned(partner);
        }

        var perPart = new BigInteger[parts.Count];
        foreach (var partner in partners)
        {
            var mine = Enumerable.Range(0, parts.Count).Where(i => parts[i].Partner == partner).ToList();
            var by = mine.Select(i => amounts[i]).ToList();
            var split = Split(commissions[partner], by.Exists(a => a > 0) ? by : [.. mine.Select(i => weights[i])]);
            for (var i = 0; i < mine.Count; i++)
            {
                perPart[mine[i]] = split[i];
            }
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"{Hex(c.ConversionId)} {c.AmountMinor} -> {net} {c.Currency} credited by {place}");
        var ownTouches = judged.Exists(j => j.Stop is null);
        foreach (var (click, evidence, stop) in judged)
        {
            var i = ownTouches ? parts.FindIndex(p => p.Click == click) : -1;
            text.AppendLine(i < 0
                ? TouchLine(click, evidence, stop, 0, 0, 0, forfeited: false)
                : TouchLine(click, evidence, stop, shares[i], amounts[i], perPart[i], forfeited.Contains(click.PartnerId)));
        }

        for (var i = 0; i < parts.Count && !ownTouches; i++)
        {
            text.AppendLine(GivenLine(parts[i].Click, parts[i].Partner, shares[i], amounts[i], perPart[i], forfeited.Contains(parts[i].Partner)));
        }

        if (lead is not null)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"  inherited from {Hex(lead.ConversionId)}");
        }

        text.Append(couponLine.Length > 0 ? couponLine + Environment.NewLine : "");
        foreach (var partner in partners.Order(StringComparer.Ordinal))
        {
            if (Of(partner, shares) != 0 || Of(partner, amounts) != 0 || commissions[partner] != 0)
            {
                text.AppendLine(PartnerLine(partner, Of(partner, shares), Of(partner, amounts), commissions[partner]));
            }
        }

        return text.ToString();

        // What the order consists of: its items, and what it costs beyond them (a delivery). Entries take from it one after the other.
        BigInteger Earned(string partner)
        {
            var items = (c.Items ?? []).Select(i => (i.Product, Amount: BigInteger.Max(0, i.AmountMinor))).ToList();
            var beyond = BigInteger.Max(0, c.AmountMinor - items.Aggregate(BigInteger.Zero, (s, i) => s + i.Amount));
            var takers = new List<(CommissionEntry Entry, BigInteger Takes)>();
            foreach (var e in rules.Commission)
            {
                var meant = (e.Kind is null || e.Kind == c.Kind) && (e.Partner is null || e.Partner == partner) && (e.Currency is null || e.Currency == c.Currency)
                    && (e.Group is null || e.Group == Group(c.ProgramId, partner, c.OccurredAt, all)) && (e.NewCustomer is null || e.NewCustomer == c.NewCustomer);
                var its = items.Where(i => e.Product is null || i.Product == e.Product).ToList();
                if (!meant || (its.Count == 0 && (e.Product is not null || (beyond == 0 && takers.Count > 0))))
                {
                    continue;
                }

                takers.Add((e, its.Aggregate(BigInteger.Zero, (s, i) => s + i.Amount) + (e.Product is null ? beyond : 0)));
                items.RemoveAll(its.Contains);
                if (e.Product is null)
                {
                    beyond = 0;
                    break;
                }
            }

            var nobodys = items.Aggregate(beyond, (s, i) => s + i.Amount);
            var pieces = Split(Of(partner, amounts), [.. takers.Select(t => t.Takes), nobodys]);
            return takers.Select((t, i) => Paid(t.Entry, partner, pieces[i])).Aggregate(BigInteger.Zero, (s, x) => s + x);
        }

        BigInteger Paid(CommissionEntry e, string partner, BigInteger piece)
        {
            var percentage = Nearest(piece * (e.PercentBasisPoints ?? 0), 10_000);
            return e.FlatMinor is { } flat ? Split(Now(flat), [.. partners.Select(p => Of(p, weights))])[partners.IndexOf(partner)]
                : e.CapMinor is { } cap && percentage > Now(cap) ? Now(cap)
                : e.MinimumMinor is { } least && percentage < Now(least) ? Now(least)
                : percentage;
        }

        // A sum of the rules, after the refunds.
        BigInteger Now(BigInteger sum) => c.AmountMinor > 0 ? Nearest(sum * net, c.AmountMinor)
            : said.Cancelled || adjustments.Exists(a => a.Reason == AdjustmentReason.Cancellation) ? 0
            : sum;

        BigInteger Of(string partner, List<BigInteger> of) =>
            parts.Zip(of).Where(x => x.First.Partner == partner).Aggregate(BigInteger.Zero, (s, x) => s + x.Second);
    }

    /// <summary>Which rules of the stack a conversion is judged by.</summary>
    private static int Place(ConversionRecorded c, List<IEvent> all, IReadOnlyList<Rules> stack, int from)
    {
        if (from == stack.Count - 1)
        {
            return from;
        }

        var (judged, parts, _) = Parts(c, all, stack, from);
        var counting = judged.Where(j => j.Stop is null).Select(j => j.Click).Concat(parts.Select(p => p.Click).OfType<ClickRecorded>()).ToList();
        var (rules, scope) = (stack[from], stack[from].Scope);
        var inTime = scope.Applies == ScopeTime.AllHistory
            || (scope.Applies == ScopeTime.ConversionsFrom || counting.Count == 0 ? c.OccurredAt >= rules.EffectiveFrom : counting.TrueForAll(k => k.OccurredAt >= rules.EffectiveFrom));
        return inTime
            && (!scope.NewCustomers || c.NewCustomer == true)
            && (scope.Partner is null || Competing(c, all, stack, from).Contains(scope.Partner)
                || Competing(c, all, stack, Place(c, all, stack, from + 1)).Contains(scope.Partner))
            ? from
            : Place(c, all, stack, from + 1);
    }

    private static List<string> Competing(ConversionRecorded c, List<IEvent> all, IReadOnlyList<Rules> stack, int place)
    {
        var (judged, parts, _) = Parts(c, all, stack, place);
        return [.. judged.Where(j => j.Stop is null).Select(j => j.Click.PartnerId), .. parts.Select(p => p.Partner)];
    }

    /// <summary>Who has it: the coupon where it overrides, else the first lead that left something, else the touches, else the coupon.</summary>
    private static (List<(ClickRecorded Click, Evidence Evidence, string? Stop)> Judged, List<(ClickRecorded? Click, string Partner, BigInteger Weight)> Parts, ConversionRecorded? Lead) Parts(
        ConversionRecorded c, List<IEvent> all, IReadOnlyList<Rules> stack, int place)
    {
        var rules = stack[place];
        var touches = Touches(c, all);
        if (IsAside(c, all))
        {
            return ([.. touches.Select(t => (t.Click, t.Evidence, (string?)"same-order"))], [], null);
        }

        var kind = rules.Kinds.Contains(c.Kind);
        var holder = Holder(c, all);
        var coupon = kind && holder is not null && rules.Coupon is (CouponUse.Fallback or CouponUse.Override) && !Out(holder);
        if (coupon && rules.Coupon == CouponUse.Override)
        {
            return ([.. touches.Select(t => (t.Click, t.Evidence, (string?)"coupon-override"))], [(null, holder!, 1)], null);
        }

        if (kind && rules.Inherit is not null && c.Kind is (ConversionKind.Sale or ConversionKind.Renewal))
        {
            var leads = all.OfType<ConversionRecorded>()
                .Where(l => l.Kind is (ConversionKind.Lead or ConversionKind.Signup) && c.CustomerKey is not null && l.CustomerKey == c.CustomerKey)
                .Where(l => l.ProgramId == c.ProgramId && l.Test == c.Test)
                .OrderBy(l => l.OccurredAt).ThenBy(l => Hex(l.EventId), StringComparer.Ordinal)
                .TakeWhile(l => l.OccurredAt < c.OccurredAt || (l.OccurredAt == c.OccurredAt && string.CompareOrdinal(Hex(l.EventId), Hex(c.EventId)) < 0))
                .Take(16);
            foreach (var lead in leads.Where(l => rules.Inherit.Days is not { } days || c.OccurredAt - l.OccurredAt <= TimeSpan.FromDays(days)))
            {
                var left = Parts(lead, all, stack, Place(lead, all, stack, 0)).Parts.Where(p => p.Weight > 0 && !Out(p.Partner)).ToList();
                if (left.Count > 0)
                {
                    return ([.. touches.Select(t => (t.Click, t.Evidence, (string?)"inherited"))], left, lead);
                }
            }
        }

        var judged = new List<(ClickRecorded Click, Evidence Evidence, string? Stop)>();
        foreach (var (click, evidence) in touches)
        {
            judged.Add((click, evidence, Stop(click, evidence, c, all, rules, [.. judged.Where(j => j.Stop is null).Select(j => j.Click)])));
        }

        var candidates = judged.Where(j => j.Stop is null).Select(j => j.Click).ToList();
        return candidates.Count > 0 ? (judged, [.. candidates.Zip(Weights(rules.Model, candidates), (k, w) => ((ClickRecorded?)k, k.PartnerId, w))], null)
            : coupon ? (judged, [(null, holder!, 1)], null)
            : (judged, [], null);

        bool Out(string partner) => (rules.Suspended == SuspendedPartners.PassOn && Suspended(c.ProgramId, partner, c.OccurredAt, all)) || IsSelf(c, partner, all, rules);
    }

    private static bool IsSelf(ConversionRecorded c, string partner, List<IEvent> all, Rules rules) => rules.SelfReferral == SelfReferrals.Exclude
        && all.OfType<PartnerIdentified>().Any(i => i.ProgramId == c.ProgramId && i.PartnerId == partner && i.CustomerKey == c.CustomerKey);

    private static bool IsAside(ConversionRecorded c, List<IEvent> all) =>
        all.OfType<ConversionMerged>().Any(m => m.ConversionId == c.ConversionId) && !all.OfType<ConversionSeparated>().Any(s => s.ConversionId == c.ConversionId);

    /// <summary>Who held the coupon at the time of the conversion.</summary>
    private static string? Holder(ConversionRecorded c, List<IEvent> all) => c.Coupon is null ? null : all.OfType<CouponAssigned>()
        .Where(a => a.ProgramId == c.ProgramId && string.Equals(a.Code, c.Coupon.Trim(), StringComparison.OrdinalIgnoreCase))
        .Where(a => a.From <= c.OccurredAt && (a.Until is null || c.OccurredAt < a.Until))
        .Where(a => !all.OfType<CouponWithdrawn>().Any(w => w.AssignmentId == a.EventId && w.OccurredAt <= c.OccurredAt))
        .OrderBy(a => a.From).ThenBy(a => Hex(a.EventId), StringComparer.Ordinal).LastOrDefault()?.PartnerId;

    private static string CouponLine(
        ConversionRecorded c, List<IEvent> all, Rules rules, List<(ClickRecorded? Click, string Partner, BigInteger Weight)> parts, ConversionRecorded? lead)
    {
        if (Holder(c, all) is not { } holder)
        {
            return "";
        }

        var stop = IsAside(c, all) ? "same-order"
            : !rules.Kinds.Contains(c.Kind) ? "kind-not-credited"
            : rules.Coupon is not (CouponUse.Fallback or CouponUse.Override) ? "coupon-ignored"
            : rules.Suspended == SuspendedPartners.PassOn && Suspended(c.ProgramId, holder, c.OccurredAt, all) ? "suspended-partner"
            : IsSelf(c, holder, all, rules) ? "self-referral"
            : lead is not null ? "inherited"
            : parts[0].Click is not null ? "coupon-fallback"
            : "counts";
        return $"  coupon of {holder} {stop}";
    }

    /// <summary>Whose touches: every way is tried, the strongest kept.</summary>
    private static List<(ClickRecorded Click, Evidence Evidence)> Touches(ConversionRecorded c, List<IEvent> all)
    {
        var clicks = all.OfType<ClickRecorded>().ToList();
        // A visitor id is a name within its program.
        (string, string?)? Visitor(IEvent e, string? id) => id is null ? null : (e.ProgramId, id);
        (string, string?)? VisitorOfClick(Guid? id) => clicks.Find(k => k.EventId == id) is { } k ? Visitor(k, k.VisitorId) : null;

        var ties = all.Select(e => e switch
        {
            ConversionRecorded o => new { Key = o.CustomerKey, o.ProgramId, o.VisitorId, o.ClickId },
            VisitorIdentified i => new { Key = (string?)i.CustomerKey, i.ProgramId, i.VisitorId, i.ClickId },
            _ => new { Key = (string?)null, e.ProgramId, VisitorId = (string?)null, ClickId = (Guid?)null },
        }).Where(t => c.CustomerKey is not null && t.Key == c.CustomerKey && t.ProgramId == c.ProgramId).ToList();
        var tied = ties.Where(t => t.VisitorId is not null).Select(t => t.VisitorId!).Distinct().Count()
            + ties.Where(t => t.ClickId is not null).Select(t => t.ClickId!).Distinct().Count();
        ties = tied > 256 ? [] : ties;
        var found = new List<(ClickRecorded, Evidence)>();
        foreach (var click in clicks.OrderBy(k => k.OccurredAt).ThenBy(k => Hex(k.EventId), StringComparer.Ordinal))
        {
            var visitor = Visitor(click, click.VisitorId);
            if (click.EventId == c.ClickId)
            {
                found.Add((click, Evidence.ClickId));
            }
            else if (visitor is not null && (visitor == Visitor(c, c.VisitorId) || visitor == VisitorOfClick(c.ClickId)))
            {
                found.Add((click, Evidence.VisitorCookie));
            }
            else if (visitor is not null && ties.Exists(t => visitor == Visitor(c, t.VisitorId) || visitor == VisitorOfClick(t.ClickId)))
            {
                found.Add((click, Evidence.Customer));
            }
        }

        return found;
    }

    private static string? Stop(ClickRecorded t, Evidence evidence, ConversionRecorded c, List<IEvent> all, Rules rules, List<ClickRecorded> counted)
    {
        var purpose = (t.Signals?.Purpose ?? "").ToLowerInvariant();
        var agent = t.Via == ClickVia.Import && string.IsNullOrWhiteSpace(t.UserAgent) || rules.Bots.List is null ? "person" : SmallList(t.UserAgent);
        bool Out(Machine machine) => !rules.Bots.Counted.Contains(machine);
        return !rules.Kinds.Contains(c.Kind) ? "kind-not-credited"
            : !rules.Evidence.Contains(evidence) ? "evidence-not-counted"
            : t.Test != c.Test ? "test"
            : t.ProgramId != c.ProgramId ? "wrong-program"
            : t.OccurredAt > c.OccurredAt ? "after-conversion"
            : t.OccurredAt < c.OccurredAt - TimeSpan.FromDays(rules.PartnerWindows.SingleOrDefault(w => w.Partner == t.PartnerId)?.Days ?? rules.WindowDays) ? "outside-window"
            : Out(Machine.Prefetch) && (purpose is "instant" or "prerender" || purpose.Contains("prefetch", StringComparison.Ordinal)) ? "prefetch"
            : Out(Machine.Preview) && (purpose == "preview" || agent == "preview") ? "preview"
            : Out(Machine.Bot) && agent == "bot" ? "bot"
            : Out(Machine.Head) && t.Signals?.Method == "HEAD" ? "head"
            : rules.Consent == ConsentUse.Require && (t.Signals?.Consent == false || t.Signals?.Gpc == true) ? "no-consent"
            : rules.Suspended == SuspendedPartners.PassOn && Suspended(c.ProgramId, t.PartnerId, c.OccurredAt, all) ? "suspended-partner"
            : IsSelf(c, t.PartnerId, all, rules) ? "self-referral"
            : rules.RepeatMinutes > 0 && counted.Exists(k => k.PartnerId == t.PartnerId && t.OccurredAt - k.OccurredAt <= TimeSpan.FromMinutes(rules.RepeatMinutes)) ? "repeat-click"
            : null;
    }

    /// <summary>What the small list of <see cref="TestBots"/> says.</summary>
    private static string SmallList(string? userAgent)
    {
        if (string.IsNullOrWhiteSpace(userAgent))
        {
            return "bot";
        }

        var text = userAgent.ToLowerInvariant();
        var rest = text.Replace("cubot", "?????", StringComparison.Ordinal);
        return rest.Contains("card", StringComparison.Ordinal) ? "preview"
            : rest.Contains("bot", StringComparison.Ordinal)
                || System.Text.RegularExpressions.Regex.IsMatch(rest, "(?<![a-z0-9])crawl(?![a-z0-9])", System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(1))
                || rest.StartsWith("curl/", StringComparison.Ordinal)
                || rest.EndsWith("tail", StringComparison.Ordinal)
                || (rest == text && !text.Contains('(', StringComparison.Ordinal)) ? "bot"
            : "person";
    }

    private static bool Suspended(string program, string partner, DateTimeOffset at, List<IEvent> all) => all
        .Where(e => (e is PartnerSuspended s && s.PartnerId == partner) || (e is PartnerReinstated r && r.PartnerId == partner))
        .Where(e => e.OccurredAt <= at && e.ProgramId == program)
        .OrderBy(e => e.OccurredAt).ThenBy(e => Hex(e.EventId), StringComparer.Ordinal)
        .LastOrDefault() is PartnerSuspended;

    private static string? Group(string program, string partner, DateTimeOffset at, List<IEvent> all) => all.OfType<PartnerGrouped>()
        .Where(g => g.ProgramId == program && g.PartnerId == partner && g.OccurredAt <= at)
        .OrderBy(g => g.OccurredAt).ThenBy(g => Hex(g.EventId), StringComparer.Ordinal)
        .LastOrDefault()?.Group;

    private static List<BigInteger> Weights(Model model, List<ClickRecorded> t)
    {
        var n = t.Count;
        return Enumerable.Range(0, n).Select(i => model switch
        {
            FirstTouch => i == 0 ? 1 : 0,
            LastTouch => i == n - 1 ? 1 : 0,
            Linear => 1,
            PositionBased p => n switch
            {
                1 => 1,
                2 => p.FirstBasisPoints + p.LastBasisPoints == 0 ? 1 : i == 0 ? p.FirstBasisPoints : p.LastBasisPoints,
                _ => i == 0 ? (BigInteger)p.FirstBasisPoints * (n - 2)
                    : i == n - 1 ? (BigInteger)p.LastBasisPoints * (n - 2)
                    : 10_000 - p.FirstBasisPoints - p.LastBasisPoints,
            },
            TimeDecay d => Halved((t[^1].OccurredAt - t[i].OccurredAt).Ticks, (BigInteger)(d.HalfLifeDays * TimeSpan.TicksPerDay), 62 - RoomFor(n)),
            Shapley => IsFirstOfItsPartner(i) ? 1 : 0,
            Markov m => IsFirstOfItsPartner(i) ? Effect(m, t[i]) : 0,
            _ => throw new NotSupportedException(model.ToString()),
        }).ToList();

        bool IsFirstOfItsPartner(int i) => t.FindIndex(click => click.PartnerId == t[i].PartnerId) == i;

        static BigInteger Effect(Markov m, ClickRecorded click) => m.Fit!.Effects.FirstOrDefault(e => e.ProgramId == click.ProgramId && e.PartnerId == click.PartnerId) is { Units: > 0 } effect ? effect.Units : 1;
    }

    /// <summary>The journeys that a fitted model learns from: program and partner of each touch, in order, and whether it converted.</summary>
    public static IEnumerable<(List<string> Partners, bool Converted)> Paths(IEnumerable<IEvent> events, Rules rules)
    {
        rules = rules with { Model = new Linear() };
        var all = events.DistinctBy(e => e.EventId).ToList();
        var converted = new HashSet<ClickRecorded>();
        foreach (var c in all.OfType<ConversionRecorded>().Where(c => !c.Test))
        {
            var (judged, parts, lead) = Parts(c, all, [rules], place: 0);
            if (parts.Count > 0 || IsAside(c, all))
            {
                converted.UnionWith(judged.Select(j => j.Click));
            }

            if (parts.Count > 0 && lead is null && parts[0].Click is not null)
            {
                yield return ([.. parts.Select(p => $"{c.ProgramId}/{p.Partner}")], true);
            }
        }

        var clicks = all.OfType<ClickRecorded>().OrderBy(k => k.OccurredAt).ThenBy(k => Hex(k.EventId), StringComparer.Ordinal).ToList();
        foreach (var person in clicks.GroupBy(k => k.VisitorId is null ? Hex(k.EventId) : $"{k.ProgramId} {k.VisitorId}", StringComparer.Ordinal))
        {
            if (person.Any(converted.Contains))
            {
                continue;
            }

            var byCookie = rules.Evidence.Contains(Evidence.VisitorCookie);
            foreach (var own in byCookie ? [person.ToList()] : person.Select(k => new List<ClickRecorded> { k }))
            {
                var real = own.Where(k => !k.Test).ToList();
                if (real.Count == 0)
                {
                    continue;
                }

                // As though there had been a conversion at the last of them.
                var last = new ConversionRecorded
                {
                    EventId = Guid.Empty, ConversionId = Guid.Empty, ProgramId = real[^1].ProgramId, OccurredAt = real[^1].OccurredAt, Kind = rules.Kinds[0],
                    Source = "", OrderId = "", AmountMinor = 0, Currency = "EUR",
                };
                var counted = new List<ClickRecorded>();
                foreach (var click in real)
                {
                    if (Stop(click, byCookie && click.VisitorId is not null ? Evidence.VisitorCookie : Evidence.ClickId, last, all, rules, counted) is null)
                    {
                        counted.Add(click);
                    }
                }

                if (counted.Count > 0)
                {
                    yield return ([.. counted.Select(k => $"{k.ProgramId}/{k.PartnerId}")], false);
                }
            }
        }
    }

    private static int RoomFor(int n)
    {
        var bits = 0;
        while (1 << bits < n)
        {
            bits++;
        }

        return bits;
    }

    /// <summary>The integer nearest to 2^bits · 2^(−elapsed/halfLife), by the series of e^(−x·ln 2) in 400 bits.</summary>
    public static BigInteger Halved(BigInteger elapsed, BigInteger halfLife, int bits)
    {
        var whole = elapsed / halfLife;
        if (whole > 80)
        {
            return 0;
        }

        var one = BigInteger.One << 400;
        var x = (elapsed % halfLife) * Ln2(one) / halfLife;
        var power = BigInteger.Zero;
        var term = one;
        for (var k = 1; term != 0; k++)
        {
            power += term;
            term = -(term * x >> 400) / k;
        }

        return (((power << bits) >> (int)whole) + (one >> 1)) >> 400;
    }

    /// <summary>ln 2 = Σ 1/(k·2^k).</summary>
    private static BigInteger Ln2(BigInteger one)
    {
        var sum = BigInteger.Zero;
        for (var k = 1; one >> k != 0; k++)
        {
            sum += (one >> k) / k;
        }

        return sum;
    }

    /// <summary>Whole parts of every quota, then one unit each to the largest remainders, of equal ones to the earlier.</summary>
    private static List<BigInteger> Split(BigInteger amount, List<BigInteger> weights)
    {
        var total = weights.Aggregate(BigInteger.Zero, (s, w) => s + w);
        if (amount == 0)
        {
            return [.. weights.Select(_ => BigInteger.Zero)];
        }

        var parts = weights.Select(w => amount * w / total).ToList();
        var left = (int)(amount - parts.Aggregate(BigInteger.Zero, (s, p) => s + p));
        foreach (var i in Enumerable.Range(0, parts.Count).OrderByDescending(i => amount * weights[i] % total).ThenBy(i => i).Take(left))
        {
            parts[i]++;
        }

        return parts;
    }

    private static BigInteger Nearest(BigInteger numerator, BigInteger denominator) => ((2 * numerator) + denominator) / (2 * denominator);

    private static string Hex(Guid id) => id.ToString("N");

    private static string TouchLine(ClickRecorded click, Evidence evidence, string? stop, BigInteger share, BigInteger amount, BigInteger commission, bool forfeited) =>
        $"  touch {Hex(click.EventId)} {click.PartnerId} {evidence} {stop ?? "counts"} share {share} amount {amount} commission {commission}{(forfeited ? " forfeited" : "")}";

    private static string GivenLine(ClickRecorded? click, string partner, BigInteger share, BigInteger amount, BigInteger commission, bool forfeited) =>
        $"  given by {(click is null ? "coupon" : Hex(click.EventId))} to {partner} share {share} amount {amount} commission {commission}{(forfeited ? " forfeited" : "")}";

    private static string PartnerLine(string partner, BigInteger share, BigInteger amount, BigInteger commission) =>
        $"  partner {partner} share {share} amount {amount} commission {commission}";
}
