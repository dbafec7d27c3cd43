using Npgsql;
using PartnerPulse.EventStore;

namespace PartnerPulse.Attribution.SetAside;

/// <summary>Events that could not be taken in or folded, with the reason. They stop nothing else.</summary>
internal static class SetAsideStore
{
    public static async Task AddAsync(EventLog log, NewEvent e, string stage, string reason, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await AddAsync(connection, log.Schema, e, stage, reason, cancellationToken);
    }

    /// <summary>Sets aside in the caller's transaction. A second time with the same event and stage changes nothing.</summary>
    public static async Task AddAsync(
        NpgsqlConnection connection, string schema, NewEvent e, string stage, string reason, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             insert into {schema}.set_aside (event_id, stage, type, reason, data, stream_id) values ($1, $2, $3, $4, $5, $6)
             on conflict on constraint set_aside_once do nothing
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = e.Id });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = stage });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = e.Type });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = reason });
        command.Parameters.Add(new NpgsqlParameter<byte[]> { TypedValue = e.Data.ToArray() });
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = e.StreamId });
        AttributionMetrics.SetAside.Add(await command.ExecuteNonQueryAsync(cancellationToken), new KeyValuePair<string, object?>("stage", stage));
    }
}
