using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Credits;

/// <summary><c>GET /v1/credits</c>: who has how much, under the active rules or in another generation.</summary>
internal static class ReadCredits
{
    /// <param name="Generation">The generation that was summed.</param>
    /// <param name="RulesVersion">Its rules.</param>
    /// <param name="Rows">One a group, by the group's name; each has the group under the name that was asked for.</param>
    /// <param name="Unattributed">Conversions that nobody is credited for.</param>
    public sealed record Credits(int Generation, int RulesVersion, IReadOnlyList<JsonObject> Rows, Unattributed Unattributed);

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/credits", HandleAsync).RequireScope(Scope.Read).WithTags("Credits")
            .WithSummary("Credit by partner, campaign, link or day: shares, amount and commission a currency");

    private static async Task<Results<Ok<Credits>, ProblemHttpResult>> HandleAsync(
        [FromKeyedServices(AttributionService.Schema)] EventLog log,
        Generations generations,
        CancellationToken cancellationToken,
        string groupBy = "partner",
        int? generation = null,
        string? from = null,
        string? to = null)
    {
        var faults = new List<FieldFault>();
        if (!Groups.KeyColumns.ContainsKey(groupBy))
        {
            faults.Add(new FieldFault("groupBy", $"is '{groupBy}'; it must be one of {string.Join(", ", Groups.KeyColumns.Keys)}"));
        }

        var (start, end) = QueryRange.Read(from, to, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        // One snapshot: groups and the rest add up to the same conversions.
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var asked = generation is { } number
            ? await generations.FindAsync(connection, number, cancellationToken)
            : await generations.ActiveAsync(connection, cancellationToken);
        if (asked is null || asked.State == Generation.Discarded)
        {
            return Problem.NotFound("generation", $"'{generation?.ToString() ?? "active"}' is not a generation");
        }

        var filter = new CreditFilter(asked.Number, start, end);
        var groups = await Groups.ReadAsync(connection, log.Schema, filter, groupBy, cancellationToken);
        return TypedResults.Ok(new Credits(
            asked.Number,
            asked.RulesVersion,
            groups.Select(group => Row(group, groupBy)).ToArray(),
            await Groups.ReadUnattributedAsync(connection, log.Schema, filter, cancellationToken)));
    }

    private static JsonObject Row(Group group, string groupBy) => new()
    {
        [groupBy] = group.Key,
        ["conversions"] = group.Conversions,
        ["shares"] = Groups.Plain(group.Shares),
        ["amounts"] = new JsonArray(group.Amounts.Select(a => (JsonNode)new JsonObject
        {
            ["currency"] = a.Currency,
            ["amount"] = a.Amount,
            ["commission"] = a.Commission,
        }).ToArray()),
    };
}
