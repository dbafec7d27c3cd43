using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Fits;

/// <summary>
/// The first stage of a replay under a data-driven model: fits it to the log as it is then, and writes down what was learned as a
/// fact. Beside <see cref="Replays.ReplayWorker"/>, which does not begin such a generation before; so a long fit holds up no other replay.
/// </summary>
internal sealed class FitWorker(
    [FromKeyedServices(AttributionService.Schema)] EventLog log,
    Generations generations,
    ModelFits fits,
    ProjectionProgress progress,
    IOptions<ProgramOptions> program,
    TimeProvider time,
    ILogger<FitWorker> logger) : BackgroundService
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.FitWorkerRetries(attempt, fault))
        .Build();

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        _pipeline.KeepWorkingAsync(() => progress.NextAdvance, s_poll, WorkAsync, stoppingToken);

    /// <returns>Whether there was anything to do.</returns>
    private async Task<bool> WorkAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        foreach (var generation in await generations.ListAsync(connection, generations.AwaitsFit, cancellationToken))
        {
            // The claim goes with the transaction: one process at a time fits a generation, and a killed one leaves it to the next.
            await using var claim = await connection.BeginTransactionAsync(cancellationToken);
            if (await AdvisoryLock.TryTakeAsync(connection, FormattableString.Invariant($"pulse:{log.Schema}.fit.{generation.Number}"), cancellationToken))
            {
                await FitAsync(connection, generation, cancellationToken);
                return true;
            }
        }

        return false;
    }

    private async Task FitAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken)
    {
        using var unwanted = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            foreach (var version in await generations.UnfittedAsync(connection, generation, cancellationToken))
            {
                var rules = await generations.RulesAsync(connection, version, cancellationToken);
                var startedAt = time.GetUtcNow();
                var fitted = await fits.OfAsync(
                    rules,
                    generation.Target,
                    async (read, total) =>
                    {
                        // Until the first report it may have waited for the fit of a what-if.
                        startedAt = read == 0 ? time.GetUtcNow() : startedAt;
                        await ReportAsync(version, startedAt, read, total);
                    },
                    unwanted.Token);
                await log.AppendAsync([Intake.IntakeWriter.ToNewEvent(Fact(generation, version, fitted))], cancellationToken);
                logger.ModelFitted(generation.Number, fitted.Fit.Order, fitted.Fit.States, fitted.Fit.Converted, fitted.Fit.NotConverted, fitted.Position);
            }

            await progress.WaitAsync(log, await log.LastPositionAsync(cancellationToken), s_patience, cancellationToken);
        }
        catch (Exception fault) when (fault is UnfittableException or UnfoldableException)
        {
            // No later attempt can do better: the chain does not become smaller.
            await FailAsync(generation.Number, fault.Message, cancellationToken);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The replay was discarded meanwhile.
        }

        async Task ReportAsync(int version, DateTimeOffset startedAt, long read, long total)
        {
            var wanted = await log.DataSource.Sql(
                $"""
                 insert into {log.Schema}.fit_runs (generation, rules_version, started_at, read, total)
                 select generation, $2, $3, $4, $5 from {log.Schema}.generations where generation = $1 and state = '{Generation.Running}'
                 on conflict on constraint pk_fit_runs do update
                    set rules_version = excluded.rules_version, started_at = excluded.started_at, read = excluded.read, total = excluded.total
                 """,
                P(generation.Number), P(version), P(startedAt), P(read), P(total)).RunAsync(cancellationToken);
            if (wanted == 0)
            {
                await unwanted.CancelAsync();
            }
        }
    }

    private ModelFitted Fact(Generation generation, int version, ModelFits.Fitted fitted) => new()
    {
        EventId = Ids.Derive("model-fitted", $"{generation.ReplayId:N}", $"{version}"),
        ProgramId = program.Value.Program,
        OccurredAt = time.GetUtcNow(),
        ReplayId = generation.ReplayId,
        Generation = generation.Number,
        RulesVersion = version,
        Position = fitted.Position,
        Order = fitted.Fit.Order,
        Converted = fitted.Fit.Converted,
        NotConverted = fitted.Fit.NotConverted,
        States = fitted.Fit.States,
        Effects = fitted.Fit.Effects,
    };

    private async Task FailAsync(int number, string reason, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await generations.LockAsync(connection, number, cancellationToken) is { State: Generation.Running } generation)
        {
            await generations.SaveAsync(connection, generation with { State = Generation.Failed, Reason = reason }, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
    }
}
