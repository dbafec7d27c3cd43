using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>What a request says of a link besides its slug.</summary>
internal record LinkTermsAsk
{
    public string? Destination { get; init; }
    public string? Campaign { get; init; }
    public UtmAsk? Utm { get; init; }

    /// <summary>From then on the link leads to its fallback. It may lie in the past: the link ends at once.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
    public string? Fallback { get; init; }
}

/// <summary>utm parameters of clicks that do not bring them. The campaign's name has a field of its own.</summary>
internal sealed record UtmAsk
{
    public string? Source { get; init; }
    public string? Medium { get; init; }
    public string? Term { get; init; }
    public string? Content { get; init; }
}

/// <summary>What a link says besides its slug. Two links that say the same are the same link to whoever asks twice.</summary>
/// <param name="Destination">Absolute http or https address.</param>
/// <param name="Campaign">Campaign name of clicks that bring none.</param>
/// <param name="Utm">The other utm parameters of clicks that do not bring them; null where there is none.</param>
/// <param name="ExpiresAt">In UTC; never where null.</param>
/// <param name="Fallback">Where it leads once it is expired or retired; the program's fallback where null.</param>
internal sealed record LinkTerms(
    string Destination, string? Campaign = null, Campaign? Utm = null, DateTimeOffset? ExpiresAt = null, string? Fallback = null)
{
    private static readonly Campaign s_nothing = new();

    public static LinkTerms Of(LinkPublished e) => new(e.Destination, e.Campaign, e.Utm, e.ExpiresAt, e.Fallback);

    /// <summary>The terms that were asked for. They mean something only where <paramref name="checks"/> passed.</summary>
    public static LinkTerms Read(LinkTermsAsk ask, Checks checks)
    {
        var destination = checks.RequiredAddress("destination", ask.Destination);
        var campaign = checks.Optional("campaign", ask.Campaign, Names.MaxCampaign);
        var utm = new Campaign
        {
            Source = checks.Optional("utm.source", ask.Utm?.Source, Names.MaxCampaign),
            Medium = checks.Optional("utm.medium", ask.Utm?.Medium, Names.MaxCampaign),
            Term = checks.Optional("utm.term", ask.Utm?.Term, Names.MaxCampaign),
            Content = checks.Optional("utm.content", ask.Utm?.Content, Names.MaxCampaign),
        };
        if (ask.ExpiresAt < Checks.Earliest)
        {
            checks.Add("expiresAt", $"is before {Checks.Earliest:O}");
        }

        var fallback = checks.Address("fallback", ask.Fallback, Names.MaxDestination);
        return new LinkTerms(destination, campaign, utm == s_nothing ? null : utm, ask.ExpiresAt?.ToUniversalTime(), fallback);
    }

    public LinkPublished Publish(string slug, string partnerId, string program, DateTimeOffset now, Guid eventId) => new()
    {
        EventId = eventId,
        ProgramId = program,
        OccurredAt = now,
        PartnerId = partnerId,
        Slug = slug,
        Destination = Destination,
        Campaign = Campaign,
        Utm = Utm,
        ExpiresAt = ExpiresAt,
        Fallback = Fallback,
    };

    /// <summary>What <paramref name="asked"/> says differently, by field.</summary>
    public IEnumerable<FieldFault> Differences(LinkTerms asked) =>
    [
        .. Difference.Of("destination", Destination, asked.Destination),
        .. Difference.Of("campaign", Campaign, asked.Campaign),
        .. Difference.Of("utm.source", Utm?.Source, asked.Utm?.Source),
        .. Difference.Of("utm.medium", Utm?.Medium, asked.Utm?.Medium),
        .. Difference.Of("utm.term", Utm?.Term, asked.Utm?.Term),
        .. Difference.Of("utm.content", Utm?.Content, asked.Utm?.Content),
        .. Difference.Of("expiresAt", ExpiresAt?.ToString("O"), asked.ExpiresAt?.ToString("O")),
        .. Difference.Of("fallback", Fallback, asked.Fallback),
    ];
}
