using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A coupon code for a partner.</summary>
internal sealed record AssignCouponAsk
{
    public string? Code { get; init; }
    public string? Partner { get; init; }

    /// <summary>Now where absent; may lie before, and ahead.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>For ever where absent.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <summary>
/// <c>POST /v1/coupons</c>: from then on orders that carry the code are the partner's where the rules say so. At any time one
/// partner at most holds a code.
/// </summary>
internal static class AssignCoupon
{
    public const int MaxCode = 64;

    /// <summary>Assignments that one code may have in all its time.</summary>
    public const int MaxAssignments = 1_000;

    private static readonly TimeSpan s_farthest = TimeSpan.FromDays(3_660);

    public sealed record Asked(string Code, string PartnerId, DateTimeOffset From, bool FromGiven, DateTimeOffset? Until);

    public abstract record Outcome : Decision;

    public sealed record Assigned(CouponAssigned Event) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => [Event];
    }

    public sealed record AlreadyAssigned : Outcome;

    /// <summary>The partner holds it in part of that time, and otherwise than asked.</summary>
    public sealed record AssignedDifferently(IReadOnlyList<FieldFault> Differences) : Outcome;

    public sealed record HeldByAnother(CouponAssignment Assignment) : Outcome;

    public sealed record TooManyAssignments : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/coupons", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<AssignCouponAsk>("""{"code":"SPRING10","partner":"acme","until":"2027-01-01T00:00:00Z"}""")
            .WithName("AssignCoupon").WithTags("Coupons").WithSummary("Gives a coupon code to a partner, for a time or for ever");

    public static Asked? Read(AssignCouponAsk ask, Checks checks, DateTimeOffset now)
    {
        var code = CouponCode.Of(checks.Required("code", ask.Code, MaxCode));
        if (code.Contains('/', StringComparison.Ordinal))
        {
            checks.Add("code", "must not contain '/'");
        }

        var partner = Names.Id(checks, "partner", ask.Partner);
        var from = (ask.From ?? now).ToUniversalTime();
        if (from < Checks.Earliest || from > now + s_farthest)
        {
            checks.Add("from", $"must lie between {Checks.Earliest:O} and {now + s_farthest:O}");
        }

        var until = ask.Until?.ToUniversalTime();
        if (until <= from)
        {
            checks.Add("until", $"is not after from, which is {from:O}");
        }

        return checks.Passed ? new Asked(code, partner, from, ask.From is not null, until) : null;
    }

    /// <param name="coupon">The code as it stands; null where it was never assigned.</param>
    /// <param name="asked">What was asked.</param>
    /// <param name="program">The program.</param>
    /// <param name="now">The time.</param>
    /// <param name="eventId">A fresh id.</param>
    public static Outcome Decide(Coupon? coupon, Asked asked, string program, DateTimeOffset now, Guid eventId)
    {
        var meanwhile = (coupon?.Assignments ?? []).Where(a => a.From < a.End && asked.From < a.End && a.From < (asked.Until ?? DateTimeOffset.MaxValue)).ToArray();
        if (meanwhile.FirstOrDefault(a => a.PartnerId != asked.PartnerId) is { } other)
        {
            return new HeldByAnother(other);
        }

        if (meanwhile is [var own, ..])
        {
            FieldFault[] differences =
            [
                .. asked.FromGiven ? Difference.Of("from", Show(own.From), Show(asked.From)) : [],
                .. Difference.Of("until", Show(own.Until), Show(asked.Until)),
            ];
            return differences.Length == 0 ? new AlreadyAssigned() : new AssignedDifferently(differences);
        }

        return coupon?.Assignments.Length >= MaxAssignments
            ? new TooManyAssignments()
            : new Assigned(new CouponAssigned
            {
                EventId = eventId,
                ProgramId = program,
                OccurredAt = now,
                PartnerId = asked.PartnerId,
                Code = asked.Code,
                From = asked.From,
                Until = asked.Until,
            });
    }

    private static string? Show(DateTimeOffset? time) => time?.ToString("O");

    private static async Task<Results<Created<CouponBody>, Ok<CouponBody>, ProblemHttpResult>> HandleAsync(
        HttpRequest request, PartnerLog partners, CouponLog coupons, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(PartnersJson.Default.AssignCouponAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var now = time.GetUtcNow();
        var checks = new Checks(time);
        if (Read(ask, checks, now) is not { } asked)
        {
            return Problem.Invalid(checks.Faults);
        }

        // Partners are never taken away, so this cannot become untrue before the append.
        if (await partners.LoadAsync(asked.PartnerId, cancellationToken) is (null, _))
        {
            return Problem.NotFound("partner", $"'{asked.PartnerId}' is no partner");
        }

        var (coupon, decision) = await coupons.ChangeAsync(
            asked.Code, before => Decide(before, asked, partners.Program, now, Guid.CreateVersion7(now)), cancellationToken);
        return decision switch
        {
            Assigned => TypedResults.Created($"/v1/coupons/{Uri.EscapeDataString(asked.Code)}", CouponBody.Of(coupon!, now)),
            AlreadyAssigned => TypedResults.Ok(CouponBody.Of(coupon!, now)),
            AssignedDifferently d => Problem.Conflict(d.Differences),
            HeldByAnother h => Problem.Conflict(new FieldFault(
                "code", $"'{asked.Code}' is held by '{h.Assignment.PartnerId}' from {h.Assignment.From:O}{(h.Assignment.End == DateTimeOffset.MaxValue ? "" : $" until {h.Assignment.End:O}")}")),
            TooManyAssignments => Problem.Conflict(new FieldFault("code", $"'{asked.Code}' was assigned {MaxAssignments} times; more are not allowed")),
            TooBusy => CouponBody.TooBusy(asked.Code),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
