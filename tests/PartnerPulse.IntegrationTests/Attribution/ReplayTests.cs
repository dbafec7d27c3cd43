using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>A replay at work: seen, waited for, stopped, and not taken up by an engine that did not begin it.</summary>
public sealed class ReplayTests
{
    /// <summary>Three chunks, the last one not full.</summary>
    private const int Orders = 5_000;

    private const int Chunk = 2_000;

    private static readonly DateTimeOffset s_at = new(2026, 5, 1, 12, 0, 0, TimeSpan.Zero);

    [PostgresTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_replay_says_how_far_and_how_fast_it_is_and_stops_at_the_next_commit_when_it_is_discarded(bool inMemory)
    {
        await using var service = await StartAsync(inMemory);
        await using var source = NpgsqlDataSource.Create(service.Database);

        // A row of the second chunk that nobody has committed: the copy of that chunk waits for it.
        const string Third = "(select conversion_id from attribution.journeys order by changed_at, conversion_id offset 3000 limit 1)";
        await using var holding = await source.OpenConnectionAsync();
        await using var held = await holding.BeginTransactionAsync();
        await RunAsync(
            holding,
            $"insert into attribution.credits select 2, conversion_id, click_id, 'nobody', null, null, 1, 0, 0 from attribution.credits where conversion_id = {Third}");
        var replay = await RequestAsync(service, "linear");
        using var progress = new Progress(service, replay);
        var waiting = await service.UntilAsync($"/v1/replays/{replay}", view => view.GetProperty("done").GetInt64() == Chunk);
        Assert.Equal("running", waiting.GetProperty("state").GetString());
        Assert.Equal(Orders, waiting.GetProperty("total").GetInt64());
        var (rate, eta) = (waiting.GetProperty("rate").GetDouble(), waiting.GetProperty("etaSeconds").GetDouble());
        Assert.Equal((Orders - Chunk) / rate, eta, tolerance: 0.01);
        await progress.UntilAsync(view => view.GetProperty("done").GetInt64() == Chunk);

        var discarding = service.DeleteAsync($"/v1/replays/{replay}");
        await Waits.UntilAsync("the discard waits for the replay", async () => await ScalarAsync<long>(
            source, "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'") == 1);
        await held.RollbackAsync();
        (await discarding).AssertStatus(HttpStatusCode.NoContent);
        Assert.Equal("discarded", (await progress.LastAsync()).GetProperty("state").GetString());

        // It stopped before the third chunk, and nothing of it is left.
        await Waits.UntilAsync("it is emptied", async () => await ScalarAsync<long>(source, "select folded_to from attribution.generations where generation = 2") == -1);
        Assert.InRange(await ScalarAsync<long>(source, "select done from attribution.generations where generation = 2"), Chunk, 2 * Chunk);
        Assert.Equal(0L, await ScalarAsync<long>(source, "select (select count(*) from attribution.uncredited where generation = 2) + (select count(*) from attribution.credits where generation = 2)"));
        Assert.Equal(Orders, await ScalarAsync<long>(source, "select count(distinct conversion_id) from attribution.credits where generation = 1"));
    }

    [PostgresFact]
    public async Task Two_replays_are_at_work_at_once_and_a_third_waits_for_its_turn()
    {
        await using var service = await StartAsync();
        await using var source = NpgsqlDataSource.Create(service.Database);
        await using var other = await source.OpenConnectionAsync();

        // As if another process were at work on the first two.
        await RunAsync(other, "select pg_advisory_lock(hashtextextended('pulse:attribution.replay.2', 0)), pg_advisory_lock(hashtextextended('pulse:attribution.replay.3', 0))");
        var replays = new[] { await RequestAsync(service, "linear"), await RequestAsync(service, "last-touch"), await RequestAsync(service, "time-decay") };
        using var progress = new Progress(service, replays[2]);
        Assert.Equal("queued", (await progress.UntilAsync(_ => true)).GetProperty("state").GetString());
        Assert.Equal(["running", "running", "queued"], await StatesAsync(service, replays));

        // One of them leaves an older version in force for some.
        await RunAsync(other, "update attribution.generations set under = '{1}' where generation = 3");
        await RunAsync(other, "select pg_advisory_unlock_all()");
        Assert.Equal("ready", (await progress.LastAsync()).GetProperty("state").GetString());
        foreach (var replay in replays)
        {
            await service.ReadyAsync(replay);
        }

        for (var generation = 2; generation <= 4; generation++)
        {
            Assert.Equal(Orders, await ScalarAsync<long>(source, $"select count(distinct conversion_id) from attribution.credits where generation = {generation}"));
            Assert.Equal(Orders, await ScalarAsync<decimal>(source, $"select sum(share) from attribution.credits where generation = {generation}"));
        }
    }

    [PostgresFact]
    public async Task A_replay_that_another_engine_began_fails_and_says_so()
    {
        await using var service = await StartAsync();
        await using var source = NpgsqlDataSource.Create(service.Database);
        await using var other = await source.OpenConnectionAsync();
        await RunAsync(other, "select pg_advisory_lock(hashtextextended('pulse:attribution.replay.2', 0))");
        var replay = await RequestAsync(service, "linear");
        await RunAsync(other, "update attribution.generations set engine_version = 'older' where generation = 2");
        await RunAsync(other, "select pg_advisory_unlock_all()");

        var failed = await service.UntilAsync($"/v1/replays/{replay}", view => view.GetProperty("state").GetString() == "failed");
        Assert.Contains("Engine older began it", failed.GetProperty("reason").GetString(), StringComparison.Ordinal);
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.Conflict);
    }

    private static async Task<TestService> StartAsync(bool inMemory = true)
    {
        var service = await TestService.StartAsync(
            builder =>
            {
                builder.Configuration["Attribution:ReplayCommit"] = Chunk.ToString(CultureInfo.InvariantCulture);
                builder.Configuration["Attribution:WhatIfMegabytes"] = inMemory ? "64" : "0";
                builder.AddAttribution();
            },
            app => app.MapAttribution());
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await log.AppendAsync(Enumerable.Range(0, Orders).SelectMany(Order).Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
        await service.ProjectedAsync();
        return service;
    }

    /// <summary>Two clicks and an order of one visitor.</summary>
    private static IEvent[] Order(int number)
    {
        var id = Ids.Conversion("main", "shop", $"{number}");
        return
        [
            Click("alpha", number, 2),
            Click("bravo", number, 1),
            new ConversionRecorded
            {
                EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = s_at, Kind = ConversionKind.Sale, Source = "shop", OrderId = $"{number}",
                VisitorId = $"visitor-{number}", AmountMinor = 1_001, Currency = "EUR",
            },
        ];
    }

    private static ClickRecorded Click(string partner, int number, int daysBefore) => new()
    {
        EventId = Ids.Derive("replay-click", partner, $"{number}"), ProgramId = "main", OccurredAt = s_at.AddDays(-daysBefore), PartnerId = partner,
        VisitorId = $"visitor-{number}", Via = ClickVia.Import,
    };

    private static async Task<Guid> RequestAsync(TestService service, string model) =>
        (await service.PostAsync("/v1/replays", $$"""{"rules":{"name":"{{model}}","model":{"kind":"{{model}}"} } }""")).AssertStatus(HttpStatusCode.Accepted)
            .Json.GetProperty("id").GetGuid();

    private static async Task<string[]> StatesAsync(TestService service, Guid[] replays)
    {
        var all = (await service.GetAsync("/v1/replays")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("replays").EnumerateArray()
            .ToDictionary(view => view.GetProperty("id").GetGuid(), view => view.GetProperty("state").GetString()!);
        return [.. replays.Select(id => all[id])];
    }

    private static async Task<T> ScalarAsync<T>(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    private static async Task RunAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>The server-sent events of a replay, as a browser would read them.</summary>
    private sealed class Progress : IDisposable
    {
        private readonly HttpClient _http = new();
        private readonly IAsyncEnumerator<JsonElement> _events;
        private JsonElement _last;

        public Progress(TestService service, Guid replay) => _events = ReadAsync(new Uri(service.Address, $"/v1/replays/{replay}/progress")).GetAsyncEnumerator();

        public async Task<JsonElement> UntilAsync(Func<JsonElement, bool> holds)
        {
            while (await _events.MoveNextAsync())
            {
                _last = _events.Current;
                if (holds(_last))
                {
                    return _last;
                }
            }

            throw new InvalidOperationException($"The stream ended with {_last}.");
        }

        /// <summary>The event with which the stream ends by itself.</summary>
        public async Task<JsonElement> LastAsync()
        {
            while (await _events.MoveNextAsync())
            {
                _last = _events.Current;
            }

            return _last;
        }

        public void Dispose() => _http.Dispose();

        private async IAsyncEnumerable<JsonElement> ReadAsync(Uri address)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{Scope.Admin}");
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
            while (await reader.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("data:", StringComparison.Ordinal))
                {
                    yield return JsonDocument.Parse(line["data:".Length..]).RootElement;
                }
            }
        }
    }
}
