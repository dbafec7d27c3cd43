using System.Diagnostics.Metrics;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using PartnerPulse.Hosting;

namespace PartnerPulse.Tests.Telemetry;

/// <summary>The documented metrics are those that there are.</summary>
public sealed class MetricTableTests
{
    [Fact]
    public void Every_instrument_is_documented_as_it_is_and_no_other_is()
    {
        var documented = MetricTable.Read().Where(metric => metric.Name.StartsWith("pulse.", StringComparison.Ordinal))
            .Select(metric => $"{metric.Name} {metric.Kind} {metric.Unit} {metric.Description}").Order(StringComparer.Ordinal).ToArray();
        var there = Instruments().Select(i => $"{i.Name} {KindOf(i)} {i.Unit} {i.Description}").Order(StringComparer.Ordinal).ToArray();
        Assert.True(there.Length > 60, $"{there.Length} instruments");
        Assert.Empty(there.Except(documented, StringComparer.Ordinal));
        Assert.Empty(documented.Except(there, StringComparer.Ordinal));
        Assert.Equal(documented.Length, documented.Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void Its_name_in_Prometheus_follows_from_name_kind_and_unit() =>
        Assert.All(MetricTable.Read(), metric => Assert.Equal(MetricTable.InPrometheus(metric.Name, metric.Kind, metric.Unit), metric.Prometheus));

    [Theory]
    [InlineData("pulse.edge.clicks", "counter", "{click}", "pulse_edge_clicks_total")]
    [InlineData("pulse.edge.spool_bytes", "gauge", "By", "pulse_edge_spool_bytes")]
    [InlineData("pulse.log.bytes", "gauge", "By", "pulse_log_bytes")]
    [InlineData("http.server.request.duration", "histogram", "s", "http_server_request_duration_seconds")]
    [InlineData("dotnet.process.cpu.time", "counter", "s", "dotnet_process_cpu_time_seconds_total")]
    public void A_name_is_turned_as_a_collector_turns_it(string name, string kind, string unit, string expected) =>
        Assert.Equal(expected, MetricTable.InPrometheus(name, kind, unit));

    [Fact]
    public void Every_name_in_the_source_is_that_of_an_instrument_or_of_an_attribute_of_spans()
    {
        // An instrument that is not static would be seen by neither test.
        var named = Directory.EnumerateFiles(Path.Combine(MetricTable.Root, "services"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
            .SelectMany(file => Regex.Matches(File.ReadAllText(file), "\"(?<name>pulse\\.[a-z_.]+)\"", RegexOptions.ExplicitCapture, TimeSpan.FromSeconds(5)))
            .Select(match => match.Groups["name"].Value).ToHashSet(StringComparer.Ordinal);
        Assert.Equal(
            ["pulse.conversion", "pulse.delivery", "pulse.generation", "pulse.origin", "pulse.position"],
            named.Except(Instruments().Select(instrument => instrument.Name), StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    private static List<Instrument> Instruments()
    {
        var fields = new[] { "Hosting", "Edge", "Attribution", "Conversions", "Partners", "Outbound" }
            .SelectMany(name => Assembly.Load($"PartnerPulse.{name}").GetTypes()).Where(type => !type.ContainsGenericParameters)
            .SelectMany(type => type.GetFields(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(field => typeof(Instrument).IsAssignableFrom(field.FieldType)).ToArray();
        foreach (var type in fields.Select(field => field.DeclaringType!).Distinct())
        {
            RuntimeHelpers.RunClassConstructor(type.TypeHandle);
        }

        return [.. fields.Select(field => (Instrument)field.GetValue(null)!).Where(instrument => instrument.Meter.Name == Diagnostics.Name)];
    }

    private static string KindOf(Instrument instrument) => instrument.GetType().Name.Split('`')[0] switch
    {
        "Counter" or "ObservableCounter" => "counter",
        "UpDownCounter" or "ObservableUpDownCounter" => "up-down counter",
        "Gauge" or "ObservableGauge" => "gauge",
        "Histogram" => "histogram",
        var other => throw new System.Diagnostics.UnreachableException(other),
    };
}
