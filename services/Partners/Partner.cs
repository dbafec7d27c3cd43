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

    /// <summary>The group it was put into last; null where it is in none.</summary>
    public string? Group { get; init; }

    /// <summary>Since when it is in that group, or in none; null where it was never put into one.</summary>
    public DateTimeOffset? GroupedAt { get; init; }

    public bool Suspended => SuspendedAt is not null;

    /// <summary>Every link it ever had, in the order of their first publication.</summary>
    public ImmutableList<Link> Links { get; init; } = [];

    // A partner may have tens of thousands of links, and each change of one folds them all.
    private ImmutableDictionary<string, int> At { get; init; } = ImmutableDictionary.Create<string, int>(StringComparer.Ordinal);

    public Link? FindLink(string slug) => At.TryGetValue(slug, out var at) ? Links[at] : null;

    /// <summary>What is true after the event. The first event of a stream is the enrolment.</summary>
    /// <exception cref="UnreachableException">The event does not belong into a partner's stream at this place.</exception>
    public static Partner Evolve(Partner? partner, IEvent @event) => (partner, @event) switch
    {
        (null, PartnerEnrolled e) => new Partner
        {
            Id = e.PartnerId, Name = e.Name, Ref = e.Ref, Destination = e.Destination,
        },
        (not null, LinkPublished e) => partner.With(Link.Of(e)),
        (not null, LinkRetired e) => partner.With(partner.FindLink(e.Slug)! with { Retired = true }),
        (not null, PartnerSuspended e) => partner with { SuspendedAt = e.OccurredAt },
        (not null, PartnerGrouped e) => partner with { Group = e.Group, GroupedAt = e.OccurredAt },
        (not null, PartnerReinstated e) => partner with { SuspendedAt = null, ReinstatedAt = e.OccurredAt },
        _ => throw new UnreachableException($"{@event} in the stream of {partner?.Id ?? "nobody"}"),
    };

    private Partner With(Link link) => At.TryGetValue(link.Slug, out var at)
        ? this with { Links = Links.SetItem(at, link) }
        : this with { Links = Links.Add(link), At = At.Add(link.Slug, Links.Count) };
}

/// <summary>A tracking link as it stands.</summary>
internal sealed record Link(string Slug, LinkTerms Terms, bool Retired)
{
    public static Link Of(LinkPublished e) => new(e.Slug, LinkTerms.Of(e), Retired: false);
}
