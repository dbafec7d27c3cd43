using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace PartnerPulse.Hosting.Keys;

/// <summary>One API key as it is kept: never the key, only its SHA-256.</summary>
/// <param name="Name">Who has it; named in histories.</param>
/// <param name="Sha256">SHA-256 of the key, lower-case hex.</param>
/// <param name="Scopes">What it may do; see <see cref="Scope"/>.</param>
/// <param name="Program">The program it belongs to.</param>
public sealed record ApiKey(string Name, string Sha256, IReadOnlyList<string> Scopes, string Program)
{
    /// <summary>Whether the key has the scope; <see cref="Scope.PartnerPrefix"/> alone asks for any partner's.</summary>
    public bool May(string scope) =>
        Scopes.Contains(Scope.Admin, StringComparer.Ordinal)
        || Scopes.Contains(scope, StringComparer.Ordinal)
        || (scope == Scope.PartnerPrefix && Partner is not null);

    /// <summary>The partner whose key it is; null for a key of the program's own people.</summary>
    public string? Partner =>
        Scopes.FirstOrDefault(s => s.StartsWith(Scope.PartnerPrefix, StringComparison.Ordinal))?[Scope.PartnerPrefix.Length..];

    public static string Hash(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}

/// <summary>What a key may do. <see cref="Admin"/> may do everything.</summary>
public static class Scope
{
    public const string Admin = "admin";
    public const string Read = "read";
    public const string ImportClicks = "clicks:import";
    public const string WriteConversions = "conversions:write";
    public const string WriteCatalogue = "catalogue:write";
    public const string WriteRules = "rules:write";

    /// <summary>A partner sees its own receipts: <c>partner:acme</c>.</summary>
    public const string PartnerPrefix = "partner:";

    private static readonly FrozenSet<string> s_all =
        FrozenSet.Create(StringComparer.Ordinal, Admin, Read, ImportClicks, WriteConversions, WriteCatalogue, WriteRules);

    public static bool IsKnown(string scope) =>
        s_all.Contains(scope) || (scope.StartsWith(PartnerPrefix, StringComparison.Ordinal) && scope.Length > PartnerPrefix.Length);
}

/// <summary>
/// The keys in the file <see cref="KeysOptions.File"/>, as an immutable snapshot that is swapped whole when the file changes.
/// A file that has become unreadable leaves the last good snapshot in force.
/// </summary>
public sealed class ApiKeys
{
    private static readonly TimeSpan s_lookAgain = TimeSpan.FromSeconds(1);
    private readonly string _file;
    private readonly TimeProvider _time;
    private readonly Lock _reload = new();
    private FrozenDictionary<string, ApiKey> _byHash;
    private DateTime _readVersion;
    private long _lastLook;

    /// <exception cref="InvalidDataException">The file is not a list of keys; says which entry and why.</exception>
    public ApiKeys(string file, TimeProvider time)
    {
        _file = file;
        _time = time;
        _readVersion = File.GetLastWriteTimeUtc(file);
        _byHash = Read(file);
        _lastLook = time.GetTimestamp();
    }

    public ApiKey? Find(string key)
    {
        ReloadWhenChanged();
        return _byHash.GetValueOrDefault(ApiKey.Hash(key));
    }

    /// <summary>Reads and checks a file of keys.</summary>
    /// <exception cref="InvalidDataException">The file is not a list of keys; says which entry and why.</exception>
    public static FrozenDictionary<string, ApiKey> Read(string file)
    {
        ApiKey[]? keys;
        try
        {
            keys = JsonSerializer.Deserialize<ApiKey[]>(File.ReadAllBytes(file), JsonSerializerOptions.Web);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Keys file {file}: {e.Message}", e);
        }

        foreach (var (key, index) in (keys ?? []).Select((key, index) => (key, index)))
        {
            var fault =
                key is null ? "is null"
                : string.IsNullOrWhiteSpace(key.Name) ? "has no name"
                : key.Sha256 is not { Length: 64 } hash || !hash.All(char.IsAsciiHexDigitLower) ? "has no sha256 of 64 lower-case hex digits"
                : string.IsNullOrWhiteSpace(key.Program) ? "has no program"
                : key.Scopes is not { Count: > 0 } ? "has no scopes"
                : key.Scopes.FirstOrDefault(scope => !Scope.IsKnown(scope)) is { } unknown ? $"has the unknown scope '{unknown}'"
                : null;
            if (fault is not null)
            {
                throw new InvalidDataException($"Keys file {file}: entry {index} ({key?.Name ?? "-"}) {fault}.");
            }
        }

        return (keys ?? []).ToFrozenDictionary(key => key.Sha256, StringComparer.Ordinal);
    }

    private void ReloadWhenChanged()
    {
        if (_time.GetElapsedTime(Volatile.Read(ref _lastLook)) < s_lookAgain)
        {
            return;
        }

        lock (_reload)
        {
            _lastLook = _time.GetTimestamp();
            var version = File.GetLastWriteTimeUtc(_file);
            if (version == _readVersion)
            {
                return;
            }

            try
            {
                _byHash = Read(_file);
                _readVersion = version;
            }
            catch (Exception e) when (e is IOException or InvalidDataException)
            {
                // Somebody is writing the file. The old keys hold; the next look tries again.
            }
        }
    }
}

/// <summary>Where the keys are.</summary>
public sealed class KeysOptions
{
    /// <summary>A JSON list of <see cref="ApiKey"/>.</summary>
    public string File { get; set; } = "";
}
