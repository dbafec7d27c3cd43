using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Projection;

/// <summary>What of a page of the log concerns a conversion: why its credit changed with that page.</summary>
internal sealed class Causes
{
    private readonly IReadOnlyCollection<Guid> _clicks;
    private readonly Dictionary<Guid, List<RevisionCause>> _ofConversions = [];
    private readonly Dictionary<Guid, List<RevisionCause>> _ofCoupons = [];
    private readonly Dictionary<Guid, List<RevisionCause>> _ofCustomers = [];
    private readonly Dictionary<string, List<RevisionCause>> _ofPartners = new(StringComparer.Ordinal);

    public Causes(LogPage page)
    {
        _clicks = page.ClickKeys;
        foreach (var fact in page.Facts)
        {
            Add(fact);
        }
    }

    /// <summary>By the nearest first: what was said of the conversion itself, then of its coupon, partners, clicks and customer.</summary>
    public IReadOnlyList<RevisionCause> Of(Journeys.Person person, Journey journey)
    {
        var causes = new List<RevisionCause>();
        causes.AddRange(_ofConversions.GetValueOrDefault(person.ConversionId, []));
        causes.AddRange(person.CouponStream is { } coupon ? _ofCoupons.GetValueOrDefault(coupon, []) : []);
        foreach (var partner in Journeys.PartnersOf(journey).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            causes.AddRange(_ofPartners.GetValueOrDefault(partner, []));
        }

        causes.AddRange(journey.Touches.Concat(journey.Introductions.SelectMany(lead => lead.Touches)).Select(t => t.Click.EventId).Distinct()
            .Where(_clicks.Contains).Select(id => Cause(RevisionCause.LateClick, id)));
        causes.AddRange(person.Customer is { } customer ? _ofCustomers.GetValueOrDefault(customer, []) : []);
        var distinct = causes.DistinctBy(cause => (cause.Kind, cause.EventId)).Take(RevisionCause.Most).ToArray();
        return distinct.Length > 0 ? distinct : [Cause(RevisionCause.Facts, id: null)];
    }

    private void Add(IEvent fact)
    {
        switch (fact)
        {
            case ConversionRecorded conversion:
                _ofConversions.Under(conversion.ConversionId).Add(Cause(RevisionCause.Recorded, conversion.EventId));
                if (conversion.CustomerKey is { } key)
                {
                    _ofCustomers.Under(Ids.Customer(conversion.ProgramId, key)).Add(Cause(RevisionCause.Introduction, conversion.EventId));
                }

                break;
            case ConversionAdjusted adjustment:
                _ofConversions.Under(adjustment.ConversionId).Add(Cause(RevisionCause.Adjustment, adjustment.EventId));
                break;
            case ConversionRestated statement:
                _ofConversions.Under(statement.ConversionId).Add(Cause(RevisionCause.Restatement, statement.EventId));
                break;
            case ConversionMerged merged:
                _ofConversions.Under(merged.ConversionId).Add(Cause(RevisionCause.SameOrder, merged.EventId));
                break;
            case ConversionSeparated separated:
                _ofConversions.Under(separated.ConversionId).Add(Cause(RevisionCause.SameOrder, separated.EventId));
                break;
            case PartnerSuspended suspended:
                _ofPartners.Under(suspended.PartnerId).Add(Cause(RevisionCause.Suspension, suspended.EventId));
                break;
            case PartnerReinstated reinstated:
                _ofPartners.Under(reinstated.PartnerId).Add(Cause(RevisionCause.Reinstatement, reinstated.EventId));
                break;
            case PartnerGrouped grouped:
                _ofPartners.Under(grouped.PartnerId).Add(Cause(RevisionCause.Group, grouped.EventId));
                break;
            case CouponAssigned assigned:
                _ofCoupons.Under(Ids.CouponStream(assigned.ProgramId, assigned.Code)).Add(Cause(RevisionCause.Coupon, assigned.EventId));
                break;
            case CouponWithdrawn withdrawn:
                _ofCoupons.Under(Ids.CouponStream(withdrawn.ProgramId, withdrawn.Code)).Add(Cause(RevisionCause.Coupon, withdrawn.EventId));
                break;
            // The id of such a fact is derived from the customer's key, and must not outlive it in what is told.
            case VisitorIdentified identity:
                _ofCustomers.Under(Ids.Customer(identity.ProgramId, identity.CustomerKey)).Add(Cause(RevisionCause.Identity, id: null));
                break;
            case PartnerIdentified identity:
                _ofCustomers.Under(Ids.Customer(identity.ProgramId, identity.CustomerKey)).Add(Cause(RevisionCause.Identity, id: null));
                break;
            default:
                break; // Concerns no conversion by a way of its own.
        }
    }

    private static RevisionCause Cause(string kind, Guid? id) => new() { Kind = kind, EventId = id };
}
