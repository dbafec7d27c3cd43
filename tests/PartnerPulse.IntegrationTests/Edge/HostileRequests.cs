using System.Globalization;
using System.Text;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>A request as it goes over the wire, and what it says.</summary>
/// <param name="Bytes">All of it.</param>
/// <param name="Head">Whether it is a HEAD.</param>
/// <param name="Slug">The slug in lower case, where the target plainly names a link.</param>
/// <param name="Query">The raw query; null where there is none.</param>
/// <param name="Headers">Headers by name, in Latin-1.</param>
/// <param name="Broken">It need not be HTTP; the connection may end with it.</param>
internal sealed record HostileRequest(byte[] Bytes, bool Head, string? Slug, string? Query, IReadOnlyDictionary<string, string> Headers, bool Broken);

/// <summary>Requests by somebody who means harm, or whose software is broken: the same seed makes the same ones.</summary>
internal sealed class HostileRequests(int seed, IReadOnlyList<string> slugs)
{
    private const string Visible = "!\"$%&'()*+,-./0123456789:;<=>?@ABCXYZ[\\]^_`abcxyz{|}~";

    private static readonly string[] s_elsewhere =
    [
        "//evil.example", "///evil.example/x", "\\\\evil.example", "/\\evil.example", "\\/evil.example", "https://evil.example", "https:evil.example", "https:/evil.example",
        "http://evil.example:80/", "HTTPS://EVIL.EXAMPLE", "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:x", "file:///etc/passwd",
        "https://shop.example@evil.example", "https://shop.example:pw@evil.example/", "https://shop.example.evil.example", "https://evil.example#shop.example",
        "https://evil.example?shop.example", "https://evil.example\\@shop.example", "https://evil.example%2f@shop.example", "/%2f%2fevil.example", "/%5cevil.example",
        "%2f%2fevil.example", "%252f%252fevil.example", "/..//evil.example", "/./\\evil.example", "//evil%E3%80%82example", "//ev\u00edl.example", "https://xn--evl-5ma.example",
        "//2130706433/", "//0x7f.1/", "//[::1]/", "/\t/evil.example", "/%09/evil.example", "%0d%0aLocation:%20https://evil.example", "/\r\nSet-Cookie: a=b", "/%0aX-Injected: 1",
        "https://shop.example\u3002evil.example", "//evil.example/%2e%2e", "https://shop.example.", "https://shop.example:444/", ".evil.example", "@evil.example", ":80@evil.example",
        "https://deals.shop.example/ok", "/fine/path?x=1#y", "fine", "", "?", "#", "https://", "http:", "//", "%", "%zz", "%00", "/%00evil",
    ];

    private static readonly string[] s_names =
    [
        "to", "to", "to", "TO", "t%6f", "url", "redirect", "next", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm%5Fsource", "sub1", "sub5", "subId", "ref", "via",
        "pp_click", "pp%5Fclick", "pp_test", "a", "gclid", "fbclid", "", "%", "x", "Location", "Set-Cookie",
    ];

    private static readonly string[] s_headers =
    [
        "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Accept", "Origin", "Range", "If-None-Match",
        "Accept-Language", "Location", "Upgrade-Insecure-Requests", "X-Purpose", "X-Moz", "DNT", "Via",
    ];

    private readonly Random _random = new(seed);

    public HostileRequest Next(bool mayBeBroken)
    {
        var broken = mayBeBroken && _random.Next(2) == 0;
        var (path, slug) = Path(broken);
        var query = _random.Next(8) == 0 ? null : Query(broken);
        var target = query is null ? path : $"{path}?{query}";
        if (target.Length > 7_000)
        {
            (target, query) = (path, null);
        }

        var method = _random.Next(10) == 0 ? "HEAD" : broken && _random.Next(4) == 0 ? Text(8, anyByte: true) : "GET";
        var headers = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase)
        {
            ["Host"] = broken && _random.Next(3) == 0 ? Text(20, anyByte: true) : Pick(["shop.example", "evil.example", "go.example:8080", "127.0.0.1", "[::1]:80", "x"]),
        };
        if (_random.Next(3) > 0)
        {
            headers["User-Agent"] = _random.Next(40) == 0 ? new string('u', 3_000) : _random.Next(2) == 0 ? "Mozilla/5.0 (X11; Linux x86_64)" : Text(60, anyByte: true);
        }

        if (_random.Next(3) == 0)
        {
            headers["Referer"] = _random.Next(3) == 0 ? Text(40, anyByte: true) : Pick(s_elsewhere).Replace('\r', ' ').Replace('\n', ' ');
        }

        if (_random.Next(3) == 0)
        {
            headers["Cookie"] = Pick(["pp_vid=", "a=b; pp_vid=", "pp_vid=x.y; pp_vid=", "pp_vid"]) + (_random.Next(2) == 0 ? new string('a', 32) + "." + new string('b', 22) : Text(70, anyByte: true));
        }

        if (_random.Next(4) == 0)
        {
            headers[Pick(["Sec-Purpose", "Purpose"])] = _random.Next(2) == 0 ? "prefetch;prerender" : Text(100, anyByte: false);
        }

        if (_random.Next(6) == 0)
        {
            headers["Sec-GPC"] = Pick(["1", "0", "true", ""]);
        }

        for (var i = _random.Next(3); i > 0; i--)
        {
            headers[Pick(s_headers)] = _random.Next(2) == 0 ? "evil.example" : Text(30, anyByte: false);
        }

        foreach (var name in headers.Keys.ToArray())
        {
            // White space around a value is none of it; a line within it would be a request of its own.
            headers[name] = new string([.. headers[name].Select(c => c is '\r' or '\n' or '\0' ? '_' : c > '\u00ff' ? '?' : c)]).Trim(' ', '\t');
        }

        var text = new StringBuilder($"{method} {target} HTTP/1.1\r\n");
        foreach (var (name, value) in headers)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name}: {value}\r\n");
        }

        if (broken && _random.Next(3) == 0)
        {
            text.Append(Text(40, anyByte: true)).Append("\r\n");
        }

        text.Append("\r\n");
        return new HostileRequest(Encoding.Latin1.GetBytes(text.ToString()), method == "HEAD", slug, query, headers, broken);
    }

    private (string Path, string? Slug) Path(bool broken)
    {
        if (broken)
        {
            return ($"/r/{Text(30, anyByte: true)}", null);
        }

        var slug = Pick(slugs);
        switch (_random.Next(12))
        {
            case 0:
                return ($"/r/{Safe(Pick(s_elsewhere)).Replace("?", "%3F", StringComparison.Ordinal).Replace("#", "%23", StringComparison.Ordinal)}", null);
            case 1:
                return (Pick(["/r/", "/r", "//r/acme", "/r//acme", "/r/acme/x", "/R/acme", "/r/%61cme", "/r/acme%2f", "/r/acme%00", "/r/../r/acme", "/r/./acme", "/r/acme;x", "/", "/x", "/t", "/v1/status"]), null);
            case 2:
                return ($"/r/{Safe(Text(200, anyByte: false)).Replace("?", "", StringComparison.Ordinal)}", null);
            case 3:
                return (Pick(["http://evil.example", "https://evil.example:8443"]) + $"/r/{slug}", slug);
            default:
                return ($"/r/{new string([.. slug.Select(c => _random.Next(2) == 0 ? char.ToUpperInvariant(c) : c)])}{(_random.Next(20) == 0 ? "/" : "")}", slug);
        }
    }

    private string Query(bool broken)
    {
        var parameters = Enumerable.Range(0, _random.Next(6)).Select(_ =>
        {
            var name = Pick(s_names);
            return _random.Next(15) == 0 ? name : $"{name}={Value()}";
        });
        var query = string.Join(_random.Next(10) == 0 ? ";" : "&", parameters);
        return broken ? query + Text(10, anyByte: true) : Safe(query);
    }

    private string Value() => _random.Next(6) switch
    {
        0 => Text(40, anyByte: false),
        1 => string.Concat(Enumerable.Range(0, _random.Next(12)).Select(_ => $"%{_random.Next(256):X2}")),
        2 => Mutated(Pick(s_elsewhere)),
        3 => new string('v', _random.Next(30) == 0 ? 3_000 : 10),
        _ => Pick(s_elsewhere),
    };

    /// <summary>Some characters escaped once or twice, some others put in between.</summary>
    private string Mutated(string value)
    {
        var text = new StringBuilder();
        foreach (var b in Encoding.UTF8.GetBytes(value))
        {
            text.Append(_random.Next(12) switch
            {
                0 or 1 => $"%{b:x2}",
                2 => $"%25{b:X2}",
                3 => $"{(char)b}{Pick(["%09", "%0a", "%0d", "%00", "\\", "/", "@", "%20", "%5c", "%e2%80%8b", "."])}",
                _ => ((char)b).ToString(),
            });
        }

        return text.ToString();
    }

    /// <summary>What a target may hold: visible ASCII; all else is escaped.</summary>
    private static string Safe(string text) => string.Concat(Encoding.UTF8.GetBytes(text).Select(b => b is > 0x20 and < 0x7F ? ((char)b).ToString() : $"%{b:X2}"));

    private string Text(int most, bool anyByte) => new([.. Enumerable.Range(0, _random.Next(most + 1)).Select(_ => anyByte && _random.Next(3) == 0 ? (char)_random.Next(256) : Visible[_random.Next(Visible.Length)])]);

    private string Pick(IReadOnlyList<string> all) => all[_random.Next(all.Count)];
}
