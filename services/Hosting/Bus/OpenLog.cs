using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using PartnerPulse.EventStore;
using Polly;

namespace PartnerPulse.Hosting.Bus;

/// <summary>Creates the tables of a log before anything uses them, and waits for a database that is not up yet.</summary>
internal sealed class OpenLog(EventLog log, ILogger<OpenLog> logger) : BeforeStart
{
    public override async Task StartingAsync(CancellationToken cancellationToken)
    {
        var pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(
                TimeSpan.FromSeconds(2),
                (attempt, fault) => logger.LogNotOpenYet(log.Schema, attempt, fault),
                when: fault => fault is Npgsql.NpgsqlException e && (e.IsTransient || e is not Npgsql.PostgresException))
            .Build();
        await pipeline.ExecuteAsync(async cancellation => await log.CreateSchemaAsync(cancellation), cancellationToken);
    }
}
