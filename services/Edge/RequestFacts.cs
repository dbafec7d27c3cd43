using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>What a request says of itself, and of who made it. Facts only: whether it counts is judged later, by rules.</summary>
internal sealed class RequestFacts(VisitorCookie cookie, ClientAddress clients, AddressHash addresses)
{
    /// <summary>Characters of a user agent that are kept. Queries are bounded by Kestrel's request line and kept whole.</summary>
    public const int MaxUserAgentLength = 2_048;

    private const int MaxPurposeLength = 64;

    public static string? UserAgent(HttpRequest request) => Bounded(request.Headers.UserAgent, MaxUserAgentLength);

    /// <summary>Host of an address, in the form that DNS knows; null for anything else.</summary>
    public static string? ReferrerHost(string? referrer) =>
        !string.IsNullOrEmpty(referrer) && Uri.TryCreate(referrer, UriKind.Absolute, out var uri) && uri.IdnHost.Length > 0 ? uri.IdnHost : null;

    public static string? Bounded(string? text, int length)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        // The log's JSON cannot hold U+0000.
        text = text.Replace('\0', '\uFFFD');
        return text.Length <= length ? text : text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
    }

    /// <summary>Who it is, where that may be known; makes the browser remember a new or known visitor.</summary>
    public string? Visitor(HttpContext http, ClickSignals? signals)
    {
        if (!cookie.IsSet || signals is { Gpc: true })
        {
            return null;
        }

        string? visitor = null;
        foreach (var header in http.Request.Headers.Cookie)
        {
            visitor ??= cookie.Read(header);
        }

        // A link checker asks with HEAD and is nobody; it gets no id, and keeps one that it shows.
        if (HttpMethods.IsHead(http.Request.Method))
        {
            return visitor;
        }

        visitor ??= VisitorCookie.NewId();
        http.Response.Headers.SetCookie = cookie.Header(visitor);
        return visitor;
    }

    /// <summary>Signals by which rules judge later; null where the request gave none.</summary>
    public static ClickSignals? Signals(HttpRequest request)
    {
        var headers = request.Headers;
        var method = HttpMethods.IsHead(request.Method) ? HttpMethods.Head : null;
        var purpose = First(headers, "Sec-Purpose") ?? First(headers, "Purpose") ?? First(headers, "X-Moz") ?? First(headers, "X-Purpose");
        var gpc = First(headers, "Sec-GPC") == "1";
        var dnt = First(headers, "DNT") == "1";
        return method is null && purpose is null && !gpc && !dnt
            ? null
            : new ClickSignals { Method = method, Purpose = purpose, Gpc = gpc, Dnt = dnt };
    }

    private static string? First(IHeaderDictionary headers, string name) =>
        headers.TryGetValue(name, out var values) ? Bounded(values.ToString(), MaxPurposeLength) : null;

    /// <summary>Keyed hash of the truncated address; the address itself goes no further.</summary>
    public string? AddressHash(HttpContext http, DateTimeOffset now) => addresses.Of(clients.Of(http), now);
}
