using System.Text.Json.Nodes;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Webhooks;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>What events of Stripe say.</summary>
public sealed class StripeMappingTests
{
    private readonly Shop _shop = new("stripe");

    [Fact]
    public void A_paid_session_is_a_sale_under_its_payment()
    {
        Assert.Equal(("recorded", "pi_1"), Deliver("stripe-session"));

        var order = _shop.Recorded("pi_1");
        Assert.Equal((ConversionKind.Sale, 11_900L, "EUR"), (order.Kind, order.AmountMinor, order.Currency));
        Assert.Equal(("stripe", "pi_1", DateTimeOffset.FromUnixTimeSeconds(1793520060)), (order.Source, order.OrderId, order.OccurredAt));
        Assert.Equal((Guid.Parse("0195501a-2f00-7abc-8def-0123456789ab"), "4f0c2d6a8b1e4c3f9a7d5e2b1c0f8a6d", "SPRING"), (order.ClickId!.Value, order.VisitorId, order.Coupon));
        Assert.Equal(new CustomerKeys(new byte[32]).Key("main", "ann@example.org"), order.CustomerKey);
        Assert.False(order.Test);
    }

    [Fact]
    public void A_session_that_is_not_paid_yet_waits_for_its_money()
    {
        Assert.Equal("ignored", Deliver("stripe-session", o => o["payment_status"] = "unpaid").Status);
        Assert.Equal("ignored", Deliver("stripe-session", o => o["mode"] = "setup").Status);
        Assert.Empty(_shop.Events);

        Assert.Equal("recorded", Deliver("stripe-session", root: r => r["type"] = "checkout.session.async_payment_succeeded").Status);
        Assert.Equal("already-recorded", Deliver("stripe-session").Status);
    }

    [Fact]
    public void A_visitor_in_the_reference_is_recognised_by_its_form_and_test_mode_is_test()
    {
        Deliver("stripe-session", o =>
        {
            o["client_reference_id"] = new string('a', 32);
            o["metadata"] = new JsonObject();
            o["livemode"] = false;
        });

        var order = _shop.Recorded("pi_1");
        Assert.Equal((new string('a', 32), null, null, true), (order.VisitorId, order.ClickId, order.Coupon, order.Test));
    }

    [Theory]
    [InlineData("jpy", 500, 500, "JPY")]
    [InlineData("kwd", 12_340, 12_340, "KWD")]
    [InlineData("isk", 50_000, 500, "ISK")]
    [InlineData("ugx", 50_000, 500, "UGX")]
    [InlineData("mga", 500, 50_000, "MGA")]
    public void Smallest_units_are_Stripes_and_become_those_of_the_currency(string currency, long smallest, long minor, string code)
    {
        Deliver("stripe-session", o => (o["currency"], o["amount_total"]) = (currency, smallest));

        Assert.Equal((minor, code), (_shop.Recorded("pi_1").AmountMinor, _shop.Recorded("pi_1").Currency));
    }

    [Fact]
    public void What_the_visitor_could_write_stands_in_nobodys_way()
    {
        var did = _shop.Deliver(Shop.Sample("stripe-session", r => Object(r)["metadata"] = new JsonObject { ["pp_click"] = new string('x', 65), ["pp_vid"] = "a\u0000b", ["coupon"] = new JsonArray() }));

        Assert.Equal("recorded", did.Status);
        Assert.Equal(["data.object.metadata.pp_click", "data.object.metadata.pp_vid"], did.News!.LeftOut.Select(l => l.Field));
        Assert.Equal(Guid.Parse("0195501a-2f00-7abc-8def-0123456789ab"), _shop.Recorded("pi_1").ClickId);
    }

    [Theory]
    [InlineData("amount_total", null, "data.object.amount_total", "is required")]
    [InlineData("amount_total", "119", "data.object.amount_total", "is not a whole number")]
    [InlineData("currency", null, "data.object.currency", "is required")]
    [InlineData("id", null, "data.object.id", "is required")]
    public void A_session_that_lacks_something_is_told_by_Stripes_names(string field, string? value, string path, string reason)
    {
        var did = _shop.Deliver(Shop.Sample("stripe-session", r => Object(r)[field] = value));

        Assert.Equal("unclear", did.Status);
        Assert.Contains(did.Faults!, fault => fault.Field == path && fault.Reason == reason);
        Assert.Empty(_shop.Events);
    }

    [Fact]
    public void A_renewal_is_its_invoice()
    {
        Assert.Equal(("recorded", "in_2"), Deliver("stripe-invoice"));
        Assert.Equal("already-recorded", Deliver("stripe-invoice", root: r => r["type"] = "invoice.payment_succeeded").Status);

        var order = _shop.Recorded("in_2");
        Assert.Equal((ConversionKind.Renewal, 2_900L, DateTimeOffset.FromUnixTimeSeconds(1796112100)), (order.Kind, order.AmountMinor, order.OccurredAt));
        Assert.Equal(Ids.Click("main", "c-1"), order.ClickId);
    }

    [Fact]
    public void The_first_invoice_of_a_subscription_counts_once()
    {
        // By Checkout: the session is the sale and has the invoice's id.
        Assert.Equal("recorded", Deliver("stripe-session", o => (o["mode"], o["payment_intent"], o["invoice"], o["subscription"]) = ("subscription", null, "in_1", "sub_1")).Status);
        Assert.Equal("ignored", First(marked: false));
        Assert.Equal("already-recorded", First(marked: true));
        Assert.Equal(["in_1"], _shop.Events.OfType<ConversionRecorded>().Select(e => e.OrderId));

        // Without Checkout: the marks on the subscription tell.
        var other = new Shop("stripe");
        Assert.Equal("recorded", other.Deliver(FirstInvoice(marked: true)).Status);
        Assert.Equal(ConversionKind.Sale, other.Recorded("in_1").Kind);
        Assert.Equal("ignored", Deliver("stripe-invoice", o => o["billing_reason"] = "manual").Status);

        string First(bool marked) => _shop.Deliver(FirstInvoice(marked)).Status;
        static string FirstInvoice(bool marked) => Shop.Sample("stripe-invoice", r =>
        {
            var o = Object(r);
            (o["id"], o["billing_reason"], o["amount_paid"]) = ("in_1", "subscription_create", 11900);
            o["subscription_details"] = new JsonObject { ["metadata"] = marked ? new JsonObject { ["pp_click"] = "c-1" } : new JsonObject() };
        });
    }

    [Fact]
    public void An_invoice_names_its_payment_in_the_old_way_and_in_the_new()
    {
        Assert.Equal("pi_2", News("stripe-invoice").Payment);
        Assert.Equal("pi_3", News("stripe-invoice", r =>
        {
            Object(r).Remove("payment_intent");
            Object(r)["payments"] = new JsonObject { ["data"] = new JsonArray(new JsonObject { ["payment"] = new JsonObject { ["type"] = "payment_intent", ["payment_intent"] = "pi_3" } }) };
        }).Payment);
        var tie = News("stripe-invoice", r =>
        {
            r["type"] = "invoice_payment.paid";
            r["data"]!["object"] = new JsonObject { ["id"] = "inpay_1", ["invoice"] = "in_2", ["payment"] = new JsonObject { ["payment_intent"] = "pi_4" } };
        });
        Assert.Equal(("in_2", "pi_4"), (tie.OrderId, tie.Payment));
    }

    [Fact]
    public void Refunds_that_a_charge_lists_have_their_own_ids_and_the_failed_one_does_not_count()
    {
        Deliver("stripe-session");
        Assert.Equal(("adjusted", "pi_1"), Deliver("stripe-refunded-old"));
        Assert.Equal("already-recorded", Deliver("stripe-refunded-old").Status);

        Assert.Equal([("re_2", -2_000L), ("re_1", -1_000L)], _shop.Order("pi_1").Adjustments.Select(a => (a.AdjustmentId, a.AmountMinor)));
        Assert.Equal(8_900, _shop.Order("pi_1").NetMinor);
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1793600000), _shop.Order("pi_1").Adjustments[1].OccurredAt);
    }

    [Fact]
    public void Refunds_that_a_charge_does_not_list_are_the_difference_to_before()
    {
        Deliver("stripe-session");
        Deliver("stripe-refunded-new", root: r => (r["id"], Object(r)["amount_refunded"], r["data"]!["previous_attributes"]!["amount_refunded"]) = ("evt_a", 1000, 0));
        Deliver("stripe-refunded-new");
        Deliver("stripe-refunded-new");

        Assert.Equal([-1_000L, -2_000L], _shop.Order("pi_1").Adjustments.Select(a => a.AmountMinor));
        Assert.Equal(8_900, _shop.Order("pi_1").NetMinor);
    }

    [Fact]
    public void Where_not_even_before_is_told_what_is_recorded_of_the_charge_tells()
    {
        int[][] orders = [[1000, 3000, 11900], [3000, 1000, 11900], [11900, 3000, 1000], [3000, 11900, 1000]];
        foreach (var order in orders)
        {
            var shop = new Shop("stripe");
            foreach (var total in order.Concat(order))
            {
                shop.Deliver(Total(total));
            }

            shop.Deliver(Shop.Sample("stripe-session"));
            Assert.Equal(0, shop.Order("pi_1").NetMinor);
            Assert.Equal(-11_900, shop.Order("pi_1").Adjustments.Sum(a => a.AmountMinor));
        }

        static string Total(int total) => Shop.Sample("stripe-refunded-new", r =>
        {
            Object(r)["amount_refunded"] = total;
            r["data"]!.AsObject().Remove("previous_attributes");
        });
    }

    [Fact]
    public void A_refund_that_fails_later_comes_back()
    {
        Deliver("stripe-session");
        Deliver("stripe-refunded-old");
        var failed = Shop.Sample("stripe-refunded-old", r =>
        {
            r["type"] = "refund.failed";
            r["data"]!["object"] = new JsonObject { ["id"] = "re_2", ["amount"] = 2000, ["charge"] = "ch_1", ["currency"] = "eur", ["payment_intent"] = "pi_1", ["status"] = "failed" };
        });

        Assert.Equal("adjusted", _shop.Deliver(failed).Status);
        Assert.Equal("already-recorded", _shop.Deliver(failed.Replace("refund.failed", "charge.refund.updated", StringComparison.Ordinal)).Status);
        Assert.Equal(10_900, _shop.Order("pi_1").NetMinor);
    }

    [Fact]
    public void Three_partial_refunds_then_a_dispute_that_is_won_or_lost_in_whatever_order_they_arrive()
    {
        string[] lost = [Shop.Sample("stripe-session"), Refund("re_a", 1000), Refund("re_b", 2000), Refund("re_c", 500), Dispute("created"), Dispute("funds_withdrawn"), Dispute("closed", "lost")];
        string[] won = [.. lost[..^1], Dispute("closed", "won"), Dispute("funds_reinstated", "won")];

        var random = new Random(7);
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(0, Net(lost));
            Assert.Equal(8_400, Net(won));
        }

        // Even where the first word of the dispute never came.
        Assert.Equal(8_400, Net([.. won[..4], won[^1]]));

        long? Net(string[] deliveries)
        {
            var shop = new Shop("stripe");
            var shuffled = deliveries.Concat(deliveries.Where(_ => random.Next(2) == 0)).ToArray();
            random.Shuffle(shuffled);
            foreach (var delivery in shuffled)
            {
                Assert.Contains(shop.Deliver(delivery).Status, (string[])["recorded", "adjusted", "already-recorded"]);
            }

            return shop.Order("pi_1").NetMinor;
        }

        static string Refund(string id, int amount) => Shop.Sample("stripe-refunded-old", r => Object(r)["refunds"]!["data"] = new JsonArray(
            new JsonObject { ["id"] = id, ["amount"] = amount, ["created"] = 1793606300, ["currency"] = "eur", ["status"] = "succeeded" }));

        static string Dispute(string what, string status = "needs_response") =>
            Shop.Sample("stripe-dispute", r => (r["type"], Object(r)["status"]) = ($"charge.dispute.{what}", status));
    }

    [Fact]
    public void An_inquiry_moves_no_money()
    {
        Assert.Equal("ignored", Deliver("stripe-dispute", o => o["status"] = "warning_needs_response").Status);
        Assert.Equal("ignored", Deliver("stripe-dispute", o => o["status"] = "warning_closed", r => r["type"] = "charge.dispute.closed").Status);
    }

    [Fact]
    public void What_concerns_no_order_is_acknowledged()
    {
        Assert.Equal("ignored", Deliver("stripe-session", root: r => r["type"] = "customer.created").Status);
        var unnamed = _shop.Deliver("""{"data":{"object":{}}}""");
        Assert.Equal(("unclear", "type"), (unnamed.Status, unnamed.Faults!.Single().Field));
    }

    [FixtureFact("webhooks/stripe_event_test_signature.json")]
    public void Stripes_own_sample_event_is_acknowledged() =>
        Assert.Equal("ignored", _shop.Deliver(File.ReadAllText(Fixtures.Find("webhooks/stripe_event_test_signature.json"))).Status);

    [FixtureFact("webhooks/stripe_sample_objects.json")]
    public void Stripes_own_sample_objects_can_be_read()
    {
        var samples = JsonNode.Parse(File.ReadAllText(Fixtures.Find("webhooks/stripe_sample_objects.json")))!;
        var session = samples["checkout.session"]!.DeepClone();
        Assert.Equal("ignored", _shop.Deliver(Event("checkout.session.completed", session)).Status);
        (session["payment_status"], session["amount_total"], session["currency"]) = ("paid", 1099, "usd");
        Assert.Equal("recorded", _shop.Deliver(Event("checkout.session.completed", session)).Status);
        Assert.Equal("ignored", _shop.Deliver(Event("charge.dispute.created", samples["dispute"]!.DeepClone())).Status);
        var charge = samples["charge"]!.DeepClone();
        charge["amount_refunded"] = 40;
        Assert.Equal(("adjusted", "ch_1PgafuB7WZ01zgkWXYmPNZs8"), Both(_shop.Deliver(Event("charge.refunded", charge))));
        Assert.Equal("ignored", _shop.Deliver(Event("invoice.paid", samples["invoice"]!.DeepClone())).Status);
        Assert.Equal("ignored", _shop.Deliver(Event("refund.updated", samples["refund"]!.DeepClone())).Status);

        static string Event(string type, JsonNode subject) =>
            new JsonObject { ["id"] = "evt_x", ["type"] = type, ["created"] = 1793520060, ["data"] = new JsonObject { ["object"] = subject.DeepClone() } }.ToJsonString();
    }

    private OrderNews News(string sample, Action<JsonNode>? change = null)
    {
        using var document = Node.Parse(System.Text.Encoding.UTF8.GetBytes(Shop.Sample(sample, change))).Document!;
        return Assert.IsType<OrderNews>(StripeMapping.Map(Node.Root(document)));
    }

    private (string Status, string? OrderId) Deliver(string sample, Action<JsonObject>? change = null, Action<JsonNode>? root = null) => Both(_shop.Deliver(Shop.Sample(sample, r =>
    {
        root?.Invoke(r);
        change?.Invoke(Object(r));
    })));

    private static (string Status, string? OrderId) Both(Shop.Did did) => (did.Status, did.OrderId);

    private static JsonObject Object(JsonNode root) => root["data"]!["object"]!.AsObject();
}
