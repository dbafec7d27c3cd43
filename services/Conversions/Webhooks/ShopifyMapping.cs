using System.Globalization;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>
/// Topics of Shopify. Each delivery is the whole order as of <c>updated_at</c>, or one refund. The amount is <c>total_price</c>,
/// with tax and shipping and before refunds: that is what refunds' transactions take away from.
/// </summary>
internal static class ShopifyMapping
{
    private static readonly Dictionary<string, string> s_names = new(StringComparer.Ordinal)
    {
        ["orderId"] = "id", ["amount"] = "total_price", ["occurredAt"] = "created_at", ["asOf"] = "updated_at", ["items"] = "line_items",
    };

    private static readonly Dictionary<string, string> s_refundNames = new(StringComparer.Ordinal)
    {
        ["orderId"] = "order_id", ["amount"] = "transactions.amount", ["currency"] = "transactions.currency", ["occurredAt"] = "created_at",
    };

    public static Told Map(Node root, IHeaderDictionary headers)
    {
        if (string.Equals(headers["X-Shopify-Test"].ToString(), "true", StringComparison.OrdinalIgnoreCase))
        {
            return new Nothing("is a test notification of Shopify with an order that nobody made");
        }

        var told = headers["X-Shopify-Topic"].ToString() switch
        {
            "orders/create" or "orders/paid" or "orders/updated" or "orders/cancelled" => Order(root),
            "refunds/create" => Refund(root),
            "" => Missing(root),
            _ => new Nothing("is a topic that concerns no order's money"),
        };
        return root.Faults.Count > 0 ? new Unclear(root.Faults) : told;
    }

    private static Unclear Missing(Node root)
    {
        root.Fault("X-Shopify-Topic", "is missing");
        return new Unclear(root.Faults);
    }

    private static Told Order(Node order)
    {
        var cancelled = order.Word("cancelled_at") is not null;
        var status = order.Word("financial_status");
        if (!cancelled && status is not ("paid" or "partially_refunded" or "refunded"))
        {
            return new Nothing($"is an order that is not paid (financial_status '{status}')");
        }

        var id = order.RequiredWord("id");
        var currency = order.RequiredWord("currency");
        var total = order.RequiredWord("total_price");
        var asOf = RequiredTime(order, "updated_at");
        var createdAt = RequiredTime(order, "created_at");
        var marks = new Marks();
        foreach (var attribute in order.List("note_attributes"))
        {
            marks.Take(attribute.Word("name") ?? "", attribute.Word("value"), attribute.At("value"));
        }

        foreach (var code in order.List("discount_codes"))
        {
            marks.TakeCoupon(code.Word("code"), code.At("code"));
        }

        marks.TakeCustomer(order.Word("email"), "email");
        marks.TakeCustomer(order.Word("contact_email"), "contact_email");
        marks.TakeCustomer(order.Object("customer")?.Word("email"), "customer.email");
        marks.TakeCustomer(order.Object("customer")?.Word("id"), "customer.id");

        return new OrderNews
        {
            OrderId = id,
            AsOf = asOf,
            Order = cancelled ? null : marks.Onto(new ConversionAsk
            {
                OrderId = id,
                Kind = "sale",
                OccurredAt = createdAt,
                Amount = total,
                Currency = currency,
                Test = order.Flag("test"),
                Items = currency is null ? null : [.. order.List("line_items").Select(line => Item(line, currency)).OfType<ItemAsk>()],
            }),
            Statement = new AmountTold(total, currency, cancelled),
            Adjustments = [.. order.List("refunds").SelectMany(refund => Refunds(refund, currency))],
            LeftOut = marks.LeftOut,
            Names = s_names,
        };
    }

    private static Told Refund(Node refund)
    {
        var orderId = refund.RequiredWord("order_id");
        var adjustments = Refunds(refund, currency: null).ToArray();
        return adjustments.Length == 0 && refund.Faults.Count == 0
            ? new Nothing("is a refund without money")
            : new OrderNews { OrderId = orderId, Adjustments = adjustments, Names = s_refundNames };
    }

    // Each transaction has its own id: the same refund comes again with every snapshot of its order, and with one more of its
    // transactions settled.
    private static IEnumerable<AdjustmentAsk> Refunds(Node refund, string? currency)
    {
        foreach (var transaction in refund.List("transactions"))
        {
            if (transaction.Word("kind") != "refund" || transaction.Word("status") != "success")
            {
                continue;
            }

            var id = transaction.RequiredWord("id");
            var amount = transaction.RequiredWord("amount");
            var of = transaction.Word("currency") ?? currency;
            if (amount is null || IsNothing(amount))
            {
                continue;
            }

            if (of is null)
            {
                transaction.Fault("currency", "is required");
            }

            yield return new AdjustmentAsk
            {
                Id = $"refund-{id}",
                Amount = amount.StartsWith('-') ? amount : $"-{amount}",
                Currency = of,
                Reason = "refund",
                OccurredAt = transaction.Time("created_at") ?? RequiredTime(refund, "created_at"),
            };
        }
    }

    /// <summary>A line that is still part of the order; its amount is after discounts.</summary>
    private static ItemAsk? Item(Node line, string currency)
    {
        var quantity = line.Whole("quantity") ?? 1;
        if (quantity == 0)
        {
            return null;
        }

        if (quantity is < 0 or > ConversionReader.MaxQuantity)
        {
            line.Fault("quantity", $"must be 1 to {ConversionReader.MaxQuantity}");
            return null;
        }

        var price = Minor(line, "price", currency);
        var allocations = line.List("discount_allocations").ToArray();
        var discount = allocations.Length > 0 ? allocations.Sum(a => Minor(a, "amount", currency)) : Minor(line, "total_discount", currency);
        var whole = (price * quantity) - discount;
        if (Math.Abs(whole) > Currency.MaxMinor)
        {
            line.Fault("price", "is too large with its quantity");
            return null;
        }

        return new ItemAsk
        {
            Product = line.Word("sku") ?? line.Word("product_id") ?? line.Word("title"),
            Quantity = (int)quantity,
            Amount = Currency.Decimals(currency) is null ? null : Currency.Format((long)whole, currency),
        };
    }

    private static decimal Minor(Node at, string name, string currency)
    {
        // A currency that is none is told of the order itself.
        if (at.Word(name) is not { } text || Currency.Decimals(currency) is null)
        {
            return 0;
        }

        if (Currency.TryParse(text, currency, out var minor, out var reason))
        {
            return minor;
        }

        at.Fault(name, reason!);
        return 0;
    }

    private static DateTimeOffset? RequiredTime(Node at, string name)
    {
        var time = at.Time(name);
        if (time is null && at.Word(name) is null)
        {
            at.Fault(name, "is required");
        }

        return time;
    }

    private static bool IsNothing(string amount) => decimal.TryParse(amount, NumberStyles.Number, CultureInfo.InvariantCulture, out var value) && value == 0;
}
