using System.Diagnostics;
using System.Net;
using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Edge;

/// <summary>Whatever is away, visitors are sent on, the edge says what is wrong, and what it took arrives later, once.</summary>
[Collection(WholeSystems.Name)]
public sealed class NeverDownTests
{
    private static readonly IEvent[] s_catalogue = [EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme", "https://shop.example/")];

    [ServersFact]
    public async Task With_broker_partners_and_attribution_away_for_hours_visitors_go_on_and_all_arrives_once_when_they_are_back()
    {
        var server = await TestServers.NewVirtualHostAsync();
        await using var tunnel = new Tunnel(server);
        tunnel.Cut();
        var time = new SteppedTime();
        var folder = Directory.CreateTempSubdirectory("pulse-edge-").FullName;
        var settings = new Dictionary<string, string?>
        {
            ["Bus:Transport"] = "rabbitmq", ["Bus:RabbitMq"] = tunnel.Address, ["Edge:Partners:Url"] = "http://127.0.0.1:1", ["Edge:Partners:Key"] = "x",
        };
        var sent = new List<Guid>();
        await using (var edge = await EdgeHost.StartAsync(s_catalogue, folder, settings, time))
        {
            sent.AddRange(await ClickAsync(edge, 300));
            time.Step(TimeSpan.FromHours(2));
            sent.AddRange(await ClickAsync(edge, 300));

            var figures = await edge.FiguresAsync();
            Assert.Equal((600, 0), (Figure(figures, "clicksWaiting"), Figure(figures, "clicksLost")));
            Assert.InRange(Figure(figures, "oldestWaitingSeconds"), 7_199, 7_300);
            Assert.InRange(Figure(figures, "spoolBytes"), 600 * 150, 600 * 1_000);
            await Waits.UntilAsync("it says what is amiss", async () => (await ReadyAsync(edge)).Body.ToString().Contains("the catalogue cannot be read", StringComparison.Ordinal));
            var (status, ready) = await ReadyAsync(edge);
            Assert.Equal(HttpStatusCode.OK, status);
            Assert.Contains("600 clicks wait for the bus", ready.GetProperty("reasons").GetProperty("spool").GetString(), StringComparison.Ordinal);
        }

        // A restart in the middle of it changes nothing.
        await using (var edge = await EdgeHost.StartAsync(folder: folder, settings: settings, time: time))
        {
            Assert.Equal(600, Figure(await edge.FiguresAsync(), "clicksWaiting"));
            sent.AddRange(await ClickAsync(edge, 100));

            // The broker is back, Attribution is not: its queue takes everything.
            tunnel.Mend();
            await Waits.UntilAsync("no click waits", async () => Figure(await edge.FiguresAsync(), "clicksWaiting") == 0);
            Assert.Equal(0, Figure(await edge.FiguresAsync(), "oldestWaitingSeconds"));
            Assert.DoesNotContain("wait for the bus", (await ReadyAsync(edge)).Body.ToString(), StringComparison.Ordinal);
            sent.AddRange(await ClickAsync(edge, 100));
            await Waits.UntilAsync("no click waits", async () => Figure(await edge.FiguresAsync(), "clicksWaiting") == 0);
        }

        await using var attribution = await AttributionLog.StartAsync(server);
        Assert.Equal(sent.Order(), (await attribution.ClicksAsync(sent.Count, TimeSpan.FromSeconds(30))).Select(c => c.EventId).Order());
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_clock_that_is_set_back_and_forth_by_hours_loses_and_doubles_nothing()
    {
        var time = new SteppedTime();
        await using var edge = await EdgeHost.StartAsync(s_catalogue, time: time, settings: new Dictionary<string, string?> { ["Edge:Cookie:Mode"] = "host" });
        var sent = new List<Guid>();
        foreach (var hours in new[] { 0, 5, -9, 48, -72, 24 * 400, -24 * 400 })
        {
            time.Step(TimeSpan.FromHours(hours));
            var before = time.GetUtcNow();
            var some = await ClickAsync(edge, 40);
            sent.AddRange(some);
            var clicks = (await edge.ClicksAsync()).Where(c => some.Contains(c.EventId)).ToList();
            Assert.All(clicks, c => Assert.InRange(c.OccurredAt, before, time.GetUtcNow()));
            Assert.Equal(40, clicks.Count);
            await Waits.UntilAsync("no click waits", async () => Figure(await edge.FiguresAsync(), "clicksWaiting") == 0);
            Assert.Equal(HttpStatusCode.OK, (await ReadyAsync(edge)).Status);
        }

        Assert.Equal(sent, (await edge.ClicksAsync()).Select(c => c.EventId));
        Assert.Equal(sent.Count, sent.Distinct().Count());
        Assert.Equal(0, Figure(await edge.FiguresAsync(), "clicksLost"));
    }

    [Fact]
    public async Task A_spool_is_bounded_says_so_before_it_is_full_and_visitors_go_on_when_it_is()
    {
        await using var edge = await EdgeHost.StartAsync(s_catalogue, settings: new Dictionary<string, string?>
        {
            ["Bus:Transport"] = "rabbitmq", ["Bus:RabbitMq"] = "amqp://127.0.0.1:1/", ["Edge:SpoolMaxBytes"] = "1048576",
        });
        var line = $$"""{"partner":"acme","occurredAt":"2026-01-02T03:04:05Z","userAgent":"{{new string('u', 1_000)}}"}""";
        var kept = 0L;
        while ((await ReadyAsync(edge)).Status == HttpStatusCode.OK)
        {
            var (status, _) = await edge.ImportAsync(string.Join('\n', Enumerable.Repeat(line, 20)));
            Assert.Equal(HttpStatusCode.Accepted, status);
            kept += 20;
        }

        var (_, ready) = await ReadyAsync(edge);
        Assert.Contains("nearly full", ready.GetProperty("reasons").GetProperty("spool").GetString(), StringComparison.Ordinal);
        Assert.Equal(kept, Figure(await edge.FiguresAsync(), "clicksWaiting"));
        while ((await edge.ImportAsync(string.Join('\n', Enumerable.Repeat(line, 20)))).Status == HttpStatusCode.Accepted)
        {
            kept += 20;
        }

        Assert.Contains("not kept", (await ReadyAsync(edge)).Body.ToString(), StringComparison.Ordinal);
        var figures = await edge.FiguresAsync();
        Assert.InRange(Figure(figures, "spoolBytes"), 1_000_000, 1_048_576);
        Assert.Equal((kept, 20), (Figure(figures, "clicksWaiting"), Figure(figures, "clicksLost")));
        using var visitor = await edge.FollowAsync($"/r/acme?q={new string('x', 6_000)}");
        Assert.Equal(HttpStatusCode.Found, visitor.StatusCode);
    }

    [TmpfsFact]
    public async Task On_a_full_disk_visitors_go_on_the_loss_is_counted_and_all_that_was_acknowledged_is_there()
    {
        var folder = Directory.CreateTempSubdirectory("pulse-full-").FullName;
        await TmpfsFactAttribute.RunAsync("mount", "-t", "tmpfs", "-o", "size=3m", "pulse-test", folder);
        try
        {
            var settings = new Dictionary<string, string?> { ["Bus:Transport"] = "rabbitmq", ["Bus:RabbitMq"] = "amqp://127.0.0.1:1/", ["Edge:Durability"] = "Disk" };
            var kept = new List<Guid>();
            await using (var edge = await EdgeHost.StartAsync(s_catalogue, folder, settings))
            {
                while (edge.Spool.Lost == 0)
                {
                    var (click, lost) = (await ClickAsync(edge, 1, new string('x', 4_000)), edge.Spool.Lost);
                    kept.AddRange(lost == 0 ? click : []);
                }

                for (var i = 0; i < 50; i++)
                {
                    await ClickAsync(edge, 1, new string('x', 4_000));
                }

                var (status, ready) = await ReadyAsync(edge);
                Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
                Assert.Contains("clicks are not kept", ready.GetProperty("reasons").GetProperty("spool").GetString(), StringComparison.Ordinal);
                Assert.InRange(Figure(await edge.FiguresAsync(), "clicksLost"), 1, 51);
                Assert.Equal(HttpStatusCode.ServiceUnavailable, (await edge.ImportAsync($$"""{"partner":"acme","occurredAt":"2026-01-02T03:04:05Z","userAgent":"{{new string('u', 1_900)}}"}""")).Status);

                await TmpfsFactAttribute.RunAsync("mount", "-o", "remount,size=30m", folder);
                await Waits.UntilAsync("it is ready", async () => (await ReadyAsync(edge)).Status == HttpStatusCode.OK);
                kept.AddRange(await ClickAsync(edge, 20));
            }

            await using var again = await EdgeHost.StartAsync(folder: folder, settings: settings);
            var ids = (await again.ClicksAsync()).Select(c => c.EventId).ToList();
            Assert.Empty(kept.Except(ids));
            Assert.Equal(ids.Count, ids.Distinct().Count());
            Assert.Equal(0, Figure(await again.FiguresAsync(), "clicksSalvaged"));
        }
        finally
        {
            await TmpfsFactAttribute.RunAsync("umount", "-l", folder);
            Directory.Delete(folder);
        }
    }

    private static async Task<IReadOnlyList<Guid>> ClickAsync(EdgeHost edge, int count, string query = "")
    {
        var ids = new List<Guid>();
        for (var i = 0; i < count; i++)
        {
            using var response = await edge.FollowAsync($"/r/acme?q={query}");
            Assert.Equal(HttpStatusCode.Found, response.StatusCode);
            ids.Add(PulseSystem.ClickId(response.Headers.Location!.OriginalString));
        }

        return ids;
    }

    private static long Figure(JsonElement figures, string name) => figures.GetProperty(name).GetInt64();

    private static async Task<(HttpStatusCode Status, JsonElement Body)> ReadyAsync(EdgeHost edge)
    {
        using var response = await edge.Client.GetAsync(new Uri("/ready", UriKind.Relative));
        return (response.StatusCode, JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement);
    }

    /// <summary>A test that fills a small file system of its own, which only root may make; elsewhere it is skipped with that reason.</summary>
    [AttributeUsage(AttributeTargets.Method)]
    private sealed class TmpfsFactAttribute : FactAttribute
    {
        private static readonly Lazy<string?> s_why = new(() =>
        {
            var folder = Directory.CreateTempSubdirectory("pulse-mount-").FullName;
            try
            {
                RunAsync("mount", "-t", "tmpfs", "-o", "size=1m", "pulse-test", folder).GetAwaiter().GetResult();
                RunAsync("umount", folder).GetAwaiter().GetResult();
                return null;
            }
            catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
            {
                return $"needs to mount a small file system to fill it: {e.Message}";
            }
            finally
            {
                Directory.Delete(folder);
            }
        });

        public TmpfsFactAttribute() => Skip = s_why.Value;

        public static async Task RunAsync(string command, params IEnumerable<string> arguments)
        {
            using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true, UseShellExecute = false })!;
            var error = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
            {
                throw new InvalidOperationException($"{command}: {error.Trim()}");
            }
        }
    }
}
