using System.Reflection;
using Npgsql;

namespace PartnerPulse.EventStore;

/// <summary>The script that creates a service's tables: a resource of its assembly, in which <c>{schema}</c> stands for the schema.</summary>
/// <param name="assembly">Whose resource it is.</param>
/// <param name="resource">Its full name.</param>
/// <param name="schema">The service's schema.</param>
public sealed class SchemaScript(Assembly assembly, string resource, string schema)
{
    /// <summary>The text, ready to run.</summary>
    /// <exception cref="InvalidOperationException">There is no such resource.</exception>
    public string Read()
    {
        using var stream = assembly.GetManifestResourceStream(resource) ?? throw new InvalidOperationException($"{resource} is not embedded.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Replace("{schema}", schema, StringComparison.Ordinal);
    }

    /// <summary>Creates what is missing, the schema included, in a transaction of its own. Safe to call from several processes at once.</summary>
    public async Task RunAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await LockAsync(connection, cancellationToken);
        await RunAsync(connection, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>The same within the caller's transaction, which holds the lock.</summary>
    public async Task RunAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // "if not exists" asks for the right to make a schema first, and a service that owns its own need not have it.
        await using var command = new NpgsqlCommand(
            $"""
             do $$ begin
                 if to_regnamespace('{schema}') is null then
                     create schema {schema};
                 end if;
             end $$;
             {Read()}
             """,
            connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// Keeps all who create tables apart until the caller's transaction ends: two that start at once would both find no table, and
    /// one would fail on the catalogue's own index.
    /// </summary>
    public static async Task LockAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("select pg_advisory_xact_lock(hashtextextended('pulse:schema', 0))", connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
