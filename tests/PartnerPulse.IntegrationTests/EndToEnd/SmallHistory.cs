using System.Net;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>
/// A history made from a seed: few partners, visitors and customers, so that journeys are long and meet. All times differ, so
/// that nothing is decided by ids, which differ from play to play.
/// </summary>
internal sealed class SmallHistory
{
    public const int Partners = 5;
    public const int Clicks = 300;
    public const int Orders = 60;
    public const int Adjustments = 40;

    private const int Days = 50;
    private static readonly string[] s_currencies = ["EUR", "USD", "JPY", "KWD"];
    private static readonly string[] s_kinds = ["sale", "sale", "renewal", "lead"];

    private readonly Random _random;
    private readonly DateTimeOffset _start;
    private readonly HashSet<long> _seconds = [];
    private readonly Click[] _clicks;
    private readonly Order[] _orders;
    private readonly Adjustment[] _adjustments;
    private readonly DateTimeOffset _suspended;

    public SmallHistory(int seed, DateTimeOffset now)
    {
        _random = new Random(seed);
        _start = now.AddDays(-Days - 1);
        _suspended = _start.AddDays(Days * 0.7);
        _clicks = [.. Enumerable.Range(0, Clicks).Select(i => new Click(i, _random.Next(Partners), Maybe(0.8, 25), NextTime()))];
        _orders = [.. Enumerable.Range(0, Orders).Select(i => NextOrder(i))];
        _adjustments = [.. Enumerable.Range(0, Adjustments).Select(i => new Adjustment(i, _orders[_random.Next(Orders)], NextTime()))];
    }

    /// <summary>One sender, everything in the order of its times.</summary>
    public async Task PlayInOrderAsync(PulseSystem system, string suffix)
    {
        await EnrolAsync(system, suffix);
        var happenings = _clicks.Select(c => (c.At, Post: (Func<Task>)(() => PostAsync(system, [c], suffix))))
            .Concat(_orders.Select(o => (o.At, Post: (Func<Task>)(() => PostAsync(system, [o], suffix)))))
            .Concat(_adjustments.Select(a => (a.At, Post: (Func<Task>)(() => PostAsync(system, a, suffix)))))
            .Append((At: _suspended, Post: (Func<Task>)(() => SuspendAsync(system, suffix))));
        foreach (var (_, post) in happenings.OrderBy(h => h.At))
        {
            await post();
        }
    }

    /// <summary>Four senders at once, in any order, clicks and orders in lists of any length, a third of everything twice.</summary>
    public async Task PlayShuffledAsync(PulseSystem system, string suffix)
    {
        await EnrolAsync(system, suffix);
        var (clicks, orders) = (_clicks.ToArray(), _orders.ToArray());
        _random.Shuffle(clicks);
        _random.Shuffle(orders);
        List<Func<Task>> posts =
        [
            .. Pieces(clicks).Select(piece => (Func<Task>)(() => PostAsync(system, piece, suffix))),
            .. Pieces(orders).Select(piece => (Func<Task>)(() => PostAsync(system, piece, suffix))),
            .. _adjustments.Select(a => (Func<Task>)(() => PostAsync(system, a, suffix))),
            () => SuspendAsync(system, suffix),
        ];
        posts.AddRange(posts.Where(_ => _random.Next(3) == 0).ToArray());
        var shuffled = posts.ToArray();
        _random.Shuffle(shuffled);
        await Parallel.ForEachAsync(shuffled, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (post, _) => await post());
    }

    private static async Task EnrolAsync(PulseSystem system, string suffix)
    {
        for (var partner = 0; partner < Partners; partner++)
        {
            await system.EnrolAsync($"p{partner}{suffix}");
        }
    }

    private static async Task PostAsync(PulseSystem system, IReadOnlyList<Click> clicks, string suffix)
    {
        var answer = (await system.ImportAsync(clicks.Select(c => new
        {
            clickId = $"c{c.Number}{suffix}",
            partner = $"p{c.Partner}{suffix}",
            visitorId = c.Visitor is { } visitor ? $"v{visitor}{suffix}" : null,
            occurredAt = c.At,
        }))).AssertStatus(HttpStatusCode.Accepted);
        Assert.Equal(clicks.Count, answer.Json.GetProperty("accepted").GetInt32());
    }

    private static async Task PostAsync(PulseSystem system, IReadOnlyList<Order> orders, string suffix)
    {
        var answer = (await system.PostAsync("/v1/conversions", orders.Select(o => new
        {
            source = "shop",
            orderId = $"o{o.Number}{suffix}",
            kind = o.Kind,
            amount = Currency.Format(o.AmountMinor, o.Currency),
            currency = o.Currency,
            occurredAt = o.At,
            visitorId = o.Visitor is { } visitor ? $"v{visitor}{suffix}" : null,
            clickId = o.Click is { } click ? $"c{click}{suffix}" : null,
            customer = o.Customer is { } customer ? $"k{customer}{suffix}@example.com" : null,
        }).ToArray())).AssertStatus(HttpStatusCode.OK);
        Assert.All(answer.Json.EnumerateArray(), a => Assert.Contains(a.GetProperty("status").GetString(), new[] { "recorded", "already-recorded" }));
    }

    private static async Task PostAsync(PulseSystem system, Adjustment adjustment, string suffix)
    {
        var order = adjustment.Order;
        var answer = await system.PostAsync($"/v1/conversions/shop/o{order.Number}{suffix}/adjustments", new
        {
            id = $"a{adjustment.Number}",
            amount = Currency.Format(-Math.Max(1, order.AmountMinor / 3), order.Currency),
            currency = order.Currency,
            reason = "refund",
            occurredAt = adjustment.At,
        });
        Assert.True(answer.Status is HttpStatusCode.Created or HttpStatusCode.OK, answer.Text);
    }

    private async Task SuspendAsync(PulseSystem system, string suffix) =>
        (await system.PostAsync($"/v1/partners/p0{suffix}/suspension", new { occurredAt = _suspended })).AssertStatus(HttpStatusCode.OK);

    private Order NextOrder(int number)
    {
        var at = NextTime();
        return new Order(
            number, s_kinds[_random.Next(s_kinds.Length)], _random.Next(1, 100_000), s_currencies[_random.Next(s_currencies.Length)], at, Maybe(0.6, 25),
            Maybe(0.5, Clicks), Maybe(0.5, 15));
    }

    private int? Maybe(double probability, int count) => _random.NextDouble() < probability ? _random.Next(count) : null;

    private DateTimeOffset NextTime()
    {
        while (true)
        {
            var second = _random.NextInt64(Days * 86_400L);
            if (_seconds.Add(second))
            {
                return _start.AddSeconds(second);
            }
        }
    }

    private List<T[]> Pieces<T>(T[] all)
    {
        var pieces = new List<T[]>();
        for (var at = 0; at < all.Length;)
        {
            var length = Math.Min(_random.Next(1, 12), all.Length - at);
            pieces.Add(all[at..(at + length)]);
            at += length;
        }

        return pieces;
    }

    private sealed record Click(int Number, int Partner, int? Visitor, DateTimeOffset At);

    private sealed record Order(
        int Number, string Kind, long AmountMinor, string Currency, DateTimeOffset At, int? Visitor, int? Click, int? Customer);

    private sealed record Adjustment(int Number, Order Order, DateTimeOffset At);
}
