using System.Runtime.InteropServices;
using Npgsql;
using NpgsqlTypes;

namespace PartnerPulse.EventStore;

/// <summary>
/// An append of many events: what is there already is looked up, versions are counted here, and the rows go in by COPY. Right only
/// under the log's lock, which lets nobody in between the look and the COPY. <c>./pulse bench append</c> holds it against a COPY that
/// asks nothing.
/// </summary>
internal static class BulkAppend
{
    /// <summary>Fewer events than this are faster in one statement than in four.</summary>
    public const int WorthIt = 64;

    /// <summary>Appends distinct events in the caller's transaction.</summary>
    /// <returns>How many were new.</returns>
    public static async Task<int> RunAsync(
        NpgsqlConnection connection, string schema, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        var streams = new Dictionary<Guid, (string Type, long Before, long Now)>(events.Count);
        for (var i = 0; i < events.Count; i++)
        {
            streams.TryAdd(events[i].StreamId, (events[i].StreamType, 0, 0));
        }

        var known = await LookUpAsync(connection, schema, events, streams, cancellationToken);
        if (known.Count == events.Count)
        {
            return 0;
        }

        await CopyEventsAsync(connection, schema, events, known, streams, cancellationToken);
        await SaveStreamsAsync(connection, schema, streams, cancellationToken);
        return events.Count - known.Count;
    }

    /// <summary>Ids that are in the log already; versions of streams that exist go into <paramref name="streams"/>.</summary>
    private static async Task<HashSet<Guid>> LookUpAsync(
        NpgsqlConnection connection, string schema, IReadOnlyList<NewEvent> events, Dictionary<Guid, (string Type, long Before, long Now)> streams,
        CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);

        // The limits keep the planner from a join: it would read the whole log where it thinks that it is small.
        var ids = new NpgsqlBatchCommand(
            $"select e.id from unnest($1::uuid[]) a(id), lateral (select id from {schema}.mt_events where id = a.id limit 1) e");
        ids.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = events.Select(e => e.Id).ToArray() });
        batch.BatchCommands.Add(ids);
        var versions = new NpgsqlBatchCommand(
            $"select s.id, s.version from unnest($1::uuid[]) a(id), lateral (select id, version from {schema}.mt_streams where id = a.id limit 1) s");
        versions.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = streams.Keys.ToArray() });
        batch.BatchCommands.Add(versions);
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var known = new HashSet<Guid>();
        while (await reader.ReadAsync(cancellationToken))
        {
            known.Add(reader.GetGuid(0));
        }

        await reader.NextResultAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            ref var stream = ref CollectionsMarshal.GetValueRefOrNullRef(streams, reader.GetGuid(0));
            stream.Before = stream.Now = reader.GetInt64(1);
        }

        return known;
    }

    private static async Task CopyEventsAsync(
        NpgsqlConnection connection, string schema, IReadOnlyList<NewEvent> events, HashSet<Guid> known,
        Dictionary<Guid, (string Type, long Before, long Now)> streams, CancellationToken cancellationToken)
    {
        var positions = await PositionsAsync(connection, schema, events.Count - known.Count, cancellationToken);
        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.mt_events (seq_id, id, stream_id, version, data, type, mt_dotnet_type) from stdin (format binary)", cancellationToken);
        var next = 0;
        for (var i = 0; i < events.Count; i++)
        {
            var e = events[i];
            if (known.Contains(e.Id))
            {
                continue;
            }

            var version = ++CollectionsMarshal.GetValueRefOrNullRef(streams, e.StreamId).Now;
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(positions[next++], NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(e.Id, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(e.StreamId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(version, NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(e.Data, NpgsqlDbType.Jsonb, cancellationToken);
            await writer.WriteAsync(e.Type, NpgsqlDbType.Varchar, cancellationToken);
            await writer.WriteAsync(e.DotnetType, NpgsqlDbType.Varchar, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }

    /// <summary>Drawn one by one, as Marten draws them: a writer of another kind may draw in between.</summary>
    private static async Task<long[]> PositionsAsync(NpgsqlConnection connection, string schema, int count, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"select array_agg(nextval('{schema}.mt_events_sequence')) from generate_series(1, $1)", connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = count });
        return (long[])(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static async Task SaveStreamsAsync(
        NpgsqlConnection connection, string schema, Dictionary<Guid, (string Type, long Before, long Now)> streams, CancellationToken cancellationToken)
    {
        await using (var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.mt_streams (id, type, version) from stdin (format binary)", cancellationToken))
        {
            foreach (var (id, stream) in streams)
            {
                if (stream is { Before: 0, Now: > 0 })
                {
                    await writer.StartRowAsync(cancellationToken);
                    await writer.WriteAsync(id, NpgsqlDbType.Uuid, cancellationToken);
                    await writer.WriteAsync(stream.Type, NpgsqlDbType.Varchar, cancellationToken);
                    await writer.WriteAsync(stream.Now, NpgsqlDbType.Bigint, cancellationToken);
                }
            }

            await writer.CompleteAsync(cancellationToken);
        }

        var grown = streams.Where(s => s.Value.Before > 0 && s.Value.Now > s.Value.Before).ToArray();
        if (grown.Length == 0)
        {
            return;
        }

        // Every one of them conflicts. An update by join would read all streams where the planner thinks that there are few.
        await using var command = new NpgsqlCommand(
            $"""
             insert into {schema}.mt_streams (id, version) select * from unnest($1::uuid[], $2::bigint[])
             on conflict on constraint pkey_mt_streams_id do update set version = excluded.version, timestamp = now()
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = grown.Select(s => s.Key).ToArray() });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = grown.Select(s => s.Value.Now).ToArray() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
