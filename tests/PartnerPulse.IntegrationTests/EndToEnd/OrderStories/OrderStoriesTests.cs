using System.Collections.Concurrent;
using System.Net;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.EndToEnd.OrderStories;

/// <summary>
/// The same order stories told by every way in end in the same credits: in the order in which they happened, and shuffled with parts
/// of them twice.
/// </summary>
[Collection(WholeSystems.Name)]
public sealed class OrderStoriesTests(RunningSystems systems, ITestOutputHelper output)
{
    private const int Shuffles = 200;
    private const int Senders = 8;

    [ServersFact]
    public async Task Every_way_in_tells_the_same_stories_and_the_credits_are_the_same()
    {
        var (system, stage) = await SetUpAsync();
        var plays = new List<(string What, Told Told, string Source)>();
        foreach (var way in WayIn.All)
        {
            foreach (var story in OrderStory.All)
            {
                var told = story.Tell(stage.Play());
                foreach (var delivery in way.Deliveries(told.Facts))
                {
                    await delivery(system);
                }

                plays.Add(($"{story} by {way}", told, way.Source));
            }
        }

        await AssertCreditsAsync(system, plays);
    }

    [ServersFact]
    public async Task Stories_that_are_shuffled_and_told_twice_end_in_the_same_credits()
    {
        var (system, stage) = await SetUpAsync();
        var random = Seeds.Random(output);
        var plays = new List<(string What, Told Told, string Source)>();
        var senders = new List<Delivery[]>();
        foreach (var story in OrderStory.All)
        {
            for (var i = 0; i < Shuffles; i++)
            {
                // Each way in turn, so that all of them meet every story.
                var way = WayIn.All[i % WayIn.All.Count];
                var told = story.Tell(stage.Play());
                var deliveries = way.Deliveries(told.Facts).ToList();
                deliveries.AddRange([.. deliveries.Where(_ => random.Next(2) == 0)]);
                var shuffled = deliveries.ToArray();
                random.Shuffle(shuffled);
                senders.Add(shuffled);
                plays.Add(($"shuffle {i} of {story} by {way}", told, way.Source));
            }
        }

        await Parallel.ForEachAsync(senders, new ParallelOptions { MaxDegreeOfParallelism = Senders }, async (deliveries, _) =>
        {
            foreach (var delivery in deliveries)
            {
                await delivery(system);
            }
        });
        await AssertCreditsAsync(system, plays);
    }

    private async Task<(PulseSystem System, Stage Stage)> SetUpAsync()
    {
        var system = await systems.GetAsync(Mode.Distributed);
        var own = $"{Guid.NewGuid():N}"[..6];
        var stage = new Stage(own, TimeProvider.System.GetUtcNow());
        foreach (var partner in new[] { stage.Alpha, stage.Bravo, stage.Coral })
        {
            await system.EnrolAsync(partner);
        }

        (await system.PostAsync("/v1/coupons", new { code = stage.Coupon, partner = stage.Coral, from = stage.Now.AddDays(-100) })).AssertStatus(HttpStatusCode.Created);
        foreach (var way in WayIn.All)
        {
            await way.SetUpAsync(system);
        }

        await system.UseRulesAsync(OrderStory.Rules);
        return (system, stage);
    }

    private static async Task AssertCreditsAsync(PulseSystem system, IReadOnlyList<(string What, Told Told, string Source)> plays)
    {
        // What was put into the queue is not accepted yet when it is sent.
        var last = plays.Where(play => play.Source == "bus").SelectMany(play => play.Told.Credits.Select(c => c.OrderId)).ToArray();
        foreach (var order in last)
        {
            await system.UntilAsync($"the order {order} has come by the queue", TimeSpan.FromSeconds(60), async () =>
                (await system.GetAsync($"/v1/conversions/bus/{order}")).Json.TryGetProperty("kind", out _) ? "" : null);
        }

        await system.UntilAsync("the queue is empty", TimeSpan.FromSeconds(60), async () => await system.QueueLengthAsync("orders") == 0 ? "" : null);
        await system.SettleAsync(TimeSpan.FromMinutes(3));
        var wrong = new ConcurrentBag<string>();
        await Parallel.ForEachAsync(
            plays.SelectMany(play => play.Told.Credits.Select(credit => (play.What, play.Source, credit.OrderId, credit.Credits))),
            new ParallelOptions { MaxDegreeOfParallelism = Senders },
            async (expected, _) =>
            {
                var receipt = await system.GetAsync($"/v1/receipts?source={expected.Source}&orderId={expected.OrderId}");
                var credits = receipt.Status == HttpStatusCode.OK
                    ? [.. receipt.Json.GetProperty("partners").EnumerateArray().Select(p => $"{p.GetProperty("partner").GetString()} {p.GetProperty("amount").GetString()}")]
                    : Array.Empty<string>();
                if (receipt.Status != HttpStatusCode.OK || !credits.SequenceEqual(expected.Credits))
                {
                    wrong.Add($"{expected.What}: expected [{string.Join(", ", expected.Credits)}] for {expected.OrderId}, got [{string.Join(", ", credits)}]: {receipt.Text}");
                }
            });
        Assert.True(wrong.IsEmpty, $"{wrong.Count} of {plays.Count}:\n{string.Join('\n', wrong.Order(StringComparer.Ordinal).Take(12))}");
    }

    /// <summary>What all plays share.</summary>
    private sealed record Stage(string Own, DateTimeOffset Whole)
    {
        private int _plays;

        public string Alpha => $"alpha-{Own}";

        public string Bravo => $"bravo-{Own}";

        public string Coral => $"coral-{Own}";

        public string Coupon => $"CORAL-{Own.ToUpperInvariant()}";

        // Stripe and WooCommerce tell whole seconds.
        public DateTimeOffset Now => DateTimeOffset.FromUnixTimeSeconds(Whole.ToUnixTimeSeconds());

        public Play Play() => new($"{Own}-{Interlocked.Increment(ref _plays)}", Now, Alpha, Bravo, Coral, Coupon);
    }
}
