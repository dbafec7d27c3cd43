using System.Collections.Concurrent;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>A partner as the edge knows it.</summary>
internal sealed record Partner(string Program, string Id, string Ref);

/// <summary>A link as the edge follows it.</summary>
/// <param name="Slug">Lower case.</param>
/// <param name="Partner">Whose it is.</param>
/// <param name="Destination">Cut for merging.</param>
/// <param name="Campaign">What clicks get that do not bring it themselves; null where there is nothing.</param>
/// <param name="ExpiresAt">From then on it leads to its fallback. Never where null.</param>
/// <param name="Fallback">Where it leads once it is expired or retired, as a header may carry it; the program's where null.</param>
/// <param name="Retired">Leads nowhere any more; imports of old clicks may still name it.</param>
internal sealed record Link(
    string Slug, Partner Partner, Destination Destination, Campaign? Campaign, DateTimeOffset? ExpiresAt, string? Fallback, bool Retired)
{
    /// <summary>Whether it leads to its destination at that time. The time of expiry itself is too late.</summary>
    public bool LeadsOn(DateTimeOffset now) => !Retired && (ExpiresAt is not { } end || now < end);
}

/// <summary>What a program allows, as it was configured last.</summary>
/// <param name="Id">The program.</param>
/// <param name="LinkHosts">Hosts of its links, lower case, in punycode.</param>
/// <param name="Origins">Origins of its pages, as browsers write them.</param>
/// <param name="DeepLinkHosts">Hosts to which <c>?to=</c> may lead besides a link's own; lower case, in punycode.</param>
/// <param name="PartnerParameters">Query parameters that name a partner on a landing page, in the order in which they are tried.</param>
/// <param name="Fallback">Where links lead that lead nowhere else, as a header may carry it.</param>
internal sealed record ProgramSettings(
    string Id,
    IReadOnlyList<string> LinkHosts,
    IReadOnlyList<string> Origins,
    IReadOnlyList<string> DeepLinkHosts,
    IReadOnlyList<string> PartnerParameters,
    string? Fallback);

/// <summary>
/// All links, partners and programs, in memory. A redirect needs one entry and takes no lock; each entry is immutable and swapped whole.
/// There is no snapshot of everything: two links have nothing to agree on, and one change among a million links would copy a
/// million entries.
/// </summary>
internal sealed class Catalogue
{
    /// <summary>Longest slug; longer ones are unknown without a look.</summary>
    public const int MaxSlugLength = 128;

    /// <summary>So many that threads which fill the catalogue together seldom wait for each other.</summary>
    private const int LoadLocks = 64;

    /// <summary>Longest name in DNS.</summary>
    private const int MaxHostLength = 253;

    private ConcurrentDictionary<string, Link> _links = new(StringComparer.Ordinal);
    private ConcurrentDictionary<string, Link>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly ConcurrentDictionary<(string Program, string Id), Partner> _partners = new();
    private readonly ConcurrentDictionary<(string Program, string Ref), Partner> _byRef = new();
    private readonly ConcurrentDictionary<string, ProgramSettings> _programs = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ProgramSettings> _byOrigin = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ProgramSettings> _byLinkHost = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ProgramSettings>.AlternateLookup<ReadOnlySpan<char>> _byLinkHostSpan;
    private long _position;
    private int _linkCount;
    private int _linkHosts;

    public Catalogue()
    {
        _bySpan = _links.GetAlternateLookup<ReadOnlySpan<char>>();
        _byLinkHostSpan = _byLinkHost.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Position in the log of Partners up to which everything is in here.</summary>
    public long Position
    {
        get => Interlocked.Read(ref _position);
        set => Interlocked.Exchange(ref _position, value);
    }

    /// <summary>Links that lead somewhere.</summary>
    public int LinkCount => _linkCount;

    public int PartnerCount => _partners.Count;

    /// <summary>The link of a slug in any case, also a retired or expired one; null where there never was one.</summary>
    public Link? Find(ReadOnlySpan<char> slug)
    {
        if (slug.Length is 0 or > MaxSlugLength)
        {
            return null;
        }

        Span<char> lower = stackalloc char[MaxSlugLength];
        var length = slug.ToLowerInvariant(lower);
        return _bySpan.TryGetValue(lower[..length], out var link) ? link : null;
    }

    public Partner? FindPartner(string program, string id) => _partners.GetValueOrDefault((program, id));

    public Partner? FindRef(string program, string @ref) => _byRef.GetValueOrDefault((program, @ref.ToLowerInvariant()));

    /// <summary>Null where the program was never configured: everything is then as <see cref="ProgramConfigured"/> has it by default.</summary>
    public ProgramSettings? FindProgram(string program) => _programs.GetValueOrDefault(program);

    /// <summary>The program on whose pages this origin is, as a browser writes it in <c>Origin</c>; null where it is nobody's.</summary>
    public ProgramSettings? ProgramOfOrigin(string origin) => _byOrigin.GetValueOrDefault(origin);

    /// <summary>The program that has the host of a <c>Host</c> header to itself; null where the host is open to all.</summary>
    public ProgramSettings? ProgramOfLinkHost(ReadOnlySpan<char> header)
    {
        // Most edges have no such host, and their redirects pay nothing for it.
        if (_linkHosts == 0)
        {
            return null;
        }

        var port = header.LastIndexOf(':');
        var host = (port < 0 ? header : header[..port]).TrimEnd('.');
        if (host.Length is 0 or > MaxHostLength)
        {
            return null;
        }

        Span<char> lower = stackalloc char[MaxHostLength];
        var length = host.ToLowerInvariant(lower);
        return _byLinkHostSpan.TryGetValue(lower[..length], out var program) ? program : null;
    }

    public void Put(Partner partner)
    {
        if (_partners.TryGetValue((partner.Program, partner.Id), out var before) && before.Ref != partner.Ref)
        {
            _byRef.TryRemove((before.Program, before.Ref), out _);
        }

        _partners[(partner.Program, partner.Id)] = partner;
        _byRef[(partner.Program, partner.Ref)] = partner;
    }

    /// <summary>Makes room, so that filling does not copy again and again. Only before anything is put in, and before anyone looks.</summary>
    public void Reserve(int links)
    {
        _links = new(LoadLocks, links + (links / 8) + 1_024, StringComparer.Ordinal);
        _bySpan = _links.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>One writer at a time for each slug: the tail, or whoever fills the catalogue before it starts.</summary>
    public void Put(Link link)
    {
        var lived = _links.TryGetValue(link.Slug, out var before) && !before.Retired;
        _links[link.Slug] = link;
        Interlocked.Add(ref _linkCount, (link.Retired ? 0 : 1) - (lived ? 1 : 0));
    }

    public void Put(ProgramSettings program)
    {
        if (_programs.TryGetValue(program.Id, out var before))
        {
            // Another program may have taken over what this one gave up.
            foreach (var origin in before.Origins.Except(program.Origins, StringComparer.Ordinal))
            {
                _byOrigin.TryRemove(new(origin, before));
            }

            foreach (var host in before.LinkHosts.Except(program.LinkHosts, StringComparer.Ordinal))
            {
                _byLinkHost.TryRemove(new(host, before));
            }
        }

        _programs[program.Id] = program;
        foreach (var origin in program.Origins)
        {
            _byOrigin[origin] = program;
        }

        foreach (var host in program.LinkHosts)
        {
            _byLinkHost[host] = program;
        }

        _linkHosts = _byLinkHost.Count;
    }

    /// <summary>What the entries become by an event; null where it changes none.</summary>
    public object? Changed(IEvent @event) => @event switch
    {
        PartnerEnrolled e => new Partner(e.ProgramId, e.PartnerId, e.Ref),
        LinkPublished e when Destination.Parse(e.Destination) is { } destination => new Link(
            e.Slug,
            FindPartner(e.ProgramId, e.PartnerId) ?? new Partner(e.ProgramId, e.PartnerId, ""),
            destination,
            CampaignOf(e),
            e.ExpiresAt,
            e.Fallback is null ? null : Destination.Parse(e.Fallback)?.Address,
            Retired: false),
        LinkRetired e when _links.TryGetValue(e.Slug, out var link) => link with { Retired = true },
        ProgramConfigured e => Settings(e),

        // A suspended partner's links still lead on; whether its clicks count is judged later, by rules.
        _ => null,
    };

    /// <summary>The settings of a program as the edge uses them.</summary>
    public static ProgramSettings Settings(ProgramConfigured e) => new(
        e.ProgramId,
        e.LinkHosts,
        e.Origins,
        e.DeepLinkHosts,
        e.PartnerParameters,
        e.Fallback is null ? null : Destination.Parse(e.Fallback)?.Address);

    private static Campaign? CampaignOf(LinkPublished e) =>
        e.Utm is { } utm ? utm with { Name = e.Campaign } : e.Campaign is { } name ? new Campaign { Name = name } : null;
}
