using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>
/// Kills what runs, without warning and under load, and then counts: what was acknowledged is in the log, once, and the credits
/// are those of one fold. The system is the one that <c>pulse up --distributed</c> starts, and its own supervisor starts again
/// what was killed.
/// </summary>
[Collection(WholeSystems.Name)]
public sealed class KillTests(ITestOutputHelper output)
{
    private const int Clients = 10;
    private const int Partners = 4;

    private static readonly string[] s_victims = ["edge", "attribution", "conversions", "rabbitmq"];

    private readonly Stopwatch _clock = Stopwatch.StartNew();

    [ServersFact]
    public async Task Nothing_that_was_acknowledged_is_lost_or_counted_twice_whatever_is_killed()
    {
        var seed = Seeds.Number(output);
        await using var system = await PulseSystem.StartAsync(Mode.Distributed, ownBroker: true);
        Say("the system is up");
        var slugs = new string[Partners];
        for (var partner = 0; partner < Partners; partner++)
        {
            slugs[partner] = await system.EnrolAsync($"p{partner}");
        }

        await system.UseRulesAsync(new
        {
            name = "linear", model = new { kind = "linear" }, windowDays = 60, repeatMinutes = 0, commission = new[] { new { percent = 10 } },
        });

        var told = new Acknowledged();
        using var loaded = new CancellationTokenSource();
        var clients = Enumerable.Range(0, Clients).Select(i => new Client(i, new Random(seed + i), system, slugs, told).RunAsync(loaded.Token)).ToArray();
        var killed = await KillAsync(system, new Random(seed), told);
        await Task.Delay(TimeSpan.FromSeconds(1));
        await loaded.CancelAsync();
        await Task.WhenAll(clients);

        Say($"{killed} kills; acknowledged {told.Clicks.Count} clicks, {told.Orders.Count} orders, {told.Adjustments.Count} adjustments; {told.Failures} requests failed");
        await system.SettleAsync(TimeSpan.FromMinutes(2));
        Say("settled");

        await AssertAllIsThereOnceAsync(system, told);
        await system.AssertCreditsAreThoseOfOneFoldAsync();

        (await system.PostAsync("/v1/rebuild")).AssertStatus(HttpStatusCode.Accepted);
        await system.SettleAsync();
        Say("rebuilt");
        await system.AssertCreditsAreThoseOfOneFoldAsync();
    }

    /// <summary>Round after round each victim once: first with time to get up again, then one upon the other.</summary>
    private async Task<int> KillAsync(PulseSystem system, Random random, Acknowledged told)
    {
        var killed = 0;
        var rounds = Seeds.IsLong ? 6 : 2;
        for (var round = 0; round < rounds; round++)
        {
            var victims = s_victims.ToArray();
            random.Shuffle(victims);
            foreach (var victim in victims)
            {
                await Task.Delay(random.Next(500, 1_500));
                if (victim == "rabbitmq")
                {
                    // The broker itself, not a script that waits for it.
                    Assert.StartsWith("beam", await File.ReadAllTextAsync($"/proc/{system.Process(victim).Pid}/comm"), StringComparison.Ordinal);
                }

                Say($"kill -9 {victim} at {told.Clicks.Count} clicks, {told.Orders.Count} orders");
                await system.KillAsync(victim);
                killed++;
                if (round % 2 == 0)
                {
                    await system.UntilReadyAsync(victim);
                }
            }
        }

        foreach (var victim in s_victims)
        {
            await system.UntilReadyAsync(victim);
        }

        return killed;
    }

    private void Say(string what) => output.WriteLine($"{_clock.Elapsed.TotalSeconds,5:0.0} s  {what}");

    private async Task AssertAllIsThereOnceAsync(PulseSystem system, Acknowledged told)
    {
        var log = await system.ReadLogAsync();
        var times = log.GroupBy(e => e.EventId).ToDictionary(g => g.Key, g => g.Count());
        Assert.All(times, t => Assert.Equal(1, t.Value));
        Assert.Empty(told.Clicks.Except(times.Keys));
        Assert.Empty(told.Orders.Except(times.Keys));
        Assert.Empty(told.Adjustments.Except(times.Keys));
        Assert.Equal(told.Orders.Count, log.OfType<ConversionRecorded>().Count());
        Assert.Equal(told.Adjustments.Count, log.OfType<ConversionAdjusted>().Count());
        var clicks = log.OfType<ClickRecorded>().Count(c => c.Signals?.Method != "HEAD");
        Say($"the log holds {clicks} clicks ({clicks - told.Clicks.Count} of them were never acknowledged), {log.Count} events");
        // The load was one: an edge that was away all the time would pass everything else.
        Assert.True(told.Clicks.Count > 200 && told.Orders.Count > 100, "There was no load to speak of.");
    }

    /// <summary>What the system said it had.</summary>
    private sealed class Acknowledged
    {
        private int _failures;

        public ConcurrentBag<Guid> Clicks { get; } = [];
        public ConcurrentBag<Guid> Orders { get; } = [];
        public ConcurrentBag<Guid> Adjustments { get; } = [];
        public int Failures => Volatile.Read(ref _failures);

        public void Failed() => Interlocked.Increment(ref _failures);
    }

    /// <summary>A shop and its visitors: they click, some order, few send something back. Orders are sent until they are taken.</summary>
    private sealed class Client(int number, Random random, PulseSystem system, string[] slugs, Acknowledged told)
    {
        private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

        public async Task RunAsync(CancellationToken stop)
        {
            for (var order = 0; !stop.IsCancellationRequested; order++)
            {
                var clicks = new List<Guid>();
                for (var i = random.Next(1, 4); i > 0; i--)
                {
                    if (await ClickAsync() is { } click)
                    {
                        clicks.Add(click);
                    }
                }

                // Shops are not in a hurry: what was killed has to start again on the same cores.
                await Task.Delay(random.Next(5, 50), CancellationToken.None);
                var orderId = $"{number}-{order}";
                var body = new
                {
                    source = "shop",
                    orderId,
                    kind = "sale",
                    amount = $"{random.Next(1, 500)}.{random.Next(100):00}",
                    currency = "EUR",
                    occurredAt = TimeProvider.System.GetUtcNow(),
                    clickId = clicks.Count == 0 ? (Guid?)null : clicks[random.Next(clicks.Count)],
                    // A customer comes back a few times, and all its clicks then meet.
                    customer = $"customer-{number}-{order / 4}",
                };
                told.Orders.Add((await UntilTakenAsync("/v1/conversions", body)).GetProperty("conversionId").GetGuid());
                if (random.Next(5) == 0)
                {
                    var refund = new { id = "r", amount = "-0.50", currency = "EUR", reason = "refund", occurredAt = TimeProvider.System.GetUtcNow() };
                    told.Adjustments.Add((await UntilTakenAsync($"/v1/conversions/shop/{orderId}/adjustments", refund)).GetProperty("adjustmentId").GetGuid());
                }
            }
        }

        private async Task<Guid?> ClickAsync()
        {
            if (await SendAsync(() => system.GetAsync($"/r/{slugs[random.Next(slugs.Length)]}?utm_campaign=load-{number}", key: "")) is not { Status: HttpStatusCode.Found } answer)
            {
                await Task.Delay(20);
                return null;
            }

            var click = PulseSystem.ClickId(answer.Location!.OriginalString);
            told.Clicks.Add(click);
            return click;
        }

        private async Task<JsonElement> UntilTakenAsync(string path, object body)
        {
            var waited = Stopwatch.StartNew();
            while (true)
            {
                var answer = await SendAsync(() => system.PostAsync(path, body));
                if (answer is { Status: HttpStatusCode.Created or HttpStatusCode.OK })
                {
                    return answer.Json;
                }

                Assert.True(answer is null || (int)answer.Status >= 500, $"{path} was refused: {answer?.Text}");
                Assert.True(waited.Elapsed < s_patience, $"{path} was not taken in {s_patience.TotalSeconds} s: {answer?.Text}");
                await Task.Delay(50);
            }
        }

        /// <summary>Null where the connection broke: nobody knows what became of it.</summary>
        private async Task<Answer?> SendAsync(Func<Task<Answer>> send)
        {
            try
            {
                var answer = await send();
                if ((int)answer.Status >= 500)
                {
                    told.Failed();
                }

                return answer;
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                told.Failed();
                return null;
            }
        }
    }
}
