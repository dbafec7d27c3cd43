using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PartnerPulse.Hosting;
using Polly;

namespace PartnerPulse.Outbound;

/// <summary>Deletes what has been delivered or dead for long enough.</summary>
internal sealed class Tidy(Deliveries deliveries, IOptions<OutboundOptions> options, TimeProvider time, ILogger<Tidy> logger) : BackgroundService
{
    private const int AtOnce = 5_000;
    private static readonly TimeSpan s_every = TimeSpan.FromMinutes(10);

    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetryForEver(TimeSpan.FromMinutes(1), (attempt, fault) => logger.TidyRetries(attempt, fault))
        .Build();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            await _pipeline.ExecuteAsync(async cancellation => await RunAsync(cancellation), stoppingToken);
            await Task.Delay(s_every, time, stoppingToken);
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (var (state, keep) in new[] { (Delivery.Delivered, options.Value.KeepDelivered), (Delivery.Dead, options.Value.KeepDead) })
        {
            while (await deliveries.TidyAsync(state, time.GetUtcNow() - keep, AtOnce, cancellationToken) == AtOnce)
            {
            }
        }
    }
}
