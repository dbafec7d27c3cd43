using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>One line of a file of links: an ask, or what is wrong with it.</summary>
/// <param name="Number">From 1; a header is a line.</param>
/// <param name="Ask">What it asks for; null where it cannot be read.</param>
/// <param name="Faults">Why it cannot be read.</param>
internal sealed record LinkLine(long Number, PublishLinkAsk? Ask, IReadOnlyList<FieldFault> Faults)
{
    /// <summary>What is wrong with the header: no line can be read.</summary>
    public IReadOnlyList<FieldFault> Header { get; init; } = [];

    /// <summary>Why nothing can be read from here on.</summary>
    public string? Stopped { get; init; }
}

/// <summary>Files of links as they pass, in bounded memory.</summary>
internal static class LinkLines
{
    /// <summary>A column and where its value goes. Case, <c>_</c>, <c>-</c>, <c>.</c> and spaces of a name do not matter.</summary>
    private static readonly (string Name, Func<PublishLinkAsk, string, PublishLinkAsk> Put)[] s_columns =
    [
        ("slug", (ask, value) => ask with { Slug = value }),
        ("destination", (ask, value) => ask with { Destination = value }),
        ("campaign", (ask, value) => ask with { Campaign = value }),
        ("utm_source", (ask, value) => ask with { Utm = (ask.Utm ?? new UtmAsk()) with { Source = value } }),
        ("utm_medium", (ask, value) => ask with { Utm = (ask.Utm ?? new UtmAsk()) with { Medium = value } }),
        ("utm_term", (ask, value) => ask with { Utm = (ask.Utm ?? new UtmAsk()) with { Term = value } }),
        ("utm_content", (ask, value) => ask with { Utm = (ask.Utm ?? new UtmAsk()) with { Content = value } }),
        ("expires_at", (ask, _) => ask),
        ("fallback", (ask, value) => ask with { Fallback = value }),
    ];

    private static readonly string s_columnNames = string.Join(", ", s_columns.Select(c => c.Name));

    public static async IAsyncEnumerable<LinkLine> ReadJsonAsync(PipeReader reader, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var line in JsonLines.ReadAsync(reader, PartnersJson.Default.PublishLinkAsk, cancellationToken))
        {
            yield return line.Fault is null ? new LinkLine(line.Number, line.Value, []) : new LinkLine(line.Number, Ask: null, [line.Fault]);
        }
    }

    public static async IAsyncEnumerable<LinkLine> ReadCsvAsync(Stream body, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // No field of a link holds a line break, and one forgotten quote would else swallow the rest of the file.
        await using var csv = new CsvLines(body, separator: ',');
        if (await csv.ReadHeaderAsync(cancellationToken) is { } stopped)
        {
            yield return new LinkLine(1, Ask: null, []) { Stopped = stopped };
            yield break;
        }

        var (columns, faults) = Columns(csv.Headers);
        if (faults.Count > 0)
        {
            yield return new LinkLine(1, Ask: null, []) { Header = faults };
            yield break;
        }

        await foreach (var line in csv.ReadAsync(cancellationToken))
        {
            yield return line.Stopped is not null ? new LinkLine(line.Number, Ask: null, []) { Stopped = line.Stopped }
                : line.Fault is not null ? new LinkLine(line.Number, Ask: null, [line.Fault])
                : Line(line.Number, csv, columns);
        }
    }

    private static (int[] Columns, IReadOnlyList<FieldFault> Faults) Columns(IReadOnlyList<string> header)
    {
        var faults = new List<FieldFault>();
        var columns = new int[header.Count];
        for (var i = 0; i < header.Count; i++)
        {
            var name = CsvLines.Plain(header[i]);
            columns[i] = Array.FindIndex(s_columns, c => CsvLines.Plain(c.Name) == name);
            if (columns[i] < 0)
            {
                faults.Add(new FieldFault($"column {i + 1}", $"'{header[i]}' is not known here; the columns are {s_columnNames}, separated by commas"));
            }
            else if (Array.IndexOf(columns, columns[i], 0, i) >= 0)
            {
                faults.Add(new FieldFault($"column {i + 1}", $"'{header[i]}' is there twice"));
            }
        }

        if (faults.Count == 0 && Array.TrueForAll(columns, c => s_columns[c].Name != "destination"))
        {
            faults.Add(new FieldFault("header", $"has no column 'destination'; the columns are {s_columnNames}"));
        }

        return (columns, faults);
    }

    private static LinkLine Line(long number, CsvLines csv, int[] columns)
    {
        var ask = new PublishLinkAsk();
        var faults = new List<FieldFault>();
        for (var i = 0; i < columns.Length; i++)
        {
            var value = csv.Field(i);
            var (name, put) = s_columns[columns[i]];
            if (value.Contains('\uFFFD', StringComparison.Ordinal))
            {
                faults.Add(new FieldFault(name, "is not text in UTF-8"));
            }
            else if (value.Length > 0)
            {
                ask = name == "expires_at" ? ask with { ExpiresAt = Time(value, faults) } : put(ask, value);
            }
        }

        return new LinkLine(number, faults.Count == 0 ? ask : null, faults);
    }

    private static DateTimeOffset? Time(string value, List<FieldFault> faults)
    {
        // The kind tells a time with its offset from one that would be taken for this machine's.
        if (DateTime.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var plain)
            && plain.Kind != DateTimeKind.Unspecified
            && DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time))
        {
            return time;
        }

        faults.Add(new FieldFault("expires_at", "is not a time with its offset such as 2026-11-22T08:30:00+01:00"));
        return null;
    }
}
