using System.Buffers;
using System.Data;
using System.Text;
using System.Text.RegularExpressions;
using Npgsql;
using NpgsqlTypes;

namespace PartnerPulse.EventStore;

/// <summary>
/// An append-only log of events on PostgreSQL, one schema a service, in Marten's table layout.
/// Order of positions is order of commits, so a reader that remembers its last position misses nothing.
/// </summary>
public sealed partial class EventLog
{
    /// <summary>Events that one statement appends at most; longer appends are several statements in one transaction.</summary>
    public const int MaxEventsPerStatement = 5_000;

    private readonly NpgsqlDataSource _dataSource;
    private readonly SchemaScript _tables;
    private readonly string _appendSql;
    private readonly AppendSignal _appended = new();

    /// <param name="dataSource">Connections to the database that holds the log.</param>
    /// <param name="schema">Schema of the service: lower-case letters, digits and underscores.</param>
    /// <exception cref="ArgumentException">The schema is not such a name.</exception>
    public EventLog(NpgsqlDataSource dataSource, string schema)
    {
        ArgumentNullException.ThrowIfNull(dataSource);
        if (!SchemaName().IsMatch(schema))
        {
            throw new ArgumentException($"Schema '{schema}' is not a name of lower-case letters, digits and underscores.", nameof(schema));
        }

        _dataSource = dataSource;
        Schema = schema;
        _tables = Script("001_log.sql");
        _appendSql = Script("append.sql").Read();
        Traces = new TraceContexts(schema);
    }

    public string Schema { get; }

    /// <summary>Trace contexts of events of sampled traces.</summary>
    public TraceContexts Traces { get; }

    public NpgsqlDataSource DataSource => _dataSource;

    /// <summary>Creates what is missing. Safe to call from several processes at once.</summary>
    public Task CreateSchemaAsync(CancellationToken cancellationToken) => _tables.RunAsync(_dataSource, cancellationToken);

    /// <summary>
    /// Appends events of any streams in one transaction. Events whose id is in the log already are passed over; so are second
    /// ones of the same id within the call.
    /// </summary>
    /// <returns>How many were new.</returns>
    public async Task<int> AppendAsync(IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        if (events.Count == 0)
        {
            return 0;
        }

        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var added = await AppendAsync(connection, events, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        SignalAppended();
        return added;
    }

    /// <summary>
    /// Appends within the caller's transaction, so that the caller's rows commit with the events. Takes the log's lock until
    /// that transaction ends: call it last, and <see cref="SignalAppended"/> after the commit.
    /// </summary>
    /// <returns>How many were new.</returns>
    public async Task<int> AppendAsync(NpgsqlConnection connection, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        // One lock for the log: without it a position is handed out before an earlier one commits, and every reader that
        // remembers its position skips the slow commit. See ReadAllTests.
        await LockAsync(connection, LockName, cancellationToken);
        var distinct = Distinct(events);
        var added = distinct.Count >= BulkAppend.WorthIt
            ? await BulkAppend.RunAsync(connection, Schema, distinct, cancellationToken)
            : await AppendStatementAsync(connection, distinct, 0, distinct.Count, cancellationToken);
        await Traces.SaveAsync(connection, distinct, cancellationToken);
        return added;
    }

    /// <summary>
    /// Appends as <see cref="AppendAsync(IReadOnlyList{NewEvent}, CancellationToken)"/> does and tells which events were new, for
    /// callers that answer for each of them.
    /// </summary>
    /// <returns>Ids of those that were new.</returns>
    public async Task<IReadOnlySet<Guid>> AppendNewAsync(IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        var added = new HashSet<Guid>(events.Count);
        if (events.Count == 0)
        {
            return added;
        }

        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, LockName, cancellationToken);
        var distinct = Distinct(events);
        for (var start = 0; start < distinct.Count; start += MaxEventsPerStatement)
        {
            await using var command = AppendCommand(
                connection, _appendSql + " returning id", distinct, start, Math.Min(MaxEventsPerStatement, distinct.Count - start));
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                added.Add(reader.GetGuid(0));
            }
        }

        await Traces.SaveAsync(connection, distinct, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        SignalAppended();
        return added;
    }

    /// <summary>
    /// Appends to one stream if it is at <paramref name="expectedVersion"/> (0: does not exist yet).
    /// </summary>
    /// <exception cref="ArgumentException">The events are of several streams, or there are none.</exception>
    public async Task<AppendOutcome> AppendAsync(Guid streamId, long expectedVersion, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var outcome = await AppendAsync(connection, streamId, expectedVersion, events, cancellationToken);
        if (outcome is Appended)
        {
            await transaction.CommitAsync(cancellationToken);
            SignalAppended();
        }

        return outcome;
    }

    /// <summary>
    /// The same within the caller's transaction, so that the caller's rows commit with the events. Anything but
    /// <see cref="Appended"/> means: roll back. Call it last, and <see cref="SignalAppended"/> after the commit.
    /// </summary>
    /// <exception cref="ArgumentException">The events are of several streams, or there are none.</exception>
    public async Task<AppendOutcome> AppendAsync(
        NpgsqlConnection connection, Guid streamId, long expectedVersion, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        if (events.Count == 0 || events.Any(e => e.StreamId != streamId))
        {
            throw new ArgumentException($"Expected one or more events of stream {streamId}.", nameof(events));
        }

        await LockAsync(connection, LockName, cancellationToken);
        var (version, known) = await StreamStateAsync(connection, streamId, events, cancellationToken);
        if (known == events.Count)
        {
            return new AlreadyThere();
        }

        if (version != expectedVersion || known > 0)
        {
            return new VersionConflict(expectedVersion, version);
        }

        try
        {
            await AppendStatementAsync(connection, events, 0, events.Count, cancellationToken);
            await Traces.SaveAsync(connection, events, cancellationToken);
        }
        catch (PostgresException e) when (e is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "pk_mt_events_stream_and_version" })
        {
            // Some other writer does not take our lock (Marten, a person at psql). It is a conflict all the same.
            return new VersionConflict(expectedVersion, version);
        }

        return new Appended(await LastPositionAsync(connection, cancellationToken), version + events.Count);
    }

    /// <summary>The next events after <paramref name="position"/>, in order; fewer than <paramref name="max"/> only at the end.</summary>
    public async Task<IReadOnlyList<StoredEvent>> ReadAllAsync(long position, int max, CancellationToken cancellationToken)
    {
        var page = new List<StoredEvent>(Math.Min(max, 1024));
        await foreach (var e in StreamAllAsync(position, max, cancellationToken))
        {
            page.Add(e);
        }

        return page;
    }

    /// <summary>The same without a list: rows as they arrive.</summary>
    public async IAsyncEnumerable<StoredEvent> StreamAllAsync(
        long position, int max, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand(
            $"select seq_id, id, stream_id, version, type, timestamp, data from {Schema}.mt_events where seq_id > $1 order by seq_id limit $2");
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = position });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = max });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            yield return Read(reader);
        }
    }

    /// <summary>All events of one stream in the order of their versions; empty where there is none.</summary>
    public async Task<IReadOnlyList<StoredEvent>> ReadStreamAsync(Guid streamId, CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand(
            $"select seq_id, id, stream_id, version, type, timestamp, data from {Schema}.mt_events where stream_id = $1 order by version");
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = streamId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var events = new List<StoredEvent>();
        while (await reader.ReadAsync(cancellationToken))
        {
            events.Add(Read(reader));
        }

        return events;
    }

    /// <summary>Those of the events that are in the log, in no order.</summary>
    public async Task<IReadOnlyList<StoredEvent>> FindAsync(IReadOnlyCollection<Guid> ids, CancellationToken cancellationToken)
    {
        await using var command = _dataSource.CreateCommand(
            $"select seq_id, id, stream_id, version, type, timestamp, data from {Schema}.mt_events where id = any($1)");
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = ids.ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var events = new List<StoredEvent>(ids.Count);
        while (await reader.ReadAsync(cancellationToken))
        {
            events.Add(Read(reader));
        }

        return events;
    }

    /// <summary>Position of the last event; 0 where there is none.</summary>
    public async Task<long> LastPositionAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        return await LastPositionAsync(connection, cancellationToken);
    }

    /// <summary>How far the reader of this name is; 0 where it never was.</summary>
    public async Task<long> CheckpointAsync(string name, CancellationToken cancellationToken)
    {
        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        return await CheckpointAsync(connection, name, cancellationToken);
    }

    /// <summary>The same within the caller's transaction.</summary>
    public async Task<long> CheckpointAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"select last_seq_id from {Schema}.mt_event_progression where name = $1", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        return await command.ExecuteScalarAsync(cancellationToken) as long? ?? 0;
    }

    public async Task SaveCheckpointAsync(string name, long position, CancellationToken cancellationToken)
    {
        await using var connection = await _dataSource.OpenConnectionAsync(cancellationToken);
        await SaveCheckpointAsync(connection, name, position, cancellationToken);
    }

    /// <summary>Saves the checkpoint in the caller's transaction: rows and checkpoint commit together.</summary>
    public async Task SaveCheckpointAsync(NpgsqlConnection connection, string name, long position, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             insert into {Schema}.mt_event_progression (name, last_seq_id) values ($1, $2)
             on conflict (name) do update set last_seq_id = excluded.last_seq_id, last_updated = transaction_timestamp()
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = position });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// Completes at the next append through this object. Take it before reading, await it (with a time limit: another process
    /// may append as well) when there was nothing to read.
    /// </summary>
    public Task NextAppend => _appended.Next;

    /// <summary>Wakes the readers that wait for an append.</summary>
    public void SignalAppended() => _appended.Set();

    /// <summary>
    /// Takes the log's lock until the caller's transaction ends: nothing is appended meanwhile. For what has to look at the log and
    /// then append, or to change what the log holds of a person that asks to be forgotten.
    /// </summary>
    public Task LockAsync(NpgsqlConnection connection, CancellationToken cancellationToken) => LockAsync(connection, LockName, cancellationToken);

    private string LockName => $"pulse:{Schema}.mt_events";

    private static async Task LockAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select pg_advisory_xact_lock(hashtextextended($1, 0))", connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<int> AppendStatementAsync(
        NpgsqlConnection connection, IReadOnlyList<NewEvent> events, int start, int count, CancellationToken cancellationToken)
    {
        await using var command = AppendCommand(connection, _appendSql, events, start, count);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static NpgsqlCommand AppendCommand(NpgsqlConnection connection, string sql, IReadOnlyList<NewEvent> events, int start, int count)
    {
        var ids = new Guid[count];
        var streamIds = new Guid[count];
        var streamTypes = new string[count];
        var types = new string[count];
        var dotnetTypes = new string[count];
        var data = new string[count];
        for (var i = 0; i < count; i++)
        {
            var e = events[start + i];
            ids[i] = e.Id;
            streamIds[i] = e.StreamId;
            streamTypes[i] = e.StreamType;
            types[i] = e.Type;
            dotnetTypes[i] = e.DotnetType;
            data[i] = Encoding.UTF8.GetString(e.Data.Span);
        }

        var command = new NpgsqlCommand(sql, connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = ids });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = streamIds });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = streamTypes });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = types });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = dotnetTypes });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = data });
        return command;
    }

    private async Task<(long Version, int Known)> StreamStateAsync(
        NpgsqlConnection connection, Guid streamId, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             select coalesce((select version from {Schema}.mt_streams where id = $1), 0),
                    (select count(*)::int from {Schema}.mt_events where id = any($2))
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = streamId });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = events.Select(e => e.Id).ToArray() });
        await using var reader = await command.ExecuteReaderAsync(CommandBehavior.SingleRow, cancellationToken);
        await reader.ReadAsync(cancellationToken);
        return (reader.GetInt64(0), reader.GetInt32(1));
    }

    private async Task<long> LastPositionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"select coalesce(max(seq_id), 0) from {Schema}.mt_events", connection);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static StoredEvent Read(NpgsqlDataReader reader) => new(
        reader.GetInt64(0),
        reader.GetGuid(1),
        reader.GetGuid(2),
        reader.GetInt64(3),
        reader.GetString(4),
        new DateTimeOffset(reader.GetDateTime(5)),
        reader.GetFieldValue<byte[]>(6));

    private static IReadOnlyList<NewEvent> Distinct(IReadOnlyList<NewEvent> events)
    {
        var seen = new HashSet<Guid>(events.Count);
        for (var i = 0; i < events.Count; i++)
        {
            if (!seen.Add(events[i].Id))
            {
                return events.DistinctBy(e => e.Id).ToArray();
            }
        }

        return events;
    }

    private SchemaScript Script(string file) => new(typeof(EventLog).Assembly, $"PartnerPulse.EventStore.Sql.{file}", Schema);

    [GeneratedRegex("^[a-z_][a-z0-9_]{0,62}$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SchemaName();
}
