using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.IntegrationTests.Hosting;

namespace PartnerPulse.IntegrationTests.EndToEnd.OrderStories;

/// <summary>Signed deliveries, as the shops' systems make them.</summary>
internal static class Webhooks
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    public static async Task SendAsync(PulseSystem system, string scheme, object body, Func<string, IEnumerable<(string Name, string Value)>> headers)
    {
        var text = JsonSerializer.Serialize(body, s_json);
        using var request = new HttpRequestMessage(HttpMethod.Post, system.Address($"/v1/hooks/{scheme}/main")) { Content = new StringContent(text, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers(text))
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await system.Http.SendAsync(request);
        var answer = new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode}: {answer.Text}\n{text}");
        Assert.True(answer.Json.GetProperty("status").GetString() != "ignored", $"{answer.Text}\n{text}");
    }

    public static byte[] Sign(string secret, string text) => HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(text));

    public static async Task SetUpAsync(PulseSystem system, string scheme, string secret) =>
        (await system.SendAsync(HttpMethod.Put, $"/v1/hooks/{scheme}", PulseSystem.Json(new { secrets = new[] { secret } }))).AssertStatus(System.Net.HttpStatusCode.OK);
}

/// <summary>
/// Stripe: a sale is a session of Checkout, a renewal an invoice. What an order is worth changes by refunds alone, and it is called
/// off by refunding it.
/// </summary>
internal sealed class StripeWay() : WayIn("stripe")
{
    private const string Secret = "whsec_of-the-order-stories";

    public override Task SetUpAsync(PulseSystem system) => Webhooks.SetUpAsync(system, "stripe", Secret);

    protected internal override Task OrderAsync(PulseSystem system, Ordered order) => order.Kind == "renewal"
        ? SendAsync(system, "invoice.paid", order.At, new
        {
            id = order.OrderId, @object = "invoice", billing_reason = "subscription_cycle", amount_paid = order.AmountMinor, currency = "eur", customer_email = order.Customer,
            livemode = true, metadata = Metadata(order),
        })
        : SendAsync(system, "checkout.session.completed", order.At, new
        {
            id = $"cs_{order.OrderId}", @object = "checkout.session", mode = "payment", payment_status = "paid", payment_intent = order.OrderId, amount_total = order.AmountMinor,
            currency = "eur", customer_details = order.Customer is null ? null : new { email = order.Customer }, livemode = !order.Test, metadata = Metadata(order),
        });

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) => moved.Reason switch
    {
        Why.Refund or Why.Cancellation => RefundAsync(system, moved.Order, moved.At, [.. soFar.Where(m => m.Reason is Why.Refund or Why.Cancellation).Select(m => (m.Id, m.AmountMinor, m.At))]),
        Why.Chargeback => DisputeAsync(system, moved, "charge.dispute.created", "needs_response"),
        Why.ChargebackReversed => DisputeAsync(system, moved, "charge.dispute.closed", "won"),
        var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
    };

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) =>
        RefundAsync(system, repriced.Order, repriced.At, [("re-priced", repriced.Order.AmountMinor - repriced.AmountMinor, repriced.At)]);

    private static object Metadata(Ordered order) => new { pp_click = order.Click, pp_vid = order.Visitor, coupon = order.Coupon };

    private Task RefundAsync(PulseSystem system, Ordered order, DateTimeOffset at, IReadOnlyList<(string Id, long AmountMinor, DateTimeOffset At)> refunds) =>
        SendAsync(system, "charge.refunded", at, new
        {
            id = $"ch_{order.OrderId}", @object = "charge", payment_intent = order.OrderId, currency = "eur", amount = order.AmountMinor, amount_refunded = refunds.Sum(r => r.AmountMinor),
            livemode = true,
            refunds = new { data = refunds.Select(r => new { id = $"re_{r.Id}", amount = r.AmountMinor, currency = "eur", status = "succeeded", created = r.At.ToUnixTimeSeconds() }) },
        });

    private Task DisputeAsync(PulseSystem system, Moved moved, string type, string status) => SendAsync(system, type, moved.At, new
    {
        id = $"dp_{moved.Id}", @object = "dispute", payment_intent = moved.Order.OrderId, charge = $"ch_{moved.Order.OrderId}", amount = moved.AmountMinor, currency = "eur", status,
        created = moved.Order.At.AddHours(1).ToUnixTimeSeconds(), livemode = true,
    });

    private static Task SendAsync(PulseSystem system, string type, DateTimeOffset at, object subject) => Webhooks.SendAsync(
        system,
        "stripe",
        new { id = $"evt_{Guid.NewGuid():N}", @object = "event", type, created = at.ToUnixTimeSeconds(), livemode = true, data = new { @object = subject } },
        text =>
        {
            var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
            return [("Stripe-Signature", $"t={now},v1={Convert.ToHexStringLower(Webhooks.Sign(Secret, $"{now}.{text}"))}")];
        });
}

/// <summary>Shopify: the whole order again whenever it changes, refunds by themselves. It knows no chargebacks: the payment's provider does.</summary>
internal sealed class ShopifyWay() : WayIn("shopify")
{
    private const string Secret = "shpss_of-the-order-stories";

    public override Task SetUpAsync(PulseSystem system) => Webhooks.SetUpAsync(system, "shopify", Secret);

    protected internal override Task OrderAsync(PulseSystem system, Ordered order) => SendAsync(system, "orders/paid", Snapshot(order, order.AmountMinor, order.At));

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) => moved.Reason switch
    {
        Why.Refund => SendAsync(system, "refunds/create", new
        {
            id = moved.Id, order_id = moved.Order.OrderId, created_at = moved.At,
            transactions = new[] { new { id = $"t-{moved.Id}", kind = "refund", status = "success", amount = Signed(moved.AmountMinor), currency = OrderStory.Currency, created_at = moved.At } },
        }),
        Why.Cancellation => SendAsync(system, "orders/cancelled", Snapshot(moved.Order, moved.Order.AmountMinor, moved.At, cancelled: true)),
        _ => ByApiAsync(system, moved),
    };

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) =>
        SendAsync(system, "orders/updated", Snapshot(repriced.Order, repriced.AmountMinor, repriced.At));

    private static object Snapshot(Ordered order, long totalMinor, DateTimeOffset asOf, bool cancelled = false) => new
    {
        id = order.OrderId,
        email = order.Customer,
        created_at = order.At,
        updated_at = asOf,
        cancelled_at = cancelled ? asOf : (DateTimeOffset?)null,
        financial_status = "paid",
        currency = OrderStory.Currency,
        total_price = Signed(totalMinor),
        test = order.Test,
        note_attributes = new[] { new { name = "pp_click", value = order.Click }, new { name = "pp_vid", value = order.Visitor } }.Where(a => a.value is not null),
        discount_codes = order.Coupon is null ? [] : new[] { new { code = order.Coupon } },
    };

    private static Task SendAsync(PulseSystem system, string topic, object body) => Webhooks.SendAsync(
        system, "shopify", body, text => [("X-Shopify-Topic", topic), ("X-Shopify-Hmac-Sha256", Convert.ToBase64String(Webhooks.Sign(Secret, text)))]);
}

/// <summary>WooCommerce: the whole order with its refunds whenever it changes. It knows neither chargebacks nor tests.</summary>
internal sealed class WooCommerceWay() : WayIn("woocommerce")
{
    private const string Secret = "woo-secret-of-the-order-stories";

    public override Task SetUpAsync(PulseSystem system) => Webhooks.SetUpAsync(system, "woocommerce", Secret);

    protected internal override Task OrderAsync(PulseSystem system, Ordered order) => order.Test
        ? new ApiWay(Source).OrderAsync(system, order)
        : SendAsync(system, "order.created", order, order.AmountMinor, order.At, "processing", []);

    protected internal override Task MoveAsync(PulseSystem system, Moved moved, IReadOnlyList<Moved> soFar) => moved.Reason switch
    {
        Why.Refund => SendAsync(system, "order.updated", moved.Order, moved.Order.AmountMinor, moved.At, "completed", [.. soFar.Where(m => m.Reason == Why.Refund)]),
        Why.Cancellation => SendAsync(system, "order.updated", moved.Order, moved.Order.AmountMinor, moved.At, "cancelled", []),
        _ => ByApiAsync(system, moved),
    };

    protected internal override Task RepriceAsync(PulseSystem system, Repriced repriced) =>
        SendAsync(system, "order.updated", repriced.Order, repriced.AmountMinor, repriced.At, "processing", []);

    private static Task SendAsync(PulseSystem system, string topic, Ordered order, long totalMinor, DateTimeOffset asOf, string status, IReadOnlyList<Moved> refunds) =>
        Webhooks.SendAsync(
            system,
            "woocommerce",
            new
            {
                id = order.OrderId,
                status,
                currency = OrderStory.Currency,
                total = Signed(totalMinor),
                date_created_gmt = Gmt(order.At),
                date_modified_gmt = Gmt(asOf),
                customer_id = 0,
                billing = new { email = order.Customer },
                meta_data = new[] { new { key = "_pp_click", value = order.Click }, new { key = "_pp_vid", value = order.Visitor } }.Where(m => m.value is not null),
                coupon_lines = order.Coupon is null ? [] : new[] { new { code = order.Coupon } },
                refunds = refunds.Select(r => new { id = r.Id, reason = "", total = Signed(-r.AmountMinor) }),
            },
            text => [("X-WC-Webhook-Topic", topic), ("X-WC-Webhook-Signature", Convert.ToBase64String(Webhooks.Sign(Secret, text)))]);

    // Without an offset, as WooCommerce writes it.
    private static string Gmt(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss", CultureInfo.InvariantCulture);
}
