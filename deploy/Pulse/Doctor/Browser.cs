using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Commands;

namespace PartnerPulse.Pulse.Doctor;

/// <summary>What became of following a link.</summary>
/// <param name="Status">Of the answer.</param>
/// <param name="Location">Where it leads; null where nowhere.</param>
/// <param name="Click">Id of the click in the address; null where there is none.</param>
/// <param name="CookieRefused">Why a browser drops the cookie that was offered; null where it keeps it, or none was.</param>
/// <param name="CookieOffered">Whether one was.</param>
internal sealed record Followed(HttpStatusCode Status, Uri? Location, Guid? Click, string? CookieRefused, bool CookieOffered);

/// <summary>A browser as far as tracking notices it: its user agent, its headers, and the cookie that it keeps or does not keep.</summary>
internal sealed class Browser(Api edge, string userAgent, bool takesCookies = true, (string Name, string Value)[]? headers = null)
{
    public const string Chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36";

    private const string Cookie = "pp_vid";

    private static readonly TimeSpan s_apart = TimeSpan.FromMilliseconds(5);

    /// <summary>The browsers that people use.</summary>
    public static IReadOnlyList<(string Name, string UserAgent)> All { get; } =
    [
        ("Chrome on Windows", Chrome),
        ("Safari on macOS", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"),
        ("Firefox on Linux", "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"),
        ("Safari on iOS", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"),
        ("Chrome on Android", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"),
    ];

    public string UserAgent => userAgent;

    /// <summary>Value of the visitor's cookie; null where it keeps none.</summary>
    public string? Visitor { get; private set; }

    public void ClearCookies() => Visitor = null;

    /// <summary>Follows a link of the edge, marked as test traffic, and stops where it leads.</summary>
    public async Task<Followed> FollowAsync(string slug, CancellationToken cancellation, HttpMethod? method = null)
    {
        // The id of a click says the millisecond: in another one than the click before, their order is known here as it is there.
        await Task.Delay(s_apart, cancellation);
        using var request = Request(method ?? HttpMethod.Get, $"{edge.Url}/r/{slug}?pp_test=1&utm_source=doctor");
        using var response = await edge.SendAsync(request, cancellation);
        var (offered, refused) = Keep(response);
        var location = response.Headers.Location;
        return new Followed(response.StatusCode, location, ClickIn(location), refused, offered);
    }

    /// <summary>Lands on a page of the program that names a partner.</summary>
    /// <returns>The click; null where none was recorded.</returns>
    public async Task<Guid?> LandAsync(string origin, string parameter, string @ref, string nonce, CancellationToken cancellation)
    {
        using var request = Request(HttpMethod.Post, $"{edge.Url}/t");
        request.Headers.TryAddWithoutValidation("Origin", origin);
        request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", "same-site");
        request.Content = new StringContent(new JsonObject { ["url"] = $"{origin}/?{parameter}={@ref}&pp_test=1", ["nonce"] = nonce }.ToJsonString(), Encoding.UTF8, "text/plain");
        using var response = await edge.SendAsync(request, cancellation);
        var answer = await Api.ReadAsync(response, cancellation);
        Keep(response);
        return (Guid?)answer["click"];
    }

    private HttpRequestMessage Request(HttpMethod method, string address)
    {
        var request = new HttpRequestMessage(method, new Uri(address));
        request.Headers.TryAddWithoutValidation("User-Agent", userAgent);
        foreach (var (name, value) in headers ?? [])
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        if (Visitor is not null)
        {
            request.Headers.TryAddWithoutValidation("Cookie", $"{Cookie}={Visitor}");
        }

        return request;
    }

    /// <summary>By the rules of RFC 6265: the cookie's domain must be the host's, and a secure one needs https, or this machine.</summary>
    private (bool Offered, string? Refused) Keep(HttpResponseMessage response)
    {
        if (!response.Headers.TryGetValues("Set-Cookie", out var values) || values.FirstOrDefault(value => value.StartsWith(Cookie + "=", StringComparison.Ordinal)) is not { } offered)
        {
            return (false, null);
        }

        var parts = offered.Split(';', StringSplitOptions.TrimEntries);
        var host = new Uri(edge.Url).Host;
        var domain = parts.FirstOrDefault(part => part.StartsWith("Domain=", StringComparison.OrdinalIgnoreCase))?["Domain=".Length..].TrimStart('.');
        if (domain is not null && !host.Equals(domain, StringComparison.OrdinalIgnoreCase) && !host.EndsWith("." + domain, StringComparison.OrdinalIgnoreCase))
        {
            return (true, $"its cookie is for {domain} and the edge is {host}: every browser drops it. Set Edge:Cookie:Domain to a domain that {host} lies under, or name the edge's public address with --edge");
        }

        if (parts.Contains("Secure", StringComparer.OrdinalIgnoreCase) && !edge.Url.StartsWith("https:", StringComparison.OrdinalIgnoreCase) && !IsThisMachine(host))
        {
            return (true, $"its cookie is for https alone and the edge is asked as {edge.Url}: browsers drop it. Ask it by https, or set Edge:Cookie:Secure to false where there is none");
        }

        if (takesCookies)
        {
            Visitor = parts[0][(Cookie.Length + 1)..];
        }

        return (true, null);
    }

    private static bool IsThisMachine(string host) => host is "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private static Guid? ClickIn(Uri? location)
    {
        var query = location is { IsAbsoluteUri: true } ? location.Query : "";
        var at = query.IndexOf("pp_click=", StringComparison.Ordinal);
        return at >= 0 && Guid.TryParse(query.AsSpan(at + "pp_click=".Length, Math.Min(36, query.Length - at - "pp_click=".Length)), out var id) ? id : null;
    }
}
