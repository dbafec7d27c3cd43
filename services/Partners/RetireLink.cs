using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Partners;

/// <summary><c>DELETE /v1/partners/{id}/links/{slug}</c>: the link leads to its fallback; its old clicks stay what they were.</summary>
internal static class RetireLink
{
    public abstract record Outcome : Decision;

    public sealed record Retired(LinkRetired Link) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Link];
    }

    public sealed record AlreadyRetired : Outcome;

    public sealed record NoSuchPartner : Outcome;

    public sealed record NoSuchLink : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapDelete("/v1/partners/{id}/links/{slug}", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .WithName("RetireLink").WithTags("Partners").WithSummary("Retires a link");

    public static Outcome Decide(Partner? partner, string slug, string program, DateTimeOffset now, Guid eventId) => partner switch
    {
        null => new NoSuchPartner(),
        _ => partner.FindLink(slug) switch
        {
            null => new NoSuchLink(),
            { Retired: true } => new AlreadyRetired(),
            _ => new Retired(new LinkRetired { EventId = eventId, ProgramId = program, OccurredAt = now, PartnerId = partner.Id, Slug = slug }),
        },
    };

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        string id, string slug, PartnerLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        var (_, decision) = await log.ChangeAsync(
            id, partner => Decide(partner, slug, log.Program, time.GetUtcNow(), Guid.CreateVersion7(time.GetUtcNow())), cancellationToken);
        return decision switch
        {
            Retired or AlreadyRetired => TypedResults.NoContent(),
            NoSuchPartner => PartnerProblem.Unknown(id),
            NoSuchLink => PartnerProblem.UnknownLink(id, slug),
            TooBusy => PartnerProblem.TooBusy(id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
