using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Replays;

/// <summary>
/// A stretch of a replay. Journeys that are packed in memory are judged there, and one connection copies the credits. Others come from
/// their table: one connection reads them, as many tasks as there are cores decode and judge them, another connection copies the
/// credits in order; what is read ahead is a few chunks, so memory is bounded. A commit has the rows of one chunk and the checkpoint
/// after it, so a killed replay goes on where it was.
/// </summary>
/// <param name="log">Has the journeys beside it.</param>
/// <param name="generations">Write the credits.</param>
/// <param name="packed">Has the journeys in memory.</param>
/// <param name="commit">Conversions a commit (<see cref="AttributionOptions.ReplayCommit"/>).</param>
internal sealed class ReplayPass(EventLog log, Generations generations, PackKeeper packed, int commit)
{
    /// <summary>Conversions that are read under one snapshot. A rebuild waits for its end: a second or two.</summary>
    public const int PassSize = 40_000;

    /// <summary>The same of conversions that are packed, which take a tenth of the time.</summary>
    private const int PackedPassSize = 5 * PassSize;

    private static readonly int s_ahead = Environment.ProcessorCount + 1;

    /// <summary>Judges and writes the next journeys of a generation in its first pass.</summary>
    /// <param name="number">The generation.</param>
    /// <param name="fresh">This process has not worked on it before: its speed is counted from here.</param>
    /// <param name="cancellationToken">Stops between two chunks.</param>
    /// <returns>Conversions judged, 0 where none is left; null where it is not running, or another process works on it.</returns>
    /// <exception cref="UnfoldableException">This engine cannot read its rules, or did not begin it.</exception>
    public async Task<int?> RunAsync(int number, bool fresh, CancellationToken cancellationToken)
    {
        await ReachAsync(number, cancellationToken);
        await using var reading = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await reading.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);

        // While this is held a rebuild cannot throw away what was read, in the order in which it takes its locks. It comes before
        // the snapshot, which then sees all or nothing of the rebuild before it.
        await reading.Sql($"lock table {log.Schema}.journeys in access share mode").RunAsync(cancellationToken);
        // One process at a time works on a generation; the claim goes with the snapshot's transaction.
        if (!await AdvisoryLock.TryTakeAsync(reading, FormattableString.Invariant($"pulse:{log.Schema}.replay.{number}"), cancellationToken)
            || await generations.FindAsync(reading, number, cancellationToken) is not { State: Generation.Running } generation)
        {
            return null;
        }

        if (!string.Equals(generation.EngineVersion, Engine.Version, StringComparison.Ordinal))
        {
            throw new UnfoldableException($"Engine {generation.EngineVersion} began it and this is engine {Engine.Version}; request the replay again.");
        }

        // By the index, row by row: sorted first, the whole of what is left would be written to disk, and nothing could be judged meanwhile.
        await reading.Sql("set local enable_sort = off").RunAsync(cancellationToken);
        var rules = await generations.InForceAsync(reading, generation, cancellationToken);
        var standings = await generations.StandingsAsync(reading, cancellationToken);
        await using var writing = await log.DataSource.OpenConnectionAsync(cancellationToken);

        // A commit need not be on the disk: rows and checkpoint are lost together, and the fact that it is complete, which waits for the
        // disk, comes after them there.
        await writing.Sql("set synchronous_commit = off").RunAsync(cancellationToken);
        if (fresh)
        {
            await BeginAsync(writing, generation, cancellationToken);
        }

        var judged = 0;
        await foreach (var chunk in JudgePackedAsync(reading, generation, rules, standings, cancellationToken))
        {
            if (await WriteAsync(writing, generation, chunk, cancellationToken) is not { } written)
            {
                return null;
            }

            (generation, judged) = (written, judged + chunk.Rows.Conversions.Count);
        }

        if (judged >= PackedPassSize)
        {
            return judged;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var chunks = Channel.CreateBounded<Task<Chunk>>(new BoundedChannelOptions(s_ahead) { SingleReader = true, SingleWriter = true });
        var read = ReadAsync(reading, generation, rules, standings, chunks.Writer, stop.Token);
        try
        {
            await foreach (var judging in chunks.Reader.ReadAllAsync(cancellationToken))
            {
                var chunk = await judging;
                if (await WriteAsync(writing, generation, chunk, cancellationToken) is not { } written)
                {
                    return null;
                }

                (generation, judged) = (written, judged + chunk.Rows.Conversions.Count);
            }

            return judged;
        }
        finally
        {
            // The connection that reads is given back when its query has ended, whatever happened here.
            await stop.CancelAsync();
            await read.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Has the pack brought to the replay's target, from which on it can be judged there.</summary>
    private async Task ReachAsync(int number, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        if (await generations.FindAsync(connection, number, cancellationToken) is { } generation)
        {
            await packed.ReachAsync(generation.Target, cancellationToken);
        }
    }

    /// <summary>The next journeys of the snapshot as far as the pack has them. The next chunk is judged while one is written.</summary>
    private async IAsyncEnumerable<Chunk> JudgePackedAsync(
        NpgsqlConnection connection, Generation generation, RulesInForce rules, PartnerStandings standings,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var table = await PackKeeper.TableAsync(connection, log.Schema, cancellationToken);
        var position = await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken);
        var judge = packed.JudgeBy(rules, standings);
        var next = NextAsync(new JourneyKey(generation.FoldedTo, generation.FoldedConversion));
        try
        {
            for (var judged = 0; judged < PackedPassSize && await next is { } chunk; judged += chunk.Rows.Conversions.Count)
            {
                next = NextAsync(chunk.Last);
                yield return chunk;
            }
        }
        finally
        {
            // Where the caller stops early, the pack is let go of before the snapshot is.
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        Task<Chunk?> NextAsync(JourneyKey after) => Task.Run(
            async () => await packed.JudgeNextAsync(judge, table, generation.Target, after, position, commit, cancellationToken) is var (rows, last) ? new Chunk(rows, last) : null,
            cancellationToken);
    }

    private async Task BeginAsync(NpgsqlConnection connection, Generation generation, CancellationToken cancellationToken) => await connection.Sql(
        $"""
         insert into {log.Schema}.generation_runs (generation, started_at, started_done, advanced_at) values ($1, clock_timestamp(), $2, clock_timestamp())
         on conflict on constraint pk_generation_runs do update
            set started_at = excluded.started_at, started_done = excluded.started_done, advanced_at = excluded.advanced_at
         """,
        P(generation.Number), P(generation.Done)).RunAsync(cancellationToken);

    private async Task ReadAsync(
        NpgsqlConnection connection, Generation generation, RulesInForce rules, PartnerStandings standings, ChannelWriter<Task<Chunk>> chunks,
        CancellationToken cancellationToken)
    {
        try
        {
            var stored = new List<Journeys.Stored>(commit);
            await foreach (var journey in Journeys.StreamChangedAsync(
                connection, log.Schema, generation.FoldedTo, generation.FoldedConversion, PassSize, cancellationToken))
            {
                stored.Add(journey);
                if (stored.Count == commit)
                {
                    await HandAsync(stored);
                    stored = new List<Journeys.Stored>(commit);
                }
            }

            await HandAsync(stored);
            chunks.Complete();
        }
        catch (Exception fault)
        {
            // Who writes throws it.
            chunks.Complete(fault);
        }

        async Task HandAsync(List<Journeys.Stored> some)
        {
            if (some.Count > 0)
            {
                await chunks.WriteAsync(Task.Run(() => Chunk.Of(some, standings, rules), cancellationToken), cancellationToken);
            }
        }
    }

    /// <returns>The generation after the chunk; null where it is no longer as this pass left it.</returns>
    private async Task<Generation?> WriteAsync(NpgsqlConnection connection, Generation expected, Chunk chunk, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await generations.LockAsync(connection, expected.Number, cancellationToken) is not { } now || !now.IsWhere(expected))
        {
            // Discarded, or completed otherwise.
            return null;
        }

        // Up to the target each journey comes once, so there is nothing to replace; a journey that changes later comes again.
        await generations.StoreAsync(connection, expected.Number, chunk.Rows, fresh: chunk.Last.ChangedAt <= expected.Target, cancellationToken);
        var folded = expected with
        {
            FoldedTo = chunk.Last.ChangedAt,
            FoldedConversion = chunk.Last.ConversionId,
            Done = Math.Min(expected.Total, expected.Done + chunk.Rows.Conversions.Count),
        };
        await generations.SaveAsync(connection, folded, cancellationToken);
        await connection.Sql($"update {log.Schema}.generation_runs set advanced_at = clock_timestamp() where generation = $1", P(expected.Number))
            .RunAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return folded;
    }

    private sealed record Chunk(JudgedRows Rows, JourneyKey Last)
    {
        public static Chunk Of(List<Journeys.Stored> stored, PartnerStandings standings, RulesInForce rules)
        {
            var journeys = stored.ConvertAll(s => Journeys.Deserialize(s.Facts, s.Touches));
            return new Chunk(JudgedRows.Of(Generations.Decide(journeys, standings, rules)), new JourneyKey(stored[^1].ChangedAt, stored[^1].ConversionId));
        }
    }
}
