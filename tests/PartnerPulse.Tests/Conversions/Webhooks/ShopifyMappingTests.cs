using System.Text.Json.Nodes;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>What topics of Shopify say.</summary>
public sealed class ShopifyMappingTests
{
    private const string Id = "450789469";

    private readonly Shop _shop = new("shopify");

    [Fact]
    public void A_paid_order_is_a_sale_with_its_lines()
    {
        Assert.Equal("recorded", Deliver("orders/paid"));

        var order = _shop.Recorded(Id);
        Assert.Equal((ConversionKind.Sale, 40_994L, "USD", "shopify"), (order.Kind, order.AmountMinor, order.Currency, order.Source));
        Assert.Equal(new DateTimeOffset(2026, 10, 1, 16, 0, 0, TimeSpan.Zero), order.OccurredAt);
        Assert.Equal(new DateTimeOffset(2026, 10, 1, 16, 0, 9, TimeSpan.Zero), order.AmountAsOf);
        Assert.Equal((Guid.Parse("0195501a-2f00-7abc-8def-0123456789ab"), "visitor-7", "TENOFF"), (order.ClickId!.Value, order.VisitorId, order.Coupon));
        Assert.NotNull(order.CustomerKey);
        Assert.Equal([("IPOD2008GREEN", 2, 38_800L), ("632910393", 1, 1_000L)], order.Items!.Select(i => (i.Product, i.Quantity, i.AmountMinor)));
    }

    [Fact]
    public void An_order_that_is_not_paid_waits_and_a_test_notification_is_nobodys()
    {
        Assert.Equal("ignored", Deliver("orders/create", o => o["financial_status"] = "pending"));
        Assert.Equal("ignored", Deliver("products/update"));
        Assert.Empty(_shop.Events);
        Assert.Equal("recorded", Deliver("orders/updated"));
        Assert.Equal("already-recorded", Deliver("orders/paid"));
    }

    [Fact]
    public void Each_transaction_of_a_refund_counts_once_however_often_it_is_told()
    {
        Assert.Equal("adjusted", _shop.Deliver(Shop.Sample("shopify-refund"), "refunds/create").Status);
        Assert.Equal("recorded", Deliver("orders/updated", Refunded));
        Assert.Equal("already-recorded", Deliver("orders/updated", Refunded));
        Assert.Equal("already-recorded", _shop.Deliver(Shop.Sample("shopify-refund"), "refunds/create").Status);

        Assert.Equal([("refund-179259969", -10_000L), ("refund-179259970", -9_798L)], _shop.Order(Id).Adjustments.Select(a => (a.AdjustmentId, a.AmountMinor)));
        Assert.Equal(40_994 - 19_798, _shop.Order(Id).NetMinor);

        static void Refunded(JsonObject order)
        {
            order["financial_status"] = "partially_refunded";
            order["refunds"] = new JsonArray(JsonNode.Parse(Shop.Sample("shopify-refund")));
        }
    }

    [Fact]
    public void A_refund_without_money_is_ignored_and_one_without_an_order_is_unclear()
    {
        Assert.Equal("ignored", _shop.Deliver(Shop.Sample("shopify-refund", r => r["transactions"] = new JsonArray()), "refunds/create").Status);
        var did = _shop.Deliver(Shop.Sample("shopify-refund", r => r.AsObject().Remove("order_id")), "refunds/create");
        Assert.Equal(("unclear", "order_id"), (did.Status, did.Faults![0].Field));
        Assert.Empty(_shop.Events);
    }

    [Fact]
    public void Snapshots_in_whatever_order_end_in_what_the_newest_says()
    {
        string[] snapshots =
        [
            Snapshot(0, "409.94"), Snapshot(10, "450.00"), Snapshot(20, "400.00"), Snapshot(30, "420.00"), Snapshot(40, "390.00"), Snapshot(50, "405.00"),
        ];
        var random = new Random(11);
        for (var i = 0; i < 300; i++)
        {
            var shop = new Shop("shopify");
            var shuffled = snapshots.Concat(snapshots.Where(_ => random.Next(3) == 0)).ToArray();
            random.Shuffle(shuffled);
            foreach (var snapshot in shuffled)
            {
                shop.Deliver(snapshot, "orders/updated");
            }

            shop.Deliver(Shop.Sample("shopify-refund"), "refunds/create");
            Assert.Equal((40_500L, 40_500L - 19_798), (shop.Order(Id).AmountMinor!.Value, shop.Order(Id).NetMinor!.Value));

            // What Attribution makes of the events says the same, in another order again.
            var events = shop.Events.ToArray();
            random.Shuffle(events);
            var journey = PartnerPulse.Attribution.Core.History.Fold(events).Journeys.Single();
            Assert.Equal(40_500, journey.Conversion.AmountMinor);
        }
    }

    [Fact]
    public void An_order_that_is_called_off_is_worth_nothing_whichever_comes_first()
    {
        (string Topic, string Body)[] deliveries =
        [
            ("orders/paid", Snapshot(0, "409.94")),
            ("orders/updated", Snapshot(10, "409.94")),
            ("orders/cancelled", Snapshot(20, "409.94", cancelled: true)),
            ("orders/updated", Snapshot(20, "409.94", cancelled: true)),
        ];
        var random = new Random(13);
        for (var i = 0; i < 100; i++)
        {
            random.Shuffle(deliveries);
            var shop = new Shop("shopify");
            foreach (var (topic, body) in deliveries)
            {
                shop.Deliver(body, topic);
            }

            Assert.Equal((0L, true), (shop.Order(Id).NetMinor!.Value, shop.Order(Id).InForce!.Cancelled));
        }
    }

    [Theory]
    [InlineData("id", null, "id", "is required")]
    [InlineData("total_price", "ten", "amount", "'ten' is not a decimal number")]
    [InlineData("total_price", "-1.00", "amount", "is negative")]
    [InlineData("currency", "EUX", "currency", "is not a currency of ISO 4217")]
    [InlineData("updated_at", null, "updated_at", "is required")]
    [InlineData("updated_at", "2026-10-01T11:00:09", "updated_at", "is not a time with its offset")]
    [InlineData("updated_at", "2099-10-01T11:00:09Z", "asOf", "is in the future")]
    [InlineData("created_at", "yesterday", "created_at", "is not a time with its offset")]
    public void A_snapshot_that_cannot_be_used_is_told_by_its_field(string field, string? value, string path, string reason)
    {
        var did = _shop.Deliver(Shop.Sample("shopify-order", o => o[field] = value), "orders/paid");

        Assert.Equal("unclear", did.Status);
        Assert.Contains(did.Faults!, fault => fault.Field == path && fault.Reason.Contains(reason, StringComparison.Ordinal));
        Assert.Empty(_shop.Events);
    }

    [Fact]
    public void A_topic_is_needed() => Assert.Equal("X-Shopify-Topic", _shop.Deliver(Shop.Sample("shopify-order")).Faults!.Single().Field);

    [FixtureFact("webhooks/shopify_order_python_api.json")]
    public void Shopifys_own_sample_orders_can_be_read()
    {
        var authorised = Sample("shopify_order_python_api.json");
        Assert.Equal("ignored", _shop.Deliver(authorised.ToJsonString(), "orders/updated").Status);
        authorised["financial_status"] = "paid";
        Assert.Equal("recorded", _shop.Deliver(authorised.ToJsonString(), "orders/paid").Status);
        Assert.Equal((40_994L, "TENOFF", 3), (_shop.Recorded(Id).AmountMinor, _shop.Recorded(Id).Coupon, _shop.Recorded(Id).Items!.Count));

        // Voided and called off: nothing to record, and nothing that a late snapshot could bring back.
        var cancelled = Sample("shopify_order_go.json");
        Assert.Equal("restated", _shop.Deliver(cancelled.ToJsonString(), "orders/cancelled").Status);
        Assert.Null(_shop.Order("123456").Order);
        Assert.True(_shop.Order("123456").Statement!.Cancelled);

        static JsonNode Sample(string name) => JsonNode.Parse(File.ReadAllText(Fixtures.Find($"webhooks/{name}")))!["order"]!;
    }

    private static string Snapshot(int second, string total, bool cancelled = false) => Shop.Sample("shopify-order", o =>
    {
        (o["updated_at"], o["total_price"]) = ($"2026-10-01T16:01:{second:00}Z", total);
        o["cancelled_at"] = cancelled ? "2026-10-01T16:01:20Z" : null;
    });

    private string Deliver(string topic, Action<JsonObject>? change = null) => _shop.Deliver(Shop.Sample("shopify-order", o => change?.Invoke(o.AsObject())), topic).Status;
}
