using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>The group that a partner is to be in.</summary>
internal sealed record GroupPartnerAsk
{
    /// <summary>Lower-case letters, digits, '-' and '_'; null or absent: in none.</summary>
    public string? Group { get; init; }

    /// <summary>Since when; now where absent.</summary>
    public DateTimeOffset? OccurredAt { get; init; }
}

/// <summary>
/// <c>PUT /v1/partners/{id}/group</c>: from then on the partner is in that group and no other. Commissions can name it; a conversion
/// is paid by the group that its partner was in when it happened.
/// </summary>
internal static class GroupPartner
{
    public abstract record Outcome : Decision;

    public sealed record Grouped(PartnerGrouped Event) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Event];
    }

    public sealed record AlreadyGrouped : Outcome;

    public sealed record NoSuchPartner : Outcome;

    /// <summary>The partner was put into its group after that time: what it was in between would change with the order of requests.</summary>
    public sealed record TooEarly(DateTimeOffset GroupedAt) : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPut("/v1/partners/{id}/group", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<GroupPartnerAsk>("""{"group":"gold","occurredAt":"2026-11-01T00:00:00Z"}""")
            .WithName("GroupPartner").WithTags("Partners").WithSummary("Puts a partner into a group that commissions can name, or into none");

    /// <param name="partner">The partner as it stands.</param>
    /// <param name="group">Null: none.</param>
    /// <param name="occurredAt">Since when.</param>
    /// <param name="program">The program.</param>
    /// <param name="eventId">A fresh id.</param>
    public static Outcome Decide(Partner? partner, string? group, DateTimeOffset occurredAt, string program, Guid eventId) => partner switch
    {
        null => new NoSuchPartner(),
        { GroupedAt: { } since } when occurredAt < since => new TooEarly(since),
        _ when partner.Group == group => new AlreadyGrouped(),
        _ => new Grouped(new PartnerGrouped { EventId = eventId, ProgramId = program, OccurredAt = occurredAt, PartnerId = partner.Id, Group = group }),
    };

    private static async Task<Results<Ok<PartnerBody>, ProblemHttpResult>> HandleAsync(
        string id, HttpRequest request, PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(PartnersJson.Default.GroupPartnerAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        var occurredAt = checks.TimeOrNow("occurredAt", ask.OccurredAt).ToUniversalTime();
        var group = ask.Group is null ? null : Names.Id(checks, "group", ask.Group);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (partner, decision) = await log.ChangeAsync(
            id, before => Decide(before, group, occurredAt, log.Program, Guid.CreateVersion7(time.GetUtcNow())), cancellationToken);
        var links = await programs.LinksAsync(cancellationToken);
        return decision switch
        {
            Grouped or AlreadyGrouped => TypedResults.Ok(links.Show(partner!)),
            NoSuchPartner => PartnerProblem.Unknown(id),
            TooEarly e => Problem.Invalid(new FieldFault("occurredAt", $"is before the partner came into its group at {e.GroupedAt:O}")),
            TooBusy => PartnerProblem.TooBusy(id),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
