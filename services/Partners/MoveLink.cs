using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>Where a live link goes from now on.</summary>
internal sealed record MoveLinkAsk
{
    public string? Destination { get; init; }
    public string? Campaign { get; init; }
}

/// <summary><c>PUT /v1/partners/{id}/links/{slug}</c>: moves a live link. The whole link is given; an absent campaign is none.</summary>
internal static class MoveLink
{
    public sealed record Asked(string Destination, string? Campaign);

    public abstract record Outcome;

    public sealed record Moved(LinkPublished Link) : Outcome;

    public sealed record AlreadyThere(Link Link) : Outcome;

    public sealed record NoSuchPartner : Outcome;

    /// <summary>The partner has no live link of this slug.</summary>
    public sealed record NoSuchLink : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPut("/v1/partners/{id}/links/{slug}", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<MoveLinkAsk>()
            .WithName("MoveLink").WithTags("Partners").WithSummary("Moves a live link to another destination");

    public static Asked? Read(MoveLinkAsk ask, Checks checks)
    {
        var destination = checks.RequiredAddress("destination", ask.Destination);
        var campaign = checks.Optional("campaign", ask.Campaign, Names.MaxCampaign);
        return checks.Passed ? new Asked(destination, campaign) : null;
    }

    public static Outcome Decide(Partner? partner, string slug, Asked asked, string program, DateTimeOffset now, Guid eventId)
    {
        if (partner is null)
        {
            return new NoSuchPartner();
        }

        if (partner.FindLink(slug) is not { Retired: false } live)
        {
            return new NoSuchLink();
        }

        return live.Destination == asked.Destination && live.Campaign == asked.Campaign
            ? new AlreadyThere(live)
            : new Moved(new LinkPublished
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

    private static async Task<Results<Ok<LinkBody>, ProblemHttpResult>> HandleAsync(
        string id, string slug, HttpRequest request, PartnerLog log, Links links, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(PartnersJson.Default.MoveLinkAsk, cancellationToken);
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
            var (partner, version) = await log.LoadAsync(id, cancellationToken);
            switch (Decide(partner, slug, asked, log.Program, now, Guid.CreateVersion7(now)))
            {
                case Moved m:
                    if (await log.SaveAsync(id, version, [m.Link], [], cancellationToken) is SaveOutcome.Saved)
                    {
                        return TypedResults.Ok(links.Show(new Link(slug, asked.Destination, asked.Campaign, Retired: false)));
                    }

                    break;
                case AlreadyThere a:
                    return TypedResults.Ok(links.Show(a.Link));
                case NoSuchPartner:
                    return PartnerProblem.Unknown(id);
                case NoSuchLink:
                    return PartnerProblem.UnknownLink(id, slug);
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return PartnerProblem.TooBusy(id);
    }
}
