using System.Diagnostics;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.EventStore;

namespace PartnerPulse.Benchmarks;

/// <summary>Plain use of the log's tables: what the server can do at best.</summary>
internal static class LogTables
{
    /// <summary>COPY of events and their streams into the tables as they are, indexes and all.</summary>
    public static async Task<TimeSpan> CopyAsync(EventLog log, IReadOnlyList<NewEvent> events, CancellationToken cancellation)
    {
        var versions = new Dictionary<Guid, long>();
        var numbered = events.Select(e => (Event: e, Version: versions[e.StreamId] = versions.GetValueOrDefault(e.StreamId) + 1)).ToArray();
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellation);
        var watch = Stopwatch.StartNew();
        await using (var writer = await connection.BeginBinaryImportAsync($"copy {log.Schema}.mt_streams (id, type, version) from stdin (format binary)", cancellation))
        {
            foreach (var (stream, version) in versions)
            {
                await writer.StartRowAsync(cancellation);
                await writer.WriteAsync(stream, NpgsqlDbType.Uuid, cancellation);
                await writer.WriteAsync("visitor", NpgsqlDbType.Varchar, cancellation);
                await writer.WriteAsync(version, NpgsqlDbType.Bigint, cancellation);
            }

            await writer.CompleteAsync(cancellation);
        }

        await using (var writer = await connection.BeginBinaryImportAsync(
            $"copy {log.Schema}.mt_events (seq_id, id, stream_id, version, data, type, mt_dotnet_type) from stdin (format binary)", cancellation))
        {
            var position = 0L;
            foreach (var (e, version) in numbered)
            {
                await writer.StartRowAsync(cancellation);
                await writer.WriteAsync(++position, NpgsqlDbType.Bigint, cancellation);
                await writer.WriteAsync(e.Id, NpgsqlDbType.Uuid, cancellation);
                await writer.WriteAsync(e.StreamId, NpgsqlDbType.Uuid, cancellation);
                await writer.WriteAsync(version, NpgsqlDbType.Bigint, cancellation);
                await writer.WriteAsync(e.Data, NpgsqlDbType.Jsonb, cancellation);
                await writer.WriteAsync(e.Type, NpgsqlDbType.Varchar, cancellation);
                await writer.WriteAsync(e.DotnetType, NpgsqlDbType.Varchar, cancellation);
            }

            await writer.CompleteAsync(cancellation);
        }

        return watch.Elapsed;
    }

    /// <summary>One statement that inserts events and their new streams, in a commit of its own, and asks nothing.</summary>
    public static async Task InsertAsync(EventLog log, IReadOnlyList<NewEvent> events, CancellationToken cancellation)
    {
        await using var command = log.DataSource.CreateCommand(
            $"""
             with rows as (select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) as r(id, stream, data, type, dotnet)),
             streams as (insert into {log.Schema}.mt_streams (id, type, version) select stream, 'conversion', 1 from rows)
             insert into {log.Schema}.mt_events (seq_id, id, stream_id, version, data, type, mt_dotnet_type)
             select nextval('{log.Schema}.mt_events_sequence'), id, stream, 1, data::jsonb, type, dotnet from rows
             """);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. events.Select(e => e.Id)] });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. events.Select(e => e.StreamId)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. events.Select(e => System.Text.Encoding.UTF8.GetString(e.Data.Span))] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. events.Select(e => e.Type)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. events.Select(e => e.DotnetType)] });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Every row of the log through Npgsql, the bytes of its content fetched and not looked at.</summary>
    public static async Task<TimeSpan> DrainAsync(EventLog log, CancellationToken cancellation)
    {
        await using var command = log.DataSource.CreateCommand(
            $"select seq_id, id, stream_id, version, type, timestamp, data from {log.Schema}.mt_events order by seq_id");
        var watch = Stopwatch.StartNew();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var bytes = 0L;
        while (await reader.ReadAsync(cancellation))
        {
            bytes += reader.GetFieldValue<byte[]>(6).Length;
        }

        return bytes > 0 ? watch.Elapsed : throw new InvalidOperationException("The log is empty.");
    }
}
