using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A link to publish.</summary>
internal sealed record PublishLinkAsk
{
    /// <summary>A short readable one is made where absent.</summary>
    public string? Slug { get; init; }
    public string? Destination { get; init; }
    public string? Campaign { get; init; }
}

/// <summary><c>POST /v1/partners/{id}/links</c>: publishes a link, new or retired before.</summary>
internal static class PublishLink
{
    private const int RandomSlugLength = 7;

    public sealed record Asked(string? Slug, string Destination, string? Campaign);

    public abstract record Outcome;

    public sealed record Published(LinkPublished Link) : Outcome;

    public sealed record AlreadyPublished(Link Link) : Outcome;

    public sealed record PublishedDifferently(IReadOnlyList<FieldFault> Differences) : Outcome;

    public sealed record NoSuchPartner : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/partners/{id}/links", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<PublishLinkAsk>()
            .WithName("PublishLink").WithTags("Partners").WithSummary("Publishes a link of a partner");

    public static Asked? Read(PublishLinkAsk ask, Checks checks)
    {
        var slug = string.IsNullOrEmpty(ask.Slug) ? null : Names.Slug(checks, "slug", ask.Slug);
        var destination = checks.RequiredAddress("destination", ask.Destination);
        var campaign = checks.Optional("campaign", ask.Campaign, Names.MaxCampaign);
        return checks.Passed ? new Asked(slug, destination, campaign) : null;
    }

    public static Outcome Decide(Partner? partner, Asked asked, string slug, string program, DateTimeOffset now, Guid eventId)
    {
        if (partner is null)
        {
            return new NoSuchPartner();
        }

        if (partner.FindLink(slug) is { Retired: false } live)
        {
            FieldFault[] differences =
            [
                .. Difference.Of("destination", live.Destination, asked.Destination),
                .. Difference.Of("campaign", live.Campaign, asked.Campaign),
            ];
            return differences.Length == 0 ? new AlreadyPublished(live) : new PublishedDifferently(differences);
        }

        return new Published(new LinkPublished
        {
            EventId = eventId,
            ProgramId = program,
            OccurredAt = now,
            PartnerId = partner.Id,
            Slug = slug,
            Destination = asked.Destination,
            Campaign = asked.Campaign,
        });
    }

    private static async Task<Results<Created<LinkBody>, Ok<LinkBody>, ProblemHttpResult>> HandleAsync(
        string id, HttpRequest request, PartnerLog log, Links links, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(PartnersJson.Default.PublishLinkAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        if (Read(ask, checks) is not { } asked)
        {
            return Problem.Invalid(checks.Faults);
        }

        for (var attempt = 0; attempt < PartnerLog.MaxTries; attempt++)
        {
            var now = time.GetUtcNow();
            var slug = asked.Slug ?? Names.Random(RandomSlugLength);
            var (partner, version) = await log.LoadAsync(id, cancellationToken);
            switch (Decide(partner, asked, slug, log.Program, now, Guid.CreateVersion7(now)))
            {
                case Published p:
                    switch (await log.SaveAsync(id, version, [p.Link], [new Claim("slug", slug)], cancellationToken))
                    {
                        case SaveOutcome.Saved:
                            return TypedResults.Created(
                                $"/v1/partners/{id}/links/{slug}", links.Show(new Link(slug, asked.Destination, asked.Campaign, Retired: false)));
                        case SaveOutcome.Taken when asked.Slug is not null:
                            return Problem.Conflict(new FieldFault("slug", $"'{slug}' is another partner's"));
                        case SaveOutcome.Taken or SaveOutcome.Stale:
                            break;
                        case var other:
                            throw new UnreachableException(other.ToString());
                    }

                    break;
                case AlreadyPublished p:
                    return TypedResults.Ok(links.Show(p.Link));
                case PublishedDifferently p:
                    return Problem.Conflict([.. p.Differences, new FieldFault("slug", $"'{slug}' is live; PUT /v1/partners/{id}/links/{slug} moves it")]);
                case NoSuchPartner:
                    return PartnerProblem.Unknown(id);
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return PartnerProblem.TooBusy(id);
    }
}
