using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// Creates the tables of the projections and the first rules, after the log is open. Tables of another shape are thrown away and
/// rebuilt from the log.
/// </summary>
internal sealed class OpenProjections(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, IOptions<ProgramOptions> program, BotLists lists,
    TimeProvider time) : IHostedService
{
    /// <summary>Raise it with every change of a table in Sql/ that can be rebuilt.</summary>
    private const long Shape = 7;

    private const string ShapeName = "projections-shape";

    private static readonly string[] s_scripts = ["001_projections", "003_generations", "004_ledger", "005_seals", "006_fits", "007_readers"];

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await CreateTablesAsync(cancellationToken);
        await log.AppendAsync(FirstRules().Select(Intake.IntakeWriter.ToNewEvent).ToArray(), cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Creates what is missing. Safe to call from several processes at once.</summary>
    public async Task CreateTablesAsync(CancellationToken cancellationToken)
    {
        var s = log.Schema;
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await SchemaScript.LockAsync(connection, cancellationToken);
        var shape = await log.CheckpointAsync(connection, ShapeName, cancellationToken);
        if (shape != Shape)
        {
            await connection.Sql(
                $"drop table if exists {s}.conversions, {s}.ties, {s}.own_customers, {s}.journey_keys, {s}.journeys, {s}.standings, {s}.rules, {s}.generations, {s}.generation_runs, {s}.fits, {s}.fit_runs, {s}.decisions, {s}.orders, {s}.uncredited, {s}.credits, {s}.ledger, {s}.statements")
                .RunAsync(cancellationToken);
            await log.SaveCheckpointAsync(connection, ShapeName, Shape, cancellationToken);
            if (shape != 0)
            {
                await log.SaveCheckpointAsync(connection, Projector.Checkpoint, Projector.RebuildRequested, cancellationToken);
            }
        }

        foreach (var script in s_scripts)
        {
            await new SchemaScript(typeof(OpenProjections).Assembly, $"PartnerPulse.Attribution.Sql.{script}.sql", s).RunAsync(connection, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>The default rules as version 1, counting from the beginning. The ids never change, so a second start appends nothing.</summary>
    private IEnumerable<IEvent> FirstRules()
    {
        var (name, now) = (program.Value.Program, time.GetUtcNow());
        var replay = Ids.Derive("first-replay", name);
        var rules = Rules.Default(lists);
        using var document = System.Text.Json.JsonDocument.Parse(rules.ToCanonicalJson());
        yield return new RulesPublished
        {
            EventId = Ids.Derive("first-rules", name),
            ProgramId = name,
            OccurredAt = now,
            Version = 1,
            Hash = rules.Hash,
            Document = document.RootElement.Clone(),
        };
        yield return new ReplayRequested
        {
            EventId = replay, ProgramId = name, OccurredAt = now, ReplayId = replay, RulesVersion = 1, Generation = 1,
        };
        yield return new ReplayPromoted
        {
            EventId = Ids.Derive("first-promotion", name), ProgramId = name, OccurredAt = now, ReplayId = replay, Generation = 1, PreviousGeneration = 0,
        };
    }
}
