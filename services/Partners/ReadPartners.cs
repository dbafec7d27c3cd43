using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A page of partners in the order of their enrolment.</summary>
/// <param name="Partners">The partners.</param>
/// <param name="Next">What to send as <c>after</c> for the next page; absent on the last.</param>
internal sealed record PartnersPage(
    IReadOnlyList<PartnerBody> Partners,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next);

/// <summary><c>GET /v1/partners</c> and <c>GET /v1/partners/{id}</c>.</summary>
internal static class ReadPartners
{
    private const int DefaultLimit = 100;
    private const int MaxLimit = 1_000;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/partners", ListAsync)
            .RequireScope(Scope.Read)
            .WithName("ListPartners").WithTags("Partners").WithSummary("Partners in the order of their enrolment, by ?after= and ?limit=");
        routes.MapGet("/v1/partners/{id}", OneAsync)
            .RequireScope(Scope.Read)
            .WithName("ReadPartner").WithTags("Partners").WithSummary("One partner with its live links");
    }

    private static async Task<Results<Ok<PartnersPage>, ProblemHttpResult>> ListAsync(
        PartnerLog log, ProgramLog programs, TimeProvider time, CancellationToken cancellationToken, string? after = null, string? limit = null)
    {
        var checks = new Checks(time);
        var page = Cursor.Read(checks, after, limit, DefaultLimit, MaxLimit);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (partners, next) = await log.ListAsync(page.After, page.Limit, cancellationToken);
        var links = await programs.LinksAsync(cancellationToken);
        return TypedResults.Ok(new PartnersPage(partners.Select(links.Show).ToArray(), next?.ToString()));
    }

    private static async Task<Results<Ok<PartnerBody>, ProblemHttpResult>> OneAsync(
        string id, PartnerLog log, ProgramLog programs, CancellationToken cancellationToken)
    {
        var (partner, _) = await log.LoadAsync(id, cancellationToken);
        return partner is null ? PartnerProblem.Unknown(id) : TypedResults.Ok((await programs.LinksAsync(cancellationToken)).Show(partner));
    }
}

/// <summary>Where a page begins and how much it holds.</summary>
internal sealed record Cursor(long After, int Limit)
{
    // Read by hand: the framework answers a bad number with an empty 400 that names no field.
    public static Cursor Read(Checks checks, string? after, string? limit, int defaultLimit, int maxLimit)
    {
        long position = 0;
        if (after is not null && (!long.TryParse(after, out position) || position < 0))
        {
            checks.Add("after", "must be a position: 0 or the one that the last page gave");
        }

        var size = defaultLimit;
        if (limit is not null && (!int.TryParse(limit, out size) || size < 1 || size > maxLimit))
        {
            checks.Add("limit", $"must be 1 to {maxLimit}");
        }

        return new Cursor(position, size);
    }
}
