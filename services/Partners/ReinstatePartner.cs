using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Partners;

/// <summary><c>DELETE /v1/partners/{id}/suspension</c>: from now the partner takes part again.</summary>
internal static class ReinstatePartner
{
    public abstract record Outcome : Decision;

    public sealed record Reinstated(PartnerReinstated Event) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Event];
    }

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
        string id, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
    {
        var (partner, decision) = await log.ChangeAsync(
            id, before => Decide(before, time.GetUtcNow(), log.Program, Guid.CreateVersion7(time.GetUtcNow())), cancellationToken);
        var links = await programs.LinksAsync(cancellationToken);
        return decision switch
        {
            Reinstated or NotSuspended => TypedResults.Ok(links.Show(partner!)),
            NoSuchPartner => PartnerProblem.Unknown(id),
            TooBusy => PartnerProblem.TooBusy(id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
