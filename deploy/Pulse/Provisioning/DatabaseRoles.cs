using Npgsql;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>
/// A database role a service, by the statements of <c>deploy/postgres/roles.sql</c>: each owns its schema and nothing else. Their
/// passwords are made once and kept in the data folder's <c>secrets/</c>.
/// </summary>
internal static class DatabaseRoles
{
    /// <summary>The services that have a role.</summary>
    public static readonly IReadOnlyList<string> Services = ["partners", "conversions", "attribution", "outbound", Standalone];

    /// <summary>The process that carries all services.</summary>
    public const string Standalone = "standalone";

    /// <summary>Where a service's password is kept.</summary>
    public static string SecretName(string service) => $"postgres-{service}.password";

    /// <summary>Makes the roles, or mends them, and hands over what another role owned.</summary>
    /// <param name="data">Keeps the passwords.</param>
    /// <param name="owner">Connection string of who may do that.</param>
    /// <param name="say">Told where there are no roles to be had.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The connection string of each service; all the owner's where the owner may not make roles.</returns>
    public static async Task<IReadOnlyDictionary<string, string>> ProvideAsync(
        DataFolder data, string owner, Action<string> say, CancellationToken cancellation)
    {
        var given = new NpgsqlConnectionStringBuilder(owner);
        try
        {
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(owner) { Pooling = false }.ConnectionString);
            await connection.OpenAsync(cancellation);
            foreach (var service in Services)
            {
                await using var setting = new NpgsqlCommand("select set_config($1, $2, false)", connection);
                setting.Parameters.Add(new NpgsqlParameter<string> { TypedValue = $"pulse.{service}_password" });
                setting.Parameters.Add(new NpgsqlParameter<string> { TypedValue = data.SecretWord(SecretName(service)) });
                await setting.ExecuteNonQueryAsync(cancellation);
            }

            await using var command = new NpgsqlCommand(Statements(), connection);
            await command.ExecuteNonQueryAsync(cancellation);
            return Services.ToDictionary(
                service => service,
                service => new NpgsqlConnectionStringBuilder(owner)
                {
                    Username = $"{given.Database}_{service}", Password = data.SecretWord(SecretName(service)),
                }.ConnectionString,
                StringComparer.Ordinal);
        }
        catch (PostgresException fault) when (fault.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            say($"{given.Username} may not make roles in {given.Database} ({fault.MessageText}): all services share it. deploy/postgres/README.md says how to give each its own.");
            return Services.ToDictionary(service => service, _ => owner, StringComparer.Ordinal);
        }
        catch (PostgresException fault)
        {
            throw new ProvisioningException($"The roles of the services cannot be made in {given.Database}: {fault.MessageText}", fault);
        }
    }

    private static string Statements()
    {
        using var stream = typeof(DatabaseRoles).Assembly.GetManifestResourceStream("roles.sql")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
