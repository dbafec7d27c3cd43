using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A suspension. The body may be absent.</summary>
internal sealed record SuspendPartnerAsk
{
    /// <summary>Since when; now where absent.</summary>
    public DateTimeOffset? OccurredAt { get; init; }
}

/// <summary><c>POST /v1/partners/{id}/suspension</c>: from then the partner takes no part. Its links still redirect.</summary>
internal static class SuspendPartner
{
    public abstract record Outcome : Decision;

    public sealed record Suspended(PartnerSuspended Event) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Event];
    }

    public sealed record AlreadySuspended : Outcome;

    public sealed record NoSuchPartner : Outcome;

    /// <summary>The partner was reinstated after that time: two suspensions would overlap.</summary>
    public sealed record TooEarly(DateTimeOffset ReinstatedAt) : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/partners/{id}/suspension", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<SuspendPartnerAsk>("""{"occurredAt":"2026-11-01T00:00:00Z"}""", isOptional: true)
            .WithName("SuspendPartner").WithTags("Partners").WithSummary("Suspends a partner");

    /// <param name="partner">The partner as it stands.</param>
    /// <param name="occurredAt">Since when.</param>
    /// <param name="program">The program.</param>
    /// <param name="eventId">A fresh id.</param>
    public static Outcome Decide(Partner? partner, DateTimeOffset occurredAt, string program, Guid eventId) => partner switch
    {
        null => new NoSuchPartner(),
        { Suspended: true } => new AlreadySuspended(),
        { ReinstatedAt: { } since } when occurredAt < since => new TooEarly(since),
        _ => new Suspended(new PartnerSuspended { EventId = eventId, ProgramId = program, OccurredAt = occurredAt, PartnerId = partner.Id }),
    };

    private static async Task<Results<Ok<PartnerBody>, ProblemHttpResult>> HandleAsync(
        string id, HttpRequest request, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
    {
        var ask = new SuspendPartnerAsk();
        if (request.ContentLength is > 0 || (request.ContentLength is null && request.Headers.TransferEncoding.Count > 0))
        {
            var (read, fault) = await request.ReadJsonAsync(PartnersJson.Default.SuspendPartnerAsk, cancellationToken);
            if (read is null)
            {
                return Problem.Invalid(fault!);
            }

            ask = read;
        }

        var checks = new Checks(time);
        var occurredAt = checks.TimeOrNow("occurredAt", ask.OccurredAt);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (partner, decision) = await log.ChangeAsync(
            id, before => Decide(before, occurredAt, log.Program, Guid.CreateVersion7(time.GetUtcNow())), cancellationToken);
        var links = await programs.LinksAsync(cancellationToken);
        return decision switch
        {
            Suspended or AlreadySuspended => TypedResults.Ok(links.Show(partner!)),
            NoSuchPartner => PartnerProblem.Unknown(id),
            TooEarly e => Problem.Invalid(new FieldFault("occurredAt", $"is before the partner was reinstated at {e.ReinstatedAt:O}")),
            TooBusy => PartnerProblem.TooBusy(id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
