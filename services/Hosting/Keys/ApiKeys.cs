using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;

namespace PartnerPulse.Hosting.Keys;

/// <summary>
/// The keys in the file <see cref="KeysOptions.File"/>, as an immutable snapshot that is swapped whole when the file changes. Each
/// request looks whether it has, so a key that is revoked is nobody's at the next one. A file that has become unreadable leaves the
/// last good snapshot in force, and that is logged.
/// </summary>
public sealed class ApiKeys
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        // "expireAt" for "expiresAt" would be a key for ever.
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        WriteIndented = true,
    };

    private readonly string _file;
    private readonly TimeProvider _time;
    private readonly ILogger<ApiKeys> _logger;
    private readonly Lock _reload = new();
    private volatile Snapshot _snapshot;
    private (DateTime Written, long Bytes)? _toldOf;

    /// <exception cref="InvalidDataException">The file is not a list of keys; says which entry and why.</exception>
    public ApiKeys(string file, TimeProvider time, ILogger<ApiKeys> logger)
    {
        (_file, _time, _logger) = (file, time, logger);
        _snapshot = new Snapshot(VersionOf(file), ByHash(Read(file)));
    }

    private sealed record Snapshot((DateTime Written, long Bytes) Version, FrozenDictionary<string, (ApiKey Key, DateTimeOffset Until)> ByHash);

    /// <summary>Whose key it is; null where it is nobody's: unknown, expired or revoked.</summary>
    public ApiKey? Find(string key)
    {
        ReloadWhenChanged();
        return _snapshot.ByHash.TryGetValue(ApiKey.Hash(key), out var found) && found.Until > _time.GetUtcNow() ? found.Key : null;
    }

    /// <summary>Reads and checks a file of keys.</summary>
    /// <exception cref="InvalidDataException">The file is not a list of keys; says which entry and why.</exception>
    public static IReadOnlyList<ApiKey> Read(string file)
    {
        ApiKey?[]? keys;
        try
        {
            keys = JsonSerializer.Deserialize<ApiKey?[]>(File.ReadAllBytes(file), s_json);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Keys file {file}: {e.Message}", e);
        }

        var hashes = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, index) in (keys ?? []).Select((key, index) => (key, index)))
        {
            var fault =
                key is null ? "is null"
                : string.IsNullOrWhiteSpace(key.Name) ? "has no name"
                : !IsHash(key.Sha256) ? "has no sha256 of 64 lower-case hex digits"
                : string.IsNullOrWhiteSpace(key.Program) ? "has no program"
                : key.Scopes is not { Count: > 0 } ? "has no scopes"
                : key.Scopes.FirstOrDefault(scope => !Scope.IsKnown(scope)) is { } unknown ? $"has the unknown scope '{unknown}'"
                : (key.Previous ?? []).Any(previous => !IsHash(previous.Sha256)) ? "has a previous key without sha256"
                : !new[] { key.Sha256 }.Concat((key.Previous ?? []).Select(previous => previous.Sha256)).All(hashes.Add) ? "has the sha256 of another entry"
                : null;
            if (fault is not null)
            {
                throw new InvalidDataException($"Keys file {file}: entry {index} ({key?.Name ?? "-"}) {fault}.");
            }
        }

        return (keys ?? []).OfType<ApiKey>().ToArray();
    }

    /// <summary>The text of a file of these keys.</summary>
    public static string Write(IReadOnlyList<ApiKey> keys) => JsonSerializer.Serialize(keys, s_json);

    private static bool IsHash(string? hash) => hash is { Length: 64 } && hash.All(char.IsAsciiHexDigitLower);

    private static FrozenDictionary<string, (ApiKey Key, DateTimeOffset Until)> ByHash(IReadOnlyList<ApiKey> keys) =>
        keys.Where(key => key.RevokedAt is null)
            .SelectMany(key => (key.Previous ?? []).Append(new PreviousKey(key.Sha256, DateTimeOffset.MaxValue)).Select(known => (known.Sha256, known.Until, Key: key)))
            .ToFrozenDictionary(
                known => known.Sha256,
                known => (known.Key, known.Key.ExpiresAt is { } expires && expires < known.Until ? expires : known.Until),
                StringComparer.Ordinal);

    private static (DateTime Written, long Bytes) VersionOf(string file)
    {
        var now = new FileInfo(file);
        return now.Exists ? (now.LastWriteTimeUtc, now.Length) : default;
    }

    private void ReloadWhenChanged()
    {
        if (VersionOf(_file) == _snapshot.Version)
        {
            return;
        }

        lock (_reload)
        {
            var version = VersionOf(_file);
            if (version == _snapshot.Version)
            {
                return;
            }

            try
            {
                _snapshot = new Snapshot(version, ByHash(Read(_file)));
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                if (e is InvalidDataException)
                {
                    // Not again before it changes: every request would read it.
                    _snapshot = _snapshot with { Version = version };
                }

                if (_toldOf != version)
                {
                    _toldOf = version;
                    _logger.KeysNotRead(_file, e);
                }
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

/// <summary>The key with which one service calls another: given, or in a file that may change while it runs.</summary>
public static class CallersKey
{
    /// <summary>The key as it is now; null where there is neither.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static string? Read(string? key, string? file) => string.IsNullOrEmpty(file) ? key : File.ReadAllText(file).Trim();

    /// <summary>What is wrong with the two settings; null where nothing is.</summary>
    /// <param name="section">Where they stand, as <c>Edge:Partners</c>.</param>
    /// <param name="url">Whom they are for.</param>
    /// <param name="key">The key.</param>
    /// <param name="file">Its file.</param>
    public static string? Fault(string section, string? url, string? key, string? file) =>
        string.IsNullOrEmpty(url) ? null
        : string.IsNullOrEmpty(key) && string.IsNullOrEmpty(file) ? $"{section}:Key or {section}:KeyFile is required where {section}:Url is set."
        : !string.IsNullOrEmpty(key) && !string.IsNullOrEmpty(file) ? $"{section}:Key and {section}:KeyFile are both set; one of them is the key."
        : !string.IsNullOrEmpty(file) && !System.IO.File.Exists(file) ? $"{section}:KeyFile names no existing file: {file}."
        : null;
}
