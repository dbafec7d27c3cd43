using System.Text.Json.Serialization;

namespace PartnerPulse.Partners;

/// <summary>A partner as the API shows it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Status"><c>active</c> or <c>suspended</c>.</param>
/// <param name="Ref">The code of its landing links: <c>?ref=</c>.</param>
/// <param name="Links">Its live links.</param>
internal sealed record PartnerBody(string Id, string Name, string Status, string Ref, IReadOnlyList<LinkBody> Links);

/// <summary>A live link as the API shows it.</summary>
internal sealed record LinkBody(
    string Slug,
    string Url,
    string Destination,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Campaign);

/// <summary>Writes links with the address that the public sees.</summary>
internal sealed class Links(string publicUrl)
{
    private readonly string _base = publicUrl.TrimEnd('/') + "/r/";

    public LinkBody Show(Link link) => new(link.Slug, _base + link.Slug, link.Destination, link.Campaign);

    public PartnerBody Show(Partner partner) => new(
        partner.Id,
        partner.Name,
        partner.Suspended ? "suspended" : "active",
        partner.Ref,
        partner.Links.Where(link => !link.Retired).Select(Show).ToArray());
}
