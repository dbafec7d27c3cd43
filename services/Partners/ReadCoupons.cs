using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A coupon as the API shows it.</summary>
/// <param name="Code">The code, trimmed and in upper case.</param>
/// <param name="Partner">Who holds it now; absent where nobody does.</param>
/// <param name="Assignments">Whoever held it, holds it or is to hold it, in the order in which it was assigned.</param>
internal sealed record CouponBody(
    string Code,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Partner,
    IReadOnlyList<CouponAssignmentBody> Assignments)
{
    public static CouponBody Of(Coupon coupon, DateTimeOffset now) => new(
        coupon.Code, coupon.HolderAt(now)?.PartnerId, coupon.Assignments.Select(a => new CouponAssignmentBody(a.PartnerId, a.From, a.Until, a.WithdrawnAt)).ToArray());

    public static ProblemHttpResult TooBusy(string code) => Problem.Of(
        StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("code", $"'{code}' was changed by others {PartnerLog.MaxTries} times meanwhile"));
}

internal sealed record CouponAssignmentBody(
    string Partner,
    DateTimeOffset From,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? Until,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? WithdrawnAt);

/// <param name="Coupons">The coupons.</param>
/// <param name="Next">What to send as <c>after</c> for the next page; absent on the last.</param>
internal sealed record CouponsPage(
    IReadOnlyList<CouponBody> Coupons,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next);

/// <summary><c>GET /v1/coupons</c>: who holds which code, and who held it.</summary>
internal static class ReadCoupons
{
    private const int DefaultLimit = 100;
    private const int MaxLimit = 1_000;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/coupons", HandleAsync)
            .RequireScope(Scope.Read)
            .WithName("ListCoupons").WithTags("Coupons").WithSummary("Coupons in the order of their first assignment, by ?after= and ?limit=");

    private static async Task<Results<Ok<CouponsPage>, ProblemHttpResult>> HandleAsync(
        CouponLog coupons, TimeProvider time, CancellationToken cancellationToken, string? after = null, string? limit = null)
    {
        var checks = new Checks(time);
        var page = Cursor.Read(checks, after, limit, DefaultLimit, MaxLimit);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (found, next) = await coupons.ListAsync(page.After, page.Limit, cancellationToken);
        return TypedResults.Ok(new CouponsPage(found.Select(c => CouponBody.Of(c, time.GetUtcNow())).ToArray(), next?.ToString()));
    }
}
