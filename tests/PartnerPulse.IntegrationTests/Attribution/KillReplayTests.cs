using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using PartnerPulse.Tests;
using PartnerPulse.Tests.AttributionCore;
using Xunit.Abstractions;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>
/// Attribution as a process of its own, killed without warning in the middle of replays and of promotions. Afterwards one generation
/// counts, each generation is what one fold of the log under its rules gives, and what was told adds up to it.
/// </summary>
[Collection(WholeSystems.Name)]
public sealed class KillReplayTests(ITestOutputHelper output)
{
    private const int Orders = 4_000;

    private static readonly DateTimeOffset s_at = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Twenty each in a long run, as a release is tested.</summary>
    private static int Kills => Seeds.IsLong ? 20 : 5;

    [PostgresFact]
    public async Task A_replay_that_is_killed_goes_on_and_ends_as_if_nothing_had_happened()
    {
        var random = Seeds.Random(output);
        await using var victim = await Victim.StartAsync();
        await victim.AppendAsync(0, Orders);
        await victim.SettleAsync();
        var (before, interrupted) = (0, 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            var model = kill % 2 == 0 ? "linear" : "last-touch";
            var (replay, generation) = await victim.RequestReplayAsync(model);
            await Task.Delay(random.Next(0, 400));

            // Something comes in while nobody is there to fold it.
            await victim.KillAsync();
            var done = await victim.ScalarAsync($"select coalesce(max(done), -1) from attribution.generations where generation = {generation}");
            (before, interrupted) = done switch { < Orders and > 0 => (before, interrupted + 1), _ => (before + 1, interrupted) };
            await victim.AppendAsync(Orders + (kill * 20), 20);
            victim.WhatIfMegabytes = kill % 3 == 2 ? 0 : 64;
            await victim.RunAsync();
            await victim.UntilReadyAsync(replay);
            await victim.SettleAsync();
            await victim.AssertGenerationIsOneFoldAsync(generation, model);
            await victim.AssertGenerationIsOneFoldAsync(1, "first-touch");
            await victim.DiscardAsync(replay);
        }

        output.WriteLine($"{Kills} kills; {interrupted} in the middle of the first pass, {before} before or after it");
    }

    [PostgresFact]
    public async Task A_promotion_that_is_killed_counts_whole_or_not_at_all_and_is_told_once()
    {
        var random = Seeds.Random(output);
        await using var victim = await Victim.StartAsync();
        await victim.AppendAsync(0, Orders);
        await victim.SettleAsync();
        var (replay, generation) = await victim.RequestReplayAsync("linear");
        await victim.UntilReadyAsync(replay);
        (Guid Replay, int Generation, string Model)[] sides = [(Ids.Derive("first-replay", "main"), 1, "first-touch"), (replay, generation, "linear")];
        var counts = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            // The other one, with something to catch up on.
            var asked = 1 - counts;
            await victim.AppendAsync(Orders + (kill * 20), 20);
            var promoting = victim.TryPromoteAsync(sides[asked].Replay);
            await Task.Delay(random.Next(0, 500));
            await victim.KillAsync();
            await promoting;
            var promoted = await victim.ScalarAsync(
                $"select count(*) from attribution.mt_events where type = 'replay_promoted' and data ->> 'generation' = '{sides[asked].Generation}' "
                + $"and seq_id > (select max(seq_id) from attribution.mt_events where type = 'replay_promoted' and data ->> 'generation' = '{sides[counts].Generation}')");
            await victim.RunAsync();
            await victim.SettleAsync();

            // Whoever was told that it is promoted, or found it in the log, finds that it counts.
            counts = promoted > 0 ? asked : counts;
            Assert.Equal(sides[counts].Generation, await victim.ScalarAsync("select generation from attribution.generations where state = 'active'"));
            await victim.AssertGenerationIsOneFoldAsync(sides[counts].Generation, sides[counts].Model);
            output.WriteLine($"kill {kill}: {(promoted > 0 ? "promoted" : "not promoted")}, generation {sides[counts].Generation} counts");
        }

        await victim.AssertToldAddsUpAsync(sides[counts].Generation);
    }

    private sealed class Victim : IAsyncDisposable
    {
        private const string Key = "key-of-the-test";
        private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

        private readonly string _folder = Directory.CreateTempSubdirectory("pulse-victim-").FullName;
        private readonly HttpClient _http = new() { Timeout = s_patience };
        private readonly NpgsqlDataSource _database;
        private readonly EventLog _log;
        private readonly ProcessSpec _spec;
        private ChildProcess? _process;

        private Victim(string database)
        {
            _database = NpgsqlDataSource.Create(database);
            _log = new EventLog(_database, "attribution");
            var port = FreePort();
            var keys = Path.Combine(_folder, "keys.json");
            File.WriteAllText(keys, JsonSerializer.Serialize(new[] { new ApiKey("test", ApiKey.Hash(Key), [Scope.Admin], "main") }, JsonSerializerOptions.Web));
            _http.BaseAddress = new Uri($"http://127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}");
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Key);
            _spec = new ProcessSpec
            {
                Name = "attribution",
                FileName = Shell.Find("dotnet")!,
                Arguments = [Path.Combine(AppContext.BaseDirectory, "PartnerPulse.Attribution.dll")],
                LogFile = Path.Combine(_folder, "attribution.log"),
                WorkingDirectory = _folder,
                Environment = new Dictionary<string, string?>(StringComparer.Ordinal)
                {
                    ["ASPNETCORE_URLS"] = _http.BaseAddress.OriginalString,
                    ["ConnectionStrings__Postgres"] = database,
                    ["Keys__File"] = keys,

                    // Many commits, of which a kill hits one.
                    ["Attribution__ReplayCommit"] = "100",

                    // It lives for seconds: code that is compiled well is code that is never run.
                    ["DOTNET_TieredPGO"] = "0",
                },
            };
        }

        public static async Task<Victim> StartAsync()
        {
            var victim = new Victim(await TestServers.NewDatabaseAsync());
            await victim.RunAsync();
            return victim;
        }

        /// <summary>0: replays read the journeys from their table.</summary>
        public int WhatIfMegabytes { get; set; } = 64;

        public async Task RunAsync()
        {
            _process = ChildProcess.Start(_spec with
            {
                Environment = new Dictionary<string, string?>(_spec.Environment, StringComparer.Ordinal)
                {
                    ["Attribution__WhatIfMegabytes"] = WhatIfMegabytes.ToString(CultureInfo.InvariantCulture),
                },
            });
            await UntilAsync("Attribution answers", async () => (await _http.GetAsync(new Uri("/live", UriKind.Relative))).IsSuccessStatusCode);
        }

        public async Task KillAsync()
        {
            Assert.True(Signals.Send(_process!.Identity.Pid, Signal.Kill));
            await _process.WaitForExitAsync(CancellationToken.None);
            _process.Dispose();
            _process = null;
        }

        /// <summary>Two clicks through two partners and an order, each of a visitor of its own; some orders of one customer.</summary>
        public Task AppendAsync(int first, int count) =>
            _log.AppendAsync(Enumerable.Range(first, count).SelectMany(Order).Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

        public async Task<(Guid Replay, int Generation)> RequestReplayAsync(string model)
        {
            using var response = await _http.PostAsJsonAsync("/v1/replays", new { rules = new { name = model, model = new { kind = model } } });
            var body = await response.Content.ReadFromJsonAsync<JsonElement>();
            Assert.True(response.StatusCode == HttpStatusCode.Accepted, $"{body}");
            return (body.GetProperty("id").GetGuid(), body.GetProperty("generation").GetInt32());
        }

        /// <summary>The connection breaks where the process is killed meanwhile.</summary>
        public async Task TryPromoteAsync(Guid replay)
        {
            try
            {
                using var response = await _http.PostAsync(new Uri($"/v1/replays/{replay}/promotion", UriKind.Relative), content: null);
            }
            catch (HttpRequestException)
            {
                // Killed: nobody knows what became of it.
            }
        }

        public async Task DiscardAsync(Guid replay)
        {
            using var response = await _http.DeleteAsync(new Uri($"/v1/replays/{replay}", UriKind.Relative));
            Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        }

        public Task UntilReadyAsync(Guid replay) => UntilAsync($"replay {replay} is ready", async () =>
            (await _http.GetFromJsonAsync<JsonElement>($"/v1/replays/{replay}")).GetProperty("state").GetString() == "ready");

        /// <summary>Everything in the log is folded, by the complete replays as well, and told.</summary>
        public Task SettleAsync() => UntilAsync("all is folded and told", async () =>
            await _log.CheckpointAsync("projector", CancellationToken.None) == await _log.LastPositionAsync(CancellationToken.None)
            && await ScalarAsync("select count(*) from attribution.untold_revisions") == 0
            && await ScalarAsync(
                """
                select count(*) from attribution.generations g join attribution.journeys j on (j.changed_at, j.conversion_id) > (g.folded_to, g.folded_conversion)
                 where g.state in ('ready', 'active')
                """) == 0);

        public async Task<long> ScalarAsync(string sql)
        {
            await using var command = _database.CreateCommand(sql);
            return Convert.ToInt64(await command.ExecuteScalarAsync(), CultureInfo.InvariantCulture);
        }

        public async Task AssertGenerationIsOneFoldAsync(int generation, string model)
        {
            Model kind = model switch { "linear" => new Linear(), "last-touch" => new LastTouch(), _ => new FirstTouch() };
            var history = History.Fold(await ReadLogAsync());
            Assert.Equal(Ledger.Of(history, TestBots.Default with { Model = kind }), await Ledger.ReadAsync(_database, generation));
        }

        /// <summary>Of each conversion, one revision begins where the one before it ended, and the last ends at what counts.</summary>
        public async Task AssertToldAddsUpAsync(int generation)
        {
            var last = new Dictionary<Guid, IReadOnlyList<PartnerCredit>>();
            foreach (var revised in (await ReadLogAsync()).OfType<CreditsRevised>())
            {
                Assert.Equal(last.GetValueOrDefault(revised.ConversionId, []), revised.Before);
                Assert.NotEqual(revised.Before, revised.After);
                last[revised.ConversionId] = revised.After;
            }

            await using var command = _database.CreateCommand(
                $"select conversion_id, partner_id, sum(share), sum(amount_minor)::bigint, sum(commission_minor)::bigint from attribution.credits where generation = {generation} group by 1, 2 order by 1, partner_id collate \"C\"");
            await using var reader = await command.ExecuteReaderAsync();
            var counts = new Dictionary<Guid, List<PartnerCredit>>();
            while (await reader.ReadAsync())
            {
                if (!counts.TryGetValue(reader.GetGuid(0), out var credits))
                {
                    counts[reader.GetGuid(0)] = credits = [];
                }

                credits.Add(new PartnerCredit
                {
                    PartnerId = reader.GetString(1), Share = reader.GetDecimal(2), AmountMinor = reader.GetInt64(3), CommissionMinor = reader.GetInt64(4),
                });
            }

            Assert.Equal(counts.Count, last.Count(told => told.Value.Count > 0));
            Assert.All(counts, conversion => Assert.Equal(conversion.Value, last[conversion.Key]));
        }

        public async ValueTask DisposeAsync()
        {
            if (_process is not null)
            {
                await KillAsync();
            }

            _http.Dispose();
            await _database.DisposeAsync();
            Directory.Delete(_folder, recursive: true);
        }

        private static IEnumerable<IEvent> Order(int number)
        {
            var id = Ids.Conversion("main", "shop", $"{number}");
            yield return Click("alpha", number, 2);
            yield return Click("bravo", number, 1);
            yield return new ConversionRecorded
            {
                EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = s_at.AddSeconds(number), Kind = ConversionKind.Sale, Source = "shop", OrderId = $"{number}",
                VisitorId = $"visitor-{number}", CustomerKey = number % 3 == 0 ? $"customer-{number % 2_000}" : null, AmountMinor = 1_001 + number, Currency = "EUR",
            };
        }

        private static ClickRecorded Click(string partner, int number, int daysBefore) => new()
        {
            EventId = Ids.Derive("kill-replay-click", partner, $"{number}"), ProgramId = "main", OccurredAt = s_at.AddSeconds(number).AddDays(-daysBefore), PartnerId = partner,
            VisitorId = $"visitor-{number}", UserAgent = TestBots.Browser, Via = ClickVia.Redirect,
        };

        private async Task<IReadOnlyList<IEvent>> ReadLogAsync()
        {
            var events = new List<IEvent>();
            await foreach (var stored in _log.StreamAllAsync(0, int.MaxValue, CancellationToken.None))
            {
                events.Add(EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span));
            }

            return events;
        }

        private async Task UntilAsync(string fact, Func<Task<bool>> holds)
        {
            var waited = Stopwatch.StartNew();
            while (true)
            {
                try
                {
                    if (await holds())
                    {
                        return;
                    }
                }
                catch (HttpRequestException)
                {
                    // It does not listen yet.
                }

                Assert.True(
                    !_process!.HasExited && waited.Elapsed < s_patience, $"Not after {waited.Elapsed.TotalSeconds:0} s: {fact}\n{string.Join('\n', LogFiles.Tail(_spec.LogFile, 20))}");
                await Task.Delay(20);
            }
        }

        private static int FreePort()
        {
            // Below those of outgoing connections, so that nobody takes it while the service is dead.
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
