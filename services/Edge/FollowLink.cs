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
        var slug = http.Request.Path.Value.AsSpan(Prefix.Length).TrimEnd('/');
        return catalogue.Find(slug) is { } link ? RedirectAsync(http, link) : NotFoundAsync(http.Response);
    }

    private async Task RedirectAsync(HttpContext http, Link link)
    {
        var allowance = limits.Take(http);
        if (allowance.Refused)
        {
            await RateLimits.RefuseAsync(http.Response, allowance);
            return;
        }

        var request = http.Request;
        var now = time.GetUtcNow();
        var id = Randomness.CreateVersion7(now);
        var query = request.QueryString.Value is { Length: > 1 } raw ? raw[1..] : null;
        var location = link.Destination.For(query, id.ToString());
        var signals = allowance.Mark(RequestFacts.Signals(request));
        var visitor = facts.Visitor(http, signals);

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
        var said = QueryText.Read(query);
        return new ClickRecorded
        {
            EventId = id,
            ProgramId = link.Partner.Program,
            OccurredAt = now,
            PartnerId = link.Partner.Id,
            Link = link.Slug,
            VisitorId = visitor,
            Destination = link.Destination.Address,
            Campaign = WithDefault(said.Campaign, link.Campaign),
            SubIds = said.SubIds,
            Query = query,
            ReferrerHost = RequestFacts.ReferrerHost(http.Request.Headers.Referer),
            UserAgent = RequestFacts.UserAgent(http.Request),
            Signals = signals,
            AddressHash = facts.AddressHash(http, now),
            Via = ClickVia.Redirect,
            Test = said.Test,
        };
    }

    /// <summary>The campaign of the query, with the link's name where it has none.</summary>
    internal static Campaign? WithDefault(Campaign? campaign, string? name) =>
        campaign is null
            ? name is null ? null : new Campaign { Name = name }
            : campaign.Name is null && name is not null ? campaign with { Name = name } : campaign;

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
