using System.Collections.Frozen;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Conversions.Imports;

/// <summary>How an import ended.</summary>
/// <param name="Recorded">Reports that were new; in a dry run those that would be.</param>
/// <param name="AlreadyRecorded">Reports that were recorded just so before, or by an earlier line.</param>
/// <param name="RejectedTotal">Lines that were refused.</param>
/// <param name="CommittedTo">
/// Everything up to this line is recorded or refused for good: an upload that broke goes on with <c>?fromLine=</c> the next. Absent
/// in a dry run.
/// </param>
/// <param name="DryRun">True where nothing was written; absent else.</param>
/// <param name="IgnoredColumns">Columns of a CSV that say nothing here.</param>
/// <param name="Stopped">Why the rest was not read; absent where all was.</param>
internal sealed record ImportEnd(
    long Recorded,
    long AlreadyRecorded,
    long RejectedTotal,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? CommittedTo,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? DryRun,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<string>? IgnoredColumns,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Stopped);

/// <param name="End">How it ended.</param>
/// <param name="Rejected">Faults of the lines that were refused; the first thousand. <c>Accept: application/x-ndjson</c> has all.</param>
internal sealed record ImportAnswer(ImportEnd End, IReadOnlyList<RejectedLine> Rejected);

/// <summary>
/// <c>POST /v1/imports/conversions</c>: orders and adjustments of the past, a line each, as CSV or NDJSON. A file of any length
/// passes in bounded memory. Good lines are kept whatever their neighbours are, and the same file again changes nothing.
/// </summary>
internal sealed class ImportConversions(
    [FromKeyedServices(ConversionsService.Schema)] EventLog log, IOptions<ProgramOptions> program, ReportReader reader, ReportWriter writer, TimeProvider time,
    ILogger<ImportConversions> logger)
{
    /// <summary>Lines that are recorded together.</summary>
    private const int BatchLines = 2_000;

    private static readonly FrozenSet<string> s_csv = FrozenSet.Create(StringComparer.OrdinalIgnoreCase, "text/csv", "application/csv");

    private static readonly FrozenSet<string> s_parameters =
        FrozenSet.Create(StringComparer.Ordinal, "dryRun", "source", "kind", "currency", "fromLine", "map", "lineBreaks");

    private static readonly Counter<long> s_lines =
        Diagnostics.Meter.CreateCounter<long>("pulse.conversions.import.lines", "{line}", "Lines of imports, by what became of them");

    public static void Map(IEndpointRouteBuilder routes)
    {
        var maxBytes = routes.ServiceProvider.GetRequiredService<IOptions<ConversionsOptions>>().Value.ImportMaxBytes;
        routes.MapPost("/v1/imports/conversions", (HttpContext http, ImportConversions import, CancellationToken cancellationToken) => import.HandleAsync(http, cancellationToken))
            .RequireScope(Scope.WriteConversions)
            .WithMetadata(new RequestSizeLimitAttribute(maxBytes))
            .Produces<ImportAnswer>()
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable)
            .WithName("ImportConversions").WithTags("Imports").WithSummary("Imports orders and adjustments, as NDJSON or CSV");
    }

    /// <summary>What the query says.</summary>
    private sealed record Asked(bool DryRun, bool LineBreaks, long FromLine, IReadOnlyDictionary<string, string> Map, string? Source, string? Kind, string? Currency)
    {
        public static Asked Read(IQueryCollection query, List<FieldFault> faults)
        {
            // A dry run that is spelled otherwise would be none.
            faults.AddRange(query.Keys.Where(key => !s_parameters.Contains(key))
                .Select(key => new FieldFault(key, $"is not a parameter that is known here; they are {string.Join(", ", s_parameters.Order(StringComparer.Ordinal))}")));
            faults.AddRange(query.Where(p => p.Value.Count > 1).Select(p => new FieldFault(p.Key, "is given twice")));
            return new Asked(
                Flag("dryRun"), Flag("lineBreaks"), Line(), ImportColumns.ReadMap(query["map"], faults), Text("source"), Text("kind"), Text("currency"));

            string? Text(string name) => query[name].FirstOrDefault() is { Length: > 0 } text ? text : null;

            bool Flag(string name)
            {
                if (Text(name) is not (null or "true" or "false"))
                {
                    faults.Add(new FieldFault(name, "must be 'true' or 'false'"));
                }

                return Text(name) == "true";
            }

            long Line()
            {
                if (Text("fromLine") is not { } text)
                {
                    return 1;
                }

                if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var line) || line < 1)
                {
                    faults.Add(new FieldFault("fromLine", $"is '{text}'; it must be the number of a line, from 1"));
                }

                return line;
            }
        }

        public ReportAsk Complete(ReportAsk ask) =>
            ask with { Source = ask.Source ?? Source, Kind = ask.Kind ?? Kind, Currency = ask.Currency ?? Currency };
    }

    private async Task<IResult> HandleAsync(HttpContext http, CancellationToken cancellationToken)
    {
        var request = http.Request;
        var type = System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(request.ContentType, out var parsed) ? parsed.MediaType! : "";
        if (!JsonLines.Are(type) && !s_csv.Contains(type))
        {
            return Problem.Of(
                StatusCodes.Status415UnsupportedMediaType, "The request is not valid",
                new FieldFault("Content-Type", $"is '{request.ContentType}'; it must be 'application/x-ndjson' or 'text/csv'"));
        }

        var faults = new List<FieldFault>();
        var asked = Asked.Read(request.Query, faults);
        if (asked.Map.Count > 0 && !s_csv.Contains(type))
        {
            faults.Add(new FieldFault("map", "is for the columns of a CSV; lines of JSON have our own names"));
        }

        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        await using var trial = asked.DryRun ? await TrialLog.OpenAsync(log, program.Value.Program, cancellationToken) : null;
        await using var refusals = request.GetTypedHeaders().Accept.Any(accept => JsonLines.Are(accept.MediaType.Value ?? "")) ? new RefusalFile() : null;
        var run = new Run(asked, trial, refusals);
        var lines = s_csv.Contains(type)
            ? ImportLines.ReadCsvAsync(request.Body, asked.Map, asked.LineBreaks, asked.FromLine, cancellationToken)
            : ImportLines.ReadJsonAsync(request.BodyReader, cancellationToken);
        try
        {
            return await TakeAllAsync(run, lines, cancellationToken) is { } problem ? problem : await AnswerAsync(http, run, cancellationToken);
        }
        catch (Exception e) when (http.RequestAborted.IsCancellationRequested || e is BadHttpRequestException or NpgsqlException or TimeoutException or OperationCanceledException)
        {
            // Told to the sender where it still listens, and else here: from which line to send it again.
            logger.ImportBroke(run.CommittedTo, e);
            return http.RequestAborted.IsCancellationRequested ? Results.Empty
                : e is BadHttpRequestException bad ? With(Problem.Of(bad.StatusCode, "The request is not valid", new FieldFault("body", bad.Message)), run)
                : With(Problem.Of(StatusCodes.Status503ServiceUnavailable, "The lines cannot be recorded now", new FieldFault("database", "is away, or the service ends; send the rest again")), run);
        }
    }

    private async Task<IResult?> TakeAllAsync(Run run, IAsyncEnumerable<ImportLine> lines, CancellationToken cancellationToken)
    {
        await foreach (var line in lines)
        {
            if (line.Header is { Count: > 0 } header)
            {
                return Problem.Invalid(header);
            }

            if (line.Stopped is not null)
            {
                run.Stopped = line.Stopped;
                break;
            }

            if (line.Ignored is not null)
            {
                run.Ignored = line.Ignored;
                continue;
            }

            if (line.Number < run.Asked.FromLine)
            {
                continue;
            }

            await TakeAsync(run, line);
            if (run.Batch.Count == BatchLines)
            {
                await FlushAsync(run, cancellationToken);
            }
        }

        await FlushAsync(run, cancellationToken);
        return null;
    }

    private async ValueTask TakeAsync(Run run, ImportLine line)
    {
        run.LastRead = line.Number;
        if (line.Ask is null)
        {
            await run.RejectAsync(line.Number, line.Faults);
            return;
        }

        var ask = run.Asked.Complete(line.Ask);
        var checks = new Checks(time);
        if (reader.Read(ask, checks) is { } report)
        {
            run.Batch.Add((line.Number, report, ask));
        }
        else
        {
            await run.RejectAsync(line.Number, ReportReader.InTermsOf(ask, checks.Faults));
        }
    }

    private async Task FlushAsync(Run run, CancellationToken cancellationToken)
    {
        var reports = run.Batch.Select(b => b.Report).ToArray();
        var outcomes = run.Trial is null ? await writer.RecordAsync(reports, cancellationToken) : await run.Trial.DecideAsync(reports, cancellationToken);
        for (var i = 0; i < outcomes.Count; i++)
        {
            switch (outcomes[i])
            {
                case ReportOutcome.Recorded:
                    run.Recorded++;
                    break;
                case ReportOutcome.AlreadyRecorded:
                    run.AlreadyRecorded++;
                    break;
                case ReportOutcome.Refused refused:
                    await run.RejectAsync(run.Batch[i].Line, ReportReader.InTermsOf(run.Batch[i].Ask, refused.Faults));
                    break;
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        run.Batch.Clear();
        run.CommittedTo = run.LastRead;
    }

    private static async Task<IResult> AnswerAsync(HttpContext http, Run run, CancellationToken cancellationToken)
    {
        if (run.Trial is null)
        {
            s_lines.Add(run.Recorded, new KeyValuePair<string, object?>("outcome", "recorded"));
            s_lines.Add(run.AlreadyRecorded, new KeyValuePair<string, object?>("outcome", "already-recorded"));
            s_lines.Add(run.Rejected.Total, new KeyValuePair<string, object?>("outcome", "rejected"));
        }

        if (run.Refusals is { } refusals)
        {
            http.Response.ContentType = "application/x-ndjson";
            await refusals.CopyToAsync(http.Response.Body, cancellationToken);
            await JsonSerializer.SerializeAsync(http.Response.Body, run.End(), ConversionsJson.Default.ImportEnd, cancellationToken);
            await http.Response.Body.WriteAsync("\n"u8.ToArray(), cancellationToken);
            return Results.Empty;
        }

        if (run.Recorded + run.AlreadyRecorded == 0 && (run.Rejected.Total > 0 || run.Stopped is not null))
        {
            var problem = Problem.Invalid([.. run.Rejected.Faults(), .. run.Stopped is { } why ? [new FieldFault("body", why)] : Array.Empty<FieldFault>()]);
            problem.ProblemDetails.Detail = "No line could be taken in.";
            return With(problem, run);
        }

        return Results.Json(new ImportAnswer(run.End(), run.Rejected.Shown), ConversionsJson.Default.ImportAnswer);
    }

    private static Microsoft.AspNetCore.Http.HttpResults.ProblemHttpResult With(Microsoft.AspNetCore.Http.HttpResults.ProblemHttpResult problem, Run run)
    {
        problem.ProblemDetails.Extensions["end"] = run.End();
        problem.ProblemDetails.Extensions["rejected"] = run.Rejected.Shown;
        return problem;
    }

    /// <summary>One import on its way.</summary>
    private sealed class Run(Asked asked, TrialLog? trial, RefusalFile? refusals)
    {
        public Asked Asked { get; } = asked;
        public TrialLog? Trial { get; } = trial;
        public RefusalFile? Refusals { get; } = refusals;
        public List<(long Line, Report Report, ReportAsk Ask)> Batch { get; } = new(BatchLines);
        public RejectedLines Rejected { get; } = new();
        public IReadOnlyList<string>? Ignored { get; set; }
        public string? Stopped { get; set; }
        public long LastRead { get; set; }
        public long CommittedTo { get; set; }
        public long Recorded { get; set; }
        public long AlreadyRecorded { get; set; }

        public async ValueTask RejectAsync(long line, IReadOnlyList<FieldFault> faults)
        {
            Rejected.Add(line, faults);
            if (Refusals is not null)
            {
                await Refusals.AddAsync(line, faults);
            }
        }

        public ImportEnd End() => new(
            Recorded, AlreadyRecorded, Rejected.Total, Trial is null ? CommittedTo : null, Trial is null ? null : true, Ignored, Stopped);
    }
}
