using System.Data;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>Sums over all journeys as of one position of the log, and what they were judged beside.</summary>
/// <param name="Sums">By rule set, the active one first where it was asked for.</param>
/// <param name="Active">The generation that counts at that position.</param>
/// <param name="Position">Of the log, up to which the journeys are known.</param>
/// <param name="FromMemory">False where the journeys were read from their table.</param>
internal sealed record Judged(RuleSetSums Sums, Generation Active, long Position, bool FromMemory);

/// <summary>
/// Keeps the journeys of those who converted packed in memory: read from their table after the start, then whatever changed, as a
/// generation does. Beyond the bound on memory nothing is kept, and every question reads the table through the same judges.
/// </summary>
internal sealed class PackKeeper(
    [FromKeyedServices(AttributionService.Schema)] EventLog log,
    Generations generations,
    ProjectionProgress progress,
    IOptions<AttributionOptions> options,
    ILogger<PackKeeper> logger) : BackgroundService
{
    private const int PageSize = 4_000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly long _mostBytes = options.Value.WhatIfMegabytes * 1024L * 1024;
    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.PackRetries(attempt, fault))
        .Build();

    // Held by whoever changes the pack or goes through it: a pass takes milliseconds, and uses all cores.
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly JourneyPack _pack = new();
    private (long ChangedAt, Guid Conversion) _readTo;
    private long _table;
    private Beside? _beside;
    private volatile bool _overflowed;
    private long _position;

    public long Position => Volatile.Read(ref _position);

    /// <summary>Conversions that are kept; 0 beyond the bound.</summary>
    public long Conversions { get; private set; }

    public long Bytes { get; private set; }

    /// <summary>The bound on memory was met: questions read the table.</summary>
    public bool Overflowed => _overflowed;

    /// <summary>Judges all conversions of a time as of no earlier than what is projected now.</summary>
    /// <param name="ruleSets">What to judge by, besides the active rules.</param>
    /// <param name="withActive">The active rules are the first rule set.</param>
    /// <param name="from">Conversions from then on; null: from the first.</param>
    /// <param name="to">Conversions before it; null: to the last.</param>
    /// <param name="cancellationToken">Ends it between two chunks.</param>
    /// <returns>Null before the first generation counts.</returns>
    public async Task<Judged?> JudgeAsync(
        IReadOnlyList<Rules> ruleSets, bool withActive, DateTimeOffset? from, DateTimeOffset? to, CancellationToken cancellationToken)
    {
        var projected = await log.CheckpointAsync(Projector.Checkpoint, cancellationToken);
        if (projected <= 0 && await log.LastPositionAsync(cancellationToken) is var last)
        {
            // The service has just started for the first time, or rebuilds: the first rules are a moment away.
            await progress.WaitAsync(log, last, s_patience, cancellationToken);
            projected = await log.CheckpointAsync(Projector.Checkpoint, cancellationToken);
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_beside is not null && !_overflowed && Position < projected)
            {
                await ReadNextAsync(cancellationToken);
            }

            return _beside is { } beside && !_overflowed
                ? Judged(RuleSetSums.Of(_pack, beside.Standings, Sets(beside), from ?? DateTimeOffset.MinValue, to ?? DateTimeOffset.MaxValue, cancellationToken), beside, fromMemory: true)
                : await StreamAsync(cancellationToken);
        }
        finally
        {
            _turn.Release();
        }

        IReadOnlyList<RulesInForce> Sets(Beside beside)
        {
            var asked = ruleSets.Select(rules => InForce(rules, beside.InForce));
            return withActive ? [beside.InForce, .. asked] : [.. asked];
        }

        async Task<Judged?> StreamAsync(CancellationToken cancellationToken)
        {
            await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
            await using var snapshot = await SnapshotAsync(connection, cancellationToken);
            if (await ReadBesideAsync(connection, cancellationToken) is not { } beside)
            {
                return null;
            }

            var sets = Sets(beside);
            var sums = new RuleSetSums(sets.Count);
            await foreach (var journeys in ReadAsync(connection, (0, Guid.Empty), cancellationToken))
            {
                var page = new JourneyPack();
                foreach (var journey in journeys.Journeys)
                {
                    page.Put(journey);
                }

                sums.Add(page, beside.Standings, sets, from ?? DateTimeOffset.MinValue, to ?? DateTimeOffset.MaxValue, cancellationToken);
            }

            return Judged(sums, beside, fromMemory: false);
        }

        static Judged Judged(RuleSetSums sums, Beside beside, bool fromMemory) => new(sums, beside.Active, beside.Position, fromMemory);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested && !_overflowed)
        {
            var next = progress.NextAdvance;
            await _pipeline.ExecuteAsync(async cancellation => await KeepAsync(cancellation), stoppingToken);
            await Task.WhenAny(next, Task.Delay(s_poll, stoppingToken));

            // What arrives together is read together: under traffic the log advances many times a second.
            await Task.Delay(s_poll, stoppingToken);
        }
    }

    private async Task KeepAsync(CancellationToken cancellationToken)
    {
        // Less than nothing: a rebuild is asked for, and about to begin.
        if (await log.CheckpointAsync(Projector.Checkpoint, cancellationToken) is var projected && (projected == Position || projected < 0))
        {
            return;
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            await ReadNextAsync(cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Brings the pack to the position that is projected now.</summary>
    private async Task ReadNextAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await SnapshotAsync(connection, cancellationToken);
        if (await ReadBesideAsync(connection, cancellationToken) is not { } beside)
        {
            return;
        }

        // A rebuild fills the table anew, under positions that may lie behind ours, and gives it another file.
        await using (var command = connection.Sql($"select pg_relation_filenode('{log.Schema}.journeys')::bigint"))
        {
            var table = (long)(await command.ExecuteScalarAsync(cancellationToken))!;
            if (table != _table)
            {
                _pack.Clear();
                (_table, _readTo) = (table, (0, Guid.Empty));
            }
        }

        await foreach (var (journeys, readTo) in ReadAsync(connection, _readTo, cancellationToken))
        {
            foreach (var journey in journeys)
            {
                _pack.Put(journey);
            }

            (_readTo, Conversions, Bytes) = (readTo, _pack.Conversions, _pack.Bytes);
            if (Bytes > _mostBytes)
            {
                Overflow();
                return;
            }
        }

        _beside = beside;
        Volatile.Write(ref _position, beside.Position);
    }

    /// <summary>As a replay of the rules would judge: what they do not apply to is judged by what counts now.</summary>
    private static RulesInForce InForce(Rules rules, RulesInForce active) =>
        rules.CoverEverything
            ? RulesInForce.Only(rules)
            : RulesInForce.Of(active.Versions.Where(version => version.Rules.Hash != rules.Hash).Prepend(new VersionedRules(0, rules)));

    private void Overflow()
    {
        logger.PackOverflows(Conversions, Bytes, _mostBytes);
        _overflowed = true;
        _pack.Clear();
        (Conversions, Bytes) = (0, 0);
        AttributionMetrics.PackOverflows.Add(1);
    }

    /// <summary>
    /// Journeys, standings and the checkpoint as they were at one moment. The table is locked against being emptied before the
    /// snapshot is taken: PostgreSQL shows an emptied table as empty to snapshots of before, too.
    /// </summary>
    private async Task<NpgsqlTransaction> SnapshotAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken);
        await connection.Sql($"lock table {log.Schema}.journeys in access share mode").RunAsync(cancellationToken);
        return snapshot;
    }

    /// <summary>Null before the first generation counts.</summary>
    private async Task<Beside?> ReadBesideAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        await generations.ActiveAsync(connection, cancellationToken) is not { } active
            ? null
            : new Beside(
                active, await generations.InForceAsync(connection, active, cancellationToken),
                await generations.StandingsAsync(connection, cancellationToken), await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken));

    private async IAsyncEnumerable<(IReadOnlyList<Journey> Journeys, (long ChangedAt, Guid Conversion) ReadTo)> ReadAsync(
        NpgsqlConnection connection, (long ChangedAt, Guid Conversion) after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var stored = new List<Journeys.Stored>();
            await foreach (var journey in Journeys.StreamChangedAsync(connection, log.Schema, after.ChangedAt, after.Conversion, PageSize, cancellationToken))
            {
                stored.Add(journey);
            }

            if (stored.Count == 0)
            {
                yield break;
            }

            // Decoding is most of the work, and every core takes its part.
            var journeys = stored.AsParallel().AsOrdered().Select(s => Journeys.Deserialize(s.Facts, s.Touches)).ToArray();
            after = (stored[^1].ChangedAt, stored[^1].ConversionId);
            yield return (journeys, after);
        }
    }

    private sealed record Beside(Generation Active, RulesInForce InForce, PartnerStandings Standings, long Position);
}
