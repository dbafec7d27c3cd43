using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Who was suspended and who was in which group when: the history of all partners, the same whatever order its events came in.
/// Immutable.
/// </summary>
public sealed class PartnerStandings
{
    private readonly Dictionary<(string Program, string Partner), PartnerStanding> _byPartner;

    private PartnerStandings(Dictionary<(string Program, string Partner), PartnerStanding> byPartner) => _byPartner = byPartner;

    /// <summary>Nobody was ever suspended or in a group.</summary>
    public static PartnerStandings Empty { get; } = new([]);

    /// <summary>The partner of whose standing the fact says something; null where it says nothing of any.</summary>
    public static string? PartnerOf(IEvent fact) => fact switch
    {
        PartnerSuspended suspended => suspended.PartnerId,
        PartnerReinstated reinstated => reinstated.PartnerId,
        PartnerGrouped grouped => grouped.PartnerId,
        _ => null,
    };

    /// <summary>Takes what is said of standing among <paramref name="events"/>; the others say nothing about it.</summary>
    public static PartnerStandings From(IEnumerable<IEvent> events)
    {
        var changes = new Dictionary<(string Program, string Partner), List<IEvent>>();
        foreach (var @event in events)
        {
            if (PartnerOf(@event) is not { } partner)
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

    /// <summary>The group that the partner of that program was in at that instant; null where it was in none.</summary>
    public string? GroupOf(string programId, string partnerId, DateTimeOffset at) => Of(programId, partnerId)?.GroupAt(at.UtcTicks);

    /// <summary>The history of one partner; null where nothing was ever said of it.</summary>
    internal PartnerStanding? Of(string programId, string partnerId) =>
        _byPartner.TryGetValue((programId, partnerId), out var changes) ? changes : null;
}

/// <summary>When one partner was suspended, and in which groups it was.</summary>
internal sealed class PartnerStanding
{
    private readonly (long Ticks, bool Suspended)[] _suspensions;
    private readonly (long Ticks, string? Group)[] _groups;

    /// <param name="changes">What was said of it, in order.</param>
    public PartnerStanding(IReadOnlyList<IEvent> changes)
    {
        _suspensions = [.. changes.Where(c => c is not PartnerGrouped).Select(c => (c.OccurredAt.UtcTicks, c is PartnerSuspended))];
        _groups = [.. changes.OfType<PartnerGrouped>().Select(c => (c.OccurredAt.UtcTicks, c.Group))];
    }

    /// <summary>
    /// Whether it was suspended at that instant, in ticks of UTC. A change holds from its own time on; of two at the same time the one
    /// with the higher event id is the later.
    /// </summary>
    public bool IsSuspended(long ticks)
    {
        for (var i = _suspensions.Length - 1; i >= 0; i--)
        {
            if (_suspensions[i].Ticks <= ticks)
            {
                return _suspensions[i].Suspended;
            }
        }

        return false;
    }

    /// <summary>The group that it was in at that instant, in the same way; null where it was in none.</summary>
    public string? GroupAt(long ticks)
    {
        for (var i = _groups.Length - 1; i >= 0; i--)
        {
            if (_groups[i].Ticks <= ticks)
            {
                return _groups[i].Group;
            }
        }

        return null;
    }
}
