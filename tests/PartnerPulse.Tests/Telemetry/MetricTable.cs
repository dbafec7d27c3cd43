namespace PartnerPulse.Tests.Telemetry;

/// <summary>A metric as it is documented.</summary>
/// <param name="Name">As it is sent.</param>
/// <param name="Kind">Counter, up-down counter, gauge or histogram.</param>
/// <param name="Unit">UCUM; in braces what is counted.</param>
/// <param name="Prometheus">Its name in Prometheus.</param>
/// <param name="Description">What it says.</param>
public sealed record DocumentedMetric(string Name, string Kind, string Unit, string Prometheus, string Description)
{
    /// <summary>Names under which its series are asked for.</summary>
    public IEnumerable<string> Series => Kind == "histogram" ? [$"{Prometheus}_bucket", $"{Prometheus}_sum", $"{Prometheus}_count"] : [Prometheus];
}

/// <summary>The tables in <c>services/Hosting/Telemetry/README.md</c>.</summary>
public static class MetricTable
{
    public static string Root { get; } = Find();

    public static IReadOnlyList<DocumentedMetric> Read() =>
    [
        .. File.ReadLines(Path.Combine(Root, "services/Hosting/Telemetry/README.md")).Where(line => line.StartsWith("| `", StringComparison.Ordinal))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries)[1..^1]).Where(cells => cells.Length == 6)
            .Select(cells => new DocumentedMetric(cells[0].Trim('`'), cells[1], cells[2].Trim('`'), cells[3].Trim('`'), cells[5])),
    ];

    /// <summary>
    /// What a name becomes in Prometheus: OpenTelemetry's specification of the exporter for it. What is no letter, digit or underscore is
    /// one; units are spelt out at the end, where they do not stand in the name already; counters end in <c>_total</c>.
    /// </summary>
    public static string InPrometheus(string name, string kind, string unit)
    {
        var spelt = unit switch { "s" => "seconds", "ms" => "milliseconds", "By" => "bytes", "1" when kind == "gauge" => "ratio", _ => null };
        var words = name.Split('.', '_').ToList();
        if (spelt is not null && !words.Contains(spelt, StringComparer.Ordinal))
        {
            words.Add(spelt);
        }

        if (kind == "counter")
        {
            words.Add("total");
        }

        return string.Join('_', words);
    }

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "PartnerPulse.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The repository is not above the tests.");
    }
}
