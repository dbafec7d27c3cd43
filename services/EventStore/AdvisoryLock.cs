using Npgsql;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.EventStore;

/// <summary>What one process at a time may do, by a name that all of them know.</summary>
public static class AdvisoryLock
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    /// <summary>Waits until this connection holds the lock. It goes with the connection.</summary>
    public static async Task HoldAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        while (!await AsksAsync(connection, "pg_try_advisory_lock", name, cancellationToken))
        {
            await Task.Delay(s_poll, cancellationToken);
        }
    }

    /// <summary>Takes the lock for the connection's transaction, with which it goes.</summary>
    /// <returns>False where another holds it.</returns>
    public static Task<bool> TryTakeAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken) =>
        AsksAsync(connection, "pg_try_advisory_xact_lock", name, cancellationToken);

    private static async Task<bool> AsksAsync(NpgsqlConnection connection, string function, string name, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select {function}(hashtextextended($1, 0))", P(name));
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }
}
