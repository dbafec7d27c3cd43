using System.Diagnostics;
using System.Net.Http.Headers;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;
using RabbitMQ.Client;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// Orders a second from a shop to the attribution log, over plain INSERTs of the same rows into the same indexed tables by as many
/// connections and in pieces of the same size. Conversions, RabbitMQ and Attribution are each their own process.
/// </summary>
internal static class IntakeBenchmark
{
    private const int Senders = 64;
    private const int ListLength = 500;

    // Lists go so much faster that a measure of the same length needs more of them.
    private const int ListsFactor = 5;

    public static async Task<IReadOnlyList<Measured>> RunAsync(int rounds, int count, CancellationToken cancellation)
    {
        var (single, bus, singleInserts, lists, listInserts) = (new List<double>(), new List<double>(), new List<double>(), new List<double>(), new List<double>());
        await using var system = await IntakeSystem.StartAsync(cancellation);
        await system.SendAsync("warm-up", count, piece: 1, cancellation);
        for (var round = 0; round < rounds; round++)
        {
            single.Add(await system.SendAsync($"single-{round}", count, piece: 1, cancellation));
            bus.Add(await system.PublishAsync($"bus-{round}", count, cancellation));
            singleInserts.Add(await InsertAsync(count, piece: 1, cancellation));
            lists.Add(await system.SendAsync($"lists-{round}", count * ListsFactor, ListLength, cancellation));
            listInserts.Add(await InsertAsync(count * ListsFactor, ListLength, cancellation));
        }

        return
        [
            Measured.Of("intake", $"API, one order a request, {Senders} senders → attribution log", "orders/s", single, "plain INSERT, one order a commit", singleInserts, aim: null),
            Measured.Of("intake", "queue orders, one order a message → attribution log", "orders/s", bus, "plain INSERT, one order a commit", singleInserts, aim: null),
            Measured.Of("intake", $"API, {ListLength} orders a request → attribution log", "orders/s", lists, $"plain INSERT, {ListLength} orders a commit", listInserts, aim: null),
        ];
    }

    /// <summary>Orders a second into a log that nobody reads.</summary>
    private static async Task<double> InsertAsync(int count, int piece, CancellationToken cancellation)
    {
        await using var database = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(await TestServers.NewDatabaseAsync(cancellation)) { MaxPoolSize = Senders }.ToString()).Build();
        var log = new EventLog(database, AttributionService.Schema);
        await log.CreateSchemaAsync(cancellation);
        var events = Enumerable.Range(0, count).Select(i => Attribution.Intake.IntakeWriter.ToNewEvent(SeededHistory.Order("insert", i))).ToArray();
        var watch = Stopwatch.StartNew();
        await Parallel.ForEachAsync(events.Chunk(piece), Options(cancellation), async (some, token) => await LogTables.InsertAsync(log, some, token));
        return count / watch.Elapsed.TotalSeconds;
    }

    private static ParallelOptions Options(CancellationToken cancellation) => new() { MaxDegreeOfParallelism = Senders, CancellationToken = cancellation };

    /// <summary>The services on the way of an order.</summary>
    private sealed class IntakeSystem(string folder, NpgsqlDataSource database, Process[] servers, Uri conversions, Uri broker) : IAsyncDisposable
    {
        private readonly HttpClient _http = new(new SocketsHttpHandler { MaxConnectionsPerServer = Senders }) { BaseAddress = conversions, Timeout = TimeSpan.FromMinutes(2) };
        private readonly EventLog _log = new(database, AttributionService.Schema);

        public static async Task<IntakeSystem> StartAsync(CancellationToken cancellation)
        {
            var folder = Directory.CreateTempSubdirectory("pulse-intake-").FullName;
            var address = await TestServers.NewDatabaseAsync(cancellation);
            var broker = await TestServers.NewVirtualHostAsync(cancellation);
            var (conversions, attribution) = (Ports.Free($"{folder}/conversions"), Ports.Free($"{folder}/attribution"));
            (string, string)[] settings =
            [
                ("Bus__Transport", "rabbitmq"),
                ("Bus__RabbitMq", broker),
                ("ConnectionStrings__Postgres", address),
                ("Conversions__CustomerKeyFile", Path.Combine(folder, "customer.key")),
                ("Conversions__Attribution__Url", $"http://127.0.0.1:{attribution}"),
                ("Conversions__Attribution__Key", "bench"),
            ];
            Process[] servers =
            [
                BenchServers.Start(BenchServers.Attribution, Path.Combine(folder, "attribution"), attribution, settings),
                BenchServers.Start(BenchServers.Conversions, Path.Combine(folder, "conversions"), conversions, settings),
            ];
            var system = new IntakeSystem(folder, NpgsqlDataSource.Create(address), servers, new Uri($"http://127.0.0.1:{conversions}"), new Uri(broker));
            system._http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "bench");
            await Task.WhenAll(new[] { conversions, attribution }.Select(port => BenchServers.UntilReadyAsync(port, cancellation)));
            return system;
        }

        /// <summary>Orders a second from the first request until the last order is in the attribution log.</summary>
        public async Task<double> SendAsync(string source, int count, int piece, CancellationToken cancellation)
        {
            var bodies = Enumerable.Range(0, count).Select(i => SeededHistory.OrderJson(source, i)).Chunk(piece)
                .Select(some => piece == 1 ? some[0] : $"[{string.Join(',', some)}]").ToArray();
            var before = await CountAsync(cancellation);
            var watch = Stopwatch.StartNew();
            await Parallel.ForEachAsync(bodies, Options(cancellation), async (body, token) =>
            {
                using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
                using var response = await _http.PostAsync(new Uri("/v1/conversions", UriKind.Relative), content, token);
                if (!response.IsSuccessStatusCode)
                {
                    throw new InvalidOperationException($"{(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(token)}");
                }
            });
            return await ArrivedAsync(before, count, watch, cancellation);
        }

        /// <summary>The same, put into the queue <c>orders</c>.</summary>
        public async Task<double> PublishAsync(string source, int count, CancellationToken cancellation)
        {
            await using var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync(cancellation);
            await using var channel = await connection.CreateChannelAsync(
                new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true), cancellation);
            var bodies = Enumerable.Range(0, count).Select(i => System.Text.Encoding.UTF8.GetBytes(SeededHistory.OrderJson(source, i))).ToArray();
            var before = await CountAsync(cancellation);
            var watch = Stopwatch.StartNew();
            await Parallel.ForEachAsync(bodies, Options(cancellation), async (body, token) => await channel.BasicPublishAsync(
                "", "orders", mandatory: true, new BasicProperties { ContentType = "application/json", Persistent = true }, body, token));
            return await ArrivedAsync(before, count, watch, cancellation);
        }

        private async Task<double> ArrivedAsync(long before, int count, Stopwatch watch, CancellationToken cancellation)
        {
            while (await CountAsync(cancellation) < before + count)
            {
                await Task.Delay(20, cancellation);
            }

            return count / watch.Elapsed.TotalSeconds;
        }

        public async ValueTask DisposeAsync()
        {
            _http.Dispose();
            foreach (var server in servers)
            {
                await BenchServers.StopAsync(server);
            }

            await database.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }

        // Orders alone are in this log: no rules are promoted, so no credit is revised.
        private async Task<long> CountAsync(CancellationToken cancellation)
        {
            await using var command = database.CreateCommand($"select count(*) from {_log.Schema}.mt_events");
            return (long)(await command.ExecuteScalarAsync(cancellation))!;
        }
    }
}
