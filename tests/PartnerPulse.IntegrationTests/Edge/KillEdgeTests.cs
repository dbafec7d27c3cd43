using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using PartnerPulse.Tests;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>
/// Edges as processes of their own, killed without warning in the middle of their load, again and again. What a visitor was
/// sent on for is in the attribution log in the end, once.
/// </summary>
[Collection(WholeSystems.Name)]
public sealed class KillEdgeTests(ITestOutputHelper output)
{
    private const int Edges = 2;
    private const int KillsEach = 25;
    private const int Visitors = 4;

    private static readonly IEvent[] s_catalogue = [EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/")];

    [ServersFact]
    public async Task Fifty_kills_under_load_lose_no_acknowledged_click_and_record_none_twice()
    {
        var seed = Seeds.Number(output);
        var broker = await TestServers.NewVirtualHostAsync();
        await using var attribution = await AttributionLog.StartAsync(broker);
        var clock = Stopwatch.StartNew();
        var edges = Enumerable.Range(0, Edges).Select(i => new VictimEdge(i, broker, new Random(seed + i))).ToList();
        try
        {
            await Task.WhenAll(edges.Select(edge => edge.DieAgainAndAgainAsync(KillsEach)));
            output.WriteLine($"{edges.Sum(e => e.Kills)} kills in {clock.Elapsed.TotalSeconds:0.0} s; {edges.Sum(e => e.Acknowledged.Count)} clicks acknowledged");
            await Task.WhenAll(edges.Select(edge => edge.DrainAsync()));

            var acknowledged = edges.SelectMany(e => e.Acknowledged).ToList();
            var ids = (await attribution.ClicksAsync(acknowledged.Count, TimeSpan.FromSeconds(30))).Select(c => c.EventId).ToList();
            output.WriteLine($"{clock.Elapsed.TotalSeconds:0.0} s; the log holds {ids.Count} clicks, {ids.Count - acknowledged.Count} of which nobody was told");
            Assert.Equal(Edges * KillsEach, edges.Sum(e => e.Kills));
            Assert.Empty(acknowledged.Except(ids));
            Assert.Equal(ids.Count, ids.Distinct().Count());
            Assert.Equal(acknowledged.Count, acknowledged.Distinct().Count());
            Assert.True(acknowledged.Count > Edges * KillsEach * 5, "There was no load to speak of.");
            Assert.All(edges, e => Assert.Empty(Directory.GetFiles(e.Folder, "spool-damaged-*")));
        }
        finally
        {
            edges.ForEach(edge => edge.Dispose());
        }
    }

    private sealed class VictimEdge : IDisposable
    {
        private static readonly TimeSpan s_startsWithin = TimeSpan.FromSeconds(60);

        private readonly Random _random;
        private readonly ProcessSpec _spec;
        private readonly int _port;
        private ChildProcess? _process;

        public VictimEdge(int number, string broker, Random random)
        {
            _random = random;
            Folder = Directory.CreateTempSubdirectory("pulse-victim-").FullName;
            _port = FreePort();
            using (var file = new CatalogueFile(Folder, new Catalogue(), NullLogger<CatalogueFile>.Instance))
            {
                file.Apply(s_catalogue, s_catalogue.Length);
            }

            var keys = Path.Combine(Folder, "keys.json");
            File.WriteAllText(keys, JsonSerializer.Serialize(new[] { new ApiKey("test", ApiKey.Hash(EdgeHost.Key), [Scope.Admin], "main") }, JsonSerializerOptions.Web));
            _spec = new ProcessSpec
            {
                Name = $"edge-{number}",
                FileName = Shell.Find("dotnet")!,
                Arguments = [Path.Combine(AppContext.BaseDirectory, "PartnerPulse.Edge.dll")],
                LogFile = Path.Combine(Folder, "edge.log"),
                WorkingDirectory = Folder,
                Environment = new Dictionary<string, string?>(StringComparer.Ordinal)
                {
                    ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{_port}",
                    ["Bus__Transport"] = "rabbitmq",
                    ["Bus__RabbitMq"] = broker,
                    ["Keys__File"] = keys,
                    ["Edge__Data"] = Folder,
                    ["Edge__Name"] = $"victim-{number}",
                    ["Edge__Durability"] = "Disk",

                    // It lives for a second: code that is compiled well is code that is never run.
                    ["DOTNET_TieredPGO"] = "0",
                },
            };
        }

        public string Folder { get; }

        public int Kills { get; private set; }

        public ConcurrentBag<Guid> Acknowledged { get; } = [];

        public async Task DieAgainAndAgainAsync(int kills)
        {
            while (Kills < kills)
            {
                _process = ChildProcess.Start(_spec);
                await UntilItAnswersAsync();

                // The first click compiles the path; those that follow are the load.
                await using (var first = await RawConnection.OpenAsync(new Uri($"http://127.0.0.1:{_port}")))
                {
                    await ClickAsync(first, CancellationToken.None);
                }

                using var over = new CancellationTokenSource();
                var visitors = Enumerable.Range(0, Visitors).Select(_ => Task.Run(() => VisitAsync(over.Token))).ToArray();
                await Task.Delay(_random.Next(20, 200));
                Assert.True(Signals.Send(_process.Identity.Pid, Signal.Kill));
                await _process.WaitForExitAsync(CancellationToken.None);
                Kills++;
                await over.CancelAsync();
                await Task.WhenAll(visitors);
                _process.Dispose();
            }
        }

        /// <summary>Starts it for the last time and waits until the broker has everything.</summary>
        public async Task DrainAsync()
        {
            _process = ChildProcess.Start(_spec);
            await UntilItAnswersAsync();
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{_port}") };
            http.DefaultRequestHeaders.Authorization = new("Bearer", EdgeHost.Key);
            var waited = Stopwatch.StartNew();
            while (true)
            {
                var status = await http.GetStringAsync(new Uri("/v1/status?local=true", UriKind.Relative));
                var figures = JsonDocument.Parse(status).RootElement.GetProperty("services")[0].GetProperty("figures");
                if (figures.GetProperty("clicksWaiting").GetInt64() == 0)
                {
                    Assert.Equal(0, figures.GetProperty("clicksLost").GetInt64());
                    return;
                }

                Assert.True(waited.Elapsed < s_startsWithin, $"The spool does not drain: {status}");
                await Task.Delay(50);
            }
        }

        public void Dispose()
        {
            if (_process is { HasExited: false })
            {
                Signals.Send(_process.Identity.Pid, Signal.Kill);
            }

            _process?.Dispose();
            for (var attempt = 0; attempt < 50 && Directory.Exists(Folder); attempt++)
            {
                try
                {
                    Directory.Delete(Folder, recursive: true);
                }
                catch (IOException)
                {
                    Thread.Sleep(20); // The process that was killed a moment ago still holds its files.
                }
            }
        }

        /// <summary>A visitor who clicks as fast as the answers come, until the connection breaks.</summary>
        private async Task VisitAsync(CancellationToken over)
        {
            try
            {
                await using var connection = await RawConnection.OpenAsync(new Uri($"http://127.0.0.1:{_port}"));
                while (!over.IsCancellationRequested && await ClickAsync(connection, over))
                {
                }
            }
            catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
            {
                // Killed: nobody knows what became of the click under way.
            }
        }

        private async Task<bool> ClickAsync(RawConnection connection, CancellationToken over)
        {
            await connection.SendAsync("GET /r/acme HTTP/1.1\r\nHost: x\r\n\r\n");
            if (await connection.ReadAsync(cancellation: over) is not { } answer)
            {
                return false;
            }

            Assert.Equal(302, answer.Status);
            Acknowledged.Add(PulseSystem.ClickId(answer.Header("Location")!));
            return true;
        }

        private async Task UntilItAnswersAsync()
        {
            var waited = Stopwatch.StartNew();
            while (!await Ports.AnswersAsync(_port, CancellationToken.None))
            {
                if (_process!.HasExited || waited.Elapsed > s_startsWithin)
                {
                    Assert.Fail($"The edge does not start: {string.Join('\n', LogFiles.Tail(_spec.LogFile, 20))}");
                }

                await Task.Delay(10);
            }
        }

        private static int FreePort()
        {
            // Below those of outgoing connections, so that nobody takes it while the edge is dead.
            while (true)
            {
                var port = Random.Shared.Next(20_000, 29_000);
                if (Ports.IsFree(IPAddress.Loopback, port))
                {
                    return port;
                }
            }
        }
    }
}
