using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.RuleSets;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Replays;

/// <summary><c>POST /v1/replays</c>: history under other rules, into a generation beside the one that counts. A dry run until promoted.</summary>
internal static class RequestReplay
{
    /// <summary>Replays that are neither promoted nor discarded at once; each keeps a full set of credit rows current.</summary>
    public const int MaxOpen = 8;

    /// <summary>Versions under a replay's own. Each conversion may be asked of all of them.</summary>
    public const int MaxUnder = 32;

    public sealed record Request
    {
        /// <summary>A rule document; published as a version if it is not one yet. Contradicts <see cref="RulesVersion"/>.</summary>
        public JsonElement? Rules { get; init; }

        public int? RulesVersion { get; init; }
    }

    /// <param name="Id">The replay.</param>
    /// <param name="Generation">The generation that it writes.</param>
    /// <param name="RulesVersion">The rules it judges by.</param>
    /// <param name="Under">Versions that judge what those do not apply to, the first that applies; empty where they apply to everything.</param>
    /// <param name="State"><c>running</c>.</param>
    public sealed record Requested(Guid Id, int Generation, int RulesVersion, IReadOnlyList<int> Under, string State);

    public abstract record Outcome;

    public sealed record Accepted(ReplayRequested Event) : Outcome;

    public sealed record TooManyOpen(int Open) : Outcome;

    /// <summary>The rules apply to a part of history, and nothing counts that would judge the rest.</summary>
    public sealed record NothingBeneath : Outcome;

    /// <summary>Too many versions would judge history together.</summary>
    public sealed record TooManyBeneath(int Versions) : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/replays", HandleAsync).RequireScope(Scope.WriteRules).WithTags("Replays")
            .WithSummary("Judge all history under other rules, without side effects");

    /// <param name="history">The replays so far.</param>
    /// <param name="replayId">A fresh id.</param>
    /// <param name="rulesVersion">The rules to judge by.</param>
    /// <param name="coverEverything">Whether they apply to all history and everybody; otherwise what counts now judges the rest.</param>
    /// <param name="program">The program.</param>
    /// <param name="by">Name of the key.</param>
    /// <param name="now">The time.</param>
    public static Outcome Decide(
        ReplayHistory history, Guid replayId, int rulesVersion, bool coverEverything, string program, string by, DateTimeOffset now)
    {
        int[]? under = null;
        if (!coverEverything)
        {
            if (history.Replays.Values.FirstOrDefault(r => r.Generation == history.ActiveGeneration) is not { } active)
            {
                return new NothingBeneath();
            }

            // Asked twice it would answer the same.
            under = [.. active.Under.Prepend(active.RulesVersion).Where(version => version != rulesVersion)];
            if (under.Length > MaxUnder)
            {
                return new TooManyBeneath(under.Length);
            }
        }

        var open = history.Replays.Values.Count(r => r is { Promoted: false, Discarded: false });
        return open >= MaxOpen
            ? new TooManyOpen(open)
            : new Accepted(new ReplayRequested
            {
                EventId = replayId,
                ProgramId = program,
                OccurredAt = now,
                ReplayId = replayId,
                RulesVersion = rulesVersion,
                Generation = history.LastGeneration + 1,
                Under = under,
                By = by,
            });
    }

    private static async Task<Results<Accepted<Requested>, ProblemHttpResult>> HandleAsync(
        HttpContext http,
        ReplayStream stream,
        PublishRules publish,
        BotLists lists,
        Generations generations,
        [FromKeyedServices(AttributionService.Schema)] EventLog log,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        var (request, fault) = await http.Request.ReadJsonAsync(ReplaysJson.Default.Request, cancellationToken);
        if (fault is not null)
        {
            return Problem.Invalid(fault);
        }

        var (version, faults) = await VersionAsync(request!, log, publish, lists, http.ApiKey().Name, cancellationToken);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        bool coverEverything;
        await using (var connection = await log.DataSource.OpenConnectionAsync(cancellationToken))
        {
            coverEverything = (await generations.RulesAsync(connection, version, cancellationToken)).CoverEverything;
        }

        var id = Guid.CreateVersion7(time.GetUtcNow());
        var outcome = await stream.DecideAsync(
            history =>
            {
                var decided = Decide(history, id, version, coverEverything, stream.Program, http.ApiKey().Name, time.GetUtcNow());
                return (decided, (decided as Accepted)?.Event);
            },
            cancellationToken);
        return outcome switch
        {
            Accepted { Event: var e } => TypedResults.Accepted($"/v1/replays/{id}", new Requested(id, e.Generation, e.RulesVersion, e.Under ?? [], Generation.Running)),
            TooManyOpen { Open: var open } => Problem.Conflict(new FieldFault("replays", $"{open} are open already; promote or discard one first")),
            NothingBeneath => Problem.Conflict(new FieldFault("rules.scope", "applies to a part of history, and no generation counts that judges the rest")),
            TooManyBeneath { Versions: var versions } => Problem.Conflict(new FieldFault(
                "rules.scope", $"applies to a part of history, and {versions} versions judge the rest already, of at most {MaxUnder}; promote one for all history first")),
            var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
        };
    }

    private static async Task<(int Version, IReadOnlyList<FieldFault> Faults)> VersionAsync(
        Request request, EventLog log, PublishRules publish, BotLists lists, string by, CancellationToken cancellationToken)
    {
        switch (request)
        {
            case { Rules: not null, RulesVersion: not null }:
                return (0, [new FieldFault("rulesVersion", "contradicts rules; give one of them")]);
            case { Rules: { } document }:
                return Rules.Parse(document, lists) switch
                {
                    RulesAccepted accepted => ((await publish.PublishAsync(accepted.Rules, by, why: null, cancellationToken)).Version, []),
                    RulesRefused refused => (0, PublishRules.Faults(refused, "rules.")),
                    var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
                };
            case { RulesVersion: { } version }:
                await using (var command = log.DataSource.Sql($"select count(*) from {log.Schema}.rules where version = $1", P(version)))
                {
                    return await command.ExecuteScalarAsync(cancellationToken) is 1L
                        ? (version, [])
                        : (0, [new FieldFault("rulesVersion", $"{version} is not a version of the rules")]);
                }

            default:
                return (0, [new FieldFault("rules", "is required, or rulesVersion")]);
        }
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(RequestReplay.Request))]
internal sealed partial class ReplaysJson : JsonSerializerContext;
