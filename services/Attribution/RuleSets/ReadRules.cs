using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.RuleSets;

/// <summary><c>GET /v1/rules</c>, <c>/v1/rules/{version}</c> and <c>/v1/rules/active</c>: the versions, who published them and when.</summary>
internal static class ReadRules
{
    public sealed record RulesVersion(int Version, string Hash, string Name, DateTimeOffset PublishedAt, string? PublishedBy, bool Active, JsonElement Rules);

    public sealed record RulesVersions(IReadOnlyList<RulesVersion> Rules);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/rules", async ([FromKeyedServices(AttributionService.Schema)] EventLog log, CancellationToken cancellationToken) =>
                TypedResults.Ok(new RulesVersions(await ReadAsync(log, "true", cancellationToken))))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("All versions of the rules");
        routes.MapGet("/v1/rules/active", ([FromKeyedServices(AttributionService.Schema)] EventLog log, CancellationToken cancellationToken) =>
                OneAsync(log, "r.version = g.rules_version", "active", cancellationToken))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("The version under which credits count now");
        routes.MapGet("/v1/rules/{version:int}", ([FromKeyedServices(AttributionService.Schema)] EventLog log, int version, CancellationToken cancellationToken) =>
                OneAsync(log, $"r.version = {version}", $"{version}", cancellationToken))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("One version of the rules");
    }

    private static async Task<Results<Ok<RulesVersion>, ProblemHttpResult>> OneAsync(
        EventLog log, string condition, string asked, CancellationToken cancellationToken) =>
        (await ReadAsync(log, condition, cancellationToken)).SingleOrDefault() is { } rules
            ? TypedResults.Ok(rules)
            : Problem.NotFound("version", $"'{asked}' is not a version of the rules");

    private static async Task<IReadOnlyList<RulesVersion>> ReadAsync(EventLog log, string condition, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.Sql(
            $"""
             select r.version, r.hash, r.name, r.published_at, r.published_by, coalesce(r.version = g.rules_version, false), r.document
               from {log.Schema}.rules r left join {log.Schema}.generations g on g.state = 'active'
              where {condition} order by r.version
             """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rules = new List<RulesVersion>();
        while (await reader.ReadAsync(cancellationToken))
        {
            using var document = JsonDocument.Parse(reader.GetFieldValue<byte[]>(6));
            rules.Add(new RulesVersion(
                reader.GetInt32(0), reader.GetString(1), reader.GetString(2), reader.GetFieldValue<DateTimeOffset>(3), reader.GetTextOrNull(4),
                reader.GetBoolean(5), document.RootElement.Clone()));
        }

        return rules;
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class RulesJson : JsonSerializerContext;
