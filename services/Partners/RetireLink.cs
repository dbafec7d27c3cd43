using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Partners;

/// <summary><c>DELETE /v1/partners/{id}/links/{slug}</c>: the link leads nowhere any more; its old clicks stay what they were.</summary>
internal static class RetireLink
{
    public abstract record Outcome;

    public sealed record Retired(LinkRetired Link) : Outcome;

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
        for (var attempt = 0; attempt < PartnerLog.MaxTries; attempt++)
        {
            var now = time.GetUtcNow();
            var (partner, version) = await log.LoadAsync(id, cancellationToken);
            switch (Decide(partner, slug, log.Program, now, Guid.CreateVersion7(now)))
            {
                case Retired r:
                    if (await log.SaveAsync(id, version, [r.Link], [], cancellationToken) is SaveOutcome.Saved)
                    {
                        return TypedResults.NoContent();
                    }

                    break;
                case AlreadyRetired:
                    return TypedResults.NoContent();
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
