using System.Text.Json.Serialization;
using PartnerPulse.Hosting;

namespace PartnerPulse.Partners;

/// <summary>A partner as the API shows it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Status"><c>active</c> or <c>suspended</c>.</param>
/// <param name="Ref">The code of its landing links: <c>?ref=</c>.</param>
/// <param name="Links">Its live links.</param>
/// <param name="Group">The group it is in, which commissions may name.</param>
internal sealed record PartnerBody(
    string Id,
    string Name,
    string Status,
    string Ref,
    IReadOnlyList<LinkBody> Links,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Group = null);

/// <summary>A live link as the API shows it.</summary>
/// <param name="Slug">Its slug.</param>
/// <param name="Url">Its address on the program's first link host.</param>
/// <param name="Urls">Its addresses on all of the program's link hosts.</param>
/// <param name="Destination">Where it leads.</param>
/// <param name="Campaign">Campaign name of clicks that bring none.</param>
/// <param name="Utm">The other utm parameters of clicks that do not bring them.</param>
/// <param name="ExpiresAt">From then on it leads to its fallback.</param>
/// <param name="Fallback">Where it leads then.</param>
internal sealed record LinkBody(
    string Slug,
    string Url,
    IReadOnlyList<string> Urls,
    string Destination,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Campaign,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] UtmBody? Utm,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? ExpiresAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Fallback);

internal sealed record UtmBody(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Source,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Medium,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Term,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Content);

/// <summary>Writes links with the addresses that the public sees.</summary>
internal sealed class Links
{
    private readonly string[] _bases;

    /// <param name="publicUrl">Where the edge is seen from outside; used where the program has no link host of its own.</param>
    /// <param name="linkHosts">The program's link hosts, the preferred one first.</param>
    public Links(string publicUrl, IReadOnlyList<string> linkHosts)
    {
        // A link host that is the public address's own is written as that: it may have a port, and on a laptop it has no TLS.
        var own = new Uri(publicUrl);
        var asConfigured = publicUrl.TrimEnd('/');
        _bases = linkHosts.Count == 0
            ? [asConfigured + "/r/"]
            : [.. linkHosts.Select(host => (host == own.AsciiHost() ? asConfigured : $"https://{host}") + "/r/")];
    }

    public string Url(string slug) => _bases[0] + slug;

    public LinkBody Show(Link link) => new(
        link.Slug,
        Url(link.Slug),
        [.. _bases.Select(address => address + link.Slug)],
        link.Terms.Destination,
        link.Terms.Campaign,
        link.Terms.Utm is { } utm ? new UtmBody(utm.Source, utm.Medium, utm.Term, utm.Content) : null,
        link.Terms.ExpiresAt,
        link.Terms.Fallback);

    public PartnerBody Show(Partner partner) => new(
        partner.Id,
        partner.Name,
        partner.Suspended ? "suspended" : "active",
        partner.Ref,
        partner.Links.Where(link => !link.Retired).Select(Show).ToArray(),
        partner.Group);
}
