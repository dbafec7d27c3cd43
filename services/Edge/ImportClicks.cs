using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Edge;

/// <summary>One line of an import.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ImportedClick
{
    public string? ClickId { get; init; }
    public string? Partner { get; init; }
    public string? Link { get; init; }
    public string? VisitorId { get; init; }
    public DateTimeOffset? OccurredAt { get; init; }
    public string? LandingUrl { get; init; }
    public string? Referrer { get; init; }
    public string? UserAgent { get; init; }

    /// <summary>Name of the campaign. The utm parameters of <see cref="LandingUrl"/> say the rest.</summary>
    public string? Campaign { get; init; }
}

/// <param name="Accepted">Lines that are kept.</param>
/// <param name="Rejected">Faults of the others; the first thousand.</param>
/// <param name="RejectedTotal">Lines that are not kept.</param>
internal sealed record ImportAnswer(long Accepted, IReadOnlyList<RejectedLine> Rejected, long RejectedTotal);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(ImportedClick))]
[JsonSerializable(typeof(ImportAnswer))]
internal sealed partial class ImportJson : JsonSerializerContext;

/// <summary>
/// <c>POST /v1/imports/clicks</c>: history with its own times, a line of JSON a click, through the same spool. A file of any
/// length passes in bounded memory. The same file again changes nothing: ids come from the lines.
/// </summary>
internal sealed class ImportClicks(Catalogue catalogue, CatalogueTail tail, Spool spool, TimeProvider time)
{
    private const int MaxIdLength = 64;
    private const int MaxAddressLength = 8_192;
    private const int MaxNameLength = 256;
    private const int BatchLines = 500;

    // What was just enrolled may be on its way to this edge.
    private static readonly TimeSpan s_catalogueDelay = TimeSpan.FromSeconds(2);

    public static void Map(IEndpointRouteBuilder routes)
    {
        var maxBytes = routes.ServiceProvider.GetRequiredService<IOptions<EdgeOptions>>().Value.ImportMaxBytes;
        routes.MapPost("/v1/imports/clicks", (HttpContext http, ImportClicks import, CancellationToken cancellationToken) => import.HandleAsync(http, cancellationToken))
            .RequireScope(Scope.ImportClicks)
            .WithMetadata(new RequestSizeLimitAttribute(maxBytes))
            .Produces<ImportAnswer>(StatusCodes.Status202Accepted)
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable)
            .WithTags("Imports").WithSummary("Imports clicks of the past");
    }

    private async Task<IResult> HandleAsync(HttpContext http, CancellationToken cancellationToken)
    {
        if (!System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(http.Request.ContentType, out var type) || !JsonLines.Are(type.MediaType!))
        {
            return Problem.Of(
                StatusCodes.Status415UnsupportedMediaType, "The request is not valid",
                new FieldFault("Content-Type", $"is '{http.Request.ContentType}'; it must be 'application/x-ndjson', a line of JSON a click"));
        }

        var run = new Run(http.ApiKey().Program);
        await foreach (var line in JsonLines.ReadAsync(http.Request.BodyReader, ImportJson.Default.ImportedClick, cancellationToken))
        {
            run.Line = line.Number;
            await TakeAsync(run, line, cancellationToken);
            if (run.Batch?.Count >= BatchLines && !await FlushAsync(run))
            {
                return NotKept(run);
            }
        }

        if (!await FlushAsync(run))
        {
            return NotKept(run);
        }

        Metrics.ImportRejected.Add(run.Rejected.Total);
        return run.Accepted == 0 && run.Rejected.Total > 0
            ? Refused(run)
            : TypedResults.Json(new ImportAnswer(run.Accepted, run.Rejected.Shown, run.Rejected.Total), ImportJson.Default.ImportAnswer, statusCode: StatusCodes.Status202Accepted);
    }

    private async ValueTask TakeAsync(Run run, JsonLine<ImportedClick> line, CancellationToken cancellationToken)
    {
        if (line is not { Fault: null, Value: { } asked })
        {
            run.Rejected.Add(line.Number, [line.Fault!]);
            return;
        }

        if (!run.Refreshed && !Knows(run.Program, asked))
        {
            run.Refreshed = true;
            await tail.RefreshAsync(s_catalogueDelay, cancellationToken);
        }

        var checks = new Checks(time);
        var click = Decide(run.Program, asked, checks, catalogue);
        if (checks.Passed)
        {
            (run.Batch ??= spool.Rent()).Add(click, TraceContexts.Current);
        }
        else
        {
            run.Rejected.Add(line.Number, checks.Faults);
        }
    }

    private bool Knows(string program, ImportedClick asked) =>
        asked.Partner is not null && catalogue.FindPartner(program, asked.Partner) is not null
        && (asked.Link is null || catalogue.Find(asked.Link) is not null);

    /// <summary>The click that a line stands for. It means something only where <paramref name="checks"/> passed.</summary>
    internal static ClickRecorded Decide(string program, ImportedClick asked, Checks checks, Catalogue catalogue)
    {
        var clickId = checks.Optional("clickId", asked.ClickId, MaxIdLength);
        var partner = checks.Required("partner", asked.Partner, MaxIdLength);
        if (partner.Length > 0 && catalogue.FindPartner(program, partner) is null)
        {
            checks.Add("partner", $"'{partner}' is not a partner of the program");
        }

        var slug = checks.Optional("link", asked.Link, Catalogue.MaxSlugLength)?.ToLowerInvariant();
        var link = slug is null ? null : catalogue.Find(slug);
        if (slug is not null && partner.Length > 0 && (link is null || link.Partner.Program != program || link.Partner.Id != partner))
        {
            checks.Add("link", $"'{slug}' is not a link of partner '{partner}'");
        }

        // The cookie's value is longer than the id in it.
        var visitor = asked.VisitorId is { Length: > 0 } sent ? checks.Optional("visitorId", VisitorId.FromIdOrCookie(sent), VisitorId.MaxLength) : null;
        var occurredAt = checks.Time("occurredAt", asked.OccurredAt);
        var landing = checks.Address("landingUrl", asked.LandingUrl, MaxAddressLength);
        var referrer = checks.Optional("referrer", asked.Referrer, MaxAddressLength);
        var userAgent = checks.Optional("userAgent", asked.UserAgent, RequestFacts.MaxUserAgentLength);
        var campaign = checks.Optional("campaign", asked.Campaign, MaxNameLength);
        var query = QueryText.Of(landing);
        var facts = QueryText.Read(query);
        return new ClickRecorded
        {
            EventId = clickId is not null
                ? Ids.Click(program, clickId)
                : Ids.Derive(
                    "import", program, partner, slug ?? "", visitor ?? "", occurredAt.ToString("O"), landing ?? "", referrer ?? "", userAgent ?? "", campaign ?? ""),
            ProgramId = program,
            OccurredAt = occurredAt,
            PartnerId = partner,
            Link = slug,
            VisitorId = visitor,
            Destination = landing ?? link?.Destination.Address,
            Campaign = campaign is null
                ? FollowLink.WithDefaults(facts.Campaign, link?.Campaign)
                : FollowLink.WithDefaults((facts.Campaign ?? new Campaign()) with { Name = campaign }, link?.Campaign),
            SubIds = facts.SubIds,
            Query = query,
            ReferrerHost = ReferrerHost(checks, referrer),
            UserAgent = userAgent,
            Via = ClickVia.Import,
            Test = facts.Test,
        };
    }

    /// <summary>Web server logs write an absent referrer as <c>-</c>; other systems keep hosts alone.</summary>
    private static string? ReferrerHost(Checks checks, string? referrer)
    {
        if (referrer is null or "-")
        {
            return null;
        }

        var host = RequestFacts.ReferrerHost(referrer) ?? (Uri.CheckHostName(referrer) == UriHostNameType.Unknown ? null : referrer);
        if (host is null)
        {
            checks.Add("referrer", "is neither an address nor a host name");
        }

        return host;
    }

    private async ValueTask<bool> FlushAsync(Run run)
    {
        if (run.Batch is not { } batch)
        {
            return true;
        }

        run.Batch = null;
        var lines = batch.Count;
        if (!await spool.AppendAsync(batch))
        {
            return false;
        }

        run.Accepted += lines;
        return true;
    }

    private static ProblemHttpResult Refused(Run run)
    {
        var problem = Problem.Invalid(run.Rejected.Faults());
        problem.ProblemDetails.Detail = "No line could be taken in.";
        return With(problem, run);
    }

    private ProblemHttpResult NotKept(Run run)
    {
        var problem = Problem.Of(
            StatusCodes.Status503ServiceUnavailable, "The clicks cannot be kept now",
            new FieldFault("body", $"was taken in up to some line before {run.Line + 1}, and then: {spool.Fault}. Send it again: what is kept is not counted twice"));
        return With(problem, run);
    }

    private static ProblemHttpResult With(ProblemHttpResult problem, Run run)
    {
        problem.ProblemDetails.Extensions["accepted"] = run.Accepted;
        problem.ProblemDetails.Extensions["rejected"] = run.Rejected.Shown;
        problem.ProblemDetails.Extensions["rejectedTotal"] = run.Rejected.Total;
        return problem;
    }

    /// <summary>One import on its way.</summary>
    private sealed class Run(string program)
    {
        public string Program { get; } = program;
        public RejectedLines Rejected { get; } = new();
        public SpoolEntry? Batch { get; set; }
        public long Line { get; set; }
        public bool Refreshed { get; set; }
        public long Accepted { get; set; }
    }
}
