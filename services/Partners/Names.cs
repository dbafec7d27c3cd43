using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>The rules of partner ids, refs and slugs.</summary>
internal static partial class Names
{
    public const int MaxId = 64;
    public const int MinSlug = 3;
    public const int MaxSlug = 64;
    public const int MaxName = 200;
    public const int MaxDestination = 2048;
    public const int MaxCampaign = 200;

    // Without vowels no suffix spells a word; without 0, 1 and l none is misread.
    private const string Alphabet = "23456789bcdfghjkmnpqrstvwxz";

    // A link such as /r/admin looks like a page of the program's own.
    private static readonly FrozenSet<string> s_reserved = FrozenSet.Create(
        StringComparer.Ordinal,
        "admin", "api", "app", "assets", "catalogue", "console", "favicon", "health", "help", "live", "login", "logout", "metrics", "null",
        "openapi", "partner", "partners", "pulse", "ready", "robots", "sitemap", "static", "status", "support", "undefined", "well-known", "www");

    public static string Id(Checks checks, string field, string? value)
    {
        var id = checks.Required(field, value, MaxId);
        if (id.Length > 0 && !IdPattern().IsMatch(id))
        {
            checks.Add(field, "must be lower-case letters, digits, '-' and '_'");
        }

        return id;
    }

    public static string Slug(Checks checks, string field, string? value)
    {
        var slug = checks.Required(field, value, MaxSlug);
        if (slug.Length == 0)
        {
            return slug;
        }

        if (slug.Length < MinSlug || !SlugPattern().IsMatch(slug))
        {
            checks.Add(field, $"must be {MinSlug} to {MaxSlug} lower-case letters, digits and '-'");
        }
        else if (s_reserved.Contains(slug))
        {
            checks.Add(field, $"'{slug}' is reserved");
        }

        return slug;
    }

    /// <summary>The slug of a partner's first link: its id where that is a slug, else null.</summary>
    public static string? SlugOf(string partnerId) =>
        partnerId.Length >= MinSlug && SlugPattern().IsMatch(partnerId) && !s_reserved.Contains(partnerId) ? partnerId : null;

    /// <summary>The id with a suffix, where the id alone is no slug or somebody else's.</summary>
    public static string WithSuffix(string partnerId, string suffix)
    {
        var stem = partnerId.Replace('_', '-');
        var room = MaxSlug - suffix.Length - 1;
        return $"{(stem.Length > room ? stem[..room] : stem)}-{suffix}";
    }

    /// <summary>Characters that read well and give no hint of each other.</summary>
    public static string Random(int length) => RandomNumberGenerator.GetString(Alphabet, length);

    [GeneratedRegex("^[a-z0-9_-]+$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex IdPattern();

    [GeneratedRegex("^[a-z0-9-]+$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SlugPattern();
}
