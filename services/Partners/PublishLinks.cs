using System.Collections.Frozen;
using System.Diagnostics;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>A line whose link is live now.</summary>
internal sealed record PublishedLine(long Line, string Slug, string Url);

/// <param name="Created">Links that the call published.</param>
/// <param name="Existing">Links that were live just so before.</param>
/// <param name="Links">All of them, by line.</param>
/// <param name="Rejected">Faults of the other lines; the first thousand.</param>
/// <param name="RejectedTotal">Lines whose link was not published.</param>
/// <param name="Stopped">Why the rest was not read; absent where all was.</param>
internal sealed record PublishLinksAnswer(
    int Created,
    int Existing,
    IReadOnlyList<PublishedLine> Links,
    IReadOnlyList<RejectedLine> Rejected,
    long RejectedTotal,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Stopped);

/// <summary>
/// <c>POST /v1/partners/{id}/links/bulk</c>: many links, a line each, as NDJSON or CSV. Good lines are kept whatever their neighbours
/// are. The same file again changes nothing: a link without a slug has one made of what it says.
/// </summary>
internal sealed class PublishLinks(PartnerLog log, ProgramLog programs, TimeProvider time)
{
    public const int MaxLines = 100_000;
    public const long MaxBytes = 64L * 1024 * 1024;

    private const int BatchLines = 1_000;

    private static readonly FrozenSet<string> s_csv = FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "text/csv", "application/csv");

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/partners/{id}/links/bulk", (string id, HttpRequest request, PublishLinks use, CancellationToken cancellationToken) =>
                use.HandleAsync(id, request, cancellationToken))
            .RequireScope(Scope.WriteCatalogue)
            .WithMetadata(new RequestSizeLimitAttribute(MaxBytes))
            .Produces<PublishLinksAnswer>()
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status404NotFound)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .WithName("PublishLinks").WithTags("Partners").WithSummary("Publishes many links of a partner, as NDJSON or CSV");

    private async Task<Results<Ok<PublishLinksAnswer>, ProblemHttpResult>> HandleAsync(string id, HttpRequest request, CancellationToken cancellationToken)
    {
        var type = System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) ? parsed.MediaType! : "";
        if (!JsonLines.Are(type) && !s_csv.Contains(type))
        {
            return Problem.Of(
                StatusCodes.Status415UnsupportedMediaType, "The request is not valid",
                new FieldFault("Content-Type", $"is '{request.ContentType}'; it must be 'application/x-ndjson' or 'text/csv'"));
        }

        var (partner, version) = await log.LoadAsync(id, cancellationToken);
        if (partner is null)
        {
            return PartnerProblem.Unknown(id);
        }

        var run = new Run(partner, version, await programs.LinksAsync(cancellationToken));
        var lines = s_csv.Contains(type) ? LinkLines.ReadCsvAsync(request.Body, cancellationToken) : LinkLines.ReadJsonAsync(request.BodyReader, cancellationToken);
        await foreach (var line in lines)
        {
            if (line.Header is { Count: > 0 } faults)
            {
                return Problem.Invalid(faults);
            }

            if (line.Stopped is not null || run.Lines == MaxLines)
            {
                run.Stopped = line.Stopped ?? $"line {line.Number} and what follows it was not read: at most {MaxLines} links are taken at once";
                break;
            }

            run.Lines++;
            Take(run, line);
            if (run.Batch.Count == BatchLines && !await FlushAsync(run, cancellationToken))
            {
                return PartnerProblem.TooBusy(id);
            }
        }

        return !await FlushAsync(run, cancellationToken) ? PartnerProblem.TooBusy(id)
            : run.Published.Count == 0 && (run.Rejected.Total > 0 || run.Stopped is not null) ? Refused(run)
            : TypedResults.Ok(run.Answer());
    }

    private void Take(Run run, LinkLine line)
    {
        if (line.Ask is null)
        {
            run.Rejected.Add(line.Number, line.Faults);
            return;
        }

        var checks = new Checks(time);
        if (PublishLink.Read(line.Ask, checks) is { } asked)
        {
            run.Batch.Add((line.Number, asked.Slug ?? Names.SlugFor(log.Program, run.Partner.Id, asked.Terms), asked.Terms));
        }
        else
        {
            run.Rejected.Add(line.Number, checks.Faults);
        }
    }

    /// <summary>Decides the batch line by line, each on what the one before made true, and appends it in one transaction.</summary>
    /// <returns>False where others changed the partner again and again meanwhile.</returns>
    private async Task<bool> FlushAsync(Run run, CancellationToken cancellationToken)
    {
        var taken = new Dictionary<string, Claim>(StringComparer.Ordinal);
        for (var attempt = 0; attempt < PartnerLog.MaxTries; attempt++)
        {
            var now = time.GetUtcNow();
            var partner = run.Partner;
            var events = new List<IEvent>(run.Batch.Count);
            var claims = new List<Claim>(run.Batch.Count * 2);
            var rejected = new List<(long Line, IReadOnlyList<FieldFault> Faults)>();
            var live = new List<(long Line, string Slug)>(run.Batch.Count);
            foreach (var (line, slug, terms) in run.Batch)
            {
                if (taken.TryGetValue(slug, out var claim))
                {
                    rejected.Add((line, [new FieldFault("slug", Names.TakenReason(claim, slug))]));
                    continue;
                }

                var outcome = PublishLink.Decide(partner, terms, slug, log.Program, now, Guid.CreateVersion7(now));
                switch (outcome)
                {
                    case PublishLink.Published p:
                        events.Add(p.Link);
                        claims.AddRange(p.Claims);
                        partner = Partner.Evolve(partner, p.Link);
                        live.Add((line, slug));
                        break;
                    case PublishLink.AlreadyPublished:
                        live.Add((line, slug));
                        break;
                    case PublishLink.PublishedDifferently d:
                        rejected.Add((line, d.Differences));
                        break;
                    default:
                        throw new UnreachableException(outcome.ToString());
                }
            }

            switch (events.Count == 0 ? new SaveOutcome.Saved() : await log.SaveAsync(run.Partner.Id, run.Version, events, claims, cancellationToken))
            {
                case SaveOutcome.Saved:
                    run.Keep(partner, events.Count, live);
                    foreach (var (line, faults) in rejected)
                    {
                        run.Rejected.Add(line, faults);
                    }

                    return true;
                case SaveOutcome.Taken t:
                    // The claims of one skeleton may be those of several slugs of the batch.
                    var names = t.Claims.ToHashSet();
                    foreach (var (_, slug, _) in run.Batch)
                    {
                        if (Names.ClaimsOf(slug).FirstOrDefault(names.Contains) is { Name: not null } claim)
                        {
                            taken.TryAdd(slug, claim);
                        }
                    }

                    break;
                case SaveOutcome.Stale:
                    var (loaded, version) = await log.LoadAsync(run.Partner.Id, cancellationToken);
                    run.Reload(loaded!, version);
                    break;
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return false;
    }

    private static ProblemHttpResult Refused(Run run)
    {
        var problem = Problem.Invalid([.. run.Rejected.Faults(), .. run.Stopped is { } why ? [new FieldFault("body", why)] : Array.Empty<FieldFault>()]);
        problem.ProblemDetails.Detail = "No line could be taken in.";
        problem.ProblemDetails.Extensions["rejected"] = run.Rejected.Shown;
        problem.ProblemDetails.Extensions["rejectedTotal"] = run.Rejected.Total;
        return problem;
    }

    /// <summary>One call on its way.</summary>
    private sealed class Run(Partner partner, long version, Links links)
    {
        public Partner Partner { get; private set; } = partner;
        public long Version { get; private set; } = version;
        public List<(long Line, string Slug, LinkTerms Terms)> Batch { get; } = new(BatchLines);
        public List<PublishedLine> Published { get; } = [];
        public RejectedLines Rejected { get; } = new();
        public int Lines { get; set; }
        public string? Stopped { get; set; }
        private int Created { get; set; }

        public void Reload(Partner partner, long version) => (Partner, Version) = (partner, version);

        /// <summary>The batch is in the log.</summary>
        public void Keep(Partner partner, int events, IEnumerable<(long Line, string Slug)> live)
        {
            Reload(partner, Version + events);
            Created += events;
            Published.AddRange(live.Select(l => new PublishedLine(l.Line, l.Slug, links.Url(l.Slug))));
            Batch.Clear();
        }

        public PublishLinksAnswer Answer() => new(Created, Published.Count - Created, Published, Rejected.Shown, Rejected.Total, Stopped);
    }
}
