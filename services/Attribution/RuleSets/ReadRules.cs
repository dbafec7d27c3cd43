using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.RuleSets;

/// <summary>
/// <c>GET /v1/rules</c>, <c>/v1/rules/{version}</c> and <c>/v1/rules/active</c>: the versions, who published them, when and why, what
/// they changed, which replays used them and when they counted.
/// </summary>
internal sealed class ReadRules([FromKeyedServices(AttributionService.Schema)] EventLog log, IOptions<ProgramOptions> program)
{
    /// <param name="Version">1, 2, 3…</param>
    /// <param name="Hash">SHA-256 of the canonical document.</param>
    /// <param name="Name">Of the document.</param>
    /// <param name="PublishedAt">When.</param>
    /// <param name="PublishedBy">The API key; absent for the first version, which came with the program.</param>
    /// <param name="Why">As whoever published it said; absent where nothing was said.</param>
    /// <param name="Active">Whether it decides now.</param>
    /// <param name="Changes">What it says otherwise than the version before it, field by field.</param>
    /// <param name="Replays">Those that judged by it, in the order of their requests.</param>
    /// <param name="InForce">When it decided.</param>
    /// <param name="Rules">The canonical document.</param>
    public sealed record RulesVersion(
        int Version, string Hash, string Name, DateTimeOffset PublishedAt, string? PublishedBy, string? Why, bool Active,
        IReadOnlyList<RulesDifference.Change> Changes, IReadOnlyList<Replay> Replays, IReadOnlyList<RulesHistory.InForce> InForce, JsonElement Rules);

    public sealed record Replay(Guid Id, int Generation, DateTimeOffset RequestedAt, string? RequestedBy);

    public sealed record RulesVersions(IReadOnlyList<RulesVersion> Rules);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/rules", async (ReadRules read, CancellationToken cancellationToken) =>
                TypedResults.Ok(new RulesVersions(await read.ReadAsync(cancellationToken))))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("All versions of the rules, with who, when and why");
        routes.MapGet("/v1/rules/active", (ReadRules read, CancellationToken cancellationToken) => read.OneAsync(rules => rules.Active, "active", cancellationToken))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("The version under which credits count now");
        routes.MapGet("/v1/rules/{version:int}", (ReadRules read, int version, CancellationToken cancellationToken) =>
                read.OneAsync(rules => rules.Version == version, $"{version}", cancellationToken))
            .RequireScope(Scope.Read).WithTags("Rules").WithSummary("One version of the rules");
    }

    private async Task<Results<Ok<RulesVersion>, ProblemHttpResult>> OneAsync(Func<RulesVersion, bool> wanted, string asked, CancellationToken cancellationToken) =>
        (await ReadAsync(cancellationToken)).SingleOrDefault(wanted) is { } rules
            ? TypedResults.Ok(rules)
            : Problem.NotFound("version", $"'{asked}' is not a version of the rules");

    private async Task<IReadOnlyList<RulesVersion>> ReadAsync(CancellationToken cancellationToken)
    {
        var history = await HistoryAsync(cancellationToken);
        await using var command = log.DataSource.Sql(
            $"""
             select r.version, r.hash, r.name, r.published_at, r.published_by, coalesce(r.version = g.rules_version, false), r.document
               from {log.Schema}.rules r left join {log.Schema}.generations g on g.state = 'active' order by r.version
             """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rules = new List<RulesVersion>();
        while (await reader.ReadAsync(cancellationToken))
        {
            using var document = JsonDocument.Parse(reader.GetFieldValue<byte[]>(6));
            var version = reader.GetInt32(0);
            rules.Add(new RulesVersion(
                version, reader.GetString(1), reader.GetString(2), reader.GetFieldValue<DateTimeOffset>(3), reader.GetTextOrNull(4),
                history.Published.GetValueOrDefault(version)?.Why, reader.GetBoolean(5),
                rules.Count == 0 ? [] : RulesDifference.Of(rules[^1].Rules, document.RootElement),
                [.. history.Replays.GetValueOrDefault(version, []).Select(r => new Replay(r.ReplayId, r.Generation, r.OccurredAt, r.By))],
                history.Counted.GetValueOrDefault(version, []), document.RootElement.Clone()));
        }

        return rules;
    }

    /// <summary>From the log itself: both streams are short.</summary>
    private async Task<RulesHistory> HistoryAsync(CancellationToken cancellationToken)
    {
        var history = RulesHistory.Empty;
        foreach (var stream in new[] { "rules", "replays" })
        {
            foreach (var stored in await log.ReadStreamAsync(Ids.Derive(stream, program.Value.Program), cancellationToken))
            {
                history = RulesHistory.Evolve(history, EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span));
            }
        }

        return history;
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class RulesJson : JsonSerializerContext;
