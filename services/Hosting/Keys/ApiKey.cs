using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;

namespace PartnerPulse.Hosting.Keys;

/// <summary>One API key as it is kept: never the key, only its SHA-256.</summary>
/// <param name="Name">Who has it; named in histories.</param>
/// <param name="Sha256">SHA-256 of the key, lower-case hex.</param>
/// <param name="Scopes">What it may do; see <see cref="Scope"/>.</param>
/// <param name="Program">The program it belongs to. A deployment of another program refuses it.</param>
public sealed record ApiKey(string Name, string Sha256, IReadOnlyList<string> Scopes, string Program)
{
    /// <summary>What it is for, in the words of who made it.</summary>
    public string? Purpose { get; init; }

    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>From then on it is nobody's.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When it was last exchanged for another of the same name.</summary>
    public DateTimeOffset? RotatedAt { get; init; }

    /// <summary>Since then it is nobody's. The entry stays, because histories name it.</summary>
    public DateTimeOffset? RevokedAt { get; init; }

    /// <summary>What it was before it was rotated, each valid for a while.</summary>
    public IReadOnlyList<PreviousKey>? Previous { get; init; }

    /// <summary>Whether the key has the scope; <see cref="Scope.PartnerPrefix"/> alone asks for any partner's.</summary>
    public bool May(string scope) =>
        Scopes.Contains(Scope.Admin, StringComparer.Ordinal)
        || Scopes.Contains(scope, StringComparer.Ordinal)
        || (scope == Scope.PartnerPrefix && Partner is not null);

    /// <summary>The partner whose key it is; null for a key of the program's own people.</summary>
    [JsonIgnore]
    public string? Partner =>
        Scopes.FirstOrDefault(s => s.StartsWith(Scope.PartnerPrefix, StringComparison.Ordinal))?[Scope.PartnerPrefix.Length..];

    public static string Hash(string key) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
}

/// <summary>A key that was rotated.</summary>
/// <param name="Sha256">SHA-256 of the key, lower-case hex.</param>
/// <param name="Until">From then on it is nobody's.</param>
public sealed record PreviousKey(string Sha256, DateTimeOffset Until);

/// <summary>What a key may do. <see cref="Admin"/> may do everything.</summary>
public static class Scope
{
    public const string Admin = "admin";
    public const string Read = "read";
    public const string ImportClicks = "clicks:import";
    public const string WriteConversions = "conversions:write";
    public const string WriteCatalogue = "catalogue:write";
    public const string WriteRules = "rules:write";

    /// <summary>An edge tails the catalogue; it reads nothing else.</summary>
    public const string ReadCatalogue = "catalogue:read";

    /// <summary>Conversions asks whether orders have a click; it reads nothing else.</summary>
    public const string ReadMatches = "matches:read";

    /// <summary>A partner sees its own receipts: <c>partner:acme</c>.</summary>
    public const string PartnerPrefix = "partner:";

    /// <summary>All but those of partners.</summary>
    public static FrozenSet<string> All { get; } =
        FrozenSet.Create(StringComparer.Ordinal, Admin, Read, ImportClicks, WriteConversions, WriteCatalogue, WriteRules, ReadCatalogue, ReadMatches);

    public static bool IsKnown(string scope) =>
        All.Contains(scope) || (scope.StartsWith(PartnerPrefix, StringComparison.Ordinal) && scope.Length > PartnerPrefix.Length);
}
