using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// How long after the 201 of an order its credit is committed where every reader finds it, while visitors follow links at a rate that
/// does not wait for answers. Edge, Conversions, RabbitMQ and Attribution are each their own process; each order names a click of a
/// moment before. One connection looks for all orders at once: a reader an order would be a load of its own.
/// </summary>
internal static class LiveBenchmark
{
    /// <summary>A 99th percentile needs more than a throughput: so many times as long.</summary>
    public const int LengthFactor = 4;

    private const int ClicksPerSecond = 2_000;
    private const int OrdersPerSecond = 20;
    private const double LimitMilliseconds = 500;
    private const double AimOfRate = 0.99;

    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int seconds, CancellationToken cancellation)
    {
        await using var system = await LiveSystem.StartAsync(cancellation);
        await system.RunAsync("warm-up", s_warmUp, cancellation);
        var (median, last, rate) = (new List<double>(), new List<double>(), new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            var load = await system.RunAsync($"round-{round}", TimeSpan.FromSeconds(seconds), cancellation);
            median.Add(Percentile(load.Milliseconds, 0.50));
            last.Add(Percentile(load.Milliseconds, 0.99));
            rate.Add(load.ClicksPerSecond);
        }

        var what = $"201 of an order → its credit is visible, {ClicksPerSecond:N0} clicks/s and {OrdersPerSecond} orders/s";
        double[] limits = [.. last.Select(_ => LimitMilliseconds)];
        return
        [
            Measured.Of("live", $"{what}, p50", "ms", median, "the limit", limits, aim: 1),
            Measured.Of("live", $"{what}, p99", "ms", last, "the limit", limits, aim: 1),
            Measured.Of("live", "clicks that arrived in the attribution log meanwhile", "clicks/s", rate, "offered", [.. rate.Select(_ => (double)ClicksPerSecond)], AimOfRate),
        ];
    }

    private static double Percentile(IReadOnlyList<double> values, double part)
    {
        var sorted = values.Order().ToArray();
        return sorted[Math.Min(sorted.Length - 1, (int)Math.Ceiling(part * sorted.Length) - 1)];
    }

    private sealed record Load(IReadOnlyList<double> Milliseconds, double ClicksPerSecond);

    private sealed class LiveSystem(string folder, NpgsqlDataSource database, Process[] servers, int edge, int conversions) : IAsyncDisposable
    {
        private readonly HttpClient _visitors = Client(edge);
        private readonly HttpClient _shop = Client(conversions);
        private readonly ConcurrentQueue<string> _recent = new();
        private readonly ConcurrentDictionary<Guid, TaskCompletionSource> _waiting = new();
        private long _failed;

        public static async Task<LiveSystem> StartAsync(CancellationToken cancellation)
        {
            var folder = Directory.CreateTempSubdirectory("pulse-live-").FullName;
            var address = await TestServers.NewDatabaseAsync(cancellation);
            var (edge, conversions, attribution) = (Ports.Free($"{folder}/edge"), Ports.Free($"{folder}/conversions"), Ports.Free($"{folder}/attribution"));
            (string, string)[] settings =
            [
                ("Bus__Transport", "rabbitmq"),
                ("Bus__RabbitMq", await TestServers.NewVirtualHostAsync(cancellation)),
                ("ConnectionStrings__Postgres", address),
                ("Conversions__CustomerKeyFile", Path.Combine(folder, "customer.key")),
                ("Conversions__Attribution__Url", $"http://127.0.0.1:{attribution}"),
                ("Conversions__Attribution__Key", "bench"),
            ];
            Process[] servers =
            [
                BenchServers.Start(BenchServers.Attribution, Path.Combine(folder, "attribution"), attribution, settings),
                BenchServers.Start(BenchServers.Conversions, Path.Combine(folder, "conversions"), conversions, settings),
                BenchServers.Start(nameof(Durability.Disk), Path.Combine(folder, "edge"), edge, settings),
            ];
            var system = new LiveSystem(folder, NpgsqlDataSource.Create(address), servers, edge, conversions);
            await Task.WhenAll(new[] { conversions, attribution }.Select(port => BenchServers.UntilReadyAsync(port, cancellation)));
            await BenchServers.UntilUpAsync(edge, BenchServers.Slug(0), cancellation);
            return system;
        }

        /// <summary>Clicks and orders at their rates; returns when every order of it has its credit.</summary>
        public async Task<Load> RunAsync(string source, TimeSpan length, CancellationToken cancellation)
        {
            var latencies = new ConcurrentBag<double>();
            var before = await ClicksAsync(cancellation);
            var watch = Stopwatch.StartNew();
            var (clicks, orders) = (new List<Task>(), new List<Task>());
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var looking = LookAsync(over.Token);
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
            while (watch.Elapsed < length && await tick.WaitForNextTickAsync(cancellation))
            {
                // What is due by now is sent whether the answers of before have come or not.
                for (var due = (int)(watch.Elapsed.TotalSeconds * ClicksPerSecond); clicks.Count < due;)
                {
                    clicks.Add(FollowAsync(clicks.Count, cancellation));
                }

                for (var due = (int)(watch.Elapsed.TotalSeconds * OrdersPerSecond); orders.Count < due && !_recent.IsEmpty;)
                {
                    orders.Add(OrderAsync($"{source}-{orders.Count}", latencies, cancellation));
                }
            }

            // Of the clicks that came in until now: what arrives afterwards came too late.
            var arrived = await ClicksAsync(cancellation) - before;
            var elapsed = watch.Elapsed.TotalSeconds;
            await Task.WhenAll(clicks.Concat(orders));
            await over.CancelAsync();
            await looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return _failed == 0
                ? new Load([.. latencies], arrived / elapsed)
                : throw new InvalidOperationException($"{_failed} of {clicks.Count} clicks were not redirected.");
        }

        private async Task FollowAsync(int number, CancellationToken cancellation)
        {
            using var response = await _visitors.GetAsync(
                new Uri($"/r/{BenchServers.Slug(number % BenchServers.Links)}", UriKind.Relative), HttpCompletionOption.ResponseHeadersRead, cancellation);
            if (response.StatusCode != HttpStatusCode.Found)
            {
                Interlocked.Increment(ref _failed);
                return;
            }

            const string Parameter = "pp_click=";
            var to = response.Headers.Location!.OriginalString;
            _recent.Enqueue(to.Substring(to.IndexOf(Parameter, StringComparison.Ordinal) + Parameter.Length, 36));
            while (_recent.Count > 100 && _recent.TryDequeue(out _))
            {
            }
        }

        private async Task OrderAsync(string order, ConcurrentBag<double> latencies, CancellationToken cancellation)
        {
            _recent.TryDequeue(out var click);
            var at = TimeProvider.System.GetUtcNow();
            using var content = new StringContent(
                $$"""{"source":"live","orderId":"{{order}}","kind":"sale","occurredAt":"{{at:O}}","amount":"49.90","currency":"EUR","clickId":"{{click}}"}""",
                Encoding.UTF8, "application/json");
            using var response = await _shop.PostAsync(new Uri("/v1/conversions", UriKind.Relative), content, cancellation);
            if (response.StatusCode != HttpStatusCode.Created)
            {
                throw new InvalidOperationException($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellation)}");
            }

            var watch = Stopwatch.StartNew();
            var visible = _waiting.GetOrAdd(Ids.Conversion("main", "live", order), static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            await visible.Task.WaitAsync(s_patience, cancellation);
            latencies.Add(watch.Elapsed.TotalMilliseconds);
        }

        /// <summary>Finds out of which orders the credit is there.</summary>
        private async Task LookAsync(CancellationToken cancellation)
        {
            await using var connection = await database.OpenConnectionAsync(cancellation);
            while (true)
            {
                await using (var command = new NpgsqlCommand("select distinct conversion_id from attribution.credits where generation = 1 and conversion_id = any($1)", connection))
                {
                    command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. _waiting.Keys] });
                    await using var reader = await command.ExecuteReaderAsync(cancellation);
                    while (await reader.ReadAsync(cancellation))
                    {
                        if (_waiting.TryRemove(reader.GetGuid(0), out var visible))
                        {
                            visible.SetResult();
                        }
                    }
                }

                await Task.Delay(s_look, cancellation);
            }
        }

        private async Task<long> ClicksAsync(CancellationToken cancellation)
        {
            await using var command = database.CreateCommand($"select count(*) from attribution.mt_events where type = '{EventTypes.Of<ClickRecorded>().Name}'");
            return (long)(await command.ExecuteScalarAsync(cancellation))!;
        }

        public async ValueTask DisposeAsync()
        {
            _visitors.Dispose();
            _shop.Dispose();
            foreach (var server in servers)
            {
                await BenchServers.StopAsync(server);
            }

            await database.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }

        private static HttpClient Client(int port)
        {
            var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, MaxConnectionsPerServer = 256 })
            {
                BaseAddress = new Uri($"http://127.0.0.1:{port}"), Timeout = s_patience,
            };
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "bench");
            client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0");
            return client;
        }
    }
}
