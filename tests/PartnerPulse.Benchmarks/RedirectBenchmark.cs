using System.Diagnostics;
using System.Globalization;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Throughput and p99 of the edge's redirect, with the click committed before the answer, over a bare Kestrel 302 on the same
/// machine. <c>wrk</c> makes the load from its own process; the three servers take turns in every round.
/// </summary>
internal static class RedirectBenchmark
{
    private const double AimDisk = 0.6;
    private const double AimProcess = 0.8;

    /// <summary>Not counted: after two seconds the runtime still compiles what it found hot.</summary>
    private const int WarmUpSeconds = 8;

    private static readonly string[] s_kinds = ["bare", "Disk", "Process"];

    private sealed record Load(double RequestsPerSecond, double P99Milliseconds);

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int seconds, int connections, CancellationToken cancellation)
    {
        var wrk = Shell.Find("wrk") ?? await InstallAsync(cancellation);
        var folder = Directory.CreateTempSubdirectory("pulse-bench-").FullName;
        var servers = new List<Process>();
        try
        {
            var ports = s_kinds.Select(kind => Ports.Free($"{folder}/{kind}")).ToArray();
            for (var i = 0; i < s_kinds.Length; i++)
            {
                servers.Add(Start(s_kinds[i], Path.Combine(folder, s_kinds[i]), ports[i]));
            }

            await Task.WhenAll(ports.Select(port => UntilUpAsync(port, cancellation)));
            var script = Path.Combine(folder, "load.lua");
            await File.WriteAllTextAsync(script, Script(seconds), cancellation);
            foreach (var port in ports)
            {
                await LoadAsync(wrk, script, port, WarmUpSeconds, connections, cancellation);
            }

            var loads = s_kinds.ToDictionary(kind => kind, _ => new List<Load>(), StringComparer.Ordinal);
            for (var round = 0; round < rounds; round++)
            {
                for (var i = 0; i < s_kinds.Length; i++)
                {
                    loads[s_kinds[i]].Add(await LoadAsync(wrk, script, ports[i], seconds, connections, cancellation));
                }
            }

            return s_kinds.Skip(1).SelectMany(kind => new[]
            {
                Measured.Of("redirect", $"edge, Durability {kind}, {connections} connections", "requests/s", loads[kind].Select(l => l.RequestsPerSecond).ToArray(),
                    "bare Kestrel 302", loads["bare"].Select(l => l.RequestsPerSecond).ToArray(), kind == "Disk" ? AimDisk : AimProcess),
                Measured.Of("redirect", $"edge, Durability {kind}, p99", "ms", loads[kind].Select(l => l.P99Milliseconds).ToArray(),
                    "bare Kestrel 302", loads["bare"].Select(l => l.P99Milliseconds).ToArray(), aim: null),
            }).ToArray();
        }
        finally
        {
            foreach (var server in servers)
            {
                server.Kill();
                await server.WaitForExitAsync(CancellationToken.None);
                server.Dispose();
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Script(int seconds) =>
        $$"""
        -- Every request another link and another campaign; the sums go out as one line.
        local n = 0
        request = function()
          n = n + 1
          return wrk.format("GET", "/r/link-" .. (n % {{RedirectServers.Links}}) .. "?utm_source=blog&utm_campaign=spring" .. (n % 7))
        end
        done = function(summary, latency)
          local e = summary.errors
          io.write(string.format("LOAD %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(99),
            e.connect + e.read + e.write + e.status + e.timeout))
        end
        """;

    private static async Task<Load> LoadAsync(string wrk, string script, int port, int seconds, int connections, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(wrk, $"-t2 -c{connections} -d{seconds}s -s {script} http://127.0.0.1:{port}/r/link-0") { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment["LC_ALL"] = "C";
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        var line = output.Split('\n').SingleOrDefault(l => l.StartsWith("LOAD ", StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"wrk said nothing of its load: {output}");
        var figures = line.Split(' ')[1..].Select(f => double.Parse(f, CultureInfo.InvariantCulture)).ToArray();
        return figures[3] == 0
            ? new Load(figures[0] / (figures[1] / 1e6), figures[2] / 1e3)
            : throw new InvalidOperationException($"{figures[3]} requests failed: {output}");
    }

    private static Process Start(string kind, string folder, int port)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true, UseShellExecute = false };
        foreach (var argument in new[] { typeof(RedirectBenchmark).Assembly.Location, "server", kind, folder, port.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    private static async Task UntilUpAsync(int port, CancellationToken cancellation)
    {
        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false });
        while (true)
        {
            try
            {
                using var response = await client.GetAsync(new Uri($"http://127.0.0.1:{port}/r/link-0"), cancellation);
                if (response.StatusCode == System.Net.HttpStatusCode.Found)
                {
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
            }

            await Task.Delay(100, cancellation);
        }
    }

    private static async Task<string> InstallAsync(CancellationToken cancellation) =>
        DistributionPackage.MayInstall && await DistributionPackage.InstallAsync("wrk", Console.Error.WriteLine, cancellation) is null && Shell.Find("wrk") is { } wrk
            ? wrk
            : throw new InvalidOperationException("wrk is not on the PATH: install it (Debian: apt-get install wrk).");
}
