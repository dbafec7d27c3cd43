using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>
/// <c>PUT /v1/partners/{id}/links/{slug}</c>: changes a live link from now on; its old clicks keep the destination that they had. The
/// whole link is given; an absent campaign is none.
/// </summary>
internal static class MoveLink
{
    public abstract record Outcome : Decision;

    public sealed record Moved(LinkPublished Link) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Link];
    }

    public sealed record AlreadyThere(Link Link) : Outcome;

    public sealed record NoSuchPartner : Outcome;

    /// <summary>The partner has no live link of this slug.</summary>
    public sealed record NoSuchLink : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPut("/v1/partners/{id}/links/{slug}", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<LinkTermsAsk>("""{"destination":"https://shop.example/boots"}""")
            .WithName("MoveLink").WithTags("Partners").WithSummary("Changes a live link: destination, campaign, utm, expiry, fallback");

    public static Outcome Decide(Partner? partner, string slug, LinkTerms asked, string program, DateTimeOffset now, Guid eventId)
    {
        if (partner is null)
        {
            return new NoSuchPartner();
        }

        if (partner.FindLink(slug) is not { Retired: false } live)
        {
            return new NoSuchLink();
        }

        return live.Terms == asked ? new AlreadyThere(live) : new Moved(asked.Publish(slug, partner.Id, program, now, eventId));
    }

    private static async Task<Results<Ok<LinkBody>, ProblemHttpResult>> HandleAsync(
        string id, string slug, HttpRequest request, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(PartnersJson.Default.LinkTermsAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        var asked = LinkTerms.Read(ask, checks);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (_, decision) = await log.ChangeAsync(
            id, partner => Decide(partner, slug, asked, log.Program, time.GetUtcNow(), Guid.CreateVersion7(time.GetUtcNow())), cancellationToken);
        var links = await programs.LinksAsync(cancellationToken);
        return decision switch
        {
            Moved m => TypedResults.Ok(links.Show(Link.Of(m.Link))),
            AlreadyThere a => TypedResults.Ok(links.Show(a.Link)),
            NoSuchPartner => PartnerProblem.Unknown(id),
            NoSuchLink => PartnerProblem.UnknownLink(id, slug),
            TooBusy => PartnerProblem.TooBusy(id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
