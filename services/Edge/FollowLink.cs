using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary><c>GET /r/{slug}</c>: the click is kept, then the visitor is sent on.</summary>
internal sealed class FollowLink(
    Catalogue catalogue, Spool spool, VisitorCookie cookie, AddressHash addresses, TimeProvider time, IOptions<EdgeOptions> options)
{
    private const string Prefix = "/r/";

    /// <summary>Characters of a user agent that are kept. Queries are bounded by Kestrel's request line and kept whole.</summary>
    public const int MaxUserAgentLength = 2_048;

    private const int MaxPurposeLength = 64;

    private readonly string? _fallback = options.Value.FallbackUrl is { Length: > 0 } url ? Destination.Parse(url)!.Address : null;

    public static void Map(IEndpointRouteBuilder routes)
    {
        // The rest of the pipeline is for the API: here nobody authenticates, and no problem details are written for a visitor.
        var handler = routes.ServiceProvider.GetRequiredService<FollowLink>();
        routes.MapMethods(Prefix + "{slug}", [HttpMethods.Get, HttpMethods.Head], handler.HandleAsync)
            .WithTags("Links").WithSummary("Follows a link").ShortCircuit();
    }

    public Task HandleAsync(HttpContext http)
    {
        var slug = http.Request.Path.Value.AsSpan(Prefix.Length).TrimEnd('/');
        return catalogue.Find(slug) is { } link ? RedirectAsync(http, link) : NotFoundAsync(http.Response);
    }

    private async Task RedirectAsync(HttpContext http, Link link)
    {
        var request = http.Request;
        var now = time.GetUtcNow();
        var id = Randomness.CreateVersion7(now);
        var query = request.QueryString.Value is { Length: > 1 } raw ? raw[1..] : null;
        var location = link.Destination.For(query, id.ToString());
        var signals = Signals(request);
        var visitor = Visitor(http, signals);

        // Kept before the answer leaves: a visitor who got a redirect is a click in the log. Where it cannot be kept, the
        // visitor is sent on all the same; the spool has counted the loss.
        var entry = spool.Rent();
        entry.Add(Click(http, link, id, now, query, visitor, signals));
        _ = await spool.AppendAsync(entry);

        var response = http.Response;
        response.StatusCode = StatusCodes.Status302Found;
        response.Headers.CacheControl = "no-store";
        response.Headers.Location = location;
    }

    private ClickRecorded Click(HttpContext http, Link link, Guid id, DateTimeOffset now, string? query, string? visitor, ClickSignals? signals)
    {
        var facts = QueryText.Read(query);
        return new ClickRecorded
        {
            EventId = id,
            ProgramId = link.Partner.Program,
            OccurredAt = now,
            PartnerId = link.Partner.Id,
            Link = link.Slug,
            VisitorId = visitor,
            Destination = link.Destination.Address,
            Campaign = WithDefault(facts.Campaign, link.Campaign),
            SubIds = facts.SubIds,
            Query = query,
            ReferrerHost = ReferrerHost(http.Request.Headers.Referer),
            UserAgent = Bounded(http.Request.Headers.UserAgent, MaxUserAgentLength),
            Signals = signals,
            AddressHash = addresses.Of(http.Connection.RemoteIpAddress, now),
            Via = ClickVia.Redirect,
            Test = facts.Test,
        };
    }

    /// <summary>The campaign of the query, with the link's name where it has none.</summary>
    internal static Campaign? WithDefault(Campaign? campaign, string? name) =>
        campaign is null
            ? name is null ? null : new Campaign { Name = name }
            : campaign.Name is null && name is not null ? campaign with { Name = name } : campaign;

    /// <summary>Host of an address, in the form that DNS knows; null for anything else.</summary>
    internal static string? ReferrerHost(string? referrer) =>
        !string.IsNullOrEmpty(referrer) && Uri.TryCreate(referrer, UriKind.Absolute, out var uri) && uri.IdnHost.Length > 0 ? uri.IdnHost : null;

    internal static string? Bounded(string? text, int length)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        // The log's JSON cannot hold U+0000.
        text = text.Replace('\0', '\uFFFD');
        return text.Length <= length ? text : text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
    }

    private string? Visitor(HttpContext http, ClickSignals? signals)
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

    private static ClickSignals? Signals(HttpRequest request)
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

    private Task NotFoundAsync(HttpResponse response)
    {
        Metrics.Unknown.Add(1);
        response.Headers.CacheControl = "no-store";
        if (_fallback is not null)
        {
            response.StatusCode = StatusCodes.Status302Found;
            response.Headers.Location = _fallback;
            return Task.CompletedTask;
        }

        response.StatusCode = StatusCodes.Status404NotFound;
        response.ContentType = "text/plain; charset=utf-8";
        return response.WriteAsync("There is no such link.\n");
    }
}
