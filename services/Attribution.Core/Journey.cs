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

    /// <summary>Another conversion of the same customer ties the visitor of the touch to that customer.</summary>
    Customer,
}

/// <summary>A click seen from one conversion.</summary>
public sealed record Touch(ClickRecorded Click, Evidence Evidence);

/// <summary>
/// The facts about one conversion, whatever the rules: its touches in order (time, then event id as bytes), each once with
/// its strongest evidence, and its adjustments in the same order.
/// </summary>
public sealed record Journey(ConversionRecorded Conversion, ImmutableArray<ConversionAdjusted> Adjustments, ImmutableArray<Touch> Touches)
{
    /// <summary>That it is the same sale as another conversion, and set aside; null where it stands for itself.</summary>
    public ConversionMerged? SameOrder { get; init; }

    /// <summary>
    /// Picks what belongs to <paramref name="conversion"/> from supersets in any order and with duplicates, by the section
    /// <i>Whose touches</i>: (a) its click id, (b) its visitor id, (c) the visitor of the click found by (a), (d) the visitors
    /// that other conversions of its customer tie to that customer. Visitor ids and customer keys are names within one program:
    /// the same name in another program is somebody else.
    /// </summary>
    /// <param name="ofSameCustomer">
    /// Conversions that may share its customer key; others among them are ignored.
    /// </param>
    /// <param name="clicks">
    /// Must hold every click with one of those click ids or visitors. A click id may name a click of another program: it is a
    /// touch, and the rules stop it.
    /// </param>
    /// <param name="adjustments">Must hold every adjustment of the conversion.</param>
    public static Journey Assemble(
        ConversionRecorded conversion,
        IEnumerable<ConversionRecorded> ofSameCustomer,
        IEnumerable<ClickRecorded> clicks,
        IEnumerable<ConversionAdjusted> adjustments)
    {
        var all = clicks as IReadOnlyCollection<ClickRecorded> ?? [.. clicks];
        var ownVisitors = new HashSet<(string Program, string Visitor)>();
        var customerVisitors = new HashSet<(string Program, string Visitor)>();
        var customerClicks = new HashSet<Guid>();

        if (conversion.VisitorId is { } visitor)
        {
            ownVisitors.Add((conversion.ProgramId, visitor));
        }

        if (conversion.CustomerKey is { } customer)
        {
            foreach (var other in ofSameCustomer)
            {
                if (other.CustomerKey != customer || other.ProgramId != conversion.ProgramId)
                {
                    continue;
                }

                if (other.VisitorId is { } tied)
                {
                    customerVisitors.Add((other.ProgramId, tied));
                }

                if (other.ClickId is { } click)
                {
                    customerClicks.Add(click);
                }
            }
        }

        if (conversion.ClickId is not null || customerClicks.Count > 0)
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

                if (customerClicks.Contains(click.EventId))
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

        var own = new List<ConversionAdjusted>();
        foreach (var adjustment in adjustments)
        {
            if (adjustment.ConversionId == conversion.ConversionId)
            {
                own.Add(adjustment);
            }
        }

        return new Journey(conversion, InOrder(own, a => a), InOrder(touches, t => t.Click));
    }

    /// <summary>The order of everything: time, then event id as bytes; each event once.</summary>
    private static ImmutableArray<T> InOrder<T>(List<T> items, Func<T, IEvent> eventOf)
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
