using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Replays;

/// <summary>
/// Folds generations that do not count yet, beside the active one and without side effects. It reads journeys, never the bus.
/// A generation that has caught up is kept current until it is promoted or discarded.
/// </summary>
internal sealed class ReplayWorker(
    [FromKeyedServices(AttributionService.Schema)] EventLog log,
    Generations generations,
    PackKeeper packed,
    ProjectionProgress progress,
    IOptions<ProgramOptions> program,
    IOptions<AttributionOptions> options,
    TimeProvider time,
    ILogger<ReplayWorker> logger) : BackgroundService
{
    /// <summary>Replays in their first pass at once; more wait, in the order of their requests.</summary>
    public const int MaxAtWork = 2;

    /// <summary>Rows of a discarded generation that are deleted in a commit.</summary>
    private const int EmptyAtOnce = 10_000;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly ReplayPass _pass = new(log, generations, packed, options.Value.ReplayCommit);
    private readonly HashSet<int> _begun = [];
    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.ReplayWorkerRetries(attempt, fault))
        .Build();

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        _pipeline.KeepWorkingAsync(() => progress.NextAdvance, s_poll, WorkAsync, stoppingToken);

    /// <summary>A pass of each replay that is at work, side by side, and a step of every other generation.</summary>
    /// <returns>Whether there was anything to do.</returns>
    private async Task<bool> WorkAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var running = await generations.ListAsync(connection, $"state = '{Generation.Running}' and not {generations.AwaitsFit}", cancellationToken);
        _begun.IntersectWith(running.Select(g => g.Number));
        var passes = running.Take(MaxAtWork).Select(g => PassAsync(g.Number, _begun.Add(g.Number), cancellationToken)).ToArray();
        var worked = (await Task.WhenAll(passes)).Any(any => any);
        foreach (var ready in await generations.ListAsync(connection, $"state = '{Generation.Ready}'", cancellationToken))
        {
            worked |= await FollowAsync(connection, ready.Number, cancellationToken);
        }

        foreach (var discarded in await generations.ListAsync(connection, $"state = '{Generation.Discarded}' and folded_to >= 0", cancellationToken))
        {
            worked |= await EmptyAsync(connection, discarded.Number, cancellationToken);
        }

        return worked;
    }

    private async Task<bool> PassAsync(int number, bool fresh, CancellationToken cancellationToken)
    {
        try
        {
            return await _pass.RunAsync(number, fresh, cancellationToken) switch
            {
                null => false,
                0 => await CompleteAsync(number, cancellationToken),
                _ => true,
            };
        }
        catch (UnfoldableException fault)
        {
            await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
            await FailAsync(connection, number, fault, cancellationToken);
            return false;
        }
    }

    /// <summary>
    /// Nothing was left: the replay is complete. The projector turns the fact into the state, so a rebuild arrives there too.
    /// </summary>
    private async Task<bool> CompleteAsync(int number, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await generations.LockAsync(connection, number, cancellationToken) is not { State: Generation.Running } generation)
        {
            return false;
        }

        await log.AppendAsync(
            connection,
            [
                Intake.IntakeWriter.ToNewEvent(new ReplayCompleted
                {
                    EventId = Ids.Derive("replay-completed", $"{generation.ReplayId:N}"),
                    ProgramId = program.Value.Program,
                    OccurredAt = time.GetUtcNow(),
                    ReplayId = generation.ReplayId,
                    Generation = generation.Number,
                    Position = generation.FoldedTo,
                    EngineVersion = Engine.Version,
                }),
            ],
            cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        log.SignalAppended();
        return false;
    }

    /// <summary>What changed since the generation was complete.</summary>
    private async Task<bool> FollowAsync(NpgsqlConnection connection, int number, CancellationToken cancellationToken)
    {
        try
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            if (await generations.LockAsync(connection, number, cancellationToken) is not { State: Generation.Ready } generation
                || await generations.FoldNextAsync(connection, generation, cancellationToken) == generation)
            {
                return false;
            }

            await transaction.CommitAsync(cancellationToken);
            return true;
        }
        catch (UnfoldableException fault)
        {
            await FailAsync(connection, number, fault, cancellationToken);
            return false;
        }
    }

    private async Task FailAsync(NpgsqlConnection connection, int number, UnfoldableException fault, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await generations.LockAsync(connection, number, cancellationToken) is { State: Generation.Running or Generation.Ready } generation)
        {
            await generations.SaveAsync(connection, generation with { State = Generation.Failed, Reason = fault.Message }, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
    }

    /// <summary>Deletes some rows of a discarded generation. folded_to -1 says that all are gone.</summary>
    private async Task<bool> EmptyAsync(NpgsqlConnection connection, int number, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await generations.LockAsync(connection, number, cancellationToken) is not { State: Generation.Discarded, FoldedTo: >= 0 } generation)
        {
            return false;
        }

        var deleted = await DeleteAsync(connection, "credits", number, cancellationToken);
        deleted += await DeleteAsync(connection, "uncredited", number, cancellationToken);
        if (deleted == 0)
        {
            await generations.SaveAsync(connection, generation with { FoldedTo = -1 }, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return deleted > 0;
    }

    private Task<int> DeleteAsync(NpgsqlConnection connection, string table, int number, CancellationToken cancellationToken) => connection.Sql(
        $"delete from {log.Schema}.{table} where ctid = any(array(select ctid from {log.Schema}.{table} where generation = $1 limit {EmptyAtOnce}))", P(number))
        .RunAsync(cancellationToken);
}
