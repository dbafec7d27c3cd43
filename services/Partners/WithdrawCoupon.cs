using System.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary><c>DELETE /v1/coupons/{code}</c>: nobody holds it from now on. Orders of before keep the partner that held it.</summary>
internal static class WithdrawCoupon
{
    public abstract record Outcome : Decision;

    /// <summary>One for the assignment that holds, and for each that was to come.</summary>
    public sealed record Withdrawn(IReadOnlyList<CouponWithdrawn> Withdrawals) : Outcome
    {
        public override IReadOnlyList<IEvent> Events => Withdrawals;
    }

    public sealed record AlreadyWithdrawn : Outcome;

    public sealed record NoSuchCoupon : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapDelete("/v1/coupons/{code}", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .WithName("WithdrawCoupon").WithTags("Coupons").WithSummary("Takes a coupon code from whoever holds it or was to hold it");

    public static Outcome Decide(Coupon? coupon, string program, DateTimeOffset now)
    {
        if (coupon is null)
        {
            return new NoSuchCoupon();
        }

        var open = coupon.Assignments.Where(a => a.WithdrawnAt is null && a.End > now).ToArray();
        return open.Length == 0
            ? new AlreadyWithdrawn()
            : new Withdrawn([.. open.Select(a => new CouponWithdrawn
            {
                EventId = Ids.Derive("coupon-withdrawn", a.Id.ToString("N")),
                ProgramId = program,
                OccurredAt = now,
                PartnerId = a.PartnerId,
                Code = coupon.Code,
                AssignmentId = a.Id,
            })]);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        string code, PartnerLog partners, CouponLog coupons, TimeProvider time, CancellationToken cancellationToken)
    {
        var (_, decision) = await coupons.ChangeAsync(code, before => Decide(before, partners.Program, time.GetUtcNow()), cancellationToken);
        return decision switch
        {
            Withdrawn or AlreadyWithdrawn => TypedResults.NoContent(),
            NoSuchCoupon => Problem.NotFound("code", $"'{code}' was never assigned to a partner"),
            TooBusy => CouponBody.TooBusy(code),
            var other => throw new UnreachableException(other.ToString()),
        };
    }
}
