using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Who was suspended when: the history of all partners, the same whatever order its events came in. Immutable.</summary>
public sealed class PartnerStandings
{
    private readonly Dictionary<(string Program, string Partner), PartnerStanding> _byPartner;

    private PartnerStandings(Dictionary<(string Program, string Partner), PartnerStanding> byPartner) => _byPartner = byPartner;

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

        var byPartner = new Dictionary<(string Program, string Partner), PartnerStanding>(changes.Count);
        foreach (var (partner, ofPartner) in changes)
        {
            ofPartner.Sort(EventOrder.Compare);
            byPartner.Add(partner, new PartnerStanding(ofPartner));
        }

        return new PartnerStandings(byPartner);
    }

    /// <summary>Whether the partner of that program was suspended at that instant; see <see cref="PartnerStanding.IsSuspended"/>.</summary>
    public bool IsSuspended(string programId, string partnerId, DateTimeOffset at) => Of(programId, partnerId)?.IsSuspended(at.UtcTicks) ?? false;

    /// <summary>The history of one partner; null where it was never suspended nor reinstated.</summary>
    internal PartnerStanding? Of(string programId, string partnerId) =>
        _byPartner.TryGetValue((programId, partnerId), out var changes) ? changes : null;
}

/// <summary>When one partner was suspended.</summary>
internal sealed class PartnerStanding
{
    private readonly (long Ticks, bool Suspended)[] _changes;

    /// <param name="changes">Its suspensions and reinstatements in order.</param>
    public PartnerStanding(IReadOnlyList<IEvent> changes) => _changes = [.. changes.Select(c => (c.OccurredAt.UtcTicks, c is PartnerSuspended))];

    /// <summary>
    /// Whether it was suspended at that instant, in ticks of UTC. A change holds from its own time on; of two at the same time the one
    /// with the higher event id is the later.
    /// </summary>
    public bool IsSuspended(long ticks)
    {
        for (var i = _changes.Length - 1; i >= 0; i--)
        {
            if (_changes[i].Ticks <= ticks)
            {
                return _changes[i].Suspended;
            }
        }

        return false;
    }
}
