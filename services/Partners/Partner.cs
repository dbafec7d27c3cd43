using System.Collections.Immutable;
using System.Diagnostics;
using PartnerPulse.Contracts;

namespace PartnerPulse.Partners;

/// <summary>What is true of one partner: the fold of its stream.</summary>
internal sealed record Partner
{
    public required string Id { get; init; }
    public required string Name { get; init; }
    public required string Ref { get; init; }

    /// <summary>Destination as it was enrolled; links have their own.</summary>
    public required string Destination { get; init; }

    /// <summary>Since when it takes no part; null while it does.</summary>
    public DateTimeOffset? SuspendedAt { get; init; }

    /// <summary>When its last suspension ended; null where there was none.</summary>
    public DateTimeOffset? ReinstatedAt { get; init; }

    public bool Suspended => SuspendedAt is not null;

    /// <summary>Every link it ever had, in the order of their first publication.</summary>
    public ImmutableArray<Link> Links { get; init; } = [];

    public Link? FindLink(string slug) => Links.FirstOrDefault(link => link.Slug == slug);

    /// <summary>What is true after the event. The first event of a stream is the enrolment.</summary>
    /// <exception cref="UnreachableException">The event does not belong into a partner's stream at this place.</exception>
    public static Partner Evolve(Partner? partner, IEvent @event) => (partner, @event) switch
    {
        (null, PartnerEnrolled e) => new Partner
        {
            Id = e.PartnerId, Name = e.Name, Ref = e.Ref, Destination = e.Destination,
        },
        (not null, LinkPublished e) => partner with { Links = Put(partner.Links, new Link(e.Slug, e.Destination, e.Campaign, Retired: false)) },
        (not null, LinkRetired e) => partner with { Links = Put(partner.Links, partner.FindLink(e.Slug)! with { Retired = true }) },
        (not null, PartnerSuspended e) => partner with { SuspendedAt = e.OccurredAt },
        (not null, PartnerReinstated e) => partner with { SuspendedAt = null, ReinstatedAt = e.OccurredAt },
        _ => throw new UnreachableException($"{@event} in the stream of {partner?.Id ?? "nobody"}"),
    };

    private static ImmutableArray<Link> Put(ImmutableArray<Link> links, Link link)
    {
        var at = links.FindIndex(l => l.Slug == link.Slug);
        return at < 0 ? links.Add(link) : links.SetItem(at, link);
    }
}

/// <summary>A tracking link as it stands.</summary>
internal sealed record Link(string Slug, string Destination, string? Campaign, bool Retired);

internal static class ImmutableArrayExtensions
{
    public static int FindIndex<T>(this ImmutableArray<T> items, Func<T, bool> predicate)
    {
        for (var i = 0; i < items.Length; i++)
        {
            if (predicate(items[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
