using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Serialization;

namespace PartnerPulse.Tests.Telemetry;

/// <summary><c>deploy/grafana</c> asks for metrics that there are.</summary>
public sealed partial class GrafanaTests
{
    private static readonly HashSet<string> s_series = MetricTable.Read().SelectMany(metric => metric.Series).ToHashSet(StringComparer.Ordinal);

    public static TheoryData<string> Dashboards =>
        [.. Files().Select(Path.GetFileName).OfType<string>()];

    private static string[] Files() => Directory.GetFiles(Path.Combine(MetricTable.Root, "deploy/grafana/dashboards"), "*.json");

    [Theory]
    [MemberData(nameof(Dashboards))]
    public void A_dashboard_shows_documented_metrics_in_panels_that_do_not_overlap(string file)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(MetricTable.Root, "deploy/grafana/dashboards", file)));
        var board = json.RootElement;
        Assert.NotEmpty(board.GetProperty("title").GetString()!);
        Assert.StartsWith("partnerpulse-", board.GetProperty("uid").GetString()!, StringComparison.Ordinal);
        var panels = board.GetProperty("panels").EnumerateArray().ToArray();
        Assert.Equal(panels.Length, panels.Select(panel => panel.GetProperty("id").GetInt32()).Distinct().Count());
        var cells = panels.Select(panel => panel.GetProperty("gridPos")).SelectMany(place =>
            from x in Enumerable.Range(place.GetProperty("x").GetInt32(), place.GetProperty("w").GetInt32())
            from y in Enumerable.Range(place.GetProperty("y").GetInt32(), place.GetProperty("h").GetInt32())
            select (x, y)).ToArray();
        Assert.Equal(cells.Length, cells.Distinct().Count());
        Assert.All(cells, cell => Assert.InRange(cell.x, 0, 23));
        var queries = panels.Where(panel => panel.GetProperty("type").GetString() != "row")
            .SelectMany(panel => panel.GetProperty("targets").EnumerateArray().Select(target => target.GetProperty("expr").GetString()!)).ToArray();
        Assert.True(queries.Length > 10, $"{queries.Length} queries");
        Assert.All(queries, AssertAsksForDocumented);
    }

    [Fact]
    public void Alerts_ask_for_documented_metrics_and_say_what_to_do()
    {
        var groups = Rules();
        Assert.True(groups.Count >= 15, $"{groups.Count} alerts");
        Assert.Equal(groups.Count, groups.Select(rule => rule["alert"]).Distinct().Count());
        Assert.All(groups, rule =>
        {
            AssertAsksForDocumented((string)rule["expr"]);
            Assert.Matches(Span(), (string)rule["for"]);
            Assert.Contains((string)((Dictionary<object, object>)rule["labels"])["severity"], (string[])["info", "warning", "critical"]);
            var words = (Dictionary<object, object>)rule["annotations"];
            Assert.NotEmpty((string)words["summary"]);
            Assert.NotEmpty((string)words["description"]);
        });
    }

    [Fact]
    public void What_must_be_seen_is_shown_and_told()
    {
        var shown = string.Concat(Files().Select(File.ReadAllText));
        Assert.All(
            (string[])["http_server_request_duration_seconds_bucket", "pulse_edge_spool_bytes", "pulse_relay_waiting", "pulse_log_position", "pulse_projector_lag_seconds", "pulse_replay_done",
                "pulse_generation_conversions_total", "pulse_credits_revised_total", "pulse_set_aside_waiting", "pulse_retries_total", "pulse_outbound_subscriptions"],
            name => Assert.Contains(name, shown, StringComparison.Ordinal));
        var told = string.Concat(Rules().Select(rule => (string)rule["expr"]));
        Assert.All(
            (string[])["pulse_edge_clicks_lost_total", "pulse_edge_spool_limit_bytes", "pulse_relay_waiting", "pulse_projector_lag_seconds", "pulse_set_aside_waiting", "pulse_retries_total"],
            name => Assert.Contains(name, told, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("sum(rate(pulse_edge_clicks_total[5m]))", true)]
    [InlineData("sum(rate(pulse_edge_clicks[5m]))", false)]
    [InlineData("up{job=\"pulse\"}", false)]
    [InlineData("max(pulse_edge_spool_bytes / pulse_edge_spool_size)", false)]
    [InlineData("sum(rate(pulse_edge_clicks_total[5m])", false)]
    public void A_query_that_asks_for_anything_else_would_be_found(string query, bool isFine) => Assert.Equal(isFine, Fault(query) is null);

    private static void AssertAsksForDocumented(string query)
    {
        var fault = Fault(query);
        Assert.True(fault is null, $"{query}: {fault}");
    }

    /// <summary>What is wrong with a query; null where it is balanced and every metric in it is documented.</summary>
    private static string? Fault(string query)
    {
        var bare = Strings().Replace(query, "\"\"");
        foreach (var (open, close) in new[] { ('(', ')'), ('[', ']'), ('{', '}') })
        {
            if (bare.Count(c => c == open) != bare.Count(c => c == close))
            {
                return $"{open} and {close} do not match";
            }
        }

        // Whatever stands before a selector, and whatever is named as our metrics and the framework's are, outside of labels.
        var names = Selected().Matches(bare).Select(match => match.Groups["name"].Value)
            .Concat(Named().Matches(Labels().Replace(bare, "")).Select(match => match.Value)).Distinct(StringComparer.Ordinal).ToArray();
        return names.Length == 0 ? "it asks for nothing" : names.FirstOrDefault(name => !s_series.Contains(name)) is { } other ? $"{other} is not documented" : null;
    }

    private static List<Dictionary<object, object>> Rules()
    {
        var file = new DeserializerBuilder().Build().Deserialize<Dictionary<string, List<Dictionary<string, object>>>>(
            File.ReadAllText(Path.Combine(MetricTable.Root, "deploy/grafana/alerts/partnerpulse.yml")));
        return [.. file["groups"].SelectMany(group => (List<object>)group["rules"]).Cast<Dictionary<object, object>>()];
    }

    [GeneratedRegex("\"[^\"]*\"", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Strings();

    [GeneratedRegex(@"(?<name>[a-zA-Z_:][\w:]*)\s*[\[{]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Selected();

    [GeneratedRegex(@"\b(?:by|without|on|ignoring)\s*\([^)]*\)|\{[^}]*\}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Labels();

    [GeneratedRegex(@"\b(?:pulse|http|kestrel|db|dotnet|messaging)_\w+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Named();

    [GeneratedRegex("^[0-9]+m$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Span();
}
