using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A link to publish.</summary>
internal sealed record PublishLinkAsk : LinkTermsAsk
{
    /// <summary>A short readable one is made where absent.</summary>
    public string? Slug { get; init; }
}

/// <summary><c>POST /v1/partners/{id}/links</c>: publishes a link, new or retired before.</summary>
internal static class PublishLink
{
    private const int RandomSlugLength = 7;

    public sealed record Asked(string? Slug, LinkTerms Terms);

    public abstract record Outcome : Decision;

    public sealed record Published(LinkPublished Link) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Link];

        public override IReadOnlyList<Claim> Claims => Names.ClaimsOf(Link.Slug);
    }

    public sealed record AlreadyPublished(Link Link) : Outcome;

    public sealed record PublishedDifferently(IReadOnlyList<FieldFault> Differences) : Outcome;

    public sealed record NoSuchPartner : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/partners/{id}/links", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<PublishLinkAsk>("""{"slug":"acme-shoes","destination":"https://shop.example/shoes","campaign":"spring2026","utm":{"source":"blog"}}""")
            .WithName("PublishLink").WithTags("Partners").WithSummary("Publishes a link of a partner");

    public static Asked? Read(PublishLinkAsk ask, Checks checks)
    {
        var slug = string.IsNullOrEmpty(ask.Slug) ? null : Names.Slug(checks, "slug", ask.Slug);
        var terms = LinkTerms.Read(ask, checks);
        return checks.Passed ? new Asked(slug, terms) : null;
    }

    public static Outcome Decide(Partner? partner, LinkTerms asked, string slug, string program, DateTimeOffset now, Guid eventId)
    {
        if (partner is null)
        {
            return new NoSuchPartner();
        }

        if (partner.FindLink(slug) is { Retired: false } live)
        {
            FieldFault[] differences = [.. live.Terms.Differences(asked)];
            return differences.Length == 0
                ? new AlreadyPublished(live)
                : new PublishedDifferently([.. differences, new FieldFault("slug", $"'{slug}' is live; PUT /v1/partners/{partner.Id}/links/{slug} moves it")]);
        }

        return new Published(asked.Publish(slug, partner.Id, program, now, eventId));
    }

    private static async Task<Results<Created<LinkBody>, Ok<LinkBody>, ProblemHttpResult>> HandleAsync(
        string id, HttpRequest request, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
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

        var slug = asked.Slug ?? Names.Random(RandomSlugLength);
        var (_, decision) = await log.ChangeAsync(
            id,
            partner => Decide(partner, asked.Terms, slug, log.Program, time.GetUtcNow(), Guid.CreateVersion7(time.GetUtcNow())),
            cancellationToken,
            otherName: _ =>
            {
                slug = asked.Slug ?? Names.Random(RandomSlugLength);
                return asked.Slug is null;
            });
        var links = await programs.LinksAsync(cancellationToken);
        return decision switch
        {
            Published p => TypedResults.Created($"/v1/partners/{id}/links/{slug}", links.Show(Link.Of(p.Link))),
            AlreadyPublished p => TypedResults.Ok(links.Show(p.Link)),
            PublishedDifferently p => Problem.Conflict(p.Differences),
            NameTaken t => Problem.Conflict(new FieldFault("slug", Names.TakenReason(t.Claim, slug))),
            NoSuchPartner => PartnerProblem.Unknown(id),
            TooBusy => PartnerProblem.TooBusy(id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
