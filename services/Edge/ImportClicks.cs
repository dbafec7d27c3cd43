using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
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

/// <summary>A line that was refused. Lines count from 1.</summary>
internal sealed record RejectedLine(long Line, string Field, string Reason);

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
    public const int MaxLineBytes = 16 * 1024;
    public const int MaxRejectedShown = 1_000;

    private const int MaxIdLength = 64;
    private const int MaxAddressLength = 8_192;
    private const int MaxNameLength = 256;
    private const int BatchLines = 500;

    // What was just enrolled may be on its way to this edge.
    private static readonly TimeSpan s_catalogueDelay = TimeSpan.FromSeconds(2);

    private static readonly FrozenSet<string> s_types =
        FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "application/x-ndjson", "application/ndjson", "application/jsonl");

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
        if (!System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(http.Request.ContentType, out var type) || !s_types.Contains(type.MediaType!))
        {
            return Problem.Of(
                StatusCodes.Status415UnsupportedMediaType, "The request is not valid",
                new FieldFault("Content-Type", $"is '{http.Request.ContentType}'; it must be 'application/x-ndjson', a line of JSON a click"));
        }

        var run = new Run(http.ApiKey().Program);
        var reader = http.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken);
            var buffer = read.Buffer;
            while (TryReadLine(ref buffer, read.IsCompleted, run, out var line))
            {
                await TakeAsync(run, line, cancellationToken);
                if (run.Batch?.Count >= BatchLines && !await FlushAsync(run))
                {
                    return NotKept(run);
                }
            }

            reader.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                break;
            }
        }

        if (!await FlushAsync(run))
        {
            return NotKept(run);
        }

        Metrics.ImportRejected.Add(run.RejectedTotal);
        return run.Accepted == 0 && run.RejectedTotal > 0
            ? Refused(run)
            : TypedResults.Json(new ImportAnswer(run.Accepted, run.Rejected, run.RejectedTotal), ImportJson.Default.ImportAnswer, statusCode: StatusCodes.Status202Accepted);
    }

    /// <summary>
    /// The next line, without its end, into the run's buffer. An over-long line is passed over in pieces, so that it never
    /// fills the memory.
    /// </summary>
    private static bool TryReadLine(ref ReadOnlySequence<byte> buffer, bool completed, Run run, out ReadOnlyMemory<byte> line)
    {
        line = default;
        while (!buffer.IsEmpty)
        {
            var end = buffer.PositionOf((byte)'\n');
            var content = end is { } found ? buffer.Slice(0, found) : buffer;
            var tooLong = content.Length > MaxLineBytes;
            if (end is null && !completed && !tooLong)
            {
                return false;
            }

            buffer = end is { } position ? buffer.Slice(buffer.GetPosition(1, position)) : buffer.Slice(buffer.End);
            if (!run.Skipping)
            {
                run.Line++;
                if (tooLong)
                {
                    run.Reject("line", $"is longer than {MaxLineBytes} bytes");
                }
            }

            var skipped = run.Skipping || tooLong;
            run.Skipping = skipped && end is null && !completed;
            if (!skipped)
            {
                content.CopyTo(run.Buffer);
                line = run.Buffer.AsMemory(0, (int)content.Length);
                return true;
            }
        }

        return false;
    }

    private async ValueTask TakeAsync(Run run, ReadOnlyMemory<byte> line, CancellationToken cancellationToken)
    {
        var text = line.TrimEnd((byte)'\r');
        if (text.Span.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0)
        {
            return;
        }

        var (asked, fault) = RequestBody.Parse(text.Span, ImportJson.Default.ImportedClick);
        if (fault is not null)
        {
            run.Reject(fault.Field == "body" ? "line" : fault.Field, fault.Reason);
            return;
        }

        if (!run.Refreshed && !Knows(run.Program, asked!))
        {
            run.Refreshed = true;
            await tail.RefreshAsync(s_catalogueDelay, cancellationToken);
        }

        var checks = new Checks(time);
        var click = Decide(run.Program, asked!, checks, catalogue);
        if (checks.Passed)
        {
            (run.Batch ??= spool.Rent()).Add(click);
        }
        else
        {
            run.Reject(checks.Faults);
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
        var query = Query(landing);
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

    /// <summary>The raw query of an address, without the question mark; null where there is none.</summary>
    internal static string? Query(string? address)
    {
        if (address is null)
        {
            return null;
        }

        var fragment = address.IndexOf('#', StringComparison.Ordinal);
        var whole = fragment < 0 ? address : address[..fragment];
        var query = whole.IndexOf('?', StringComparison.Ordinal);
        return query < 0 || query + 1 == whole.Length ? null : whole[(query + 1)..];
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
        var problem = Problem.Invalid([.. run.Rejected.Select(r => new FieldFault($"line {r.Line}: {r.Field}", r.Reason))]);
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
        problem.ProblemDetails.Extensions["rejected"] = run.Rejected;
        problem.ProblemDetails.Extensions["rejectedTotal"] = run.RejectedTotal;
        return problem;
    }

    /// <summary>One import on its way.</summary>
    private sealed class Run(string program)
    {
        public string Program { get; } = program;
        public byte[] Buffer { get; } = new byte[MaxLineBytes];
        public List<RejectedLine> Rejected { get; } = [];
        public SpoolEntry? Batch { get; set; }
        public long Line { get; set; }
        public bool Skipping { get; set; }
        public bool Refreshed { get; set; }
        public long Accepted { get; set; }
        public long RejectedTotal { get; private set; }

        public void Reject(string field, string reason) => Reject([new FieldFault(field, reason)]);

        public void Reject(IReadOnlyList<FieldFault> faults)
        {
            RejectedTotal++;
            foreach (var fault in faults)
            {
                if (Rejected.Count < MaxRejectedShown)
                {
                    Rejected.Add(new RejectedLine(Line, fault.Field, fault.Reason));
                }
            }
        }
    }
}
