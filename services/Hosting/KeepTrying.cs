using System.Runtime.CompilerServices;
using Polly;
using Polly.Retry;

namespace PartnerPulse.Hosting;

/// <summary>How every loop of the system gets over what is away: again and again, ever more slowly, with jitter.</summary>
public static class KeepTrying
{
    private static readonly TimeSpan s_firstDelay = TimeSpan.FromMilliseconds(100);

    /// <summary>Retries without end. A cancellation ends it only where the caller's own token asks for it.</summary>
    /// <param name="builder">The pipeline.</param>
    /// <param name="maxDelay">Longest pause between two attempts.</param>
    /// <param name="onRetry">Told the number of the attempt that failed, from 1, and why.</param>
    /// <param name="when">Faults that pass; all where absent.</param>
    /// <param name="file">Whose loop it is: the file of the caller. The count of retries has its name.</param>
    public static ResiliencePipelineBuilder AddRetryForEver(
        this ResiliencePipelineBuilder builder, TimeSpan maxDelay, Action<int, Exception> onRetry, Func<Exception, bool>? when = null, [CallerFilePath] string file = "")
    {
        var loop = new KeyValuePair<string, object?>("loop", Path.GetFileNameWithoutExtension(file));
        return builder.AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = args => new(
                args.Outcome.Exception is { } fault && !args.Context.CancellationToken.IsCancellationRequested && when?.Invoke(fault) is not false),
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = s_firstDelay,
            MaxDelay = maxDelay,
            OnRetry = args =>
            {
                RetryMetrics.Retries.Add(1, loop);
                onRetry(args.AttemptNumber + 1, args.Outcome.Exception!);
                return default;
            },
        });
    }

    /// <summary>Works while there is something to do, else waits for the next sign of it, until it is stopped.</summary>
    /// <param name="pipeline">What gets over a fault of the work.</param>
    /// <param name="next">The next sign. It is taken before the work, so that none is missed that comes meanwhile.</param>
    /// <param name="poll">Longest wait without a sign: what another process does gives none here.</param>
    /// <param name="work">Returns whether there was anything to do.</param>
    /// <param name="stoppingToken">Stops it.</param>
    public static async Task KeepWorkingAsync(
        this ResiliencePipeline pipeline, Func<Task> next, TimeSpan poll, Func<CancellationToken, Task<bool>> work, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var sign = next();
            if (!await pipeline.ExecuteAsync(async cancellation => await work(cancellation), stoppingToken))
            {
                await Task.WhenAny(sign, Task.Delay(poll, stoppingToken));
            }
        }
    }
}
