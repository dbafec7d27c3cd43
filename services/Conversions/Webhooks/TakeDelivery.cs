using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>What a delivery did.</summary>
/// <param name="Status"><c>recorded</c>, <c>restated</c>, <c>adjusted</c>, <c>already-recorded</c> or <c>ignored</c>.</param>
internal sealed record DeliveryAnswer(string Status)
{
    /// <summary>Why it was ignored.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Reason { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Guid? ConversionId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Source { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? OrderId { get; init; }

    /// <summary>The order's amount after all adjustments; absent while the order is not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Net { get; init; }

    /// <summary>What could not be used and was left out.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<FieldFault>? LeftOut { get; init; }
}

/// <summary>
/// <c>POST /v1/hooks/{scheme}/{program}</c>: a shop's own webhook. The signature is the key. Everything in it has a natural id, so
/// the same delivery again, and the same fact in another delivery, change nothing.
/// </summary>
internal static class TakeDelivery
{
    public const int MaxBodyBytes = 1024 * 1024;

    /// <summary>Characters of a payment's or a charge's id; what is derived from it stays within an adjustment's id.</summary>
    private const int MaxPayment = 64;

    private static readonly Counter<long> s_deliveries =
        Diagnostics.Meter.CreateCounter<long>("pulse.hooks.deliveries", "{delivery}", "Webhooks by scheme and by what they did");

    /// <summary>What a delivery says of one order, checked.</summary>
    public sealed record Asked(
        string Source,
        string OrderId,
        RecordConversion.Asked? Order,
        RestateConversion.Asked? Statement,
        IReadOnlyList<AdjustConversion.Asked> Adjustments,
        RefundedByNow? Refunded,
        bool Compare);

    public abstract record Outcome;

    /// <param name="Events">What is new, to be recorded whole; none where all was known.</param>
    /// <param name="After">The order after them.</param>
    public sealed record Taken(string Status, IReadOnlyList<IEvent> Events, Conversion After) : Outcome;

    public sealed record Contradicted(IReadOnlyList<FieldFault> Differences) : Outcome;

    public sealed record Refused(IReadOnlyList<FieldFault> Faults) : Outcome;

    /// <summary>Others changed the order each time it was decided; nothing is recorded, and trying again is right.</summary>
    public sealed record Contended : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/hooks/{scheme}/{program}", HandleAsync)
            .WithMetadata(new RequestSizeLimitAttribute(MaxBodyBytes))
            .Accepts<object>("application/json", "*/*")
            .WithName("TakeDelivery").WithTags("Hooks").WithSummary("Takes a webhook of Stripe, Shopify, WooCommerce, or by Standard Webhooks; signed, without a key");

    /// <summary>Checks what was told; null where something is wrong with it.</summary>
    /// <param name="source">The source where the payload names none.</param>
    public static Asked? Read(OrderNews news, string source, ConversionReader reader, Checks checks, TimeProvider time)
    {
        RecordConversion.Asked? order = null;
        string orderId;
        if (news.Order is null)
        {
            source = ConversionReader.Source(checks, news.Source ?? source);
            orderId = checks.Required("orderId", news.OrderId, ConversionReader.MaxOrderId);
        }
        else
        {
            order = reader.Read(news.Order with { Source = news.Source ?? source }, checks);
            (source, orderId) = (order?.Order.Source ?? "", order?.Order.OrderId ?? "");
        }

        RestateConversion.Asked? statement = null;
        if (news.Statement is { } told)
        {
            var asOf = checks.Time("asOf", news.AsOf);
            var amount = order?.Order.AmountMinor ?? (checks.Passed ? checks.Amount("amount", told.Amount, told.Currency, "currency") : 0);
            if (amount < 0)
            {
                checks.Add("amount", $"'{told.Amount}' is negative");
            }

            order = order is null ? null : order with { Order = order.Order with { AmountAsOf = asOf } };
            statement = new RestateConversion.Asked(source, orderId, told.Cancelled ? 0 : amount, told.Currency ?? "", asOf, told.Cancelled);
        }

        var adjustments = new List<AdjustConversion.Asked>(news.Adjustments.Count);
        for (var i = 0; i < news.Adjustments.Count; i++)
        {
            var each = new Checks(time, news.Adjustments.Count == 1 ? "" : $"adjustments[{i}].");
            if (AdjustConversion.Read(news.Adjustments[i], source, orderId, each) is { } adjustment)
            {
                adjustments.Add(adjustment with { TimeGiven = adjustment.TimeGiven && news.Compare });
            }

            foreach (var fault in each.Faults)
            {
                checks.Add(fault.Field, fault.Reason);
            }
        }

        if (news.Refunded is { } refunded)
        {
            checks.Required("charge", refunded.ChargeId, MaxPayment);
            checks.Time("occurredAt", refunded.OccurredAt);
            checks.Amount("amount", refunded.Total, refunded.Currency, "currency");
        }

        checks.Optional("payment", news.Payment, MaxPayment);
        return checks.Passed ? new Asked(source, orderId, order, statement, adjustments, news.Refunded, news.Compare) : null;
    }

    /// <summary>Decides all that a delivery says of one order at once: what is new of it, or why none of it can be.</summary>
    public static Outcome Decide(Conversion conversion, Asked asked, string program)
    {
        var events = new List<IEvent>();
        var status = "already-recorded";
        if (asked.Order is { } order)
        {
            if (conversion.Order is null)
            {
                Record(order.Order, "recorded");
            }
            else if (asked.Compare && RecordConversion.Decide(conversion.Order, order) is RecordConversion.RecordedDifferently different)
            {
                return new Contradicted(different.Differences);
            }
        }

        if (asked.Statement is { } statement)
        {
            switch (RestateConversion.Decide(conversion, statement, program))
            {
                case RestateConversion.Restated r:
                    Record(r.Event, "restated");
                    break;
                case RestateConversion.Outdated:
                    break;
                case RestateConversion.Refused r:
                    return new Refused(r.Faults);
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        foreach (var adjustment in asked.Refunded is { } refunded ? asked.Adjustments.Concat(Missing(conversion, asked, refunded)) : asked.Adjustments)
        {
            switch (AdjustConversion.Decide(conversion, adjustment, program))
            {
                case AdjustConversion.Adjusted a:
                    Record(a.Event, "adjusted");
                    break;
                case AdjustConversion.AlreadyAdjusted:
                    break;
                case AdjustConversion.AdjustedDifferently a:
                    return new Contradicted(Named(a.Differences, adjustment));
                case AdjustConversion.Refused r:
                    return new Refused(Named(r.Faults, adjustment));
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return new Taken(status, events, conversion);

        void Record(IEvent e, string as_)
        {
            status = events.Count == 0 ? as_ : status;
            events.Add(e);
            conversion = Conversion.Evolve(conversion, e);
        }
    }

    /// <summary>
    /// The refund between what is recorded of the charge and what was refunded of it by now. What comes late says less than is
    /// recorded, and nothing is missing.
    /// </summary>
    private static IEnumerable<AdjustConversion.Asked> Missing(Conversion conversion, Asked asked, RefundedByNow refunded)
    {
        var prefix = refunded.ChargeId + "-";
        var known = -conversion.Adjustments
            .Where(a => a.Currency == refunded.Currency && a.AdjustmentId.StartsWith(prefix, StringComparison.Ordinal))
            .Sum(a => a.AmountMinor);
        if (!Currency.TryParse(refunded.Total, refunded.Currency!, out var total, out _) || total <= known)
        {
            return [];
        }

        return
        [
            new AdjustConversion.Asked(
                asked.Source,
                asked.OrderId,
                $"{prefix}to-{refunded.Total}",
                Currency.Format(known - total, refunded.Currency!),
                refunded.Currency,
                AdjustmentReason.Refund,
                refunded.OccurredAt,
                TimeGiven: false),
        ];
    }

    private static FieldFault[] Named(IEnumerable<FieldFault> faults, AdjustConversion.Asked adjustment) =>
        [.. faults.Select(fault => fault with { Field = $"{adjustment.Id}.{fault.Field}" })];

    private static async Task<Results<Ok<DeliveryAnswer>, ProblemHttpResult>> HandleAsync(
        string scheme,
        string program,
        HttpRequest request,
        HookSources sources,
        DeliveryRecorder recorder,
        ConversionReader reader,
        TimeProvider time,
        ILoggerFactory loggers,
        CancellationToken cancellationToken)
    {
        if (HookScheme.Find(scheme) is not { } by)
        {
            return Problem.NotFound(HookScheme.Unknown.Field, HookScheme.Unknown.Reason);
        }

        if (program != recorder.Program)
        {
            return Problem.NotFound("program", $"'{program}' is not a program here");
        }

        if (await sources.FindAsync(by.Name, cancellationToken) is not { } source)
        {
            return Problem.NotFound("scheme", $"'{scheme}' has no secret here; PUT /v1/hooks/{scheme} sets it up");
        }

        var body = await request.ReadBytesAsync(cancellationToken);
        if (by.Name == HookScheme.WooCommerce && WooCommerceMapping.IsPing(body.Span))
        {
            return Ignored(by, "is WooCommerce's ping");
        }

        if (by.Verify(request.Headers, body.Span, source.Secrets, time.GetUtcNow()) is { } unsigned)
        {
            Count(by, "unsigned");
            return Problem.Of(StatusCodes.Status401Unauthorized, "No valid signature", unsigned);
        }

        var (document, unreadable) = Node.Parse(body);
        if (document is null)
        {
            Count(by, "unreadable");
            return Problem.Invalid(unreadable!);
        }

        using (document)
        {
            var result = by.Map(Node.Root(document), request.Headers) switch
            {
                Nothing n => Ignored(by, n.Reason),
                Unclear u => Unprocessable(u.Faults),
                OrderNews news => await RecordAsync(news),
                var other => throw new UnreachableException(other.ToString()),
            };
            return result;
        }

        async Task<Results<Ok<DeliveryAnswer>, ProblemHttpResult>> RecordAsync(OrderNews news)
        {
            var checks = new Checks(time);
            if (Read(news, source.Source, reader, checks, time) is not { } asked)
            {
                return Unprocessable([.. checks.Faults.Select(fault => fault with { Field = Theirs(news, fault.Field) })]);
            }

            var (outcome, orderId) = await recorder.RecordAsync(asked, news.Payment, news.IsPayment, cancellationToken);
            switch (outcome)
            {
                case Taken taken:
                    Count(by, taken.Status);
                    return TypedResults.Ok(new DeliveryAnswer(taken.Status)
                    {
                        ConversionId = Ids.Conversion(program, asked.Source, orderId),
                        Source = asked.Source,
                        OrderId = orderId,
                        Net = taken.After.NetMinor is { } net ? Currency.Format(net, taken.After.Order!.Currency) : null,
                        LeftOut = news.LeftOut.Count == 0 ? null : news.LeftOut,
                    });
                case Contradicted c:
                    Count(by, "contradicted");
                    Refusal("contradicted", c.Differences);
                    return Problem.Conflict(c.Differences);
                case Refused r:
                    return Unprocessable(r.Faults);
                case Contended:
                    Count(by, "contended");
                    return Problem.Of(StatusCodes.Status503ServiceUnavailable, "Try again",
                        new FieldFault("orderId", $"was changed by others {ConversionLog.MaxTries} times meanwhile"));
                default:
                    throw new UnreachableException(outcome.ToString());
            }
        }

        Results<Ok<DeliveryAnswer>, ProblemHttpResult> Unprocessable(IReadOnlyList<FieldFault> faults)
        {
            Count(by, "unclear");
            Refusal("unclear", faults);
            return Problem.Of(StatusCodes.Status422UnprocessableEntity, "The delivery cannot be recorded", faults);
        }

        // The names of fields alone: reasons quote what is in them.
        void Refusal(string status, IReadOnlyList<FieldFault> faults) => loggers.CreateLogger(typeof(TakeDelivery))
            .DeliveryRefused(by.Name, status, string.Join(", ", faults.Select(fault => fault.Field).Distinct(StringComparer.Ordinal).Take(10)));
    }

    private static Results<Ok<DeliveryAnswer>, ProblemHttpResult> Ignored(HookScheme scheme, string reason)
    {
        Count(scheme, "ignored");
        return TypedResults.Ok(new DeliveryAnswer("ignored") { Reason = reason });
    }

    private static void Count(HookScheme scheme, string status) =>
        s_deliveries.Add(1, KeyValuePair.Create<string, object?>("scheme", scheme.Name), KeyValuePair.Create<string, object?>("status", status));

    /// <summary>The field as the payload calls it: <c>items[2].amount</c> is a line item's there.</summary>
    private static string Theirs(OrderNews news, string field)
    {
        var end = field.AsSpan().IndexOfAny('[', '.');
        var head = end < 0 ? field : field[..end];
        return news.Names.TryGetValue(head, out var name) ? name + (end < 0 ? "" : field[end..]) : field;
    }
}
