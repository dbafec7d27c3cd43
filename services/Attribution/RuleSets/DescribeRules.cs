using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.RuleSets;

/// <summary>
/// <c>GET /v1/rules/{version}/text</c> and <c>POST /v1/rules/text</c>: rules in plain English with worked examples;
/// <c>GET /v1/rules/schema</c>: the JSON Schema of a rule document.
/// </summary>
internal static class DescribeRules
{
    private const string PlainText = "text/plain; charset=utf-8";

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/rules/schema", (BotLists lists) => TypedResults.Bytes(RulesSchema.Of(lists), "application/schema+json"))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("The JSON Schema (2020-12) of a rule document");
        routes.MapGet("/v1/rules/{version:int}/text", OfVersionAsync)
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("A version of the rules in plain English, with examples that the engine worked out");
        routes.MapPost("/v1/rules/text", OfDocumentAsync)
            .RequireScope(Scope.Read).TakesJson<JsonElement>("""{"name":"spring","model":{"kind":"linear"},"windowDays":30}""")
            .WithTags("Rules").WithSummary("A rule document in plain English, published or not");
    }

    private static async Task<Results<ContentHttpResult, ProblemHttpResult>> OfVersionAsync(
        int version, [FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var command = connection.Sql($"select count(*) from {log.Schema}.rules where version = $1", P(version));
        return await command.ExecuteScalarAsync(cancellationToken) is 1L
            ? TypedResults.Text(RulesText.Of(await generations.RulesAsync(connection, version, cancellationToken)), PlainText)
            : Problem.NotFound("version", $"'{version}' is not a version of the rules");
    }

    private static async Task<Results<ContentHttpResult, ProblemHttpResult>> OfDocumentAsync(HttpContext http, BotLists lists, CancellationToken cancellationToken)
    {
        var (document, fault) = await http.Request.ReadJsonAsync(RulesJson.Default.JsonElement, cancellationToken);
        return fault is not null
            ? Problem.Invalid(fault)
            : Rules.Parse(document, lists) switch
            {
                RulesAccepted accepted => TypedResults.Text(RulesText.Of(accepted.Rules), PlainText),
                RulesRefused refused => Problem.Invalid(PublishRules.Faults(refused, "")),
                var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
            };
    }
}
