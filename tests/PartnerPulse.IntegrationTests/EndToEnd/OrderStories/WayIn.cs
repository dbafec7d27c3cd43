using System.Net;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;

namespace PartnerPulse.IntegrationTests.EndToEnd.OrderStories;

/// <summary>One message, request or file on its way. It may be sent any number of times.</summary>
internal delegate Task Delivery(PulseSystem system);

/// <summary>One way in which a shop tells what happened. Clicks and logins come by the ways of their own.</summary>
internal abstract class WayIn(string name)
{
    /// <summary>Every way in.</summary>
    public static IReadOnlyList<WayIn> All { get; } =
    [
        new ApiWay("api"), new BusWay(), new PostbackWay(), new CsvWay(), new NdjsonWay(), new StandardWay(), new StripeWay(), new ShopifyWay(), new WooCommerceWay(),
    ];

    /// <summary>Sets up what the way needs, once.</summary>
    public virtual Task SetUpAsync(PulseSystem system) => Task.CompletedTask;

    /// <summary>The source under which its orders are recorded.</summary>
    public virtual string Source => name;

    /// <summary>What is sent for a story, a delivery for each fact and in their order.</summary>
    public IEnumerable<Delivery> Deliveries(IReadOnlyList<Fact> facts) => facts.Select(fact => fact switch
    {
        Clicked click => system => ImportAsync(system, click),
        LoggedIn login => system => IdentifyAsync(system, login),
        // Shops report no leads: the site does, where the visitor leaves an address.
        Ordered { Kind: "lead" } lead => system => new ApiWay(Source).OrderAsync(system, lead),
        Ordered order => system => OrderAsync(system, order),
        Moved moved => system => MoveAsync(system, moved, [.. facts.OfType<Moved>().Distinct().Where(other => other.Order == moved.Order && other.At <= moved.At).OrderBy(other => other.At)]),
        Repriced repriced => (Delivery)(system => RepriceAsync(system, repriced)),
        var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
    });

    public override string ToString() => name;

    protected internal abstract Task OrderAsync(PulseSystem system, Ordered order);

    /// <param name="system">Where to.</param>
    /// <param name="moved">What moved now.</param>
    /// <param name="soFar">What has moved up to now, this one last: some shops always tell the whole.</param>
    protected internal abstract Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar);

    protected internal abstract Task RepriceAsync(PulseSystem system, Repriced repriced);

    /// <summary>What a way cannot say is said by the API, of the same order: a shop has no other way either.</summary>
    protected Task ByApiAsync(PulseSystem system, Moved moved) => new ApiWay(Source).MoveAsync(system, moved, []);

    protected static object OrderBody(Ordered order, string? source) => new
    {
        source,
        orderId = order.OrderId,
        kind = order.Kind,
        occurredAt = order.At,
        amount = order.Amount,
        currency = OrderStory.Currency,
        visitorId = order.Visitor,
        clickId = order.Click,
        customer = order.Customer,
        coupon = order.Coupon,
        test = order.Test ? true : (bool?)null,
    };

    /// <summary>Our own shape of an adjustment: id, amount with its sign, reason.</summary>
    protected static (string Id, string Amount, string Reason) Adjustment(Moved moved) => moved.Reason switch
    {
        Why.Refund => (moved.Id, Signed(-moved.AmountMinor), "refund"),
        Why.Chargeback => (moved.Id, Signed(-moved.AmountMinor), "chargeback"),
        Why.ChargebackReversed => ($"{moved.Id}-reversed", Signed(moved.AmountMinor), "correction"),
        Why.Cancellation => (moved.Id, Signed(-moved.AmountMinor), "cancellation"),
        var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
    };

    protected static (string Id, string Amount, string Reason) Adjustment(Repriced repriced) =>
        ("repriced", Signed(repriced.AmountMinor - repriced.Order.AmountMinor), "correction");

    protected static string Signed(long minor) => Currency.Format(minor, OrderStory.Currency);

    /// <summary>New, or known already: whatever else is answered, the shop would send it again.</summary>
    protected static Answer AssertTaken(Answer answer)
    {
        Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.Created or HttpStatusCode.Accepted, $"{(int)answer.Status}: {answer.Text}");
        return answer;
    }

    private static async Task ImportAsync(PulseSystem system, Clicked click)
    {
        var answer = (await system.ImportAsync([new { clickId = click.Id, partner = click.Partner, visitorId = click.Visitor, occurredAt = click.At }])).AssertStatus(HttpStatusCode.Accepted);
        Assert.Equal(1, answer.Json.GetProperty("accepted").GetInt32());
    }

    private static async Task IdentifyAsync(PulseSystem system, LoggedIn login) =>
        AssertTaken(await system.PostAsync("/v1/identities", new { customer = login.Customer, visitorId = login.Visitor, occurredAt = login.At }));
}
