using System.Net.Mime;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Net.Http.Headers;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Edge;

/// <summary>
/// A landing as the script tells it. Fields that are not known here are passed over: browsers keep old and new scripts side by
/// side.
/// </summary>
internal sealed record LandingAsk
{
    /// <summary>Address of the page, of the origin that sends.</summary>
    public string? Url { get; init; }

    /// <summary>Address from which the visitor came; its host is kept.</summary>
    public string? Referrer { get; init; }

    /// <summary>Number of the landing, made by the page: 16 to 64 letters, digits, <c>-</c> and <c>_</c>.</summary>
    public string? Nonce { get; init; }

    /// <summary>The click that the page already has. Then nothing is recorded.</summary>
    public string? Click { get; init; }

    /// <summary><c>granted</c>, <c>denied</c>, <c>pending</c>; absent where the page says nothing.</summary>
    public string? Consent { get; init; }

    /// <summary>Global Privacy Control as the page sees it; a browser that sends <c>Sec-GPC</c> need not say it again.</summary>
    public bool? Gpc { get; init; }
}

/// <param name="Click">The page's click.</param>
/// <param name="Reason">Why there is none: <c>no-partner</c>, <c>unknown-partner</c>.</param>
/// <param name="Origins">Origins to which the page may hand its click on.</param>
internal sealed record LandingAnswer(
    Guid? Click,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? Origins = null);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(LandingAsk))]
[JsonSerializable(typeof(LandingAnswer))]
internal sealed partial class LandingJson : JsonSerializerContext;

/// <summary><c>POST /t</c>: a visitor landed on a page of a program by an address that names a partner.</summary>
internal sealed class Landing(Catalogue catalogue, Spool spool, RequestFacts facts, RateLimits limits, TimeProvider time)
{
    public const int MaxBodyBytes = 32 * 1024;
    private const int MaxAddressLength = 8_192;
    private const int MinNonceLength = 16;
    private const int MaxNonceLength = 64;

    // Browsers ask again after two hours at most, whatever is said here.
    private const string PreflightSeconds = "7200";

    /// <summary>Who brought the visitor.</summary>
    internal abstract record Outcome;

    internal sealed record Brought(Partner Partner) : Outcome;

    internal sealed record NoPartner : Outcome;

    internal sealed record UnknownPartner : Outcome;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/t", (HttpContext http, Landing landing, CancellationToken cancellationToken) => landing.HandleAsync(http, cancellationToken))
            // Any type is let in here: what is refused for its type is refused below, with the headers that let the page read why.
            .Accepts<LandingAsk>(MediaTypeNames.Text.Plain, MediaTypeNames.Application.Json, "*/*")
            .Produces<LandingAnswer>()
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status403Forbidden)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .ProducesProblem(StatusCodes.Status429TooManyRequests)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable)
            .WithTags("Landings").WithSummary("Records a landing that names a partner; for pages of the program's origins");
        routes.MapMethods("/t", [HttpMethods.Options], (HttpContext http, Landing landing) => landing.Preflight(http)).ExcludeFromDescription();
    }

    /// <summary>
    /// The first parameter, in the order in which the program tries them, that names a partner. Names and codes in any case. A
    /// shop may use <c>ref</c> for something else, so a value that names nobody does not stop the search.
    /// </summary>
    internal static Outcome Decide(IReadOnlyList<string> parameters, string? query, Func<string, Partner?> find)
    {
        var named = false;
        foreach (var parameter in parameters)
        {
            foreach (var value in Values(query, parameter))
            {
                if (find(value) is { } partner)
                {
                    return new Brought(partner);
                }

                named = true;
            }
        }

        return named ? new UnknownPartner() : new NoPartner();
    }

    /// <summary>
    /// Id of the click that a landing is. The page numbers its landings, and the number is all that a repetition has in common
    /// with the first time: a reload after a lost answer, a beacon behind a broken request. Address, time and user agent are
    /// shared by whole offices, and would make one click of two people.
    /// </summary>
    internal static Guid ClickId(Partner partner, string nonce) => Ids.Derive("landing", partner.Program, partner.Id, nonce);

    private async Task<Results<JsonHttpResult<LandingAnswer>, ProblemHttpResult>> HandleAsync(HttpContext http, CancellationToken cancellationToken)
    {
        var origin = http.Request.Headers.Origin.ToString();
        if (Program(http, origin) is not { } program)
        {
            return Refused(origin);
        }

        var (ask, fault) = await ReadAsync(http, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        var checks = new Checks(time);
        var url = Page(checks, ask!.Url, origin);
        var nonce = Nonce(checks, ask.Nonce, isNeeded: ask.Click is null);
        var kept = Click(checks, ask.Click);
        var signals = Signals(checks, http.Request, ask);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        if (ask.Consent == "denied")
        {
            facts.RememberRefusal(http);
        }

        if (kept is { } click)
        {
            return Answer(new LandingAnswer(click, Origins: program.Origins));
        }

        var query = QueryText.Of(url);
        switch (Decide(program.PartnerParameters, query, value => catalogue.FindRef(program.Id, value)))
        {
            case Brought { Partner: var partner }:
                var network = facts.Network(http);
                var allowance = limits.Take(network);
                if (allowance.Refused)
                {
                    return TooMany(http, allowance);
                }

                var now = time.GetUtcNow();
                var landed = Record(http, network, partner, ask, url, query, nonce, allowance.Mark(signals), now);
                // As with a redirect: what was answered is in the log.
                return await spool.KeepAsync(landed) ? Answer(new LandingAnswer(landed.EventId, Origins: program.Origins)) : NotKept();
            case UnknownPartner:
                Metrics.LandingsUnknown.Add(1);
                return Answer(new LandingAnswer(Click: null, "unknown-partner"));
            case NoPartner:
                return Answer(new LandingAnswer(Click: null, "no-partner"));
            case var other:
                throw new System.Diagnostics.UnreachableException(other.ToString());
        }
    }

    private ClickRecorded Record(
        HttpContext http, ClientNetwork? network, Partner partner, LandingAsk ask, string url, string? query, string nonce, ClickSignals? signals, DateTimeOffset now)
    {
        var said = QueryText.Read(query);
        return new ClickRecorded
        {
            EventId = ClickId(partner, nonce),
            ProgramId = partner.Program,
            OccurredAt = now,
            PartnerId = partner.Id,
            VisitorId = facts.LandedVisitor(http, signals, partner.Program, nonce),
            Destination = url,
            Campaign = said.Campaign,
            SubIds = said.SubIds,
            Query = query,
            ReferrerHost = RequestFacts.ReferrerHost(ask.Referrer),
            UserAgent = RequestFacts.UserAgent(http.Request),
            Signals = signals,
            AddressHash = facts.AddressHash(network, now),
            Via = ClickVia.Landing,
            Test = said.Test,
        };
    }

    /// <summary>The program whose page asks, with the headers that let the page read the answer; null for any other origin.</summary>
    private ProgramSettings? Program(HttpContext http, string origin)
    {
        var headers = http.Response.Headers;
        headers.Vary = HeaderNames.Origin;
        headers.CacheControl = "no-store";
        var program = catalogue.ProgramOfOrigin(origin);
        if (program is null)
        {
            Metrics.LandingsRefused.Add(1);
            return null;
        }

        headers.AccessControlAllowOrigin = origin;
        headers.AccessControlAllowCredentials = "true";
        return program;
    }

    private Results<NoContent, ProblemHttpResult> Preflight(HttpContext http)
    {
        var origin = http.Request.Headers.Origin.ToString();
        if (Program(http, origin) is null)
        {
            return Refused(origin);
        }

        var headers = http.Response.Headers;
        headers.AccessControlAllowMethods = HttpMethods.Post;
        headers.AccessControlAllowHeaders = HeaderNames.ContentType;
        headers.AccessControlMaxAge = PreflightSeconds;
        return TypedResults.NoContent();
    }

    private static ProblemHttpResult Refused(string origin) =>
        Problem.Of(
            StatusCodes.Status403Forbidden, "The origin is not one of a program's",
            new FieldFault(HeaderNames.Origin, origin.Length == 0 ? "is required" : $"'{RequestFacts.Bounded(origin, 256)}' is not among the origins of a program"));

    /// <summary>The body, bounded, whatever length it claims.</summary>
    private static async ValueTask<(LandingAsk? Ask, ProblemHttpResult? Fault)> ReadAsync(HttpContext http, CancellationToken cancellationToken)
    {
        var request = http.Request;
        if (!MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
            || !(type.MediaType.Equals(MediaTypeNames.Text.Plain, StringComparison.OrdinalIgnoreCase)
                || type.MediaType.Equals(MediaTypeNames.Application.Json, StringComparison.OrdinalIgnoreCase)))
        {
            return (null, Problem.Of(
                StatusCodes.Status415UnsupportedMediaType, "The request is not valid",
                new FieldFault(HeaderNames.ContentType, $"is '{RequestFacts.Bounded(request.ContentType, 256)}'; it must be 'text/plain' or 'application/json'")));
        }

        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = MaxBodyBytes;
        }

        try
        {
            var (ask, fault) = await request.ReadJsonAsync(LandingJson.Default.LandingAsk, cancellationToken);
            return fault is null ? (ask, null) : (null, Problem.Invalid(fault));
        }
        catch (BadHttpRequestException tooLarge) when (tooLarge.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            // Answered here, because the page may read the answer only with the headers that are set.
            return (null, Problem.Of(
                StatusCodes.Status413PayloadTooLarge, "The request is not valid",
                new FieldFault("body", $"is larger than the {MaxBodyBytes} bytes that are allowed")));
        }
    }

    private static IEnumerable<string> Values(string? query, string name)
    {
        foreach (var parameter in query?.Split('&') ?? [])
        {
            var equals = parameter.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0 && equals + 1 < parameter.Length && QueryText.Decode(parameter.AsSpan(0, equals)).Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                yield return QueryText.Decode(parameter.AsSpan(equals + 1));
            }
        }
    }

    /// <summary>Address of the page without its fragment.</summary>
    private static string Page(Checks checks, string? value, string origin)
    {
        if (checks.Address("url", value, MaxAddressLength) is not { } address)
        {
            if (string.IsNullOrEmpty(value))
            {
                checks.Add("url", "is required");
            }

            return "";
        }

        var page = new Uri(address);
        if (!string.Equals(page.AsciiOrigin(), origin, StringComparison.OrdinalIgnoreCase))
        {
            checks.Add("url", $"is not a page of {origin}, which sends it");
        }

        var fragment = address.IndexOf('#', StringComparison.Ordinal);
        return fragment < 0 ? address : address[..fragment];
    }

    private static string Nonce(Checks checks, string? value, bool isNeeded)
    {
        if (string.IsNullOrEmpty(value))
        {
            if (isNeeded)
            {
                checks.Add("nonce", "is required");
            }

            return "";
        }

        if (value.Length is < MinNonceLength or > MaxNonceLength || !value.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            checks.Add("nonce", $"must be {MinNonceLength} to {MaxNonceLength} letters, digits, '-' and '_'");
        }

        return value;
    }

    private static Guid? Click(Checks checks, string? value)
    {
        if (value is null)
        {
            return null;
        }

        if (Guid.TryParseExact(value, "D", out var click))
        {
            return click;
        }

        checks.Add("click", "is not a click id");
        return null;
    }

    /// <summary>What the request says, with what the page says besides. The page's word on consent is newer than the cookie's.</summary>
    private static ClickSignals? Signals(Checks checks, HttpRequest request, LandingAsk ask)
    {
        bool? consent = null;
        switch (ask.Consent)
        {
            case null: break;
            case "granted": consent = true; break;
            case "denied" or "pending": consent = false; break;
            default: checks.Add("consent", "must be 'granted', 'denied' or 'pending', or absent"); break;
        }

        var signals = RequestFacts.Signals(request);
        return consent is null && ask.Gpc is not true
            ? signals
            : (signals ?? new ClickSignals()) with { Consent = consent ?? signals?.Consent, Gpc = ask.Gpc is true || signals is { Gpc: true } };
    }

    private static JsonHttpResult<LandingAnswer> Answer(LandingAnswer answer) => TypedResults.Json(answer, LandingJson.Default.LandingAnswer);

    private static ProblemHttpResult TooMany(HttpContext http, Allowance allowance)
    {
        var seconds = allowance.RetryAfterSeconds.ToString();
        http.Response.Headers.RetryAfter = seconds;
        return Problem.Of(
            StatusCodes.Status429TooManyRequests, "Too many clicks came from one network",
            new FieldFault("address", $"is of a network that may try again in {seconds} seconds"));
    }

    private ProblemHttpResult NotKept() =>
        Problem.Of(
            StatusCodes.Status503ServiceUnavailable, "The landing cannot be kept now",
            new FieldFault("body", $"was not kept: {spool.Fault}. Send it again with the same nonce: it is not counted twice"));
}
