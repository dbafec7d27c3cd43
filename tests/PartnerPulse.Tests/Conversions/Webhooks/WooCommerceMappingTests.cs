using System.Text.Json.Nodes;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Webhooks;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>What topics of WooCommerce say.</summary>
public sealed class WooCommerceMappingTests
{
    private readonly Shop _shop = new("woocommerce");

    [Fact]
    public void An_order_in_work_is_a_sale_with_its_lines()
    {
        Assert.Equal("recorded", Deliver());

        var order = _shop.Recorded("727");
        Assert.Equal((ConversionKind.Sale, 2_935L, "EUR", "woocommerce"), (order.Kind, order.AmountMinor, order.Currency, order.Source));
        Assert.Equal(new DateTimeOffset(2026, 10, 22, 16, 28, 2, TimeSpan.Zero), order.OccurredAt);
        Assert.Equal(new DateTimeOffset(2026, 10, 22, 16, 28, 8, TimeSpan.Zero), order.AmountAsOf);
        Assert.Equal((Guid.Parse("0195501a-2f00-7abc-8def-0123456789ab"), "visitor-7", "SPRING"), (order.ClickId!.Value, order.VisitorId, order.Coupon));
        Assert.Equal([("WOO-1", 2, 600L), ("22", 1, 1_200L)], order.Items!.Select(i => (i.Product, i.Quantity, i.AmountMinor)));
        Assert.Equal("already-recorded", Deliver());
    }

    [Theory]
    [InlineData("pending")]
    [InlineData("on-hold")]
    [InlineData("checkout-draft")]
    [InlineData("trash")]
    public void An_order_that_is_not_paid_waits(string status)
    {
        Assert.Equal("ignored", Deliver(o => o["status"] = status));
        Assert.Empty(_shop.Events);
    }

    [Fact]
    public void Refunds_are_those_of_the_snapshot_each_by_its_id()
    {
        Deliver();
        Assert.Equal("restated", Deliver(o => Refunded(o, 10, (730, "-9.35"))));
        Assert.Equal(2_000, _shop.Order("727").NetMinor);
        Assert.Equal("restated", Deliver(o => Refunded(o, 20, (731, "-5.00"), (730, "-9.35"), (732, "0.00"))));
        Assert.Equal("already-recorded", Deliver(o => Refunded(o, 10, (730, "-9.35"))));

        Assert.Equal([("refund-730", -935L), ("refund-731", -500L)], _shop.Order("727").Adjustments.Select(a => (a.AdjustmentId, a.AmountMinor)));
        Assert.Equal(1_500, _shop.Order("727").NetMinor);
    }

    [Fact]
    public void An_order_that_was_cancelled_and_paid_after_all_counts_whichever_snapshot_comes_first()
    {
        string[] snapshots = [Snapshot(0, "cancelled"), Snapshot(10, "processing"), Snapshot(20, "completed")];
        string[] other = [Snapshot(0, "processing"), Snapshot(10, "completed"), Snapshot(20, "failed")];
        var random = new Random(17);
        for (var i = 0; i < 100; i++)
        {
            Assert.Equal(2_935, Net(snapshots));
            Assert.Equal(0, Net(other));
        }

        long? Net(string[] deliveries)
        {
            random.Shuffle(deliveries);
            var shop = new Shop("woocommerce");
            foreach (var delivery in deliveries)
            {
                shop.Deliver(delivery, "order.updated");
            }

            return shop.Order("727").NetMinor;
        }

        static string Snapshot(int second, string status) => Shop.Sample("woocommerce-order", o => (o["status"], o["date_modified_gmt"]) = (status, $"2026-10-22T16:29:{second:00}"));
    }

    [Fact]
    public void A_refunded_order_is_worth_nothing_even_where_its_refunds_are_not_told()
    {
        Deliver();
        Deliver(o => (o["status"], o["date_modified_gmt"]) = ("refunded", "2026-10-23T10:00:00"));
        Assert.Equal((0L, 0), (_shop.Order("727").NetMinor!.Value, _shop.Order("727").Adjustments.Length));

        // Where they are, the order keeps its amount and they take it.
        var other = new Shop("woocommerce");
        other.Deliver(Shop.Sample("woocommerce-order", o =>
        {
            Refunded(o.AsObject(), 10, (730, "-29.35"));
            o["status"] = "refunded";
        }), "order.updated");
        Assert.Equal((2_935L, 0L), (other.Order("727").AmountMinor!.Value, other.Order("727").NetMinor!.Value));
    }

    [Theory]
    [InlineData("webhook_id=12", true)]
    [InlineData("webhook_id=", false)]
    [InlineData("webhook_id=1;drop", false)]
    [InlineData("webhook_id=123456789012345678901234567890", false)]
    [InlineData("{}", false)]
    public void Its_ping_is_known(string body, bool ping) => Assert.Equal(ping, WooCommerceMapping.IsPing(System.Text.Encoding.UTF8.GetBytes(body)));

    [Theory]
    [InlineData("status", null, "status", "is required")]
    [InlineData("total", "", "total", "is required")]
    [InlineData("total", "1.999", "amount", "has more decimals")]
    [InlineData("date_modified_gmt", "2026-10-22 16:28:08", "date_modified_gmt", "is not a time such as")]
    [InlineData("date_created_gmt", null, "date_created_gmt", "is required")]
    public void A_snapshot_that_cannot_be_used_is_told_by_its_field(string field, string? value, string path, string reason)
    {
        var did = _shop.Deliver(Shop.Sample("woocommerce-order", o => o[field] = value), "order.created");

        Assert.Equal("unclear", did.Status);
        Assert.Contains(did.Faults!, fault => fault.Field == path && fault.Reason.Contains(reason, StringComparison.Ordinal));
        Assert.Empty(_shop.Events);
    }

    private static void Refunded(JsonObject order, int second, params (int Id, string Total)[] refunds)
    {
        order["date_modified_gmt"] = $"2026-10-22T16:30:{second:00}";
        order["refunds"] = new JsonArray([.. refunds.Select(r => new JsonObject { ["id"] = r.Id, ["reason"] = "", ["total"] = r.Total })]);
    }

    private string Deliver(Action<JsonObject>? change = null) => _shop.Deliver(Shop.Sample("woocommerce-order", o => change?.Invoke(o.AsObject())), "order.updated").Status;
}
