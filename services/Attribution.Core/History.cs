using System.Collections.Immutable;
using System.Diagnostics;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>The whole log folded in memory: the reference that every incremental fold must equal.</summary>
public sealed class History
{
    private History(ImmutableArray<Journey> journeys, PartnerStandings standings)
    {
        Journeys = journeys;
        Standings = standings;
    }

    /// <summary>One for each conversion, ordered by conversion id as bytes.</summary>
    public ImmutableArray<Journey> Journeys { get; }

    public PartnerStandings Standings { get; }

    /// <summary>Folds events in any order, with any of them any number of times.</summary>
    /// <exception cref="UnreachableException">An event that this fold has never heard of: decide here what it means.</exception>
    public static History Fold(IEnumerable<IEvent> events)
    {
        var clicks = new Dictionary<Guid, ClickRecorded>();
        var clicksOf = new Dictionary<(string Program, string Visitor), List<ClickRecorded>>();
        var conversions = new Dictionary<Guid, ConversionRecorded>();
        var customers = new Dictionary<(string Program, string Customer), Customer>();
        var couponFacts = new Dictionary<Guid, List<IEvent>>();
        var adjustmentsOf = new Dictionary<Guid, List<ConversionAdjusted>>();
        var statementsOf = new Dictionary<Guid, List<ConversionRestated>>();
        var identityOf = new Dictionary<Guid, List<IEvent>>();
        var standings = new List<IEvent>();

        foreach (var @event in events)
        {
            switch (@event)
            {
                case ClickRecorded click:
                    if (clicks.TryAdd(click.EventId, click) && click.VisitorId is { } visitor)
                    {
                        clicksOf.Under((click.ProgramId, visitor)).Add(click);
                    }

                    break;

                case ConversionRecorded conversion:
                    if (conversions.TryAdd(conversion.ConversionId, conversion) && conversion.CustomerKey is { } key)
                    {
                        var buyer = CustomerOf(customers, conversion.ProgramId, key);
                        buyer.Ties.Add(conversion.VisitorId, conversion.ClickId);
                        buyer.Conversions.Add(conversion);
                    }

                    break;

                case VisitorIdentified identified:
                    var somebody = CustomerOf(customers, identified.ProgramId, identified.CustomerKey);
                    somebody.Ties.Add(identified.VisitorId, identified.ClickId);
                    somebody.Identified.Add(identified);
                    break;

                case CouponAssigned coupon:
                    couponFacts.Under(Ids.CouponStream(coupon.ProgramId, coupon.Code)).Add(coupon);
                    break;

                case CouponWithdrawn coupon:
                    couponFacts.Under(Ids.CouponStream(coupon.ProgramId, coupon.Code)).Add(coupon);
                    break;

                case ConversionAdjusted adjustment:
                    adjustmentsOf.Under(adjustment.ConversionId).Add(adjustment);
                    break;

                case ConversionRestated statement:
                    statementsOf.Under(statement.ConversionId).Add(statement);
                    break;

                case ConversionMerged merged:
                    identityOf.Under(merged.ConversionId).Add(merged);
                    break;

                case ConversionSeparated separated:
                    identityOf.Under(separated.ConversionId).Add(separated);
                    break;

                case OrderIdentitiesDeclared:
                    break; // What was found by it came as a merge.

                case PartnerIdentified identified:
                    CustomerOf(customers, identified.ProgramId, identified.CustomerKey).Is.Add(identified.PartnerId);
                    break;

                case PartnerSuspended or PartnerReinstated or PartnerGrouped:
                    standings.Add(@event);
                    break;

                case CustomerErased:
                    break; // The facts carry the token already.

                case PartnerEnrolled or LinkPublished or LinkRetired or ProgramConfigured:
                    break; // A click names its partner itself; whether the link still leads somewhere is no matter of credit.

                case RulesPublished or ReplayRequested or ModelFitted or ReplayCompleted or ReplayPromoted or ReplayDiscarded or CreditsRevised or StatementClosed:
                    break; // What we decided is no fact to decide from.

                default:
                    throw new UnreachableException($"History does not know {@event.GetType().Name}.");
            }
        }

        var journeys = ImmutableArray.CreateBuilder<Journey>(conversions.Count);
        foreach (var conversion in conversions.Values)
        {
            var customer = conversion.CustomerKey is { } key ? customers[(conversion.ProgramId, key)] : new Customer();
            var found = Whose(conversion, customer, clicks, clicksOf);
            var adjustments = adjustmentsOf.GetValueOrDefault(conversion.ConversionId, []);
            var coupons = customer.Conversions.Append(conversion).Select(c => c.Coupon).OfType<string>()
                .SelectMany(code => couponFacts.GetValueOrDefault(Ids.CouponStream(conversion.ProgramId, code), []));
            var statements = statementsOf.GetValueOrDefault(conversion.ConversionId, []);
            var identities = customer.Conversions.Append(conversion).Select(c => c.ConversionId).Distinct().SelectMany(id => identityOf.GetValueOrDefault(id, []));
            journeys.Add(Journey.Assemble(conversion, customer.Ties, found, adjustments, coupons, customer.Conversions, statements, identities, customer.Is));
        }

        journeys.Sort((left, right) => Ids.CompareBytes(left.Conversion.ConversionId, right.Conversion.ConversionId));
        return new History(journeys.MoveToImmutable(), PartnerStandings.From(standings));
    }

    /// <summary>Every click that could belong to the conversion; <see cref="Journey.Assemble"/> picks.</summary>
    private static List<ClickRecorded> Whose(
        ConversionRecorded conversion,
        Customer customer,
        Dictionary<Guid, ClickRecorded> clicks,
        Dictionary<(string Program, string Visitor), List<ClickRecorded>> clicksOf)
    {
        var found = new List<ClickRecorded>();
        var visitors = new HashSet<(string Program, string Visitor)>();
        Follow(conversion.ProgramId, conversion.ClickId, conversion.VisitorId);
        foreach (var other in customer.Conversions)
        {
            Follow(other.ProgramId, other.ClickId, other.VisitorId);
        }

        foreach (var identified in customer.Identified)
        {
            Follow(identified.ProgramId, identified.ClickId, identified.VisitorId);
        }

        return found;

        void Follow(string program, Guid? clickId, string? visitor)
        {
            if (clickId is { } id && clicks.TryGetValue(id, out var click))
            {
                found.Add(click);
                FollowVisitor(click.ProgramId, click.VisitorId);
            }

            FollowVisitor(program, visitor);
        }

        void FollowVisitor(string program, string? visitor)
        {
            if (visitor is not null && visitors.Add((program, visitor)) && clicksOf.TryGetValue((program, visitor), out var theirs))
            {
                found.AddRange(theirs);
            }
        }
    }

    private static Customer CustomerOf(Dictionary<(string Program, string Customer), Customer> customers, string program, string key)
    {
        if (!customers.TryGetValue((program, key), out var customer))
        {
            customers.Add((program, key), customer = new Customer());
        }

        return customer;
    }

    /// <summary>What is known of one customer.</summary>
    private sealed class Customer
    {
        public CustomerTies Ties { get; } = new();

        public List<ConversionRecorded> Conversions { get; } = [];

        public List<VisitorIdentified> Identified { get; } = [];

        /// <summary>Partners that it is itself.</summary>
        public HashSet<string> Is { get; } = new(StringComparer.Ordinal);
    }
}
