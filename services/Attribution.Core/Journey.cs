using System.Collections.Immutable;
using System.Runtime.InteropServices;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>How a touch was found to belong to a conversion. Strongest first: the order of the values is the order of strength.</summary>
public enum Evidence
{
    /// <summary>The conversion names the click.</summary>
    ClickId,

    /// <summary>The conversion, or the click that it names, has the visitor id of the touch.</summary>
    VisitorCookie,

    /// <summary>An identification or another conversion ties the visitor of the touch to the customer.</summary>
    Customer,
}

/// <summary>A click seen from one conversion.</summary>
public sealed record Touch(ClickRecorded Click, Evidence Evidence);

/// <summary>
/// The facts about one conversion, whatever the rules: its touches in order (time, then event id as bytes), each once with
/// its strongest evidence, and its adjustments in the same order.
/// </summary>
/// <param name="Conversion">With the amount in force, which a later statement of the shop may have changed: see <see cref="Restated"/>.</param>
/// <param name="Adjustments">Its adjustments.</param>
/// <param name="Touches">Its touches.</param>
/// <param name="CouponPartner">The partner that held its coupon when it happened; null where it has none or nobody held it.</param>
/// <param name="Introductions">
/// Of a sale or a renewal: the leads and signups of the same customer before it, in order, each as a journey without adjustments.
/// </param>
public sealed record Journey(
    ConversionRecorded Conversion,
    ImmutableArray<ConversionAdjusted> Adjustments,
    ImmutableArray<Touch> Touches,
    string? CouponPartner,
    ImmutableArray<Journey> Introductions)
{
    /// <summary>What the shop said of the amount beside what was recorded; null where it said nothing more.</summary>
    public Restatements? Restated { get; init; }

    /// <summary>
    /// Only so many of a customer's first leads and signups can introduce it: a key that a whole form shares must not make every
    /// later order carry them all.
    /// </summary>
    public const int MostIntroductions = 16;

    /// <summary>That it is the same sale as another conversion, and set aside; null where it stands for itself.</summary>
    public ConversionMerged? SameOrder { get; init; }

    /// <summary>The partners whose own purchase it is, because its customer is one of theirs; ordinal, each once.</summary>
    public ImmutableArray<string> OwnPurchaseOf { get; init; } = [];

    /// <summary>
    /// Picks what belongs to <paramref name="conversion"/> from supersets in any order and with duplicates, by the section
    /// <i>Whose touches</i>: (a) its click id, (b) its visitor id, (c) the visitor of the click found by (a), (d) the visitors
    /// that are tied to its customer. Visitor ids and customer keys are names within one program: the same name in another program
    /// is somebody else.
    /// </summary>
    /// <param name="conversion">The conversion.</param>
    /// <param name="ties">Of its customer; not asked where it has none.</param>
    /// <param name="clicks">
    /// Must hold every click with one of those click ids or visitors, also of its introductions. A click id may name a click of
    /// another program: it is a touch, and the rules stop it.
    /// </param>
    /// <param name="adjustments">Must hold every adjustment of the conversion.</param>
    /// <param name="coupons">Must hold every assignment and withdrawal of its coupon and of those of its introductions.</param>
    /// <param name="introductions">
    /// Must hold the first <see cref="MostIntroductions"/> leads and signups of its customer, test and not, each.
    /// </param>
    /// <param name="statements">Must hold every statement of its amount.</param>
    /// <param name="identities">Must hold every merge and separation of the conversion and of its introductions.</param>
    /// <param name="ownCustomerOf">The partners that its customer is itself; not asked where it has no customer.</param>
    public static Journey Assemble(
        ConversionRecorded conversion,
        CustomerTies ties,
        IEnumerable<ClickRecorded> clicks,
        IEnumerable<ConversionAdjusted> adjustments,
        IEnumerable<IEvent> coupons,
        IEnumerable<ConversionRecorded> introductions,
        IEnumerable<ConversionRestated>? statements = null,
        IEnumerable<IEvent>? identities = null,
        IEnumerable<string>? ownCustomerOf = null)
    {
        var all = clicks as IReadOnlyCollection<ClickRecorded> ?? [.. clicks];
        var facts = coupons as IReadOnlyCollection<IEvent> ?? [.. coupons];
        var same = identities as IReadOnlyCollection<IEvent> ?? [.. identities ?? []];
        var partners = ownCustomerOf as IReadOnlyCollection<string> ?? [.. ownCustomerOf ?? []];
        var own = new List<ConversionAdjusted>();
        foreach (var adjustment in adjustments)
        {
            if (adjustment.ConversionId == conversion.ConversionId)
            {
                own.Add(adjustment);
            }
        }

        var restated = Restatements.Of(conversion, statements ?? []);
        return new Journey(
            restated?.Apply(conversion) ?? conversion,
            InOrder(own, a => a),
            TouchesOf(conversion, ties, all),
            conversion.Coupon is { } code ? CouponHolders.At(facts, conversion.ProgramId, code, conversion.OccurredAt) : null,
            [.. Introducing(conversion, introductions).Select(lead => Assemble(lead, ties, all, adjustments: [], facts, introductions: [], statements: null, same, partners))])
        {
            Restated = restated,
            SameOrder = Core.SameOrder.Of(conversion, same),
            OwnPurchaseOf = conversion.CustomerKey is null ? [] : [.. partners.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
        };
    }

    /// <summary>Whether conversions of this kind introduce a customer, whose later sales and renewals may inherit from them.</summary>
    public static bool Introduces(ConversionKind kind) => kind is ConversionKind.Lead or ConversionKind.Signup;

    private static IEnumerable<ConversionRecorded> Introducing(ConversionRecorded conversion, IEnumerable<ConversionRecorded> introductions)
    {
        if (conversion.CustomerKey is not { } customer || Introduces(conversion.Kind))
        {
            return [];
        }

        var earlier = new List<ConversionRecorded>();
        foreach (var other in introductions)
        {
            if (Introduces(other.Kind) && other.CustomerKey == customer && other.ProgramId == conversion.ProgramId && other.Test == conversion.Test
                && EventOrder.Compare(other, conversion) < 0)
            {
                earlier.Add(other);
            }
        }

        return InOrder(earlier, c => c).Take(MostIntroductions);
    }

    private static ImmutableArray<Touch> TouchesOf(ConversionRecorded conversion, CustomerTies ties, IReadOnlyCollection<ClickRecorded> all)
    {
        var ownVisitors = new HashSet<(string Program, string Visitor)>();
        var customerVisitors = new HashSet<(string Program, string Visitor)>();
        if (conversion.VisitorId is { } visitor)
        {
            ownVisitors.Add((conversion.ProgramId, visitor));
        }

        if (conversion.CustomerKey is null)
        {
            ties = CustomerTies.None;
        }

        foreach (var tied in ties.Visitors)
        {
            customerVisitors.Add((conversion.ProgramId, tied));
        }

        if (conversion.ClickId is not null || ties.HasClicks)
        {
            foreach (var click in all)
            {
                if (click.VisitorId is not { } seen)
                {
                    continue;
                }

                if (click.EventId == conversion.ClickId)
                {
                    ownVisitors.Add((click.ProgramId, seen));
                }

                if (ties.TiesClick(click.EventId))
                {
                    customerVisitors.Add((click.ProgramId, seen));
                }
            }
        }

        var touches = new List<Touch>(all.Count);
        foreach (var click in all)
        {
            if (click.EventId == conversion.ClickId)
            {
                touches.Add(new Touch(click, Evidence.ClickId));
            }
            else if (click.VisitorId is { } seen)
            {
                if (ownVisitors.Contains((click.ProgramId, seen)))
                {
                    touches.Add(new Touch(click, Evidence.VisitorCookie));
                }
                else if (customerVisitors.Contains((click.ProgramId, seen)))
                {
                    touches.Add(new Touch(click, Evidence.Customer));
                }
            }
        }

        return InOrder(touches, t => t.Click);
    }

    /// <summary>The order of everything: time, then event id as bytes; each event once.</summary>
    internal static ImmutableArray<T> InOrder<T>(List<T> items, Func<T, IEvent> eventOf)
    {
        if (items.Count < 2)
        {
            return [.. items];
        }

        items.Sort((left, right) => EventOrder.Compare(eventOf(left), eventOf(right)));
        var seen = new HashSet<Guid>(items.Count);
        items.RemoveAll(item => !seen.Add(eventOf(item).EventId));
        return ImmutableCollectionsMarshal.AsImmutableArray(items.ToArray());
    }
}

/// <summary>The order of events: (<c>occurredAt</c>, event id as bytes). First, last and earlier mean in this order.</summary>
public static class EventOrder
{
    public static int Compare(IEvent left, IEvent right)
    {
        var byTime = left.OccurredAt.UtcTicks.CompareTo(right.OccurredAt.UtcTicks);
        return byTime != 0 ? byTime : Ids.CompareBytes(left.EventId, right.EventId);
    }
}
