using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Replays;

/// <summary><c>GET /v1/replays</c>, <c>/v1/replays/{id}</c> and <c>/v1/replays/{id}/progress</c> (server-sent events).</summary>
internal sealed class ReadReplay([FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations)
{
    /// <summary>Shown for a replay that waits until one of those at work is done.</summary>
    private const string Queued = "queued";

    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    /// <param name="Id">The replay.</param>
    /// <param name="State"><c>queued</c> behind those at work, <c>running</c>, <c>ready</c>, <c>promoted</c>, <c>discarded</c>, <c>failed</c>.</param>
    /// <param name="Active">It is the one that counts now; false for one that was promoted and then replaced.</param>
    /// <param name="Reason">Why it failed.</param>
    /// <param name="Done">Conversions judged in the first pass.</param>
    /// <param name="Total">Conversions there were when it began.</param>
    /// <param name="Generation">The generation that it writes.</param>
    /// <param name="RulesVersion">The rules it judges by.</param>
    /// <param name="Under">Versions that judge what those do not apply to, the first that applies; empty where they apply to everything.</param>
    /// <param name="EngineVersion">The engine it began with.</param>
    /// <param name="Rate">Conversions a second since the process that works on it took it up; only while it is running.</param>
    /// <param name="EtaSeconds">Seconds until the first pass is done, at this rate.</param>
    public sealed record ReplayView(
        Guid Id, string State, bool Active, string? Reason, long Done, long Total, int Generation, int RulesVersion, IReadOnlyList<int> Under,
        string EngineVersion,
        double? Rate = null, double? EtaSeconds = null);

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

    public async Task<ReplayView?> FindAsync(Guid id, CancellationToken cancellationToken) =>
        (await ListAsync(cancellationToken)).FirstOrDefault(replay => replay.Id == id);

    private async Task<IReadOnlyList<ReplayView>> ListAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var all = await generations.ListAsync(connection, "true", cancellationToken);
        var atWork = all.Where(g => g.State == Generation.Running).Take(ReplayWorker.MaxAtWork).Select(g => g.Number).ToArray();
        var rates = atWork.Length == 0 ? [] : await ReadRatesAsync(connection, cancellationToken);
        return all.Select(g => View(g, atWork.Contains(g.Number), rates.GetValueOrDefault(g.Number))).ToArray();
    }

    private static ReplayView View(Generation g, bool atWork, double rate) => new(
        g.ReplayId,
        g.State switch
        {
            Generation.Active or Generation.Retired => "promoted",
            Generation.Running when !atWork => Queued,
            _ => g.State,
        },
        g.State == Generation.Active,
        g.Reason,
        g.State == Generation.Running ? g.Done : g.Total,
        g.Total,
        g.Number,
        g.RulesVersion,
        g.Under,
        g.EngineVersion,
        atWork && rate > 0 ? Math.Round(rate, 1) : null,
        atWork && rate > 0 ? Math.Round((g.Total - g.Done) / rate, 2) : null);

    /// <summary>By generation its conversions a second.</summary>
    private async Task<Dictionary<int, double>> ReadRatesAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select g.generation, ((g.done - r.started_done) / extract(epoch from r.advanced_at - r.started_at))::float8
               from {log.Schema}.generations g join {log.Schema}.generation_runs r using (generation)
              where g.state = '{Generation.Running}' and r.advanced_at > r.started_at
             """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rates = new Dictionary<int, double>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rates.Add(reader.GetInt32(0), reader.GetDouble(1));
        }

        return rates;
    }

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
            // A replay keeps its versions; two lists of them are never the same object.
            if (last is null || replay with { Under = last.Under } != last)
            {
                yield return last = replay;
            }

            if (replay.State is not (Generation.Running or Queued))
            {
                yield break;
            }

            await Task.Delay(s_tick, cancellationToken);
        }
    }
}
