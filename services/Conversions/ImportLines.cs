using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using CsvHelper;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions;

/// <summary>One line of an import: a report, or what is wrong with it.</summary>
/// <param name="Number">From 1; a header is a line.</param>
/// <param name="Ask">What it says; null where it cannot be read.</param>
/// <param name="Faults">Why it cannot be read.</param>
internal sealed record ImportLine(long Number, ReportAsk? Ask, IReadOnlyList<FieldFault> Faults)
{
    /// <summary>What is wrong with the header: no line can be read.</summary>
    public IReadOnlyList<FieldFault> Header { get; init; } = [];

    /// <summary>Columns that are passed over, told with the header.</summary>
    public IReadOnlyList<string>? Ignored { get; init; }

    /// <summary>Why nothing can be read from here on.</summary>
    public string? Stopped { get; init; }
}

/// <summary>Files of orders and adjustments as they pass, in bounded memory.</summary>
internal static class ImportLines
{
    public static async IAsyncEnumerable<ImportLine> ReadJsonAsync(PipeReader reader, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var line in JsonLines.ReadAsync(reader, ConversionsJson.Default.ReportAsk, cancellationToken))
        {
            yield return line.Fault is null ? new ImportLine(line.Number, line.Value, []) : new ImportLine(line.Number, Ask: null, [line.Fault]);
        }
    }

    /// <param name="body">Text in UTF-8, or with a byte order mark; separated by <c>,</c>, <c>;</c>, <c>|</c> or tabs.</param>
    /// <param name="map">Names of columns that no alias covers, see <see cref="ImportColumns.ReadMap"/>.</param>
    /// <param name="lineBreaks">Whether quoted fields hold line breaks. Then a quote that is not closed ends the reading.</param>
    /// <param name="fromLine">Lines before this one are passed over.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async IAsyncEnumerable<ImportLine> ReadCsvAsync(
        Stream body, IReadOnlyDictionary<string, string> map, bool lineBreaks, long fromLine, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var bad = new Queue<ImportLine>();
        var options = CsvReaderOptions.Default with
        {
            TrackLineNumbers = true,
            TrimWhitespace = true,
            PoolStrings = true,
            MaxRecordSize = JsonLines.MaxLineBytes,
            AllowLineBreaksInQuotes = lineBreaks,
            MalformedData = CsvMalformedDataHandling.Skip,
            FieldCountMismatch = CsvFieldCountHandling.Skip,
            OnMalformedRecord = record => bad.Enqueue(new ImportLine(record.LineNumber, Ask: null, [new FieldFault("line", InWords(record.Reason))])),
        };
        await using var csv = CsvReader.Create(body, options, leaveOpen: true);
        string? stopped = null;
        try
        {
            await csv.ReadHeaderAsync(cancellationToken);
        }
        catch (CsvFormatException e)
        {
            stopped = $"the header cannot be read: {e.Message}";
        }

        var faults = new List<FieldFault>();
        if (stopped is not null || ImportColumns.Of(csv.Headers, map, faults) is not { } columns)
        {
            yield return new ImportLine(1, Ask: null, []) { Stopped = stopped, Header = faults };
            yield break;
        }

        yield return new ImportLine(1, Ask: null, []) { Ignored = columns.Ignored };
        while (true)
        {
            var more = false;
            var last = csv.LineNumber;
            try
            {
                more = await csv.ReadAsync(cancellationToken);
            }
            catch (CsvFormatException)
            {
                stopped = $"the line after line {last} is longer than {JsonLines.MaxLineBytes} bytes{(lineBreaks ? ", or has a quote that is not closed" : "")}; it and what follows was not read";
            }

            while (bad.TryDequeue(out var line))
            {
                if (line.Number >= fromLine)
                {
                    yield return line;
                }
            }

            if (stopped is not null)
            {
                yield return new ImportLine(last, Ask: null, []) { Stopped = stopped };
            }

            if (!more)
            {
                yield break;
            }

            if (csv.LineNumber >= fromLine)
            {
                faults = [];
                yield return new ImportLine(csv.LineNumber, columns.Read(csv.GetString, faults), faults);
            }
        }
    }

    private static string InWords(CsvMalformedReason reason) => reason switch
    {
        CsvMalformedReason.FieldCountMismatch => "has another number of fields than the header",
        CsvMalformedReason.LineBreakInQuotes or CsvMalformedReason.UnterminatedQuote => "has a quote that is not closed; '?lineBreaks=true' reads quoted fields that hold line breaks",
        _ => "has a quote in the middle of a field",
    };
}
