using System.Collections.Concurrent;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>A partner as the edge knows it.</summary>
internal sealed record Partner(string Program, string Id, string Ref);

/// <summary>A link as the edge follows it.</summary>
/// <param name="Slug">Lower case.</param>
/// <param name="Partner">Whose it is.</param>
/// <param name="Destination">Cut for merging.</param>
/// <param name="Campaign">Campaign name of clicks that bring none.</param>
/// <param name="Retired">Leads nowhere any more; imports of old clicks may still name it.</param>
internal sealed record Link(string Slug, Partner Partner, Destination Destination, string? Campaign, bool Retired);

/// <summary>
/// All links and partners, in memory. A redirect needs one entry and takes no lock; each entry is immutable and swapped whole.
/// There is no snapshot of everything: two links have nothing to agree on, and one change among a million links would copy a
/// million entries.
/// </summary>
internal sealed class Catalogue
{
    /// <summary>Longest slug; longer ones are unknown without a look.</summary>
    public const int MaxSlugLength = 128;

    private readonly ConcurrentDictionary<string, Link> _links = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Link>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly ConcurrentDictionary<(string Program, string Id), Partner> _partners = new();
    private readonly ConcurrentDictionary<(string Program, string Ref), Partner> _byRef = new();
    private long _position;
    private int _linkCount;

    public Catalogue() => _bySpan = _links.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Position in the log of Partners up to which everything is in here.</summary>
    public long Position
    {
        get => Interlocked.Read(ref _position);
        set => Interlocked.Exchange(ref _position, value);
    }

    /// <summary>Links that lead somewhere.</summary>
    public int LinkCount => _linkCount;

    public int PartnerCount => _partners.Count;

    /// <summary>The link of a slug in any case; null where there is none or it is retired.</summary>
    public Link? Find(ReadOnlySpan<char> slug)
    {
        if (slug.Length is 0 or > MaxSlugLength)
        {
            return null;
        }

        Span<char> lower = stackalloc char[MaxSlugLength];
        var length = slug.ToLowerInvariant(lower);
        return _bySpan.TryGetValue(lower[..length], out var link) && !link.Retired ? link : null;
    }

    /// <summary>The same with retired ones: what an old click may have come by.</summary>
    public Link? FindEver(string slug) => _links.GetValueOrDefault(slug.ToLowerInvariant());

    public Partner? FindPartner(string program, string id) => _partners.GetValueOrDefault((program, id));

    public Partner? FindRef(string program, string @ref) => _byRef.GetValueOrDefault((program, @ref.ToLowerInvariant()));

    public void Put(Partner partner)
    {
        if (_partners.TryGetValue((partner.Program, partner.Id), out var before) && before.Ref != partner.Ref)
        {
            _byRef.TryRemove((before.Program, before.Ref), out _);
        }

        _partners[(partner.Program, partner.Id)] = partner;
        _byRef[(partner.Program, partner.Ref)] = partner;
    }

    /// <summary>One writer at a time: the tail, or whoever fills the catalogue before it starts.</summary>
    public void Put(Link link)
    {
        var lived = _links.TryGetValue(link.Slug, out var before) && !before.Retired;
        _links[link.Slug] = link;
        _linkCount += (link.Retired ? 0 : 1) - (lived ? 1 : 0);
    }

    /// <summary>What the entries become by an event; null where it changes none.</summary>
    public object? Changed(IEvent @event) => @event switch
    {
        PartnerEnrolled e => new Partner(e.ProgramId, e.PartnerId, e.Ref),
        LinkPublished e when Destination.Parse(e.Destination) is { } destination => new Link(
            e.Slug,
            FindPartner(e.ProgramId, e.PartnerId) ?? new Partner(e.ProgramId, e.PartnerId, ""),
            destination,
            e.Campaign,
            Retired: false),
        LinkRetired e when _links.TryGetValue(e.Slug, out var link) => link with { Retired = true },

        // A suspended partner's links still lead on; whether its clicks count is judged later, by rules.
        _ => null,
    };
}
