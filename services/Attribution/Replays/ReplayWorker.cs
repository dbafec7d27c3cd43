using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Replays;

/// <summary>
/// Folds generations that do not count yet, beside the active one and without side effects. It reads journeys, never the bus.
/// A generation that has caught up is kept current until it is promoted or discarded.
/// </summary>
internal sealed class ReplayWorker(
    [FromKeyedServices(AttributionService.Schema)] EventLog log,
    Generations generations,
    ProjectionProgress progress,
    IOptions<ProgramOptions> program,
    TimeProvider time,
    ILogger<ReplayWorker> logger) : BackgroundService
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.ReplayWorkerRetries(attempt, fault))
        .Build();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var next = progress.NextAdvance;
            var worked = await _pipeline.ExecuteAsync(async cancellation => await WorkAsync(cancellation), stoppingToken);
            if (!worked)
            {
                await Task.WhenAny(next, Task.Delay(s_poll, stoppingToken));
            }
        }
    }

    /// <summary>One step of every generation in work, so that several get on side by side.</summary>
    /// <returns>Whether there was anything to do.</returns>
    private async Task<bool> WorkAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var worked = false;
        foreach (var inWork in await generations.ListAsync(connection, "state in ('running', 'ready')", cancellationToken))
        {
            worked |= await StepAsync(connection, inWork.Number, cancellationToken);
        }

        foreach (var discarded in await generations.ListAsync(connection, "state = 'discarded' and folded_to >= 0", cancellationToken))
        {
            await EmptyAsync(connection, discarded, cancellationToken);
        }

        return worked;
    }

    private async Task<bool> StepAsync(Npgsql.NpgsqlConnection connection, int number, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await generations.LockAsync(connection, number, cancellationToken) is not { State: Generation.Running or Generation.Ready } generation)
        {
            return false;
        }

        Generation folded;
        try
        {
            folded = await generations.FoldNextAsync(connection, generation, cancellationToken);
        }
        catch (InvalidOperationException e)
        {
            // Rules that this engine cannot read: no later attempt can do better.
            await generations.SaveAsync(connection, generation with { State = Generation.Failed, Reason = e.Message }, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return false;
        }

        if (folded != generation)
        {
            await transaction.CommitAsync(cancellationToken);
            return true;
        }

        if (generation.State == Generation.Ready)
        {
            return false;
        }

        // Nothing is left: the replay is complete. The projector turns the fact into the state, so a rebuild arrives there too.
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

    /// <summary>Deletes the rows of a discarded generation. folded_to -1 says that it is done.</summary>
    private async Task EmptyAsync(Npgsql.NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await generations.LockAsync(connection, generation.Number, cancellationToken);
        await connection.Sql($"delete from {log.Schema}.credits where generation = $1", P(generation.Number)).RunAsync(cancellationToken);
        await connection.Sql($"delete from {log.Schema}.decisions where generation = $1", P(generation.Number)).RunAsync(cancellationToken);
        await generations.SaveAsync(connection, generation with { FoldedTo = -1 }, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }
}
