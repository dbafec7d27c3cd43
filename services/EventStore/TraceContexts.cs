using System.Diagnostics;
using Npgsql;

namespace PartnerPulse.EventStore;

/// <summary>
/// In which trace the events of a log came: W3C trace contexts by position, of sampled traces alone. Nothing is derived from them, and they
/// may be deleted at any time.
/// </summary>
/// <param name="schema">The log's schema.</param>
public sealed class TraceContexts(string schema)
{
    /// <summary>The context of the caller's own activity where it is sampled and somebody listens; else null.</summary>
    public static string? Current => Activity.Current is { Recorded: true, IdFormat: ActivityIdFormat.W3C } activity && activity.Source.HasListeners() ? activity.Id : null;

    /// <summary>Contexts of the events after <paramref name="after"/> up to <paramref name="to"/>, by position.</summary>
    public async Task<IReadOnlyDictionary<long, string>> ReadAsync(NpgsqlConnection connection, long after, long to, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"select position, traceparent from {schema}.traces where position > $1 and position <= $2", connection);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = to });
        return await ReadAsync(command, reader => reader.GetInt64(0), cancellationToken);
    }

    /// <summary>Contexts of those of the events that have one, by event id.</summary>
    public async Task<IReadOnlyDictionary<Guid, string>> FindAsync(NpgsqlConnection connection, IReadOnlyCollection<Guid> ids, CancellationToken cancellationToken)
    {
        if (ids.Count == 0)
        {
            return new Dictionary<Guid, string>();
        }

        await using var command = new NpgsqlCommand(
            $"""
             select e.id, t.traceparent
               from unnest($1::uuid[]) a(id), lateral (select id, seq_id from {schema}.mt_events where id = a.id limit 1) e
               join {schema}.traces t on t.position = e.seq_id
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. ids] });
        return await ReadAsync(command, reader => reader.GetGuid(0), cancellationToken);
    }

    /// <summary>Forgets what is older than <paramref name="age"/>.</summary>
    public async Task ForgetAsync(NpgsqlDataSource database, TimeSpan age, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"delete from {schema}.traces where saved_at < now() - $1");
        command.Parameters.Add(new NpgsqlParameter<TimeSpan> { TypedValue = age });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Keeps the contexts of events that were appended in the caller's transaction. Where no trace is sampled it asks nothing.</summary>
    internal async Task SaveAsync(NpgsqlConnection connection, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        var current = Current;
        List<Guid>? ids = null;
        List<string>? contexts = null;
        for (var i = 0; i < events.Count; i++)
        {
            if ((events[i].TraceParent ?? current) is { } context)
            {
                (ids ??= []).Add(events[i].Id);
                (contexts ??= []).Add(context);
            }
        }

        if (ids is null)
        {
            return;
        }

        // An event that was there already keeps the context with which it came first.
        await using var command = new NpgsqlCommand(
            $"""
             insert into {schema}.traces (position, traceparent)
             select e.seq_id, a.traceparent
               from unnest($1::uuid[], $2::varchar[]) a(id, traceparent), lateral (select seq_id from {schema}.mt_events where id = a.id limit 1) e
             on conflict on constraint pk_traces do nothing
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. ids] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. contexts!] });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static async Task<IReadOnlyDictionary<T, string>> ReadAsync<T>(NpgsqlCommand command, Func<NpgsqlDataReader, T> key, CancellationToken cancellationToken)
        where T : notnull
    {
        var contexts = new Dictionary<T, string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            contexts[key(reader)] = reader.GetString(1);
        }

        return contexts;
    }
}
