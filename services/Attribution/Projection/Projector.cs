using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Fits;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// Folds the log into journeys, rules, generations and the credits of the active generation. One instance projects at a time.
/// Rows and checkpoint commit together.
/// </summary>
internal sealed class Projector : BackgroundService
{
    public const string Checkpoint = "projector";

    /// <summary>The checkpoint that asks for a rebuild.</summary>
    public const long RebuildRequested = -1;

    /// <summary>Up to here revisions have been told; a rebuild does not tell them again.</summary>
    private const string Told = "credits-revised";

    private const int PageSize = 10_000;

    /// <summary>Facts of conversions that a rebuild keeps from its first reading of the log to its second, about a kilobyte each.</summary>
    private const int MostReported = 200_000;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly EventLog _log;
    private readonly string _program;
    private readonly ProjectionProgress _progress;
    private readonly ILogger<Projector> _logger;
    private readonly Journeys _journeys;
    private readonly Generations _generations;
    private readonly UntoldRevisions _revisions;
    private readonly LedgerBook _ledger;
    private readonly ResiliencePipeline _pipeline;

    public Projector(
        [FromKeyedServices(AttributionService.Schema)] EventLog log,
        Generations generations,
        IOptions<ProgramOptions> program,
        ProjectionProgress progress,
        ILogger<Projector> logger)
    {
        _log = log;
        _program = program.Value.Program;
        _progress = progress;
        _logger = logger;
        _journeys = new Journeys(log.Schema, logger);
        _generations = generations;
        _revisions = new UntoldRevisions(log);
        _ledger = new LedgerBook(log.Schema);
        _pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) =>
            {
                _progress.Failed(fault);
                logger.ProjectorRetries(attempt, fault);
            })
            .Build();
    }

    /// <summary>Folds all that is in the log now, in this call. For benchmarks and tools; the service does it by itself.</summary>
    public async Task ProjectAllAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);
        while (await ProjectPageAsync(connection, cancellationToken))
        {
        }
    }

    /// <summary>
    /// Throws away everything derived and derives it again from the log, in one transaction: readers see the old until the new
    /// is whole. Cost follows conversions: only clicks that concern one are decoded.
    /// </summary>
    public async Task RebuildAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var lead = await LeadAsync(connection, cancellationToken);
        await _revisions.TellAllAsync(connection, cancellationToken);
        await RebuildAsync(connection, cancellationToken);
    }

    private async Task RebuildAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var s = _log.Schema;
        var counted = await _generations.ActiveAsync(connection, cancellationToken);
        if (counted is not null)
        {
            await _revisions.RememberAsync(connection, counted.Number, cancellationToken);
        }

        await connection.Sql(
            $"truncate {s}.conversions, {s}.ties, {s}.own_customers, {s}.journey_keys, {s}.journeys, {s}.standings, {s}.rules, {s}.generations, {s}.generation_runs, {s}.fits, {s}.fit_runs, {s}.orders, {s}.uncredited, {s}.credits")
            .RunAsync(cancellationToken);
        await _ledger.TruncateAsync(connection, cancellationToken);
        await connection.Sql($"delete from {s}.set_aside where stage = 'fold'").RunAsync(cancellationToken);
        var target = await LastPositionAsync(connection, cancellationToken);
        _logger.Rebuilding(target);
        var promoted = new List<IEvent>();
        var reported = new ReportedConversions(MostReported);
        await foreach (var page in ScanAheadAsync(target, cancellationToken))
        {
            await page.SetAsideAsync(connection, s, _logger, cancellationToken);
            await _journeys.AddConversionsAsync(connection, page.Facts.OfType<ConversionRecorded>().ToArray(), cancellationToken);
            await _journeys.AddTiesAsync(connection, page.Facts, cancellationToken);
            await _journeys.AddOwnCustomersAsync(connection, page.Facts, cancellationToken);
            await AddStandingsAsync(connection, page, cancellationToken);
            reported.Add(page.Facts);
            await _ledger.FoldAsync(connection, page.Booked, reported.IsWhole ? reported : null, cancellationToken);
            promoted.AddRange(page.Facts.Where(IsRulesOrReplay));
        }

        foreach (var fact in promoted)
        {
            await ApplyAsync(connection, fact, target, told: true, catchUp: false, cancellationToken);
        }

        // Freshly filled tables have no statistics, and a plan made for an empty table is a bad one.
        await connection.Sql($"analyze {s}.conversions, {s}.ties").RunAsync(cancellationToken);
        var active = await _generations.ActiveAsync(connection, cancellationToken);
        var rules = active is null ? null : await _generations.InForceAsync(connection, active, cancellationToken);
        var standings = await _generations.StandingsAsync(connection, cancellationToken);
        var people = await _journeys.AllAsync(connection, cancellationToken);
        await foreach (var rows in _journeys.AssembleAllAsync(
            connection, _log.DataSource, people, target, reported.IsWhole ? reported : null,
            journeys => JudgedRows.Of(active is null ? [] : Generations.Decide(journeys, standings, rules!)), cancellationToken))
        {
            if (active is not null)
            {
                await _generations.StoreAsync(connection, active.Number, rows, fresh: true, cancellationToken);
            }
        }

        // Every generation has this many journeys before it now; the active one has folded them.
        await connection.Sql($"update {s}.generations set total = (select count(*) from {s}.journeys)").RunAsync(cancellationToken);
        await connection.Sql($"analyze {s}.journeys (changed_at, conversion_id)").RunAsync(cancellationToken);
        if (active is not null)
        {
            await connection.Sql($"update {s}.generations set folded_to = $1, folded_conversion = $2 where state = 'active'", P(target), P(Guid.AllBitsSet))
                .RunAsync(cancellationToken);
        }

        if (active is not null)
        {
            // What was in the log and not folded yet is news; everything else is as it was told. Where the tables are new, what was told
            // is what the ledger has of it.
            await (counted is not null
                ? _revisions.KeepAsync(connection, active.Number, _program, target, cancellationToken)
                : _revisions.KeepBookedAsync(connection, active.Number, _program, target, cancellationToken));
            await _log.SaveCheckpointAsync(connection, Told, target, cancellationToken);
        }

        await _log.SaveCheckpointAsync(connection, Checkpoint, target, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        _progress.Advanced(target);
    }

    /// <summary>The facts of the log without its clicks. The next page is read and decoded while the caller works on the one before.</summary>
    private async IAsyncEnumerable<LogPage> ScanAheadAsync(
        long target, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var reading = await _log.DataSource.OpenConnectionAsync(cancellationToken);
        var next = ScanAsync(0);
        try
        {
            while (true)
            {
                var page = await next;
                var last = page.Count < PageSize;
                next = last ? Task.FromResult(page) : ScanAsync(page.To);
                yield return page;
                if (last)
                {
                    yield break;
                }
            }
        }
        finally
        {
            // The connection is given back when its query has ended, also where the caller stops early.
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        Task<LogPage> ScanAsync(long position) =>
            LogPage.ScanAsync(reading, _log.Schema, position, target, PageSize, clicks: false, cancellationToken);
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        _pipeline.ExecuteAsync(async cancellation => await LeadAndProjectAsync(cancellation), stoppingToken).AsTask();

    private async Task LeadAndProjectAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var lead = await LeadAsync(connection, cancellationToken);
        _progress.Advanced(await _log.CheckpointAsync(Checkpoint, cancellationToken));
        while (true)
        {
            var next = _log.NextAppend;
            if (!await ProjectPageAsync(connection, cancellationToken))
            {
                await Task.WhenAny(next, Task.Delay(s_poll, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>Waits until this connection is the one that projects, until what is returned is disposed.</summary>
    private async Task<IAsyncDisposable> LeadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var lead = await AdvisoryLock.HoldAsync(connection, $"pulse:{_log.Schema}.projector", cancellationToken);
        _revisions.LookAgain();
        return lead;
    }

    private async Task<bool> ProjectPageAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // Before anything changes the same credits again: what is told of a conversion follows from what was told before.
        await _revisions.TellAllAsync(connection, cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var position = await LockCheckpointAsync(connection, cancellationToken);
        if (position == RebuildRequested)
        {
            await transaction.RollbackAsync(cancellationToken);
            await RebuildAsync(connection, cancellationToken);
            return true;
        }

        var page = await LogPage.ReadAsync(connection, _log.Schema, position, PageSize, _logger, cancellationToken);
        if (page.Count == 0)
        {
            return false;
        }

        using var traces = await PageTraces.BeginAsync(_log, connection, position, page, cancellationToken);
        await _journeys.AddConversionsAsync(connection, page.Facts.OfType<ConversionRecorded>().ToArray(), cancellationToken);
        Guid[] retied =
        [
            .. await _journeys.AddTiesAsync(connection, page.Facts, cancellationToken),
            .. await _journeys.AddOwnCustomersAsync(connection, page.Facts, cancellationToken),
        ];
        await AddStandingsAsync(connection, page, cancellationToken);
        await _ledger.FoldAsync(connection, page.Booked, reported: null, cancellationToken);
        var affected = await _journeys.AffectedAsync(connection, page, retied, cancellationToken);
        var active = await _generations.ActiveAsync(connection, cancellationToken);
        var revisions = new List<CreditsRevised>();
        if (affected.Count == 0)
        {
            // Nothing to fold; the active generation is as current as its journeys.
        }
        else if (active is null)
        {
            await foreach (var _ in _journeys.AssembleAsync(connection, affected, page.To, fresh: false, cancellationToken))
            {
            }
        }
        else
        {
            await FoldAsync(connection, active, affected, page, revisions, cancellationToken);
        }

        var told = await _log.CheckpointAsync(connection, Told, cancellationToken);
        foreach (var fact in page.Facts.Where(IsRulesOrReplay))
        {
            await ApplyAsync(connection, fact, page.To, told: page.To <= told, catchUp: true, cancellationToken);
        }

        await _log.SaveCheckpointAsync(connection, Checkpoint, page.To, cancellationToken);
        await TellAsync(connection, page, told, revisions, traces, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        traces.Completed();
        if (revisions.Count > 0)
        {
            _log.SignalAppended();
        }

        AttributionMetrics.Projected.Add(page.Count);
        AttributionMetrics.Revised.Add(revisions.Count);
        _progress.Advanced(page.To);
        return true;
    }

    private async Task FoldAsync(
        NpgsqlConnection connection, Generation active, IReadOnlyList<Journeys.Person> affected, LogPage page, List<CreditsRevised> revisions,
        CancellationToken cancellationToken)
    {
        var rules = await _generations.InForceAsync(connection, active, cancellationToken);
        var standings = await _generations.StandingsAsync(connection, cancellationToken);
        await _generations.LockAsync(connection, active.Number, cancellationToken);
        var causes = new Causes(page);
        var people = affected.ToDictionary(person => person.ConversionId);
        await foreach (var journeys in _journeys.AssembleAsync(connection, affected, page.To, fresh: false, cancellationToken))
        {
            var byConversion = journeys.ToDictionary(journey => journey.Conversion.ConversionId);
            foreach (var revision in await _generations.ReviseAsync(connection, active.Number, journeys, standings, rules, cancellationToken))
            {
                revisions.Add(new CreditsRevised
                {
                    EventId = Ids.Derive("credits-revised", $"{active.Number}", $"{revision.ConversionId:N}", $"{page.To}"),
                    ProgramId = _program,
                    OccurredAt = page.RecordedAt,
                    ConversionId = revision.ConversionId,
                    Generation = active.Number,
                    Currency = revision.Currency,
                    Before = revision.Before,
                    After = revision.After,
                    Clicks = revision.Clicks,
                    Causes = causes.Of(people[revision.ConversionId], byConversion[revision.ConversionId]),
                });
            }
        }

        // The last id there is: everything that changed at this position is folded.
        await _generations.SaveAsync(connection, active with { FoldedTo = page.To, FoldedConversion = Guid.AllBitsSet }, cancellationToken);
    }

    private async Task TellAsync(NpgsqlConnection connection, LogPage page, long told, List<CreditsRevised> revisions, PageTraces traces, CancellationToken cancellationToken)
    {
        if (page.To <= told || (revisions.Count == 0 && !page.Facts.Any(fact => fact is ReplayPromoted)))
        {
            revisions.Clear();
            return;
        }

        await _log.SaveCheckpointAsync(connection, Told, page.To, cancellationToken);
        if (revisions.Count == 0)
        {
            return;
        }

        var events = await traces.CreditAsync(connection, revisions, cancellationToken);

        // Last in the transaction: it holds the log's lock until the commit.
        await _log.AppendAsync(connection, events, cancellationToken);
    }

    private static bool IsRulesOrReplay(IEvent fact) =>
        fact is RulesPublished or ReplayRequested or ModelFitted or ReplayCompleted or ReplayPromoted or ReplayDiscarded;

    private async Task ApplyAsync(
        NpgsqlConnection connection, IEvent fact, long position, bool told, bool catchUp, CancellationToken cancellationToken)
    {
        var s = _log.Schema;
        switch (fact)
        {
            case RulesPublished rules:
                await connection.Sql(
                    $"""
                     insert into {s}.rules (version, hash, name, document, published_at, published_by)
                     values ($1, $2, $3, $4::json, $5, $6) on conflict on constraint pk_rules do nothing
                     """,
                    P(rules.Version), P(rules.Hash), P(rules.Document.GetProperty("name").GetString()!), P(rules.Document.GetRawText()),
                    P(rules.OccurredAt), P(rules.By)).RunAsync(cancellationToken);
                break;
            case ReplayRequested replay:
                await connection.Sql(
                    $"""
                     insert into {s}.generations (generation, replay_id, rules_version, under, engine_version, state, target, total, requested_at, requested_by)
                     values ($1, $2, $3, $8, $4, 'running', $5, (select count(*) from {s}.journeys), $6, $7)
                     on conflict on constraint pk_generations do nothing
                     """,
                    P(replay.Generation), P(replay.ReplayId), P(replay.RulesVersion), P(Engine.Version), P(position), P(replay.OccurredAt), P(replay.By),
                    P((replay.Under ?? []).ToArray()))
                    .RunAsync(cancellationToken);
                break;
            case ModelFitted fitted:
                await connection.Sql(
                    $"""
                     insert into {s}.fits (generation, rules_version, position, model_order, converted, not_converted, states, effects, fitted_at)
                     values ($1, $2, $3, $4, $5, $6, $7, $8::json, $9) on conflict on constraint pk_fits do nothing
                     """,
                    P(fitted.Generation), P(fitted.RulesVersion), P(fitted.Position), P(fitted.Order), P(fitted.Converted), P(fitted.NotConverted), P(fitted.States),
                    P(System.Text.Json.JsonSerializer.Serialize(fitted.Effects, FitsJson.Default.IReadOnlyListRemovalEffect)), P(fitted.OccurredAt))
                    .RunAsync(cancellationToken);
                break;
            case ReplayCompleted replay:
                await _generations.LockAsync(connection, replay.Generation, cancellationToken);
                await connection.Sql($"update {s}.generations set state = 'ready' where generation = $1 and state = 'running'", P(replay.Generation))
                    .RunAsync(cancellationToken);
                break;
            case ReplayPromoted replay:
                await PromoteAsync(connection, replay, told, catchUp, cancellationToken);
                break;
            case ReplayDiscarded replay:
                await _generations.LockAsync(connection, replay.Generation, cancellationToken);
                await connection.Sql($"update {s}.generations set state = 'discarded' where generation = $1 and state <> 'active'", P(replay.Generation))
                    .RunAsync(cancellationToken);
                break;
            default:
                throw new UnreachableException(fact.ToString());
        }
    }

    /// <summary>One transaction: what is left of the generation is folded, and it counts from here on.</summary>
    private async Task PromoteAsync(NpgsqlConnection connection, ReplayPromoted replay, bool told, bool catchUp, CancellationToken cancellationToken)
    {
        var s = _log.Schema;
        if (await _generations.LockAsync(connection, replay.Generation, cancellationToken) is not { } generation)
        {
            return;
        }

        if (catchUp)
        {
            await _generations.CatchUpAsync(connection, generation, cancellationToken);
        }

        if (!told)
        {
            // Before the first generation nobody had anything: conversions may have come before it.
            var before = await _generations.ActiveAsync(connection, cancellationToken);
            await _revisions.KeepAsync(connection, replay, before?.Number ?? 0, cancellationToken);
        }

        await connection.Sql($"update {s}.generations set state = 'retired' where state = 'active'").RunAsync(cancellationToken);
        await connection.Sql($"update {s}.generations set state = 'active' where generation = $1", P(replay.Generation)).RunAsync(cancellationToken);
    }

    private async Task AddStandingsAsync(NpgsqlConnection connection, LogPage page, CancellationToken cancellationToken)
    {
        foreach (var fact in page.Facts)
        {
            if (PartnerStandings.PartnerOf(fact) is not { } partner)
            {
                continue;
            }

            await connection.Sql(
                $"""
                 insert into {_log.Schema}.standings (event_id, program_id, partner_id, occurred_at, suspended, group_name) values ($1, $2, $3, $4, $5, $6)
                 on conflict on constraint pk_standings do nothing
                 """,
                P(fact.EventId), P(fact.ProgramId), P(partner), P(fact.OccurredAt),
                OrNull(fact switch { PartnerSuspended => true, PartnerReinstated => false, _ => (bool?)null }, NpgsqlTypes.NpgsqlDbType.Boolean),
                P((fact as PartnerGrouped)?.Group)).RunAsync(cancellationToken);
        }
    }

    /// <summary>Locked, so that a request for a rebuild is not overwritten by the page in work.</summary>
    private async Task<long> LockCheckpointAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select last_seq_id from {_log.Schema}.mt_event_progression where name = $1 for update", P(Checkpoint));
        return await command.ExecuteScalarAsync(cancellationToken) as long? ?? 0;
    }

    private async Task<long> LastPositionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select coalesce(max(seq_id), 0) from {_log.Schema}.mt_events");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }
}
