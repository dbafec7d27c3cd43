using Npgsql;

namespace PartnerPulse.Attribution.Projection;

/// <summary>Commands with typed positional parameters, in one line where they are used.</summary>
internal static class Db
{
    public static NpgsqlCommand Sql(this NpgsqlConnection connection, string sql, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        new NpgsqlCommand(sql, connection).With(parameters);

    public static NpgsqlCommand Sql(this NpgsqlDataSource dataSource, string sql, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        dataSource.CreateCommand(sql).With(parameters);

    public static NpgsqlParameter<T> P<T>(T value) => new() { TypedValue = value };

    public static string? GetTextOrNull(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetString(column);

    public static Guid? GetGuidOrNull(this NpgsqlDataReader reader, int column) => reader.IsDBNull(column) ? null : reader.GetGuid(column);

    public static async Task RunAsync(this NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using (command)
        {
            await command.ExecuteNonQueryAsync(cancellationToken);
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
