using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Replays;

/// <summary><c>GET /v1/replays</c>, <c>/v1/replays/{id}</c> and <c>/v1/replays/{id}/progress</c> (server-sent events).</summary>
internal sealed class ReadReplay([FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations)
{
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    /// <param name="Id">The replay.</param>
    /// <param name="State"><c>running</c>, <c>ready</c>, <c>promoted</c>, <c>discarded</c>, <c>failed</c>.</param>
    /// <param name="Active">It is the one that counts now; false for one that was promoted and then replaced.</param>
    /// <param name="Reason">Why it failed.</param>
    /// <param name="Done">Conversions judged in the first pass.</param>
    /// <param name="Total">Conversions there were when it began.</param>
    /// <param name="Generation">The generation that it writes.</param>
    /// <param name="RulesVersion">The rules it judges by.</param>
    /// <param name="EngineVersion">The engine it began with.</param>
    public sealed record ReplayView(
        Guid Id, string State, bool Active, string? Reason, long Done, long Total, int Generation, int RulesVersion, string EngineVersion);

    public sealed record ReplayList(IReadOnlyList<ReplayView> Replays);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/replays", async (ReadReplay read, CancellationToken cancellationToken) =>
                TypedResults.Ok(new ReplayList(await read.ListAsync(cancellationToken))))
            .RequireScope(Scope.Read).WithTags("Replays").WithSummary("All replays");
        routes.MapGet("/v1/replays/{id:guid}", HandleAsync).RequireScope(Scope.Read).WithTags("Replays").WithSummary("How far a replay is");
        routes.MapGet("/v1/replays/{id:guid}/progress", HandleProgressAsync).RequireScope(Scope.Read).WithTags("Replays")
            .WithSummary("How far a replay is, as server-sent events until it is no longer running");
    }

    public async Task<ReplayView?> FindAsync(Guid id, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        return await generations.FindReplayAsync(connection, id, cancellationToken) is { } generation ? View(generation) : null;
    }

    private async Task<IReadOnlyList<ReplayView>> ListAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        return (await generations.ListAsync(connection, "true", cancellationToken)).Select(View).ToArray();
    }

    private static ReplayView View(Generation g) => new(
        g.ReplayId,
        g.State is Generation.Active or Generation.Retired ? "promoted" : g.State,
        g.State == Generation.Active,
        g.Reason,
        g.State == Generation.Running ? g.Done : g.Total,
        g.Total,
        g.Number,
        g.RulesVersion,
        g.EngineVersion);

    private static async Task<Results<Ok<ReplayView>, ProblemHttpResult>> HandleAsync(Guid id, ReadReplay read, CancellationToken cancellationToken) =>
        await read.FindAsync(id, cancellationToken) is { } replay ? TypedResults.Ok(replay) : Problem.NotFound("id", $"'{id}' is not a replay");

    private static async Task<Results<ServerSentEventsResult<ReplayView>, ProblemHttpResult>> HandleProgressAsync(
        Guid id, ReadReplay read, CancellationToken cancellationToken) =>
        await read.FindAsync(id, cancellationToken) is null
            ? Problem.NotFound("id", $"'{id}' is not a replay")
            : TypedResults.ServerSentEvents(read.WatchAsync(id, cancellationToken), "progress");

    private async IAsyncEnumerable<ReplayView> WatchAsync(Guid id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ReplayView? last = null;
        while (await FindAsync(id, cancellationToken) is { } replay)
        {
            if (replay != last)
            {
                yield return last = replay;
            }

            if (replay.State != Generation.Running)
            {
                yield break;
            }

            await Task.Delay(s_tick, cancellationToken);
        }
    }
}
