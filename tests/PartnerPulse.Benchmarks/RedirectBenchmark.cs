using System.Diagnostics;
using System.Globalization;
using PartnerPulse.Edge;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Throughput and p99 of the edge's redirect, with the click committed before the answer, over a bare Kestrel 302 on the same
/// machine, with nginx's <c>return 302</c> beside it. <c>wrk</c> makes the load from its own process; the servers take turns in
/// every round.
/// </summary>
internal static class RedirectBenchmark
{
    private const double AimDisk = 0.7;
    private const double AimProcess = 0.85;
    private const double AimP99 = 3;
    private const double AimBytes = 2_048;

    /// <summary>Not counted: after ten seconds the runtime still compiles what it found hot.</summary>
    public const int WarmUpSeconds = 12;

    private const string Nginx = "nginx";
    private static readonly string[] s_kinds = [BenchServers.Bare, Nginx, nameof(Durability.Disk), nameof(Durability.Process)];

    /// <param name="RequestsPerSecond">Answered.</param>
    /// <param name="P99Milliseconds">99th percentile of the time from request to answer.</param>
    /// <param name="BytesPerRequest">Allocated by the server; not known of nginx.</param>
    /// <param name="MicrosecondsPerRequest">Processor time of the server; not known of nginx.</param>
    public sealed record Load(double RequestsPerSecond, double P99Milliseconds, double BytesPerRequest, double MicrosecondsPerRequest);

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int seconds, int connections, CancellationToken cancellation)
    {
        var wrk = await FindAsync("wrk", cancellation);
        var nginx = await FindAsync(Nginx, cancellation);
        var folder = Directory.CreateTempSubdirectory("pulse-bench-").FullName;
        var servers = new List<Process>();
        try
        {
            var ports = s_kinds.Select(kind => Ports.Free($"{folder}/{kind}")).ToArray();
            for (var i = 0; i < s_kinds.Length; i++)
            {
                var own = Path.Combine(folder, s_kinds[i]);
                servers.Add(s_kinds[i] == Nginx ? StartNginx(nginx, own, ports[i]) : BenchServers.Start(s_kinds[i], own, ports[i]));
            }

            await Task.WhenAll(ports.Select(port => BenchServers.UntilUpAsync(port, BenchServers.Slug(0), cancellation)));
            var script = await WriteScriptAsync(folder, cancellation);
            foreach (var (kind, port) in s_kinds.Zip(ports))
            {
                await LoadAsync(wrk, script, kind, port, WarmUpSeconds, connections, cancellation);
            }

            var loads = s_kinds.ToDictionary(kind => kind, _ => new List<Load>(), StringComparer.Ordinal);
            for (var round = 0; round < rounds; round++)
            {
                foreach (var (kind, port) in s_kinds.Zip(ports))
                {
                    loads[kind].Add(await LoadAsync(wrk, script, kind, port, seconds, connections, cancellation));
                }
            }

            return s_kinds.Where(kind => kind is not (BenchServers.Bare or Nginx)).SelectMany(kind => Compare(kind, loads, connections)).ToArray();
        }
        finally
        {
            foreach (var server in servers)
            {
                await BenchServers.StopAsync(server);
            }

            Directory.Delete(folder, recursive: true);
        }
    }

    private static IEnumerable<Measured> Compare(string kind, Dictionary<string, List<Load>> loads, int connections)
    {
        yield return Throughput(BenchServers.Bare, "bare Kestrel 302", kind == nameof(Durability.Disk) ? AimDisk : AimProcess);
        yield return Throughput(Nginx, "nginx return 302", aim: null);
        yield return Measured.Of(
            "redirect", $"edge, Durability {kind}, p99", "ms", All(kind, l => l.P99Milliseconds), "bare Kestrel 302", All(BenchServers.Bare, l => l.P99Milliseconds), AimP99);
        yield return Measured.Of(
            "redirect", $"edge, Durability {kind}, allocated a request", "bytes", All(kind, l => l.BytesPerRequest), "2 KiB", [.. loads[kind].Select(_ => AimBytes)], aim: 1);

        Measured Throughput(string against, string name, double? aim) => Measured.Of(
            "redirect", $"edge, Durability {kind}, {connections} connections", "requests/s", All(kind, l => l.RequestsPerSecond), name, All(against, l => l.RequestsPerSecond), aim);

        double[] All(string of, Func<Load, double> figure) => [.. loads[of].Select(figure)];
    }

    /// <summary>What <c>wrk</c> sends.</summary>
    /// <returns>The file.</returns>
    public static async Task<string> WriteScriptAsync(string folder, CancellationToken cancellation)
    {
        var script = Path.Combine(folder, "load.lua");
        await File.WriteAllTextAsync(script, Script(), cancellation);
        return script;
    }

    private static string Script() =>
        $$"""
        -- Every request another link and another campaign; the sums go out as one line.
        local n = 0
        request = function()
          n = n + 1
          return wrk.format("GET", "/r/link-" .. (n % {{BenchServers.Links}}) .. "?utm_source=blog&utm_campaign=spring" .. (n % 7))
        end
        done = function(summary, latency)
          local e = summary.errors
          io.write(string.format("LOAD %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(99),
            e.connect + e.read + e.write + e.status + e.timeout))
        end
        """;

    /// <summary>One load on one server.</summary>
    /// <exception cref="InvalidOperationException">A request failed.</exception>
    public static async Task<Load> LoadAsync(string wrk, string script, string kind, int port, int seconds, int connections, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(wrk, $"-t2 -c{connections} -d{seconds}s -s {script} http://127.0.0.1:{port}/r/link-0") { RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment["LC_ALL"] = "C";
        var before = await SpentAsync(kind, port, cancellation);
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation);
        var line = output.Split('\n').SingleOrDefault(l => l.StartsWith("LOAD ", StringComparison.Ordinal))
            ?? throw new InvalidOperationException($"wrk said nothing of its load: {output}");
        var figures = line.Split(' ')[1..].Select(f => double.Parse(f, CultureInfo.InvariantCulture)).ToArray();
        var after = await SpentAsync(kind, port, cancellation);
        return figures[3] == 0
            ? new Load(figures[0] / (figures[1] / 1e6), figures[2] / 1e3, (after.Bytes - before.Bytes) / figures[0], (after.Microseconds - before.Microseconds) / figures[0])
            : throw new InvalidOperationException($"{figures[3]} requests failed: {output}");
    }

    private static async Task<(double Bytes, double Microseconds)> SpentAsync(string kind, int port, CancellationToken cancellation)
    {
        if (kind == Nginx)
        {
            return default;
        }

        using var client = new HttpClient();
        var spent = await client.GetStringAsync(new Uri($"http://127.0.0.1:{port}{BenchServers.SpentPath}"), cancellation);
        return spent.Split(' ').Select(figure => double.Parse(figure, CultureInfo.InvariantCulture)).ToArray() is [var bytes, var microseconds]
            ? (bytes, microseconds)
            : throw new InvalidOperationException($"The server spent '{spent}'.");
    }

    private static Process StartNginx(string nginx, string folder, int port)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "nginx.conf");
        File.WriteAllText(
            file,
            $$"""
            daemon off;
            worker_processes {{Environment.ProcessorCount}};
            pid {{folder}}/nginx.pid;
            error_log {{folder}}/error.log;
            events { worker_connections 4096; }
            http {
              access_log off;
              keepalive_requests 1000000000;
              server {
                listen 127.0.0.1:{{port}};
                location / { return 302 https://shop.example/landing?utm_campaign=spring2026; }
              }
            }
            """);
        return Process.Start(new ProcessStartInfo(nginx, $"-p {folder} -e {folder}/error.log -c {file}") { RedirectStandardOutput = true, UseShellExecute = false })!;
    }

    /// <summary>The program, installed where it is missing and may be.</summary>
    public static async Task<string> FindAsync(string name, CancellationToken cancellation) =>
        Shell.Find(name) is { } there ? there
        : DistributionPackage.MayInstall && await DistributionPackage.InstallAsync(name, Console.Error.WriteLine, cancellation) is null && Shell.Find(name) is { } path
            ? path
            : throw new InvalidOperationException($"{name} is not on the PATH: install it (Debian: apt-get install {name}).");
}
