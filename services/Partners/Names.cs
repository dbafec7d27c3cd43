using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using PartnerPulse.Contracts;
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

    private const int DerivedSlugLength = 10;

    // Without vowels no suffix spells a word; without 0, 1 and l none is misread.
    private const string Alphabet = "23456789bcdfghjkmnpqrstvwxz";

    // A link such as /r/admin looks like a page of the program's own; t, r and v1 are paths of the edge itself.
    private static readonly FrozenSet<string> s_reserved = FrozenSet.Create(
        StringComparer.Ordinal,
        "account", "admin", "api", "app", "assets", "billing", "catalogue", "console", "favicon", "health", "help", "import", "imports", "live",
        "login", "logout", "metrics", "null", "openapi", "partner", "partners", "password", "pixel", "program", "pulse", "ready", "robots", "secure",
        "security", "signin", "signup", "sitemap", "static", "status", "support", "t", "t-js", "r", "undefined", "v1", "verify", "well-known", "www");

    private static readonly FrozenDictionary<string, string> s_reservedBySkeleton = s_reserved.ToFrozenDictionary(Skeleton, StringComparer.Ordinal);

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
        else if (s_reservedBySkeleton.TryGetValue(Skeleton(slug), out var reserved))
        {
            checks.Add(field, slug == reserved ? $"'{slug}' is reserved" : $"'{slug}' reads like '{reserved}', which is reserved");
        }

        return slug;
    }

    /// <summary>The slug of a partner's first link: its id where that is a slug, else null.</summary>
    public static string? SlugOf(string partnerId) =>
        partnerId.Length >= MinSlug && SlugPattern().IsMatch(partnerId) && !s_reservedBySkeleton.ContainsKey(Skeleton(partnerId)) ? partnerId : null;

    /// <summary>
    /// What a person may take a slug for: two slugs of one skeleton look alike in some typeface or are told over the telephone as the
    /// same. The idea and the pairs are those of Unicode Technical Standard 39, section 4 (confusable detection), for the few
    /// characters that a slug has; hyphens are left out because nobody remembers where they were.
    /// </summary>
    public static string Skeleton(string slug)
    {
        var skeleton = new StringBuilder(slug.Length + 8);
        foreach (var c in slug)
        {
            // The longer spelling of a pair stands for both, as in the standard: rn for m, vv for w. The other way round vvv would
            // read in two ways.
            _ = c switch
            {
                '-' => skeleton,
                '0' => skeleton.Append('o'),
                '1' or 'i' => skeleton.Append('l'),
                'm' => skeleton.Append("rn"),
                'w' => skeleton.Append("vv"),
                _ => skeleton.Append(c),
            };
        }

        return skeleton.ToString();
    }

    /// <summary>What a partner claims with a slug: the slug, and everything that reads like it.</summary>
    public static Claim[] ClaimsOf(string slug) => [new(Claim.Slug, slug), new(Claim.Skeleton, Skeleton(slug))];

    /// <summary>Why a slug cannot be had, where another holds this claim of it.</summary>
    public static string TakenReason(Claim taken, string slug) =>
        taken.Kind == Claim.Slug ? $"'{slug}' is another partner's" : $"'{slug}' can be taken for a slug of another partner";

    /// <summary>
    /// The slug of a link that was asked for without one, made of what the link says: the same again is the same link. About 47 bits.
    /// </summary>
    public static string SlugFor(string program, string partnerId, LinkTerms terms)
    {
        var utm = terms.Utm ?? new Campaign();
        Span<byte> hash = stackalloc byte[16];
        Ids.Derive(
            "link-slug", program, partnerId, terms.Destination, terms.Campaign ?? "", utm.Source ?? "", utm.Medium ?? "", utm.Term ?? "", utm.Content ?? "",
            terms.ExpiresAt?.ToString("O") ?? "", terms.Fallback ?? "").TryWriteBytes(hash, bigEndian: true, out _);
        var number = BinaryPrimitives.ReadUInt64BigEndian(hash[8..]) << 2;
        return string.Create(DerivedSlugLength, number, static (slug, rest) =>
        {
            for (var i = 0; i < slug.Length; i++)
            {
                (rest, var digit) = ulong.DivRem(rest, (ulong)Alphabet.Length);
                slug[i] = Alphabet[(int)digit];
            }
        });
    }

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
