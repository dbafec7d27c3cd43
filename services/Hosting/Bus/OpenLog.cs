using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using PartnerPulse.EventStore;
using Polly;
using Polly.Retry;

namespace PartnerPulse.Hosting.Bus;

/// <summary>Creates the tables of a log before anything uses them, and waits for a database that is not up yet.</summary>
internal sealed class OpenLog(EventLog log, ILogger<OpenLog> logger) : IHostedLifecycleService
{
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        var pipeline = new ResiliencePipelineBuilder()
            .AddRetry(new RetryStrategyOptions
            {
                ShouldHandle = new PredicateBuilder().Handle<Npgsql.NpgsqlException>(e => e.IsTransient || e is not Npgsql.PostgresException),
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(200),
                MaxDelay = TimeSpan.FromSeconds(2),
                OnRetry = args =>
                {
                    logger.LogNotOpenYet(log.Schema, args.AttemptNumber + 1, args.Outcome.Exception!);
                    return default;
                },
            })
            .Build();
        await pipeline.ExecuteAsync(async cancellation => await log.CreateSchemaAsync(cancellation), cancellationToken);
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
