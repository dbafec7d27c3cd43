using System.Diagnostics;
using System.Globalization;
using PartnerPulse.Edge;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Throughput and p99 of the edge's redirect with telemetry, over the same without. Traces and metrics go to a receiver in a process of its
/// own, which reads and drops them: with the default sampler, and with one in a hundred. <c>wrk</c> makes the load. Every round has edges of
/// its own, which take turns: two processes of the very same program differ by some hundredths for as long as they live.
/// </summary>
internal static class TelemetryBenchmark
{
    private const double AimThroughput = 0.95;
    private const int Connections = 256;

    /// <summary>Of each edge in a round.</summary>
    private const int Turns = 4;

    private const string Off = "off";
    private const string Default = "default sampler";
    private const string Ratio = "one in a hundred";
    private static readonly string[] s_kinds = [Off, Default, Ratio];

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int seconds, CancellationToken cancellation)
    {
        var wrk = await RedirectBenchmark.FindAsync("wrk", cancellation);
        var folder = Directory.CreateTempSubdirectory("pulse-bench-").FullName;
        Process? sink = null;
        try
        {
            var receiver = Ports.Free($"{folder}/receiver");
            sink = BenchServers.Start(BenchServers.Otlp, Path.Combine(folder, "receiver"), receiver);
            await BenchServers.UntilReadyAsync(receiver, cancellation);
            var script = await RedirectBenchmark.WriteScriptAsync(folder, cancellation);
            var loads = s_kinds.ToDictionary(kind => kind, _ => new List<RedirectBenchmark.Load>(), StringComparer.Ordinal);
            for (var round = 0; round < rounds; round++)
            {
                await RoundAsync(wrk, script, Path.Combine(folder, $"{round}"), receiver, round, seconds, loads, cancellation);
            }

            return await ReceivedAsync(receiver, cancellation) > 0
                ? [.. s_kinds.Where(kind => kind != Off).SelectMany(kind => Compare(kind, loads))]
                : throw new InvalidOperationException("The receiver was sent nothing: nothing was measured.");
        }
        finally
        {
            if (sink is not null)
            {
                await BenchServers.StopAsync(sink);
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task RoundAsync(
        string wrk, string script, string folder, int receiver, int round, int seconds, Dictionary<string, List<RedirectBenchmark.Load>> loads, CancellationToken cancellation)
    {
        var servers = new List<Process>();
        try
        {
            var ports = s_kinds.Select(kind => Ports.Free($"{folder}/{kind}")).ToArray();
            foreach (var (kind, port) in s_kinds.Zip(ports))
            {
                servers.Add(BenchServers.Start(nameof(Durability.Disk), Path.Combine(folder, kind), port, Settings(kind, receiver)));
            }

            await Task.WhenAll(ports.Select(port => BenchServers.UntilUpAsync(port, BenchServers.Slug(0), cancellation)));
            foreach (var (kind, port) in s_kinds.Zip(ports))
            {
                await RedirectBenchmark.LoadAsync(wrk, script, kind, port, RedirectBenchmark.WarmUpSeconds, Connections, cancellation);
            }

            for (var turn = 0; turn < Turns; turn++)
            {
                // Who comes first in a turn has a machine of another temper.
                foreach (var i in Enumerable.Range(round + turn, s_kinds.Length).Select(i => i % s_kinds.Length))
                {
                    loads[s_kinds[i]].Add(await RedirectBenchmark.LoadAsync(wrk, script, s_kinds[i], ports[i], seconds, Connections, cancellation));
                }
            }
        }
        finally
        {
            foreach (var server in servers)
            {
                await BenchServers.StopAsync(server);
            }
        }
    }

    private static IEnumerable<Measured> Compare(string kind, Dictionary<string, List<RedirectBenchmark.Load>> loads)
    {
        yield return Of("requests/s", $"edge with telemetry, {kind}", l => l.RequestsPerSecond, AimThroughput);
        yield return Of("ms", $"edge with telemetry, {kind}, p99", l => l.P99Milliseconds, aim: null);
        yield return Of("bytes", $"edge with telemetry, {kind}, allocated a request", l => l.BytesPerRequest, aim: null);
        yield return Of("µs", $"edge with telemetry, {kind}, processor time a request", l => l.MicrosecondsPerRequest, aim: null);

        Measured Of(string unit, string what, Func<RedirectBenchmark.Load, double> figure, double? aim) => Measured.Of(
            "telemetry", what, unit, [.. loads[kind].Select(figure)], "the same without", [.. loads[Off].Select(figure)], aim);
    }

    private static (string Key, string Value)[] Settings(string kind, int receiver) => kind == Off
        ? [("OTEL_SDK_DISABLED", "true")]
        :
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", $"http://127.0.0.1:{receiver.ToString(CultureInfo.InvariantCulture)}"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            .. kind == Ratio ? [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.01")] : Array.Empty<(string, string)>(),
        ];

    private static async Task<long> ReceivedAsync(int receiver, CancellationToken cancellation)
    {
        using var client = new HttpClient();
        return long.Parse(
            await client.GetStringAsync(new Uri($"http://127.0.0.1:{receiver.ToString(CultureInfo.InvariantCulture)}{BenchServers.ReceivedPath}"), cancellation), CultureInfo.InvariantCulture);
    }
}
