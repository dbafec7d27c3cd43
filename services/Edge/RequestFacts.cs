using PartnerPulse.Contracts;
using PartnerPulse.Hosting;

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
        !string.IsNullOrEmpty(referrer) && Uri.TryCreate(referrer, UriKind.Absolute, out var uri) ? uri.AsciiHost() : null;

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

    /// <summary>Who followed a link, where that may be known; makes the browser remember a new or known visitor.</summary>
    public string? Visitor(HttpContext http, ClickSignals? signals) =>
        cookie.IsSet && MayBeKnown(signals) ? Known(http, newcomer: null) : null;

    /// <summary>
    /// Who landed. The id of a new visitor comes from the landing's number, so that a landing that is sent again because its
    /// answer was lost names the visitor that is in the log.
    /// </summary>
    public string? LandedVisitor(HttpContext http, ClickSignals? signals, string program, string nonce) =>
        cookie.IsSet && MayBeKnown(signals) && IsSameSite(http.Request) ? Known(http, cookie.IdOfLanding(program, nonce)) : null;

    /// <summary>Puts a word of refusal, which is the same for everyone, in the place of the visitor's id.</summary>
    public void RememberRefusal(HttpContext http)
    {
        if (cookie.IsSet && IsSameSite(http.Request))
        {
            http.Response.Headers.SetCookie = cookie.RefusalHeader;
        }
    }

    private static bool MayBeKnown(ClickSignals? signals) => signals is not ({ Gpc: true } or { Consent: false });

    // Browsers drop a cookie that a request of another site's page brings: an id for it would be one that nobody ever shows.
    private static bool IsSameSite(HttpRequest request) => First(request.Headers, "Sec-Fetch-Site") != "cross-site";

    private string? Known(HttpContext http, string? newcomer)
    {
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

        visitor ??= newcomer ?? VisitorCookie.NewId();
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
        bool? consent = VisitorCookie.Refuses(headers.Cookie) ? false : null;
        return method is null && purpose is null && !gpc && !dnt && consent is null
            ? null
            : new ClickSignals { Method = method, Purpose = purpose, Gpc = gpc, Dnt = dnt, Consent = consent };
    }

    private static string? First(IHeaderDictionary headers, string name) =>
        headers.TryGetValue(name, out var values) ? Bounded(values.ToString(), MaxPurposeLength) : null;

    /// <summary>Truncated address of who asks; the address itself goes no further. Null where there is none.</summary>
    public ClientNetwork? Network(HttpContext http) => ClientNetwork.Of(clients.Of(http));

    /// <summary>Keyed hash of the truncated address.</summary>
    public string? AddressHash(ClientNetwork? network, DateTimeOffset now) => addresses.Of(network, now);
}
