using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary><c>GET /r/{slug}</c>: the click is kept, then the visitor is sent on.</summary>
internal sealed class FollowLink(
    Catalogue catalogue, Spool spool, RequestFacts facts, RateLimits limits, TimeProvider time, IOptions<EdgeOptions> options)
{
    private const string Prefix = "/r/";

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
        long? since = Metrics.RedirectTime.Enabled ? time.GetTimestamp() : null;
        var slug = http.Request.Path.Value.AsSpan(Prefix.Length).TrimEnd('/');
        var now = time.GetUtcNow();
        var host = catalogue.ProgramOfLinkHost(http.Request.Host.Value);
        var link = catalogue.Find(slug);

        // A program's own host vouches for where its links lead, so another program's slugs do not exist there.
        if (link is null || (host is not null && host.Id != link.Partner.Program))
        {
            Metrics.Unknown.Add(1);
            return LeadElsewhereAsync(http.Response, host?.Fallback);
        }

        if (!link.LeadsOn(now))
        {
            Metrics.Ended.Add(1);
            return LeadElsewhereAsync(http.Response, link.Fallback ?? catalogue.FindProgram(link.Partner.Program)?.Fallback);
        }

        var query = http.Request.QueryString.Value is { Length: > 1 } raw ? raw[1..] : null;
        var destination = link.Destination;
        if (QueryText.TryFind(query, DeepLink.Parameter, out var to))
        {
            var (page, refusal) = DeepLink.Resolve(destination, catalogue.FindProgram(link.Partner.Program), to);
            if (page is null)
            {
                Metrics.DeepLinksRefused.Add(1);
                return http.Response.SayAsync(StatusCodes.Status400BadRequest, $"The parameter '{DeepLink.Parameter}' {refusal}.\n");
            }

            destination = page;
        }

        return RedirectAsync(http, link, destination, query, now, since);
    }

    private Task RedirectAsync(HttpContext http, Link link, Destination destination, string? query, DateTimeOffset now, long? since)
    {
        var network = facts.Network(http);
        var allowance = limits.Take(network);
        if (allowance.Refused)
        {
            return RateLimits.RefuseAsync(http.Response, allowance);
        }

        var id = Randomness.CreateVersion7(now);
        var signals = allowance.Mark(RequestFacts.Signals(http.Request));
        var visitor = facts.Visitor(http, signals);
        var response = http.Response;
        response.StatusCode = StatusCodes.Status302Found;
        response.Headers.CacheControl = "no-store";
        Span<char> digits = stackalloc char[36];
        id.TryFormat(digits, out _);
        response.Headers.Location = destination.For(query, digits);

        // Kept before the answer leaves, which it does when this completes: a visitor who got a redirect is a click in the log. Where
        // it cannot be kept, the visitor is sent on all the same; the spool has counted the loss.
        return spool.KeepAsync(Click(http, network, link, destination, id, now, query, visitor, signals), since).AsTask();
    }

    private ClickRecorded Click(
        HttpContext http, ClientNetwork? network, Link link, Destination destination, Guid id, DateTimeOffset now, string? query, string? visitor, ClickSignals? signals)
    {
        var said = QueryText.Read(query);
        return new ClickRecorded
        {
            EventId = id,
            ProgramId = link.Partner.Program,
            OccurredAt = now,
            PartnerId = link.Partner.Id,
            Link = link.Slug,
            VisitorId = visitor,
            Destination = destination.Address,
            Campaign = WithDefaults(said.Campaign, link.Campaign),
            SubIds = said.SubIds,
            Query = query,
            ReferrerHost = RequestFacts.ReferrerHost(http.Request.Headers.Referer),
            UserAgent = RequestFacts.UserAgent(http.Request),
            Signals = signals,
            AddressHash = facts.AddressHash(network, now),
            Via = ClickVia.Redirect,
            Test = said.Test,
        };
    }

    /// <summary>The campaign of the query, with the link's own values where it has none.</summary>
    internal static Campaign? WithDefaults(Campaign? said, Campaign? own) =>
        own is null ? said
        : said is null ? own
        : new Campaign
        {
            Source = said.Source ?? own.Source,
            Medium = said.Medium ?? own.Medium,
            Name = said.Name ?? own.Name,
            Term = said.Term ?? own.Term,
            Content = said.Content ?? own.Content,
        };

    private Task LeadElsewhereAsync(HttpResponse response, string? fallback)
    {
        fallback ??= _fallback;
        if (fallback is null)
        {
            return response.SayAsync(StatusCodes.Status404NotFound, "There is no such link.\n");
        }

        response.StatusCode = StatusCodes.Status302Found;
        response.Headers.CacheControl = "no-store";
        response.Headers.Location = fallback;
        return Task.CompletedTask;
    }
}
