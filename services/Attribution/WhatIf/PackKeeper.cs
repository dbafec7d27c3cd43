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
    private static readonly TimeSpan s_replayWaits = TimeSpan.FromSeconds(1);

    private readonly long _mostBytes = options.Value.WhatIfMegabytes * 1024L * 1024;
    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.PackRetries(attempt, fault))
        .Build();

    // Held by whoever changes the pack or goes through it: a pass takes milliseconds, and uses all cores.
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly JourneyPack _pack = new();
    private JourneyKey _readTo;
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
            await foreach (var page in ReadAsync(connection, default, cancellationToken))
            {
                var pack = new JourneyPack();
                foreach (var (journey, key) in page)
                {
                    pack.Put(journey, key.ChangedAt);
                }

                sums.Add(pack, beside.Standings, sets, from ?? DateTimeOffset.MinValue, to ?? DateTimeOffset.MaxValue, cancellationToken);
            }

            return Judged(sums, beside, fromMemory: false);
        }

        static Judged Judged(RuleSetSums sums, Beside beside, bool fromMemory) => new(sums, beside.Active, beside.Position, fromMemory);
    }

    /// <summary>Brings the pack to a position that is projected, so that a replay can be judged from it. Not while the journeys are locked.</summary>
    public async Task ReachAsync(long position, CancellationToken cancellationToken)
    {
        if (_overflowed || Position >= position)
        {
            return;
        }

        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (!_overflowed && Position < position)
            {
                await ReadNextAsync(cancellationToken);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>For <see cref="JudgeNextAsync"/>.</summary>
    public PackedJudge JudgeBy(RulesInForce rules, PartnerStandings standings) => new(_pack, standings, rules);

    /// <summary>Judges the next journeys of a replay whose caller keeps a rebuild from throwing them away.</summary>
    /// <param name="judge">By <see cref="JudgeBy"/>.</param>
    /// <param name="table">The file of the table of journeys that the caller has locked (<see cref="TableAsync"/>).</param>
    /// <param name="target">The replay's: what changed later is to come again, so the pack must not be behind it.</param>
    /// <param name="after">Where to go on.</param>
    /// <param name="position">Journeys that changed after it are left for later.</param>
    /// <param name="max">Conversions at most.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Null where the pack has none, does not have these journeys, or is busy for long: then the table has them.</returns>
    public async Task<(JudgedRows Rows, JourneyKey Last)?> JudgeNextAsync(
        PackedJudge judge, long table, long target, JourneyKey after, long position, int max, CancellationToken cancellationToken)
    {
        // Whoever has the turn may wait for a rebuild that waits for the caller, so the caller does not wait for the turn for ever.
        if (!await _turn.WaitAsync(s_replayWaits, cancellationToken))
        {
            return null;
        }

        try
        {
            return !_overflowed && _table == table && Position >= target && judge.Next(after, position, max) is { Rows.Conversions.Count: > 0 } judged ? judged : null;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The file that the table of journeys is in: a rebuild fills the table anew, and gives it another.</summary>
    public static async Task<long> TableAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select pg_relation_filenode('{schema}.journeys')::bigint");
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
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

        // Positions in another file may lie behind ours.
        if (await TableAsync(connection, log.Schema, cancellationToken) is var table && table != _table)
        {
            _pack.Clear();
            (_table, _readTo) = (table, default);
            Volatile.Write(ref _position, 0);
        }

        await foreach (var page in ReadAsync(connection, _readTo, cancellationToken))
        {
            foreach (var (journey, key) in page)
            {
                _pack.Put(journey, key.ChangedAt);
                _readTo = key;
            }

            (Conversions, Bytes) = (_pack.Conversions, _pack.Bytes);
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

    private async IAsyncEnumerable<IReadOnlyList<(Journey Journey, JourneyKey Key)>> ReadAsync(
        NpgsqlConnection connection, JourneyKey after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var stored = new List<Journeys.Stored>();
            await foreach (var journey in Journeys.StreamChangedAsync(connection, log.Schema, after.ChangedAt, after.ConversionId, PageSize, cancellationToken))
            {
                stored.Add(journey);
            }

            if (stored.Count == 0)
            {
                yield break;
            }

            // Decoding is most of the work, and every core takes its part.
            yield return stored.AsParallel().AsOrdered()
                .Select(s => (Journeys.Deserialize(s.Facts, s.Touches), new JourneyKey(s.ChangedAt, s.ConversionId))).ToArray();
            after = new JourneyKey(stored[^1].ChangedAt, stored[^1].ConversionId);
        }
    }

    private sealed record Beside(Generation Active, RulesInForce InForce, PartnerStandings Standings, long Position);
}
