using System.Runtime.InteropServices;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Fits the model of rules to all journeys of a scope: first those of everybody who converted, then what everybody else clicked.
/// Test traffic is no part of it. Not for two threads at once.
/// </summary>
public sealed class Fitting
{
    private readonly Judge _judge;
    private readonly Transitions _transitions;
    private readonly HashSet<Guid> _converted = [];
    private readonly List<ConversionFacts> _conversions = [];
    private readonly List<TouchFacts> _touches = [];
    private int[] _path = [];

    /// <exception cref="ArgumentException">The model of the rules is not fitted.</exception>
    public Fitting(Rules rules, PartnerStandings standings)
    {
        var model = rules.Model as Markov ?? throw new ArgumentException($"The model {rules.Model.Kind} is not fitted.", nameof(rules));

        // Which touches compete is the same under every model, and this one cannot weigh yet.
        _judge = new Judge(new FactNames(), standings, RulesInForce.Only(rules with { Model = new Linear(), Commission = [] }));
        _transitions = new Transitions(_judge.Names, model.Order);
    }

    /// <summary>The whole log fitted in memory: the reference that a fit from the database must equal.</summary>
    /// <param name="events">In any order, with any of them any number of times.</param>
    /// <param name="rules">With a model that is fitted.</param>
    public static Fit Of(IReadOnlyCollection<IEvent> events, Rules rules)
    {
        var history = History.Fold(events);
        var fitting = new Fitting(rules, history.Standings);
        foreach (var journey in history.Journeys)
        {
            fitting.Add(journey);
        }

        foreach (var stream in events.OfType<ClickRecorded>().DistinctBy(c => c.EventId).GroupBy(Ids.ClickStream))
        {
            fitting.Add([.. stream]);
        }

        return fitting.Solve();
    }

    /// <summary>
    /// Adds the journey of a conversion: its candidates, where it is credited to them. Where a coupon has it, or a lead, it is no
    /// journey of the model and its visitors have converted all the same; so have those of a sale that is set aside as the same as another.
    /// </summary>
    public void Add(Journey journey)
    {
        if (journey.Conversion.Test)
        {
            return;
        }

        var credited = Credits(journey);
        if (!credited && journey.SameOrder is null)
        {
            return;
        }

        foreach (var touch in journey.Touches)
        {
            _converted.Add(touch.Click.EventId);
        }

        if (credited && _judge.Claim is { InheritedFrom: null, IsByCoupon: false })
        {
            AddPath(converted: true);
        }
    }

    /// <summary>
    /// Adds the clicks of a visitor, or one click without a visitor. Where none of them belongs to a conversion that is credited, they
    /// are judged as though the visitor had converted at the last of them: so window, repeats and suspension mean what they
    /// mean elsewhere. Where the rules do not count what only a cookie says, each click is by itself.
    /// </summary>
    /// <param name="clicks">All of one stream (<see cref="Ids.ClickStream(ClickRecorded)"/>), in any order. All journeys have been added before.</param>
    public void Add(IReadOnlyCollection<ClickRecorded> clicks)
    {
        foreach (var click in clicks)
        {
            if (_converted.Contains(click.EventId))
            {
                return;
            }
        }

        if (_judge.Rules.Evidence.Contains(Evidence.VisitorCookie))
        {
            AddVisitor(clicks, Evidence.VisitorCookie);
            return;
        }

        foreach (var click in clicks)
        {
            AddVisitor([click], Evidence.ClickId);
        }
    }

    /// <exception cref="UnfittableException">The chain is too dense to be solved.</exception>
    public Fit Solve() => _transitions.Solve();

    private void AddVisitor(IReadOnlyCollection<ClickRecorded> clicks, Evidence evidence)
    {
        var touches = clicks.Where(click => !click.Test).ToArray();
        if (touches.Length == 0)
        {
            return;
        }

        Array.Sort(touches, EventOrder.Compare);
        var asThough = new ConversionRecorded
        {
            EventId = touches[^1].EventId,
            ConversionId = touches[^1].EventId,
            ProgramId = touches[^1].ProgramId,
            OccurredAt = touches[^1].OccurredAt,
            Kind = _judge.Rules.Kinds[0],
            Source = "",
            OrderId = "",
            AmountMinor = 0,
            Currency = "EUR",
        };
        if (Credits(new Journey(asThough, [], [.. touches.Select(click => new Touch(click, click.VisitorId is null ? Evidence.ClickId : evidence))], null, [])))
        {
            AddPath(converted: false);
        }
    }

    private bool Credits(Journey journey)
    {
        _conversions.Clear();
        _touches.Clear();
        JourneyFacts.Write(journey, _judge.Names, _conversions, _touches);
        return _judge.Credits(new JourneyFacts(CollectionsMarshal.AsSpan(_conversions), CollectionsMarshal.AsSpan(_touches)));
    }

    /// <summary>Of what was judged last.</summary>
    private void AddPath(bool converted)
    {
        var candidates = _judge.Claim.Candidates;
        if (_path.Length < candidates.Count)
        {
            _path = new int[int.Max(candidates.Count, 2 * _path.Length)];
        }

        for (var i = 0; i < candidates.Count; i++)
        {
            _path[i] = candidates.Partners[candidates.Partner[i]];
        }

        _transitions.Add(_path.AsSpan(0, candidates.Count), converted);
    }
}
