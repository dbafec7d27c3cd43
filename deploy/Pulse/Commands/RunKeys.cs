using PartnerPulse.Hosting.Keys;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Commands;

/// <summary>
/// The keys that a run needs: the administrator's, and one for each service that calls another, which may do that call and nothing
/// else. They are made once and kept in the data folder's <c>secrets/</c>; services are told hashes, in <c>keys.json</c>, and the place
/// of the key that is theirs.
/// </summary>
internal static class RunKeys
{
    private const string Admin = "admin";
    private const string Edge = "edge";
    private const string Conversions = "conversions";

    private static readonly IReadOnlyList<ApiKey> s_needed =
    [
        new(Admin, "", [Scope.Admin], Services.Program) { Purpose = "the administrator, and ./pulse" },
        new(Edge, "", [Scope.ReadCatalogue], Services.Program) { Purpose = "Edge reads the catalogue of Partners" },
        new(Conversions, "", [Scope.ReadMatches], Services.Program) { Purpose = "Conversions asks Attribution for matches" },
    ];

    /// <summary>Names that are no one else's in a data folder.</summary>
    public static IEnumerable<string> Names => s_needed.Select(key => key.Name);

    public static KeysFile File(DataFolder data) => new(data.File("keys.json"), TimeProvider.System);

    /// <summary>Where the secret of a key lies that a run needs.</summary>
    public static string SecretFile(DataFolder data, string name) => Path.Combine(data.Secrets, SecretName(name));

    public static string EdgeFile(DataFolder data) => SecretFile(data, Edge);

    public static string ConversionsFile(DataFolder data) => SecretFile(data, Conversions);

    /// <summary>Makes what is missing and writes <c>keys.json</c>, in which all other keys stay as they are.</summary>
    /// <returns>The administrator's key.</returns>
    public static async Task<string> ProvideAsync(DataFolder data, CancellationToken cancellation)
    {
        var given = Environment.GetEnvironmentVariable(AdminKey.Variable);
        if (given is { Length: > 0 and < 16 })
        {
            throw new ProvisioningException($"{AdminKey.Variable} has {given.Length} characters; a key needs at least 16.");
        }

        var secrets = s_needed.Select(key => (
            key, key.Name == Admin && given is { Length: > 0 } ? given : data.Secret(SecretName(key.Name), KeysFile.NewSecret))).ToArray();
        await File(data).ProvideAsync(secrets, cancellation);
        return secrets[0].Item2;
    }

    /// <summary>After a rotation: the next start, and a service that reads the file for each call, take the new one.</summary>
    public static void Keep(DataFolder data, string name, string secret) => data.WritePrivate(Path.Combine("secrets", SecretName(name)), secret);

    /// <summary>After a revocation: the next start makes another.</summary>
    public static void Forget(DataFolder data, string name) => System.IO.File.Delete(SecretFile(data, name));

    private static string SecretName(string name) => name + ".key";
}
