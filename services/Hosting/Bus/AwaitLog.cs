using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using PartnerPulse.EventStore;
using Polly;

namespace PartnerPulse.Hosting.Bus;

/// <summary>A log whose tables this host makes.</summary>
internal sealed record OwnLog(string Schema);

/// <summary>Waits for the log of another service: for its tables, and for the right to read them, which that service gives.</summary>
internal sealed class AwaitLog(EventLog log, IEnumerable<OwnLog> own, ILogger<AwaitLog> logger) : BeforeStart
{
    public override async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (own.Any(known => known.Schema == log.Schema))
        {
            return; // OpenLog makes it.
        }

        var pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.LogNotOpenYet(log.Schema, attempt, fault), when: fault => fault is NpgsqlException)
            .Build();
        await pipeline.ExecuteAsync(async cancellation => await log.LastPositionAsync(cancellation), cancellationToken);
    }
}
