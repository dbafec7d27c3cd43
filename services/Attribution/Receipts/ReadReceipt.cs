using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Receipts;

/// <summary>
/// <c>GET /v1/receipts/{conversionId}</c> and <c>GET /v1/receipts?source=&amp;orderId=</c>: why this credit. With a partner's key:
/// why (not) me, rivals redacted; an operator sees the same with <c>?partner=</c>.
/// </summary>
internal sealed class ReadReceipt([FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations, IOptions<ProgramOptions> program)
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/receipts/{conversionId:guid}", (
                HttpContext http, ReadReceipt read, Guid conversionId, CancellationToken cancellationToken, int? generation = null, string? partner = null) =>
                read.HandleAsync(http.ApiKey(), conversionId, conversionId.ToString(), generation, partner, cancellationToken))
            .RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Receipts").WithSummary("Why a conversion has the credit it has");
        routes.MapGet("/v1/receipts", HandleOrderAsync)
            .RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Receipts").WithSummary("The same, found by the shop's order");
    }

    private static async Task<Results<Utf8ContentHttpResult, ProblemHttpResult>> HandleOrderAsync(
        HttpContext http, ReadReceipt read, CancellationToken cancellationToken,
        string? source = null, string? orderId = null, int? generation = null, string? partner = null)
    {
        var missing = new (string Field, string? Value)[] { ("source", source), ("orderId", orderId) }
            .Where(p => string.IsNullOrEmpty(p.Value)).Select(p => new FieldFault(p.Field, "is required")).ToArray();
        return missing.Length > 0
            ? Problem.Invalid(missing)
            : await read.HandleAsync(
                http.ApiKey(), Ids.Conversion(read.Program, source!, orderId!), $"{source}/{orderId}", generation, partner, cancellationToken);
    }

    private string Program => program.Value.Program;

    private async Task<Results<Utf8ContentHttpResult, ProblemHttpResult>> HandleAsync(
        ApiKey key, Guid conversionId, string asked, int? number, string? partner, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var generation = number is { } g
            ? await generations.FindAsync(connection, g, cancellationToken)
            : await generations.ActiveAsync(connection, cancellationToken);
        if (generation is null)
        {
            return Problem.NotFound("generation", $"'{number?.ToString() ?? "active"}' is not a generation");
        }

        if (await Journeys.ReadAsync(connection, log.Schema, conversionId, cancellationToken) is not var (journey, position))
        {
            return Problem.NotFound("conversion", $"'{asked}' is not known here");
        }

        var rules = await generations.RulesAsync(connection, generation.RulesVersion, cancellationToken);
        var standings = await generations.StandingsAsync(connection, cancellationToken);
        var receipt = Receipt.Of(journey, Crediting.Decide(journey, standings, rules), rules, generation.RulesVersion, position, generation.Number);
        var viewer = key.May(Scope.Read) ? partner : key.Partner;
        return TypedResults.Text(
            Receipt.ToJson(viewer is null ? receipt : Receipt.ForPartner(receipt, viewer)), "application/json; charset=utf-8");
    }
}
