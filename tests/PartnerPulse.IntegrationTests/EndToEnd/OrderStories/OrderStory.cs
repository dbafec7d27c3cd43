using System.Globalization;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.EndToEnd.OrderStories;

/// <summary>Something that happened, however it is told.</summary>
internal abstract record Fact(DateTimeOffset At);

/// <summary>A partner's link was followed.</summary>
internal sealed record Clicked(string Id, string Partner, string? Visitor, DateTimeOffset At) : Fact(At);

/// <summary>A visitor logged in.</summary>
internal sealed record LoggedIn(string Customer, string Visitor, DateTimeOffset At) : Fact(At);

/// <summary>A lead, a sale or a renewal.</summary>
internal sealed record Ordered(string OrderId, string Kind, long AmountMinor, DateTimeOffset At) : Fact(At)
{
    public string? Click { get; init; }
    public string? Visitor { get; init; }
    public string? Customer { get; init; }
    public string? Coupon { get; init; }
    public bool Test { get; init; }

    public string Amount => Currency.Format(AmountMinor, OrderStory.Currency);
}

internal enum Why
{
    Refund,
    Chargeback,

    /// <summary>The bank gave a chargeback back.</summary>
    ChargebackReversed,
    Cancellation,
}

/// <summary>Money of an order that went back, or came back.</summary>
/// <param name="AmountMinor">Always positive; <paramref name="Reason"/> says which way it went.</param>
internal sealed record Moved(Ordered Order, string Id, long AmountMinor, Why Reason, DateTimeOffset At) : Fact(At);

/// <summary>The shop changed what the order is worth.</summary>
internal sealed record Repriced(Ordered Order, long AmountMinor, DateTimeOffset At) : Fact(At);

/// <summary>Names of one play of a story. Partners and the coupon are shared by all plays, everything else is its own.</summary>
internal sealed record Play(string Own, DateTimeOffset Now, string Alpha, string Bravo, string Coral, string CoralsCoupon)
{
    public string A(string name) => $"{name}-{Own}";

    public DateTimeOffset DaysAgo(double days) => Now.AddDays(-days);
}

/// <summary>What happened around an order, and who is owed what for it in the end.</summary>
/// <param name="Facts">In the order in which they happened.</param>
/// <param name="Credits">Per order id: partner and amount; none where nobody is credited.</param>
internal sealed record Told(IReadOnlyList<Fact> Facts, IReadOnlyList<(string OrderId, IReadOnlyList<string> Credits)> Credits);

/// <summary>The twelve stories that every way in has to tell alike. Rules: last touch, 60 days, coupon fallback, renewals inherit from leads.</summary>
internal sealed class OrderStory
{
    public const string Currency = "EUR";

    public static readonly object Rules = new
    {
        name = "order stories",
        model = new { kind = "last-touch" },
        windowDays = 60,
        coupon = "fallback",
        inherit = new { from = "lead", days = 400 },
    };

    public static IReadOnlyList<OrderStory> All { get; } =
    [
        new("single sale", play => Of(play, play.Alpha, 10_000)),
        new("three partial refunds and a chargeback", play => Of(play, play.Alpha, 1_500, order =>
        [
            Refund(play, order, "r1", 2_000, 4), Refund(play, order, "r2", 1_000, 3), Refund(play, order, "r3", 500, 2),
            new Moved(order, play.A("d1"), 5_000, Why.Chargeback, play.DaysAgo(1)),
        ])),
        new("a chargeback that is reversed", play => Of(play, play.Alpha, 10_000, order =>
        [
            new Moved(order, play.A("d1"), 10_000, Why.Chargeback, play.DaysAgo(3)), new Moved(order, play.A("d1"), 10_000, Why.ChargebackReversed, play.DaysAgo(2)),
        ])),
        new("refund first", play =>
        {
            var told = Of(play, play.Alpha, 7_000, order => [Refund(play, order, "r1", 3_000, 2)]);
            return told with { Facts = [told.Facts[2], told.Facts[0], told.Facts[1]] };
        }),
        new("cancelled", play => Of(play, play.Alpha, 0, order => [new Moved(order, play.A("c1"), order.AmountMinor, Why.Cancellation, play.DaysAgo(2))])),
        new("renewals after a lead", play =>
        {
            var customer = play.A("ann") + "@example.org";
            var lead = new Ordered(play.A("lead"), "lead", 0, play.DaysAgo(40)) { Click = play.A("click"), Customer = customer };
            Ordered Renewal(string name, double daysAgo, long minor) => new(play.A(name), "renewal", minor, play.DaysAgo(daysAgo)) { Customer = customer, Visitor = play.A("other-device") };
            var (first, second) = (Renewal("renewal-1", 20, 2_000), Renewal("renewal-2", 5, 3_000));
            return new Told(
                [
                    new Clicked(play.A("click"), play.Alpha, play.A("device"), play.DaysAgo(41)), lead,
                    // Bravo is the last touch of the renewals, and comes too late.
                    new Clicked(play.A("late"), play.Bravo, play.A("other-device"), play.DaysAgo(30)), first, second,
                ],
                [(lead.OrderId, [$"{play.Alpha} 0.00"]), (first.OrderId, [$"{play.Alpha} 20.00"]), (second.OrderId, [$"{play.Alpha} 30.00"])]);
        }),
        new("coupon of a third partner", play =>
        {
            var order = new Ordered(play.A("order"), "sale", 10_000, play.DaysAgo(5)) { Coupon = play.CoralsCoupon };
            return new Told([order], [(order.OrderId, [$"{play.Coral} 100.00"])]);
        }),
        new("second device with login", play =>
        {
            var customer = play.A("bob") + "@example.org";
            var order = new Ordered(play.A("order"), "sale", 10_000, play.DaysAgo(5)) { Visitor = play.A("laptop"), Customer = customer };
            return new Told(
                [new Clicked(play.A("click"), play.Bravo, play.A("phone"), play.DaysAgo(9)), new LoggedIn(customer, play.A("phone"), play.DaysAgo(8)), order],
                [(order.OrderId, [$"{play.Bravo} 100.00"])]);
        }),
        new("duplicate delivery", play =>
        {
            var told = Of(play, play.Alpha, 8_000, order => [Refund(play, order, "r1", 2_000, 2)]);
            return told with { Facts = [.. told.Facts, .. told.Facts, .. told.Facts] };
        }),
        new("out of order", play =>
        {
            var told = Of(play, play.Alpha, 5_000, order => [Refund(play, order, "r1", 2_000, 3), Refund(play, order, "r2", 3_000, 2)]);
            return told with { Facts = [told.Facts[3], told.Facts[1], told.Facts[2], told.Facts[0]] };
        }),
        new("changed amount", play => Of(play, play.Alpha, 8_500, order => [new Repriced(order, 8_500, play.DaysAgo(4))])),
        new("test order", play =>
        {
            var told = Of(play, play.Alpha, 10_000);
            var order = (Ordered)told.Facts[1] with { Test = true };
            return new Told([told.Facts[0], order], [(order.OrderId, [])]);
        }),
        new("zero-amount order", play =>
        {
            var told = Of(play, play.Alpha, 0);
            var order = (Ordered)told.Facts[1] with { AmountMinor = 0 };
            return new Told([told.Facts[0], order], [(order.OrderId, [$"{play.Alpha} 0.00"])]);
        }),
    ];

    private readonly Func<Play, Told> _tell;

    private OrderStory(string name, Func<Play, Told> tell) => (Name, _tell) = (name, tell);

    public string Name { get; }

    public Told Tell(Play play) => _tell(play);

    public override string ToString() => Name;

    /// <summary>A click, an order of 100.00 that names it, and what became of it.</summary>
    private static Told Of(Play play, string partner, long netMinor, Func<Ordered, Fact[]>? then = null)
    {
        var order = new Ordered(play.A("order"), "sale", 10_000, play.DaysAgo(5)) { Click = play.A("click"), Visitor = play.A("visitor") };
        return new Told(
            [new Clicked(play.A("click"), partner, play.A("visitor"), play.DaysAgo(6)), order, .. then?.Invoke(order) ?? []],
            [(order.OrderId, [$"{partner} {(netMinor / 100m).ToString("F2", CultureInfo.InvariantCulture)}"])]);
    }

    private static Moved Refund(Play play, Ordered order, string id, long minor, double daysAgo) => new(order, play.A(id), minor, Why.Refund, play.DaysAgo(daysAgo));
}
