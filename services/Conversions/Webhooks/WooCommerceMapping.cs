using System.Globalization;
using PartnerPulse.Conversions.Orders;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>
/// Topics of WooCommerce. Each delivery is the whole order as of <c>date_modified_gmt</c>, with all its refunds. The amount is
/// <c>total</c>, with tax and shipping and before refunds.
/// </summary>
internal static class WooCommerceMapping
{
    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["orderId"] = "id", ["amount"] = "total", ["occurredAt"] = "date_created_gmt", ["asOf"] = "date_modified_gmt", ["items"] = "line_items",
    };

    /// <summary>What WooCommerce sends, unsigned, when a webhook is saved. It wants a 200.</summary>
    public static bool IsPing(ReadOnlySpan<byte> body)
    {
        var prefix = "webhook_id="u8;
        if (body.Length is < 12 or > 32 || !body.StartsWith(prefix))
        {
            return false;
        }

        foreach (var c in body[prefix.Length..])
        {
            if (c is < (byte)'0' or > (byte)'9')
            {
                return false;
            }
        }

        return true;
    }

    public static Told Map(Node root, IHeaderDictionary headers)
    {
        var told = headers["X-WC-Webhook-Topic"].ToString() switch
        {
            "order.created" or "order.updated" or "order.restored" => Order(root),
            "" => Missing(root),
            _ => new Nothing("is a topic that concerns no order's money"),
        };
        return root.Faults.Count > 0 ? new Unclear(root.Faults) : told;
    }

    private static Unclear Missing(Node root)
    {
        root.Fault("X-WC-Webhook-Topic", "is missing");
        return new Unclear(root.Faults);
    }

    private static Told Order(Node order)
    {
        var status = order.RequiredWord("status");
        if (status is null)
        {
            return new Unclear(order.Faults);
        }

        if (status is not ("processing" or "completed" or "refunded" or "cancelled" or "failed"))
        {
            return new Nothing($"is an order that is not paid (status '{status}')");
        }

        var id = order.RequiredWord("id");
        var currency = order.RequiredWord("currency");
        var total = order.RequiredWord("total");
        var asOf = RequiredTime(order, "date_modified_gmt");
        var createdAt = RequiredTime(order, "date_created_gmt");
        var refunds = order.List("refunds").Select(refund => Refund(refund, currency, asOf)).OfType<AdjustmentAsk>().ToArray();
        var marks = new Marks();
        foreach (var entry in order.List("meta_data"))
        {
            var key = entry.Word("key") ?? "";
            marks.Take(key.StartsWith("_pp_", StringComparison.Ordinal) ? key[1..] : key, entry.Word("value"), entry.At("value"));
        }

        foreach (var line in order.List("coupon_lines"))
        {
            marks.TakeCoupon(line.Word("code"), line.At("code"));
        }

        marks.TakeCustomer(order.Object("billing")?.Word("email"), "billing.email");
        marks.TakeCustomer(order.Word("customer_id") is { } customer and not "0" ? customer : null, "customer_id");

        // A failed or cancelled order may be paid after all: the stock was held too short for a slow bank. Then a newer snapshot
        // says so, and the order is what it was.
        var calledOff = status is "cancelled" or "failed" || (status == "refunded" && !Covers(refunds, total));
        return new OrderNews
        {
            OrderId = id,
            AsOf = asOf,
            Order = status is "cancelled" or "failed" ? null : marks.Onto(new ConversionAsk
            {
                OrderId = id,
                Kind = "sale",
                OccurredAt = createdAt,
                Amount = total,
                Currency = currency,
                Items = [.. order.List("line_items").Where(line => line.Whole("quantity") is not 0).Select(Item)],
            }),
            Statement = new AmountTold(total, currency, calledOff),
            Adjustments = refunds,
            LeftOut = marks.LeftOut,
            Names = s_names,
        };
    }

    // The snapshot says of a refund its id and amount, not its time: the first snapshot that shows it gives that.
    private static AdjustmentAsk? Refund(Node refund, string? currency, DateTimeOffset? asOf)
    {
        var id = refund.RequiredWord("id");
        var amount = refund.RequiredWord("total");
        return amount is null || Value(amount) == 0
            ? null
            : new AdjustmentAsk
            {
                Id = $"refund-{id}",
                Amount = amount.StartsWith('-') ? amount : $"-{amount}",
                Currency = currency,
                Reason = "refund",
                OccurredAt = asOf,
            };
    }

    private static ItemAsk Item(Node line)
    {
        var quantity = line.Whole("quantity") ?? 1;
        if (quantity is < 1 or > ConversionReader.MaxQuantity)
        {
            line.Fault("quantity", $"must be 1 to {ConversionReader.MaxQuantity}");
            quantity = 1;
        }

        return new ItemAsk
        {
            Product = line.Word("sku") ?? (line.Word("product_id") is { } product and not "0" ? product : null) ?? line.Word("name"),
            Quantity = (int)quantity,
            Amount = line.RequiredWord("total"),
        };
    }

    /// <summary>Whether the refunds are all of the order, so that nothing more has to be said than they do.</summary>
    private static bool Covers(AdjustmentAsk[] refunds, string? total)
    {
        var left = Value(total) ?? 0;
        foreach (var refund in refunds)
        {
            left += Value(refund.Amount) ?? 0;
        }

        return left <= 0;
    }

    // Bounded, so that sums of them stay within a decimal; the amounts themselves are judged where they are read.
    private static decimal? Value(string? amount) =>
        decimal.TryParse(amount, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            ? Math.Clamp(value, -1_000_000_000_000_000m, 1_000_000_000_000_000m)
            : null;

    private static DateTimeOffset? RequiredTime(Node order, string name)
    {
        var time = order.UtcTime(name);
        if (time is null && order.Word(name) is null)
        {
            order.Fault(name, "is required");
        }

        return time;
    }
}
