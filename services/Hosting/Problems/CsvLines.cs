using System.Runtime.CompilerServices;
using CsvHelper;

namespace PartnerPulse.Hosting.Problems;

/// <summary>One line after the header; its fields are <see cref="CsvLines.Field"/> until the next one is read.</summary>
/// <param name="Number">From 1; the header is a line.</param>
/// <param name="Fault">Why it cannot be read, and has no fields; null where it can.</param>
/// <param name="Stopped">Why nothing can be read from here on; it is the last.</param>
public readonly record struct CsvLine(long Number, FieldFault? Fault = null, string? Stopped = null);

/// <summary>
/// Bodies of separated values with a header, read as they pass, in bounded memory. UTF-8, or with a byte order mark; separated by
/// <c>,</c>, <c>;</c>, <c>|</c> or tabs. A line that cannot be read leaves the others alone.
/// </summary>
public sealed class CsvLines : IAsyncDisposable
{
    private readonly Queue<CsvLine> _bad = new();
    private readonly CsvReader _csv;
    private readonly bool _lineBreaks;

    /// <param name="body">Stays open.</param>
    /// <param name="separator">Null: found by the header.</param>
    /// <param name="lineBreaks">
    /// Whether quoted fields may hold line breaks. Then a quote that is not closed ends the reading; else it is the fault of its line.
    /// </param>
    /// <param name="lineBreaksHow">How the sender asks for them, told where a quote is not closed; null where that is no choice.</param>
    public CsvLines(Stream body, char? separator = null, bool lineBreaks = false, string? lineBreaksHow = null)
    {
        _lineBreaks = lineBreaks;
        var options = CsvReaderOptions.Default with
        {
            TrackLineNumbers = true,
            TrimWhitespace = true,
            PoolStrings = true,
            MaxRecordSize = JsonLines.MaxLineBytes,
            AllowLineBreaksInQuotes = lineBreaks,
            MalformedData = CsvMalformedDataHandling.Skip,
            FieldCountMismatch = CsvFieldCountHandling.Skip,
            OnMalformedRecord = record => _bad.Enqueue(new CsvLine(record.LineNumber, new FieldFault("line", InWords(record.Reason, lineBreaksHow)))),
        };
        _csv = CsvReader.Create(body, separator is { } given ? options with { Separator = given } : options, leaveOpen: true);
    }

    /// <summary>The names of the columns, once <see cref="ReadHeaderAsync"/> has read them.</summary>
    public IReadOnlyList<string> Headers => _csv.Headers;

    /// <returns>Why the header cannot be read; null where it can.</returns>
    public async Task<string?> ReadHeaderAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _csv.ReadHeaderAsync(cancellationToken);
            return null;
        }
        catch (CsvFormatException e)
        {
            return $"the header cannot be read: {e.Message}";
        }
    }

    /// <summary>The field of the line that was read last.</summary>
    public string Field(int column) => _csv.GetString(column);

    /// <summary>The lines after the header that are not empty.</summary>
    public async IAsyncEnumerable<CsvLine> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var more = false;
            var last = _csv.LineNumber;
            string? stopped = null;
            try
            {
                more = await _csv.ReadAsync(cancellationToken);
            }
            catch (CsvFormatException)
            {
                stopped = $"the line after line {last} is longer than {JsonLines.MaxLineBytes} bytes{(_lineBreaks ? ", or has a quote that is not closed" : "")}; it and what follows was not read";
            }

            while (_bad.TryDequeue(out var bad))
            {
                yield return bad;
            }

            if (stopped is not null)
            {
                yield return new CsvLine(last, Stopped: stopped);
            }

            if (!more)
            {
                yield break;
            }

            yield return new CsvLine(_csv.LineNumber);
        }
    }

    public ValueTask DisposeAsync() => _csv.DisposeAsync();

    /// <summary>Case, <c>_</c>, <c>-</c>, <c>.</c> and spaces of a column's name do not matter.</summary>
    public static string Plain(string name) => string.Concat(name.Where(c => c is not ('_' or '-' or '.' or ' '))).ToLowerInvariant();

    private static string InWords(CsvMalformedReason reason, string? lineBreaksHow) => reason switch
    {
        CsvMalformedReason.FieldCountMismatch => "has another number of fields than the header",
        CsvMalformedReason.LineBreakInQuotes or CsvMalformedReason.UnterminatedQuote when lineBreaksHow is not null =>
            $"has a quote that is not closed; {lineBreaksHow} reads quoted fields that hold line breaks",
        CsvMalformedReason.LineBreakInQuotes or CsvMalformedReason.UnterminatedQuote => "has a quote that is not closed",
        _ => "has a quote in the middle of a field",
    };
}
