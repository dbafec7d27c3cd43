using System.Globalization;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>
/// Events of Stripe. An order is a payment by Checkout under its payment intent, or an invoice of a subscription under the
/// invoice's id; charges, refunds and disputes come by payment intent.
/// </summary>
internal static class StripeMapping
{
    private static readonly Dictionary<string, string> s_sessionNames = new(StringComparer.Ordinal)
    {
        ["orderId"] = "data.object.id", ["amount"] = "data.object.amount_total", ["currency"] = "data.object.currency", ["occurredAt"] = "created",
    };

    private static readonly Dictionary<string, string> s_invoiceNames = new(StringComparer.Ordinal)
    {
        ["orderId"] = "data.object.id", ["amount"] = "data.object.amount_paid", ["currency"] = "data.object.currency",
        ["occurredAt"] = "data.object.status_transitions.paid_at",
    };

    private static readonly Dictionary<string, string> s_chargeNames = new(StringComparer.Ordinal)
    {
        ["orderId"] = "data.object.payment_intent", ["amount"] = "data.object.amount", ["currency"] = "data.object.currency", ["occurredAt"] = "created",
    };

    public static Told Map(Node root)
    {
        var type = root.RequiredWord("type");
        if (type is null)
        {
            return new Unclear(root.Faults);
        }

        Func<Node, Node, string, Told>? map = type switch
        {
            "checkout.session.completed" or "checkout.session.async_payment_succeeded" => Session,
            "invoice.paid" or "invoice.payment_succeeded" => Invoice,
            "invoice_payment.paid" => InvoicePayment,
            "charge.refunded" => Refunded,
            "charge.refund.updated" or "refund.updated" or "refund.failed" => RefundFailed,
            "charge.dispute.created" or "charge.dispute.funds_withdrawn" or "charge.dispute.closed" or "charge.dispute.funds_reinstated" => Dispute,
            _ => null,
        };
        if (map is null)
        {
            return new Nothing("is no event that concerns orders");
        }

        var told = root.Required("data")?.Required("object") is { } subject ? map(root, subject, type) : null;
        return root.Faults.Count > 0 ? new Unclear(root.Faults) : told!;
    }

    /// <summary>
    /// Stripe's smallest units as a decimal string. Its decimals are not always those of ISO 4217: the ariary has none there, and
    /// króna and shilling still have two.
    /// </summary>
    public static string Amount(long smallest, string currency)
    {
        var decimals = currency switch
        {
            "MGA" => 0,
            "ISK" or "UGX" => 2,
            _ => Currency.Decimals(currency) ?? 2,
        };
        var divisor = decimals switch { 0 => 1m, 2 => 100m, 3 => 1_000m, _ => 10_000m };
        return (smallest / divisor).ToString(CultureInfo.InvariantCulture);
    }

    private static Told Session(Node root, Node session, string type)
    {
        if (session.Word("mode") == "setup")
        {
            return new Nothing("is a session that only saves a way to pay");
        }

        if (session.Word("payment_status") == "unpaid")
        {
            // With debits and transfers the money comes days later; then async_payment_succeeded says so, or nobody ever does.
            return new Nothing("is not paid yet; checkout.session.async_payment_succeeded will tell");
        }

        var amount = session.RequiredWhole("amount_total");
        var currency = session.RequiredWord("currency")?.ToUpperInvariant();
        var id = session.RequiredWord("id");
        var marks = new Marks();
        TakeMetadata(marks, session.Object("metadata"));
        TakeReference(marks, session);
        marks.TakeCustomer(session.Object("customer_details")?.Word("email"), "data.object.customer_details.email");
        marks.TakeCustomer(session.Word("customer_email"), "data.object.customer_email");
        marks.TakeCustomer(session.IdOf("customer"), "data.object.customer");

        // A subscription's charge has another payment intent than the session, which has none; both have the invoice.
        var orderId = session.IdOf("payment_intent") ?? session.IdOf("invoice") ?? id;
        return new OrderNews
        {
            OrderId = orderId,
            Order = marks.Onto(new ConversionAsk
            {
                OrderId = orderId,
                Kind = "sale",
                OccurredAt = root.UnixTime("created"),
                Amount = amount is null || currency is null ? null : Amount(amount.Value, currency),
                Currency = currency,
                Test = IsTest(session),
            }),
            LeftOut = marks.LeftOut,
            Names = s_sessionNames,
        };
    }

    private static Told Invoice(Node root, Node invoice, string type)
    {
        var details = invoice.Object("parent")?.Object("subscription_details") ?? invoice.Object("subscription_details");
        var marks = new Marks();
        TakeMetadata(marks, invoice.Object("metadata"));
        TakeMetadata(marks, details?.Object("metadata"));
        var reason = invoice.Word("billing_reason");
        var kind = reason switch
        {
            "subscription_cycle" => "renewal",

            // Checkout's session tells the first invoice of its subscription. Where there was no Checkout, the marks of the visit
            // lie on the subscription itself.
            "subscription_create" when marks.Any => "sale",
            _ => null,
        };
        if (kind is null)
        {
            return new Nothing(reason == "subscription_create"
                ? "is the first invoice of a subscription; its Checkout session is the sale, unless the subscription's metadata has pp_click, pp_vid or coupon"
                : $"is an invoice for '{reason}', which is no renewal");
        }

        var amount = invoice.RequiredWhole("amount_paid");
        var currency = invoice.RequiredWord("currency")?.ToUpperInvariant();
        var id = invoice.RequiredWord("id");
        marks.TakeCustomer(invoice.Word("customer_email"), "data.object.customer_email");
        marks.TakeCustomer(invoice.IdOf("customer"), "data.object.customer");
        return new OrderNews
        {
            OrderId = id,
            Payment = PaymentOf(invoice),
            Order = marks.Onto(new ConversionAsk
            {
                OrderId = id,
                Kind = kind,
                OccurredAt = invoice.Object("status_transitions")?.UnixTime("paid_at") ?? root.UnixTime("created"),
                Amount = amount is null || currency is null ? null : Amount(amount.Value, currency),
                Currency = currency,
                Test = IsTest(invoice),
            }),
            LeftOut = marks.LeftOut,
            Names = s_invoiceNames,
        };
    }

    // Since 2025 neither the invoice nor the charge names the other; this one names both.
    private static Told InvoicePayment(Node root, Node payment, string type)
    {
        var invoice = payment.IdOf("invoice");
        var intent = payment.Object("payment")?.IdOf("payment_intent") ?? payment.Object("payment")?.IdOf("charge");
        return invoice is null || intent is null
            ? new Nothing("ties no payment to an invoice")
            : new OrderNews { OrderId = invoice, Payment = intent, Names = s_invoiceNames };
    }

    private static Told Refunded(Node root, Node charge, string type)
    {
        var currency = charge.RequiredWord("currency")?.ToUpperInvariant();
        var id = charge.RequiredWord("id");
        var total = charge.RequiredWhole("amount_refunded");
        var created = Created(root);
        if (currency is null || id is null || total is null || created is not { } at)
        {
            return new Unclear(root.Faults);
        }

        var news = Of(charge, id);
        var refunds = charge.Object("refunds")?.List("data").ToArray() ?? [];
        if (refunds.Length > 0)
        {
            return news with
            {
                Adjustments =
                [
                    .. refunds.Where(refund => refund.Word("status") is null or "succeeded" or "pending")
                        .Select(refund => Adjustment(refund.RequiredWord("id"), -(refund.RequiredWhole("amount") ?? 0), currency, "refund", refund.UnixTime("created") ?? at)),
                ],
            };
        }

        // Since 2022 a charge no longer lists its refunds. The event says what was refunded before it; where it does not, what is
        // recorded of the charge says so.
        if (root.Object("data")?.Object("previous_attributes")?.Whole("amount_refunded") is { } before && root.Word("id") is { } eventId)
        {
            return total == before
                ? new Nothing("refunds nothing")
                : news with { Adjustments = [Adjustment($"{id}-{eventId}", before - total.Value, currency, total > before ? "refund" : "correction", at)] };
        }

        return total == 0 ? new Nothing("refunds nothing") : news with { Refunded = new RefundedByNow(id, Amount(total.Value, currency), currency, at) };
    }

    private static Told RefundFailed(Node root, Node refund, string type)
    {
        if (refund.Word("status") is not ("failed" or "canceled"))
        {
            return new Nothing("is a refund that charge.refunded tells");
        }

        var id = refund.RequiredWord("id");
        var amount = refund.RequiredWhole("amount");
        var currency = refund.RequiredWord("currency")?.ToUpperInvariant();
        var created = Created(root);
        return currency is null || amount is null || created is not { } at
            ? new Unclear(root.Faults)
            : Of(refund, refund.IdOf("charge")) with { Adjustments = [Adjustment($"{id}-failed", amount.Value, currency, "correction", at)] };
    }

    private static Told Dispute(Node root, Node dispute, string type)
    {
        var status = dispute.Word("status") ?? "";
        if (status.StartsWith("warning_", StringComparison.Ordinal) || status == "prevented")
        {
            return new Nothing("is an inquiry; no money has moved");
        }

        var id = dispute.RequiredWord("id");
        var amount = dispute.RequiredWhole("amount");
        var currency = dispute.RequiredWord("currency")?.ToUpperInvariant();
        var created = Created(root);
        if (id is null || amount is null || currency is null || created is not { } at)
        {
            return new Unclear(root.Faults);
        }

        var chargeback = Adjustment(id, -amount.Value, currency, "chargeback", dispute.UnixTime("created") ?? at);
        var isBack = type == "charge.dispute.funds_reinstated" || (type == "charge.dispute.closed" && status == "won");

        // What comes back is recorded with what was taken: alone it would undo a refund where the other event never arrives.
        return Of(dispute, dispute.IdOf("charge")) with
        {
            Adjustments = isBack ? [chargeback, Adjustment($"{id}-won", amount.Value, currency, "correction", at)] : [chargeback],
        };
    }

    private static OrderNews Of(Node subject, string? charge) => new()
    {
        OrderId = subject.IdOf("payment_intent") ?? charge,
        IsPayment = true,
        Names = s_chargeNames,
    };

    private static AdjustmentAsk Adjustment(string? id, long smallest, string currency, string reason, DateTimeOffset at) => new()
    {
        Id = id, Amount = Amount(smallest, currency), Currency = currency, Reason = reason, OccurredAt = at,
    };

    private static DateTimeOffset? Created(Node root)
    {
        var at = root.UnixTime("created");
        if (at is null && root.Member("created") is null)
        {
            root.Fault("created", "is required");
        }

        return at;
    }

    /// <summary>Until 2025 an invoice named its payment itself; now it may list its payments.</summary>
    private static string? PaymentOf(Node invoice) =>
        invoice.IdOf("payment_intent")
        ?? invoice.IdOf("charge")
        ?? invoice.Object("payments")?.List("data").Select(p => p.Object("payment")?.IdOf("payment_intent")).FirstOrDefault(id => id is not null);

    private static void TakeMetadata(Marks marks, Node? metadata)
    {
        if (metadata is not { } from)
        {
            return;
        }

        foreach (var name in (string[])["pp_click", "pp_vid", "coupon"])
        {
            marks.Take(name, from.Word(name), from.At(name));
        }
    }

    // One field for whatever a shop wants: a visitor id is recognised by its form, the rest is taken for a click's.
    private static void TakeReference(Marks marks, Node session)
    {
        if (session.Word("client_reference_id") is { } reference)
        {
            var isVisitor = reference.Length == VisitorId.IdLength && reference.All(char.IsAsciiHexDigitLower);
            marks.Take(isVisitor ? "pp_vid" : "pp_click", reference, session.At("client_reference_id"));
        }
    }

    private static bool IsTest(Node subject) => subject.Member("livemode") is { Json.ValueKind: System.Text.Json.JsonValueKind.False };
}
