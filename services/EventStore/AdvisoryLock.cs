using Npgsql;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.EventStore;

/// <summary>What one process at a time may do, by a name that all of them know.</summary>
public static class AdvisoryLock
{
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    /// <summary>
    /// Waits until this connection holds the lock, until what is returned is disposed or the connection breaks. A connection that only goes
    /// back to its pool keeps it until it is used again, and everybody else waits for that.
    /// </summary>
    public static async Task<IAsyncDisposable> HoldAsync(NpgsqlConnection connection, string name, CancellationToken cancellationToken)
    {
        while (!await AsksAsync(connection, "pg_try_advisory_lock", name, cancellationToken))
        {
            await Task.Delay(s_poll, cancellationToken);
        }

        return new Held(connection, name);
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

    private sealed class Held(NpgsqlConnection connection, string name) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            try
            {
                await AsksAsync(connection, "pg_advisory_unlock", name, CancellationToken.None);
            }
            catch (Exception e) when (e is NpgsqlException or InvalidOperationException)
            {
                // The connection is broken, and the lock went with it.
            }
        }
    }
}
