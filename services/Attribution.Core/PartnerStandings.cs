using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Who was suspended when: the history of all partners, the same whatever order its events came in. Immutable.</summary>
public sealed class PartnerStandings
{
    private readonly Dictionary<(string Program, string Partner), IEvent[]> _byPartner;

    private PartnerStandings(Dictionary<(string Program, string Partner), IEvent[]> byPartner) => _byPartner = byPartner;

    /// <summary>Nobody was ever suspended.</summary>
    public static PartnerStandings Empty { get; } = new([]);

    /// <summary>Takes the suspensions and reinstatements among <paramref name="events"/>; the others say nothing about standing.</summary>
    public static PartnerStandings From(IEnumerable<IEvent> events)
    {
        var changes = new Dictionary<(string Program, string Partner), List<IEvent>>();
        foreach (var @event in events)
        {
            var partner = @event switch
            {
                PartnerSuspended suspended => suspended.PartnerId,
                PartnerReinstated reinstated => reinstated.PartnerId,
                _ => null,
            };
            if (partner is null)
            {
                continue;
            }

            if (!changes.TryGetValue((@event.ProgramId, partner), out var ofPartner))
            {
                changes.Add((@event.ProgramId, partner), ofPartner = []);
            }

            ofPartner.Add(@event);
        }

        var byPartner = new Dictionary<(string Program, string Partner), IEvent[]>(changes.Count);
        foreach (var (partner, ofPartner) in changes)
        {
            ofPartner.Sort(EventOrder.Compare);
            byPartner.Add(partner, [.. ofPartner]);
        }

        return new PartnerStandings(byPartner);
    }

    /// <summary>
    /// Whether the partner of that program was suspended at that instant. A change holds from its own time on; of two at the same time the one
    /// with the higher event id is the later.
    /// </summary>
    public bool IsSuspended(string programId, string partnerId, DateTimeOffset at)
    {
        if (_byPartner.Count == 0 || !_byPartner.TryGetValue((programId, partnerId), out var changes))
        {
            return false;
        }

        for (var i = changes.Length - 1; i >= 0; i--)
        {
            if (changes[i].OccurredAt <= at)
            {
                return changes[i] is PartnerSuspended;
            }
        }

        return false;
    }
}
