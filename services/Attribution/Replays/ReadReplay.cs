using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
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

    /// <summary>Shown for a replay that begins when its data-driven models are fitted.</summary>
    private const string Fitting = "fitting";

    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    /// <param name="Id">The replay.</param>
    /// <param name="State"><c>fitting</c> until the models of its rules are fitted, <c>queued</c> behind those at work, <c>running</c>, <c>ready</c>, <c>promoted</c>, <c>discarded</c>, <c>failed</c>.</param>
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
    /// <param name="Fits">How far the models of its rules are, in the order in which its versions judge; absent where none learns anything.</param>
    public sealed record ReplayView(
        Guid Id, string State, bool Active, string? Reason, long Done, long Total, int Generation, int RulesVersion, IReadOnlyList<int> Under,
        string EngineVersion,
        double? Rate = null, double? EtaSeconds = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FitView>? Fits = null);

    /// <param name="RulesVersion">The version whose model it is.</param>
    /// <param name="State"><c>waiting</c>, <c>reading</c>, <c>solving</c> when everything is read, <c>fitted</c>.</param>
    /// <param name="Read">Conversions and clicks read so far; absent before it has started.</param>
    /// <param name="Total">Conversions and clicks there are to read.</param>
    /// <param name="StartedAt">When reading began.</param>
    /// <param name="FittedAt">When it was done.</param>
    /// <param name="Converted">Journeys it learned from that ended in a conversion credited to its touches.</param>
    /// <param name="NotConverted">Journeys it learned from that did not.</param>
    public sealed record FitView(
        int RulesVersion,
        string State,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Read = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Total = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? StartedAt = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? FittedAt = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Converted = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? NotConverted = null);

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
        var unfitted = (await generations.ListAsync(connection, generations.AwaitsFit, cancellationToken)).Select(g => g.Number).ToArray();
        var atWork = all.Where(g => g.State == Generation.Running && !unfitted.Contains(g.Number)).Take(ReplayWorker.MaxAtWork).Select(g => g.Number).ToArray();
        var rates = atWork.Length == 0 ? [] : await ReadRatesAsync(connection, cancellationToken);
        var fits = await ReadFitsAsync(connection, cancellationToken);
        return all.Select(g => View(g, unfitted.Contains(g.Number), atWork.Contains(g.Number), rates.GetValueOrDefault(g.Number), fits.GetValueOrDefault(g.Number))).ToArray();
    }

    private static ReplayView View(Generation g, bool unfitted, bool atWork, double rate, IReadOnlyList<FitView>? fits) => new(
        g.ReplayId,
        g.State switch
        {
            Generation.Active or Generation.Retired => "promoted",
            Generation.Running when unfitted => Fitting,
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
        atWork && rate > 0 ? Math.Round((g.Total - g.Done) / rate, 2) : null,
        fits);

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

    /// <summary>By generation the models of its rules that are fitted, or will be.</summary>
    private async Task<Dictionary<int, List<FitView>>> ReadFitsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select g.generation, r.version, f.fitted_at, f.converted, f.not_converted, w.started_at, w.read, w.total
               from {log.Schema}.generations g
               join {log.Schema}.rules r on (r.version = g.rules_version or r.version = any(g.under)) and r.document->'model'->>'kind' = 'markov'
               left join {log.Schema}.fits f on f.generation = g.generation and f.rules_version = r.version
               left join {log.Schema}.fit_runs w on w.generation = g.generation and w.rules_version = r.version and f.generation is null
              where f.generation is not null or g.state = '{Generation.Running}'
              order by g.generation, array_position(g.rules_version || g.under, r.version)
             """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var fits = new Dictionary<int, List<FitView>>();
        while (await reader.ReadAsync(cancellationToken))
        {
            if (!fits.TryGetValue(reader.GetInt32(0), out var of))
            {
                fits.Add(reader.GetInt32(0), of = []);
            }

            var version = reader.GetInt32(1);
            of.Add(!reader.IsDBNull(2) ? new FitView(version, "fitted", FittedAt: reader.GetFieldValue<DateTimeOffset>(2), Converted: reader.GetInt64(3), NotConverted: reader.GetInt64(4))
                : reader.IsDBNull(5) ? new FitView(version, "waiting")
                : new FitView(
                    version, reader.GetInt64(6) < reader.GetInt64(7) ? "reading" : "solving", reader.GetInt64(6), reader.GetInt64(7), reader.GetFieldValue<DateTimeOffset>(5)));
        }

        return fits;
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
            // Two lists are never the same object. A replay keeps its versions; its fits are compared one by one.
            if (last is null || replay with { Under = last.Under, Fits = last.Fits } != last || !(replay.Fits ?? []).SequenceEqual(last.Fits ?? []))
            {
                yield return last = replay;
            }

            if (replay.State is not (Generation.Running or Queued or Fitting))
            {
                yield break;
            }

            await Task.Delay(s_tick, cancellationToken);
        }
    }
}
