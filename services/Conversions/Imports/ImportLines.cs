using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Imports;

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

    /// <param name="body">See <see cref="CsvLines"/>.</param>
    /// <param name="map">Names of columns that no alias covers, see <see cref="ImportColumns.ReadMap"/>.</param>
    /// <param name="lineBreaks">Whether quoted fields hold line breaks. Then a quote that is not closed ends the reading.</param>
    /// <param name="fromLine">Lines before this one are passed over.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async IAsyncEnumerable<ImportLine> ReadCsvAsync(
        Stream body, IReadOnlyDictionary<string, string> map, bool lineBreaks, long fromLine, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var csv = new CsvLines(body, separator: null, lineBreaks, "'?lineBreaks=true'");
        var stopped = await csv.ReadHeaderAsync(cancellationToken);
        var faults = new List<FieldFault>();
        if (stopped is not null || ImportColumns.Of(csv.Headers, map, faults) is not { } columns)
        {
            yield return new ImportLine(1, Ask: null, []) { Stopped = stopped, Header = faults };
            yield break;
        }

        yield return new ImportLine(1, Ask: null, []) { Ignored = columns.Ignored };
        await foreach (var line in csv.ReadAsync(cancellationToken))
        {
            if (line.Stopped is not null)
            {
                yield return new ImportLine(line.Number, Ask: null, []) { Stopped = line.Stopped };
            }
            else if (line.Number < fromLine)
            {
                continue;
            }
            else if (line.Fault is not null)
            {
                yield return new ImportLine(line.Number, Ask: null, [line.Fault]);
            }
            else
            {
                faults = [];
                yield return new ImportLine(line.Number, columns.Read(csv.Field, faults), faults);
            }
        }
    }
}
