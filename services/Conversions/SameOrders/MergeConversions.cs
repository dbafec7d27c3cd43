using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;

namespace PartnerPulse.Conversions.SameOrders;

/// <summary>
/// Looks for orders that were reported twice: tails the log, and records a merge where two conversions are one sale by what is
/// declared. A new declaration goes over all that is recorded. One instance works at a time; keys, merges and checkpoint commit
/// together with the events.
/// </summary>
/// <remarks>
/// A conversion is set aside where any match is recorded for it, and of its matches the nearest is always among those: a nearer one
/// that comes later is recorded too. So nothing depends on the order in which reports come.
/// </remarks>
internal sealed class MergeConversions : BackgroundService
{
    /// <summary>Up to here the log has been gone over.</summary>
    public const string Checkpoint = "same-orders";

    /// <summary>Position of the declaration that it was gone over with.</summary>
    public const string Declaration = "same-orders-declaration";

    private const int PageSize = 2_000;

    private static readonly string s_recorded = EventTypes.Of<ConversionRecorded>().Name;
    private static readonly string s_separated = EventTypes.Of<ConversionSeparated>().Name;

    // The log can also be appended to by another process, which wakes nobody here.
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private static readonly Counter<long> s_merged =
        Diagnostics.Meter.CreateCounter<long>("pulse.conversions.merged", "{merge}", "Matches of orders that were reported twice");

    private readonly EventLog _log;
    private readonly string _program;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline _pipeline;

    public MergeConversions(
        [FromKeyedServices(ConversionsService.Schema)] EventLog log, IOptions<ProgramOptions> program, TimeProvider time, ILogger<MergeConversions> logger)
    {
        (_log, _program, _time) = (log, program.Value.Program, time);
        _pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(2), (attempt, fault) => logger.MergingRetries(attempt, fault))
            .Build();
    }

    /// <summary>Creates the tables, after the log is open and before anybody asks.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await new SchemaScript(typeof(MergeConversions).Assembly, "PartnerPulse.Conversions.Sql.001_same_orders.sql", _log.Schema).RunAsync(_log.DataSource, cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Keeps pages out until the caller's transaction ends. Take it before the log's lock, as a page does.</summary>
    public async Task LockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"lock table {_log.Schema}.order_keys in exclusive mode", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Makes the keys of these conversions anew from the log as it is now: a key may be derived from the customer.</summary>
    public async Task RekeyAsync(NpgsqlConnection connection, Guid[] conversions, CancellationToken cancellationToken)
    {
        await using (var delete = new NpgsqlCommand($"delete from {_log.Schema}.order_keys where conversion_id = any($1)", connection))
        {
            delete.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = conversions });
            await delete.ExecuteNonQueryAsync(cancellationToken);
        }

        var (_, identities) = await DeclaredAsync(connection, cancellationToken);
        var recorded = new List<ConversionRecorded>();
        await using (var command = new NpgsqlCommand($"select type, data from {_log.Schema}.mt_events where id = any($1)", connection))
        {
            command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = conversions });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                recorded.Add((ConversionRecorded)ConversionLog.Event(reader.GetString(0), reader.GetFieldValue<byte[]>(1)));
            }
        }

        await InsertKeysAsync(connection, [.. recorded.SelectMany(c => OrderKey.Of(c, identities).Select(key => (c, key)))], cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken) =>
        await _pipeline.ExecuteAsync(async cancellation => await FollowAsync(cancellation), stoppingToken);

    private async Task FollowAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var lead = await AdvisoryLock.HoldAsync(connection, $"pulse:{_log.Schema}.same-orders", cancellationToken);
        while (true)
        {
            var next = _log.NextAppend;
            if (!await PageAsync(connection, cancellationToken))
            {
                await Task.WhenAny(next, Task.Delay(s_poll, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <returns>False where there was nothing to do.</returns>
    private async Task<bool> PageAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var reading = new NpgsqlCommand($"lock table {_log.Schema}.order_keys in row exclusive mode", connection))
        {
            await reading.ExecuteNonQueryAsync(cancellationToken); // An erasure waits for this page, or this page for the erasure.
        }

        var (declared, identities) = await DeclaredAsync(connection, cancellationToken);
        if (await _log.CheckpointAsync(connection, Declaration, cancellationToken) != declared)
        {
            await using var empty = new NpgsqlCommand($"truncate {_log.Schema}.order_keys", connection);
            await empty.ExecuteNonQueryAsync(cancellationToken);
            await _log.SaveCheckpointAsync(connection, Checkpoint, 0, cancellationToken);
            await _log.SaveCheckpointAsync(connection, Declaration, declared, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return true;
        }

        if (identities.Count == 0)
        {
            return false;
        }

        var from = await _log.CheckpointAsync(connection, Checkpoint, cancellationToken);
        var (conversions, to) = await ReadAsync(connection, from, cancellationToken);
        if (to == from)
        {
            return false;
        }

        var merges = await MatchAsync(connection, conversions, identities, cancellationToken);
        await _log.SaveCheckpointAsync(connection, Checkpoint, to, cancellationToken);
        if (merges.Count > 0)
        {
            // Last in the transaction: it holds the log's lock until the commit.
            await _log.AppendAsync(connection, [.. merges.Select(ConversionLog.New)], cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        if (merges.Count > 0)
        {
            s_merged.Add(merges.Count);
            _log.SignalAppended();
        }

        return true;
    }

    private async Task<(long Position, IReadOnlyList<OrderIdentity> Identities)> DeclaredAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"select seq_id, type, data from {_log.Schema}.mt_events where stream_id = $1 order by version desc limit 1", connection);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = Ids.OrderIdentities(_program) });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? (reader.GetInt64(0), ((OrderIdentitiesDeclared)ConversionLog.Event(reader.GetString(1), reader.GetFieldValue<byte[]>(2))).Identities)
            : (0, []);
    }

    private async Task<(IReadOnlyList<ConversionRecorded> Conversions, long To)> ReadAsync(NpgsqlConnection connection, long from, CancellationToken cancellationToken)
    {
        // The end is read first: what is appended after that is for the next page.
        var end = (long)(await ScalarAsync(connection, $"select coalesce(max(seq_id), 0) from {_log.Schema}.mt_events", cancellationToken))!;
        await using var command = new NpgsqlCommand(
            $"select seq_id, type, data from {_log.Schema}.mt_events where seq_id > $1 and seq_id <= $2 and type = '{s_recorded}' order by seq_id limit {PageSize}", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = from });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = end });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var conversions = new List<ConversionRecorded>();
        var last = from;
        while (await reader.ReadAsync(cancellationToken))
        {
            last = reader.GetInt64(0);
            conversions.Add((ConversionRecorded)ConversionLog.Event(reader.GetString(1), reader.GetFieldValue<byte[]>(2)));
        }

        return (conversions, conversions.Count < PageSize ? end : last);
    }

    private async Task<IReadOnlyList<ConversionMerged>> MatchAsync(
        NpgsqlConnection connection, IReadOnlyList<ConversionRecorded> conversions, IReadOnlyList<OrderIdentity> identities, CancellationToken cancellationToken)
    {
        var rows = conversions.SelectMany(c => OrderKey.Of(c, identities).Select(key => (Conversion: c, Key: key))).ToArray();
        if (rows.Length == 0)
        {
            return [];
        }

        await InsertKeysAsync(connection, rows, cancellationToken);
        var found = await NearestAsync(connection, [.. rows.Select(r => r.Key).DistinctBy(k => k.Key)], identities, cancellationToken);
        var separated = (await _log.FindAsync([.. found.Select(m => Ids.Separation(m.ConversionId))], cancellationToken)).Select(e => e.Id).ToHashSet();
        var merges = new List<ConversionMerged>();
        foreach (var merge in found.Where(m => !separated.Contains(Ids.Separation(m.ConversionId))).DistinctBy(m => m.EventId))
        {
            if (await AddAsync(connection, merge, cancellationToken))
            {
                merges.Add(merge);
            }
        }

        return merges;
    }

    private async Task InsertKeysAsync(NpgsqlConnection connection, (ConversionRecorded Conversion, OrderKey Key)[] rows, CancellationToken cancellationToken)
    {
        await using var insert = new NpgsqlCommand(
            $"""
             insert into {_log.Schema}.order_keys (key, conversion_id, is_first, occurred_at, source, order_id)
             select * from unnest($1::uuid[], $2::uuid[], $3::bool[], $4::timestamptz[], $5::varchar[], $6::varchar[])
             on conflict on constraint pk_order_keys do nothing
             """,
            connection);
        insert.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. rows.Select(r => r.Key.Key)] });
        insert.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. rows.Select(r => r.Conversion.ConversionId)] });
        insert.Parameters.Add(new NpgsqlParameter<bool[]> { TypedValue = [.. rows.Select(r => r.Key.IsFirst)] });
        insert.Parameters.Add(new NpgsqlParameter<DateTimeOffset[]> { TypedValue = [.. rows.Select(r => r.Conversion.OccurredAt)] });
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. rows.Select(r => r.Conversion.Source)] });
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. rows.Select(r => r.Conversion.OrderId)] });
        await insert.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>For each conversion of a second source under these keys the nearest of the first, where that is not recorded yet.</summary>
    private async Task<IReadOnlyList<ConversionMerged>> NearestAsync(
        NpgsqlConnection connection, IReadOnlyList<OrderKey> keys, IReadOnlyList<OrderIdentity> identities, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             select k.identity, b.conversion_id, b.source, b.order_id, a.conversion_id, a.source, a.order_id, a.occurred_at
               from unnest($1::uuid[], $2::int[], $3::int[]) as k(key, identity, hours)
               join {_log.Schema}.order_keys b on b.key = k.key and not b.is_first
              cross join lateral (
                    select * from {_log.Schema}.order_keys a
                     where a.key = k.key and a.is_first and a.occurred_at between b.occurred_at - make_interval(hours => k.hours) and b.occurred_at + make_interval(hours => k.hours)
                     order by abs(extract(epoch from a.occurred_at - b.occurred_at)), a.conversion_id limit 1) a
              where not exists (select from {_log.Schema}.merges m where m.conversion_id = b.conversion_id and m.into_id = a.conversion_id)
              order by b.conversion_id, a.conversion_id, k.identity
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. keys.Select(k => k.Key)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. keys.Select(k => k.Identity)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. keys.Select(k => identities[k.Identity].WithinHours)] });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var now = _time.GetUtcNow();
        var found = new List<ConversionMerged>();
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(new ConversionMerged
            {
                EventId = Ids.Merge(reader.GetGuid(1), reader.GetGuid(4)),
                ProgramId = _program,
                OccurredAt = now,
                ConversionId = reader.GetGuid(1),
                Source = reader.GetString(2),
                OrderId = reader.GetString(3),
                Into = reader.GetGuid(4),
                IntoSource = reader.GetString(5),
                IntoOrderId = reader.GetString(6),
                IntoOccurredAt = reader.GetFieldValue<DateTimeOffset>(7),
                Rule = identities[reader.GetInt32(0)],
            });
        }

        return found;
    }

    /// <summary>
    /// False where the one that would be kept is itself set aside for this one, by a declaration of before with the sources the other
    /// way round: of the two one must stay.
    /// </summary>
    private async Task<bool> AddAsync(NpgsqlConnection connection, ConversionMerged merge, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             with recursive kept(id) as (
                 select $2
                 union
                 select m.into_id from kept join {_log.Schema}.merges m on m.conversion_id = kept.id
                  where not exists (select from {_log.Schema}.mt_events e where e.stream_id = m.conversion_id and e.type = '{s_separated}')
             )
             insert into {_log.Schema}.merges (conversion_id, into_id, source, order_id)
             select $1, $2, $3, $4 where not exists (select from kept where id = $1)
             on conflict on constraint pk_merges do nothing
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = merge.ConversionId });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = merge.Into });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = merge.Source, NpgsqlDbType = NpgsqlDbType.Varchar });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = merge.OrderId, NpgsqlDbType = NpgsqlDbType.Varchar });
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private static async Task<object?> ScalarAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync(cancellationToken);
    }
}
