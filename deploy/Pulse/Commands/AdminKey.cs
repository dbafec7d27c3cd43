using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Commands;

/// <summary>
/// The administrator's key: <c>PULSE_ADMIN_KEY</c>, else one that is made once and kept in the data folder. Services are told
/// hashes only, in <c>keys.json</c>.
/// </summary>
internal static class AdminKey
{
    public const string Variable = "PULSE_ADMIN_KEY";
    private const string Name = "admin.key";
    private const string EdgeName = "edge.key";

    /// <summary>Null where there is none yet, or it is another user's.</summary>
    public static string? Find(DataFolder data)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            return given;
        }

        var file = Path.Combine(data.Secrets, Name);
        try
        {
            return File.Exists(file) ? File.ReadAllText(file).Trim() : null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Makes what is missing and writes <c>keys.json</c>.</summary>
    public static (string Admin, string Reader, string KeysFile) Provide(DataFolder data)
    {
        var given = Environment.GetEnvironmentVariable(Variable);
        if (given is { Length: > 0 and < 16 })
        {
            throw new ProvisioningException($"{Variable} has {given.Length} characters; a key needs at least 16.");
        }

        var admin = given is { Length: > 0 } ? given : data.SecretWord(Name, "pulse_");
        // Services and the status page read what other services publish; they need no more than that.
        var reader = data.SecretWord(EdgeName, "pulse_");
        var keys = new[]
        {
            new { name = "admin", sha256 = Hash(admin), scopes = new[] { "admin" }, program = "main" },
            new { name = "edge", sha256 = Hash(reader), scopes = new[] { "read" }, program = "main" },
        };
        data.WritePrivate("keys.json", System.Text.Json.JsonSerializer.Serialize(keys, Api.Json));
        return (admin, reader, data.File("keys.json"));
    }

    public static string Hash(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}
