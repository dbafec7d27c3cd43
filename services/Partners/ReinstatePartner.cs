using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Partners;

/// <summary><c>DELETE /v1/partners/{id}/suspension</c>: from now the partner takes part again.</summary>
internal static class ReinstatePartner
{
    public abstract record Outcome;

    public sealed record Reinstated(PartnerReinstated Event) : Outcome;

    public sealed record NotSuspended : Outcome;

    public sealed record NoSuchPartner : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapDelete("/v1/partners/{id}/suspension", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .WithName("ReinstatePartner").WithTags("Partners").WithSummary("Ends a partner's suspension");

    public static Outcome Decide(Partner? partner, DateTimeOffset now, string program, Guid eventId) => partner switch
    {
        null => new NoSuchPartner(),
        { SuspendedAt: { } since } => new Reinstated(new PartnerReinstated
        {
            EventId = eventId,
            ProgramId = program,
            // The suspension may bear the time of a clock that is ahead; it does not end before it began.
            OccurredAt = now > since ? now : since,
            PartnerId = partner.Id,
        }),
        _ => new NotSuspended(),
    };

    private static async Task<Results<Ok<PartnerBody>, ProblemHttpResult>> HandleAsync(
        string id, PartnerLog log, Links links, TimeProvider time, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < PartnerLog.MaxTries; attempt++)
        {
            var now = time.GetUtcNow();
            var (partner, version) = await log.LoadAsync(id, cancellationToken);
            switch (Decide(partner, now, log.Program, Guid.CreateVersion7(now)))
            {
                case Reinstated r:
                    if (await log.SaveAsync(id, version, [r.Event], [], cancellationToken) is SaveOutcome.Saved)
                    {
                        return TypedResults.Ok(links.Show(Partner.Evolve(partner, r.Event)));
                    }

                    break;
                case NotSuspended:
                    return TypedResults.Ok(links.Show(partner!));
                case NoSuchPartner:
                    return PartnerProblem.Unknown(id);
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return PartnerProblem.TooBusy(id);
    }
}
