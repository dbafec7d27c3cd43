using PartnerPulse.Hosting;

namespace PartnerPulse.Edge;

/// <summary>
/// <c>?to=</c>: a page of the link's destination other than the published one. What was asked is parsed, judged, and written anew;
/// scheme, host and port are never the visitor's characters but the destination's or the program's own, so that no spelling leads
/// to another host.
/// </summary>
internal static class DeepLink
{
    /// <summary>The parameter that asks for one; it goes no further.</summary>
    public const string Parameter = "to";

    private const string NoPath = "must begin with one '/' or be an http or https address";

    /// <summary>The page that was asked for, or why nobody is sent there; the reason completes the sentence that begins with <c>to</c>.</summary>
    /// <param name="own">Where the link leads.</param>
    /// <param name="program">The program of the link; null where it was never configured.</param>
    /// <param name="value">The value as it stands in the query.</param>
    public static (Destination? Page, string? Refusal) Resolve(Destination own, ProgramSettings? program, ReadOnlySpan<char> value)
    {
        if (!QueryText.TryDecode(value, out var asked))
        {
            return (null, "is not text in UTF-8");
        }

        if (asked.Length == 0)
        {
            return (null, NoPath);
        }

        foreach (var c in asked)
        {
            if (char.IsControl(c) || c == '\\')
            {
                return (null, "must not hold control characters or backslashes");
            }
        }

        if (char.IsWhiteSpace(asked[0]) || char.IsWhiteSpace(asked[^1]))
        {
            return (null, "must not begin or end with a space");
        }

        var home = new Uri(own.Address);
        var isPath = asked[0] == '/';
        if (isPath ? asked.StartsWith("//", StringComparison.Ordinal) : !HasWebScheme(asked))
        {
            return (null, NoPath);
        }

        if (!Uri.TryCreate(isPath ? home.GetLeftPart(UriPartial.Authority) + asked : asked, UriKind.Absolute, out var page))
        {
            return (null, "is not an address");
        }

        var origin = isPath ? home.AsciiOrigin() : Allowed(page, asked, home, program);
        if (origin is null)
        {
            return (null, "must lead to the link's own host, or to one that the program allows");
        }

        return ReadsAsAnotherHost(page.AbsolutePath)
            ? (null, "must not hide slashes, backslashes or control characters in its path")
            : Destination.Parse(origin + page.PathAndQuery + page.Fragment) is { } destination ? (destination, null) : (null, "is not an address");
    }

    private static bool HasWebScheme(string text)
    {
        // The framework takes http:/host and http:///host for http://host; browsers differ, and nobody writes them in good faith.
        var length = text.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? "https://".Length
            : text.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? "http://".Length
            : 0;
        return length > 0 && text.Length > length && text[length] != '/';
    }

    /// <summary>Scheme, host and port of the page in the allow-list's own words; null where it is not allowed.</summary>
    private static string? Allowed(Uri page, string asked, Uri home, ProgramSettings? program)
    {
        // A user name, even an empty one, makes people take the host for another.
        var authority = asked.AsSpan(asked.IndexOf("//", StringComparison.Ordinal) + 2);
        var end = authority.IndexOfAny('/', '?', '#');
        if ((end < 0 ? authority : authority[..end]).Contains('@') || page.UserInfo.Length > 0)
        {
            return null;
        }

        var host = page.AsciiHost();
        if (host is null)
        {
            return null;
        }

        var isHome = host == home.AsciiHost();
        if (isHome && page.Scheme == home.Scheme && page.Port == home.Port)
        {
            return home.AsciiOrigin();
        }

        // Nobody is led from an encrypted page to one that is not, nor to a port where something else may listen.
        if (!page.IsDefaultPort || (page.Scheme != Uri.UriSchemeHttps && page.Scheme != home.Scheme))
        {
            return null;
        }

        var scheme = page.Scheme == Uri.UriSchemeHttps ? Uri.UriSchemeHttps : Uri.UriSchemeHttp;
        if (isHome && home.IsDefaultPort)
        {
            return page.AsciiOrigin();
        }

        foreach (var allowed in program?.DeepLinkHosts ?? [])
        {
            if (host == allowed)
            {
                return $"{scheme}://{allowed}";
            }
        }

        return null;
    }

    /// <summary>
    /// Whether the path, however often something behind us decodes it, could be read as an address or as the end of a header. The
    /// page is on the right host all the same; this is for shops that redirect by their own path.
    /// </summary>
    private static bool ReadsAsAnotherHost(string path)
    {
        const int MaxLayers = 5;
        for (var layer = 0; layer < MaxLayers; layer++)
        {
            if (path.Length > 1 && path[0] == '/' && path[1] is '/' or '\\')
            {
                return true;
            }

            foreach (var c in path)
            {
                if (char.IsControl(c) || c == '\\')
                {
                    return true;
                }
            }

            var decoded = Uri.UnescapeDataString(path);
            if (decoded == path)
            {
                return false;
            }

            path = decoded;
        }

        return true;
    }
}
