using Npgsql;
using NpgsqlTypes;

namespace PartnerPulse.EventStore;

/// <summary>Commands with typed positional parameters, in one line where they are used.</summary>
public static class Db
{
    public static NpgsqlCommand Sql(this NpgsqlConnection connection, string sql, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        new NpgsqlCommand(sql, connection).With(parameters);

    public static NpgsqlCommand Sql(this NpgsqlDataSource dataSource, string sql, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        dataSource.CreateCommand(sql).With(parameters);

    public static NpgsqlParameter<T> P<T>(T value) => new() { TypedValue = value };

    /// <summary>A value that may be absent; its type cannot be told from nothing.</summary>
    public static NpgsqlParameter OrNull(object? value, NpgsqlDbType type) => new() { Value = value ?? DBNull.Value, NpgsqlDbType = type };

    public static T? OrDefault<T>(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? default : reader.GetFieldValue<T>(column);

    public static string? GetTextOrNull(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    public static Guid? GetGuidOrNull(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetGuid(column);

    /// <returns>How many rows it concerned.</returns>
    public static async Task<int> RunAsync(this NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using (command)
        {
            return await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private static NpgsqlCommand With(this NpgsqlCommand command, ReadOnlySpan<NpgsqlParameter> parameters)
    {
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        return command;
    }
}
