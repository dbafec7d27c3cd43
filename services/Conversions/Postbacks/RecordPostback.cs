using System.Collections.Frozen;
using System.Diagnostics;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Conversions.Webhooks;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Postbacks;

/// <summary>
/// <c>GET /v1/postback</c>: an order as networks and trackers report it, by an address with macros. The key stands in the address,
/// because most of them can send nothing else: give it the scope <c>conversions:write</c> alone. It is never logged. The answer says
/// what was done; nothing is passed over in silence.
/// </summary>
internal static partial class RecordPostback
{
    private enum Meaning
    {
        Order,
        Nothing,
        Cancellation,
        Refund,
        Chargeback,
    }

    private static readonly FrozenDictionary<string, Meaning> s_meanings = new Dictionary<string, Meaning>(StringComparer.Ordinal)
    {
        ["approved"] = Meaning.Order,
        ["confirmed"] = Meaning.Order,
        ["paid"] = Meaning.Order,
        ["pending"] = Meaning.Nothing,
        ["reversed"] = Meaning.Cancellation,
        ["rejected"] = Meaning.Cancellation,
        ["declined"] = Meaning.Cancellation,
        ["cancelled"] = Meaning.Cancellation,
        ["canceled"] = Meaning.Cancellation,
        ["refund"] = Meaning.Refund,
        ["refunded"] = Meaning.Refund,
        ["chargeback"] = Meaning.Chargeback,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly string[] s_names =
    [
        "click_id", "visitor_id", "order_id", "amount", "currency", "kind", "source", "customer", "coupon", "status", "adjustment_id", "test", "token",
    ];

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/postback", HandleAsync)
            .WithName("RecordPostback").WithTags("Conversions").WithSummary("Records an order, or takes one back, by an address with macros; the key is the parameter token");

    private static async Task<Results<Ok<DeliveryAnswer>, ProblemHttpResult>> HandleAsync(
        HttpContext http,
        ApiKeys keys,
        ConversionReader reader,
        ConversionWriter writer,
        ConversionAdjuster adjuster,
        DeliveryRecorder recorder,
        ConversionLog log,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        // A cache between would answer the next one from memory.
        http.Response.Headers.CacheControl = "no-store";
        var query = http.Request.Query;
        if (Unauthorised(query["token"], keys, log.Program) is { } refusal)
        {
            return refusal;
        }

        var checks = new Checks(time);
        var values = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var name in s_names.Where(name => name != "token"))
        {
            values[name] = One(query, name, checks);
        }

        var meaning = Meaning.Order;
        if (values["status"] is { } status && !s_meanings.TryGetValue(status.ToLowerInvariant(), out meaning))
        {
            checks.Add("status", $"must be one of {string.Join(", ", s_meanings.Keys.Order(StringComparer.Ordinal))}");
        }

        bool? test = null;
        if (values["test"] is { } flag)
        {
            test = flag is "1" or "true";
            if (flag is not ("1" or "true" or "0" or "false"))
            {
                checks.Add("test", "must be 1 or 0");
            }
        }

        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        if (meaning == Meaning.Nothing)
        {
            return TypedResults.Ok(new DeliveryAnswer("ignored") { Reason = $"status '{values["status"]}' is no order yet" });
        }

        var source = values["source"] ?? "postback";
        return meaning == Meaning.Order ? await RecordAsync() : await TakeBackAsync();

        async Task<Results<Ok<DeliveryAnswer>, ProblemHttpResult>> RecordAsync()
        {
            var ask = new ConversionAsk
            {
                Source = source,
                OrderId = values["order_id"],
                Kind = values["kind"] ?? "sale",
                Amount = values["amount"],
                Currency = values["currency"],
                ClickId = values["click_id"],
                VisitorId = values["visitor_id"],
                Customer = values["customer"],
                Coupon = values["coupon"],
                Test = test,
            };
            if (reader.Read(ask, checks) is not { } order)
            {
                return Problem.Invalid(Named(checks.Faults));
            }

            var outcomes = await writer.RecordAsync([order], cancellationToken);
            return outcomes[0] switch
            {
                RecordConversion.Recorded r => Answer("recorded", r.ConversionId, conversion: null),
                RecordConversion.AlreadyRecorded r => Answer("already-recorded", r.ConversionId, conversion: null),
                RecordConversion.RecordedDifferently r => Problem.Conflict(Named(r.Differences)),
                var other => throw new UnreachableException(other.ToString()),
            };
        }

        async Task<Results<Ok<DeliveryAnswer>, ProblemHttpResult>> TakeBackAsync()
        {
            source = ConversionReader.Source(checks, source);
            var orderId = checks.Required("order_id", values["order_id"], ConversionReader.MaxOrderId);
            if (!checks.Passed)
            {
                return Problem.Invalid(checks.Faults);
            }

            var id = Ids.Conversion(log.Program, source, orderId);
            var (conversion, _) = await log.LoadAsync(id, cancellationToken);
            if (meaning == Meaning.Cancellation && values["amount"] is null)
            {
                return await CallOffAsync(id, orderId, conversion);
            }

            var reason = meaning switch
            {
                Meaning.Refund => "refund",
                Meaning.Chargeback => "chargeback",
                Meaning.Cancellation => "cancellation",
                _ => throw new UnreachableException(meaning.ToString()),
            };
            var adjustmentId = values["adjustment_id"] ?? reason;

            // Without an amount the whole order is meant.
            var amount = values["amount"]
                ?? (conversion.FindAdjustment(adjustmentId) is { } before ? Currency.Format(before.AmountMinor, before.Currency)
                    : conversion.AmountMinor is { } whole ? Currency.Format(whole, conversion.Order!.Currency)
                    : null);
            if (amount is null)
            {
                return Problem.Invalid(new FieldFault("amount", "is required while the order is not known"));
            }

            var ask = new AdjustmentAsk
            {
                Id = adjustmentId, Amount = amount.StartsWith('-') ? amount : $"-{amount}", Currency = values["currency"], Reason = reason,
            };
            if (AdjustConversion.Read(ask, source, orderId, checks) is not { } asked)
            {
                return Problem.Invalid(Named(checks.Faults));
            }

            var (outcome, after) = await adjuster.AdjustAsync(asked, cancellationToken);
            return outcome switch
            {
                AdjustConversion.Adjusted => Answer("adjusted", id, after),
                AdjustConversion.AlreadyAdjusted => Answer("already-recorded", id, after),
                AdjustConversion.AdjustedDifferently a => Problem.Conflict(Named(a.Differences)),
                AdjustConversion.Refused r => Problem.Invalid(Named(r.Faults)),
                AdjustConversion.Contended => Contended(),
                var other => throw new UnreachableException(other.ToString()),
            };
        }

        // A lead that is worth nothing can be called off too, which no adjustment of an amount could say.
        async Task<Results<Ok<DeliveryAnswer>, ProblemHttpResult>> CallOffAsync(Guid id, string orderId, Conversion conversion)
        {
            if (conversion.Statement is { Cancelled: true })
            {
                return Answer("already-recorded", id, conversion);
            }

            var currency = values["currency"] ?? conversion.Order?.Currency;
            if (currency is null || Currency.Decimals(currency) is null)
            {
                return Problem.Invalid(new FieldFault("currency", currency is null ? "is required while the order is not known" : $"'{currency}' is not a currency of ISO 4217"));
            }

            var statement = new RestateConversion.Asked(source, orderId, 0, currency, time.GetUtcNow(), Cancelled: true);
            var (outcome, _) = await recorder.RecordAsync(
                new TakeDelivery.Asked(source, orderId, Order: null, statement, [], Refunded: null, Compare: false), payment: null, isPayment: false, cancellationToken);
            return outcome switch
            {
                TakeDelivery.Taken t => Answer(t.Events.Count > 0 ? "cancelled" : "already-recorded", id, t.After),
                TakeDelivery.Refused r => Problem.Invalid(Named(r.Faults)),
                TakeDelivery.Contended => Contended(),
                var other => throw new UnreachableException(other.ToString()),
            };
        }

        Ok<DeliveryAnswer> Answer(string did, Guid conversionId, Conversion? conversion) => TypedResults.Ok(new DeliveryAnswer(did)
        {
            ConversionId = conversionId,
            Source = source,
            OrderId = values["order_id"],
            Net = conversion?.NetMinor is { } net ? Currency.Format(net, conversion.Order!.Currency) : null,
        });
    }

    private static ProblemHttpResult Contended() => Problem.Of(
        StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("order_id", $"was changed by others {ConversionLog.MaxTries} times meanwhile"));

    private static ProblemHttpResult? Unauthorised(Microsoft.Extensions.Primitives.StringValues token, ApiKeys keys, string program)
    {
        if (token.Count != 1 || string.IsNullOrEmpty(token[0]))
        {
            return Problem.Of(StatusCodes.Status401Unauthorized, "No valid API key",
                new FieldFault("token", token.Count > 1 ? "is given twice" : "is missing; it is an API key with the scope conversions:write"));
        }

        if (keys.Find(token[0]!) is not { } key)
        {
            return Problem.Of(StatusCodes.Status401Unauthorized, "No valid API key", new FieldFault("token", "is not the key of anyone"));
        }

        var reason =
            key.Program != program ? $"is a key of the program '{key.Program}'; this is '{program}'"
            : key.May(Scope.WriteConversions) ? null
            : $"needs the scope {Scope.WriteConversions}";
        return reason is null ? null : Problem.Of(StatusCodes.Status403Forbidden, "The API key may not do this", new FieldFault("token", reason));
    }

    private static string? One(IQueryCollection query, string name, Checks checks)
    {
        var given = query[name];
        if (given.Count > 1)
        {
            checks.Add(name, "is given twice");
            return null;
        }

        var value = given.Count == 0 || string.IsNullOrWhiteSpace(given[0]) ? null : given[0]!.Trim();
        if (value is not null && value.Length <= 64 && Macro().IsMatch(value))
        {
            checks.Add(name, $"is '{value}': a macro that the sender did not replace");
            return null;
        }

        return value;
    }

    /// <summary>Our fields as the parameters are called.</summary>
    private static FieldFault[] Named(IEnumerable<FieldFault> faults) => [.. faults.Select(fault => fault with
    {
        Field = fault.Field switch { "orderId" => "order_id", "clickId" => "click_id", "visitorId" => "visitor_id", "id" => "adjustment_id", var same => same },
    })];

    [GeneratedRegex(@"^(\$?\{.*\}|\[.*\]|<.*>|%.+%|#.+#|__.+__)$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Macro();
}
