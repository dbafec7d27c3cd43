using System.Diagnostics;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>An order as a shop reports it.</summary>
internal record ConversionAsk
{
    public string? Source { get; init; }
    public string? OrderId { get; init; }
    public string? Kind { get; init; }

    /// <summary>Now where absent.</summary>
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>Decimal string in the currency's own decimals.</summary>
    public string? Amount { get; init; }
    public string? Currency { get; init; }

    /// <summary>The id, or the whole value of the cookie <c>pp_vid</c>.</summary>
    public string? VisitorId { get; init; }
    public string? ClickId { get; init; }

    /// <summary>An e-mail or an account id; kept only as a keyed hash.</summary>
    public string? Customer { get; init; }
    public string? Coupon { get; init; }
    public bool? NewCustomer { get; init; }
    public bool? Test { get; init; }
    public IReadOnlyList<ItemAsk?>? Items { get; init; }
}

/// <summary>One line of an order; the amount is the whole line's.</summary>
internal sealed record ItemAsk
{
    public string? Product { get; init; }
    public int? Quantity { get; init; }
    public string? Amount { get; init; }
}

/// <summary>What became of one order.</summary>
/// <param name="ConversionId">Its id; absent where it was rejected.</param>
/// <param name="Status"><c>recorded</c>, <c>already-recorded</c>, in a list also <c>conflict</c> and <c>rejected</c>.</param>
/// <param name="Errors">What a conflict or a rejection is about.</param>
/// <param name="Matched">Whether a click or a partner's coupon is known by which it could be credited; absent where Attribution could not be asked.</param>
/// <param name="MatchReason">Why it is not matched, or why that is not known.</param>
internal sealed record ConversionAnswer(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Guid? ConversionId,
    string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldFault>? Errors = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Matched = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? MatchReason = null);

/// <summary><c>POST /v1/conversions</c>: records an order, or a list of them. The same again changes nothing.</summary>
internal static class RecordConversion
{
    public const int MaxBatch = 1_000;
    public const int MaxBodyBytes = 4 * 1024 * 1024;

    /// <param name="Order">The event that records it.</param>
    /// <param name="TimeGiven">The sender named the time. Where it did not, a repetition is not held against the first time.</param>
    public sealed record Asked(ConversionRecorded Order, bool TimeGiven);

    public abstract record Outcome(Guid ConversionId);

    public sealed record Recorded(Guid ConversionId) : Outcome(ConversionId);

    public sealed record AlreadyRecorded(Guid ConversionId) : Outcome(ConversionId);

    public sealed record RecordedDifferently(Guid ConversionId, IReadOnlyList<FieldFault> Differences) : Outcome(ConversionId);

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/conversions", HandleAsync)
            .RequireScope(Scope.WriteConversions)
            .WithMetadata(new RequestSizeLimitAttribute(MaxBodyBytes))
            .TakesJson<ConversionAsk>("""{"source":"shop","orderId":"1001","kind":"sale","amount":"49.90","currency":"EUR","visitorId":"v-1"}""")
            .WithName("RecordConversion").WithTags("Conversions").WithSummary("Records an order, or a list of at most 1,000");

    /// <param name="recorded">What is in the log under the order's key; null where there was nothing.</param>
    /// <param name="asked">What was asked.</param>
    public static Outcome Decide(ConversionRecorded? recorded, Asked asked)
    {
        var id = asked.Order.ConversionId;
        if (recorded is null)
        {
            return new Recorded(id);
        }

        var differences = Differences(recorded, asked).ToArray();
        return differences.Length == 0 ? new AlreadyRecorded(id) : new RecordedDifferently(id, differences);
    }

    /// <summary>Decides a list in order: what comes twice within it is judged against its first.</summary>
    /// <param name="recorded">What the log held before, by conversion id.</param>
    /// <param name="asked">The list.</param>
    public static Outcome[] DecideAll(IReadOnlyDictionary<Guid, ConversionRecorded> recorded, IReadOnlyList<Asked> asked)
    {
        var first = new Dictionary<Guid, ConversionRecorded>();
        var outcomes = new Outcome[asked.Count];
        for (var i = 0; i < outcomes.Length; i++)
        {
            var id = asked[i].Order.ConversionId;
            outcomes[i] = Decide(recorded.GetValueOrDefault(id) ?? first.GetValueOrDefault(id), asked[i]);
            first.TryAdd(id, asked[i].Order);
        }

        return outcomes;
    }

    private static IEnumerable<FieldFault> Differences(ConversionRecorded recorded, Asked asked)
    {
        var order = asked.Order;
        return
        [
            .. Difference.Of("kind", Show(recorded.Kind), Show(order.Kind)),
            .. asked.TimeGiven ? Difference.Of("occurredAt", Show(recorded.OccurredAt), Show(order.OccurredAt)) : [],
            .. recorded.Currency == order.Currency
                ? Difference.Of("amount", Currency.Format(recorded.AmountMinor, order.Currency), Currency.Format(order.AmountMinor, order.Currency))
                : Difference.Of("currency", recorded.Currency, order.Currency),
            .. Difference.Of("visitorId", recorded.VisitorId, order.VisitorId),
            .. Difference.Of("clickId", recorded.ClickId?.ToString(), order.ClickId?.ToString()),
            // Only hashes are known, and they help nobody. Of an erased customer not even the hash is.
            .. recorded.CustomerKey == order.CustomerKey || CustomerKeys.IsErased(recorded.CustomerKey) || CustomerKeys.IsFormer(recorded.CustomerKey) ? [] : new[] { new FieldFault("customer", "is recorded as another one") },
            .. Difference.Of("coupon", recorded.Coupon, order.Coupon),
            .. Difference.Of("newCustomer", Show(recorded.NewCustomer), Show(order.NewCustomer)),
            .. Difference.Of("test", Show(recorded.Test), Show(order.Test)),
            .. (recorded.Items ?? []).SequenceEqual(order.Items ?? []) ? [] : new[] { new FieldFault("items", "are recorded as others") },
        ];
    }

    private static async Task<Results<Created<ConversionAnswer>, Ok<ConversionAnswer>, Ok<IReadOnlyList<ConversionAnswer>>, ProblemHttpResult>> HandleAsync(
        HttpRequest request, ConversionReader reader, ConversionWriter writer, Matches matches, TimeProvider time, CancellationToken cancellationToken)
    {
        var (elements, isList, fault) = RequestBody.Elements(await request.ReadBytesAsync(cancellationToken), MaxBatch, "orders");
        if (fault is not null)
        {
            return Problem.Invalid(fault);
        }

        if (!isList)
        {
            return await OneAsync(elements[0], reader, writer, matches, time, cancellationToken);
        }

        var answers = new ConversionAnswer?[elements.Count];
        var asked = new List<Asked>(elements.Count);
        for (var i = 0; i < answers.Length; i++)
        {
            var (order, faults) = Read(elements[i].Span, reader, time);
            if (order is null)
            {
                answers[i] = new ConversionAnswer(ConversionId: null, "rejected", faults);
            }
            else
            {
                asked.Add(order);
            }
        }

        var (outcomes, found) = await RecordAsync(asked, writer, matches, cancellationToken);
        var next = 0;
        for (var i = 0; i < answers.Length; i++)
        {
            answers[i] ??= Answer(outcomes[next], found[next++]);
        }

        return TypedResults.Ok<IReadOnlyList<ConversionAnswer>>(answers!);
    }

    private static async Task<Results<Created<ConversionAnswer>, Ok<ConversionAnswer>, Ok<IReadOnlyList<ConversionAnswer>>, ProblemHttpResult>> OneAsync(
        ReadOnlyMemory<byte> element, ConversionReader reader, ConversionWriter writer, Matches matches, TimeProvider time, CancellationToken cancellationToken)
    {
        var (order, faults) = Read(element.Span, reader, time);
        if (order is null)
        {
            return Problem.Invalid(faults);
        }

        var (outcomes, found) = await RecordAsync([order], writer, matches, cancellationToken);
        return outcomes[0] switch
        {
            Recorded r => TypedResults.Created(OrderPath.Of(order.Order.Source, order.Order.OrderId), Answer(r, found[0])),
            AlreadyRecorded r => TypedResults.Ok(Answer(r, found[0])),
            RecordedDifferently r => Problem.Conflict(r.Differences),
            var other => throw new UnreachableException(other.ToString()),
        };
    }

    private static string Show(ConversionKind kind) => kind.ToString().ToLowerInvariant();

    private static string Show(DateTimeOffset time) => time.ToString("O");

    private static string? Show(bool? flag) => flag switch { true => "true", false => "false", null => null };

    /// <summary>The commit and the question go side by side: neither needs the other's answer.</summary>
    private static async Task<(IReadOnlyList<Outcome> Outcomes, IReadOnlyList<Match> Matches)> RecordAsync(
        IReadOnlyList<Asked> asked, ConversionWriter writer, Matches matches, CancellationToken cancellationToken)
    {
        var finding = matches.FindAsync([.. asked.Select(a => a.Order)], cancellationToken);
        var outcomes = await writer.RecordAsync(asked, cancellationToken);
        return (outcomes, await finding);
    }

    private static ConversionAnswer Answer(Outcome outcome, Match match) => outcome switch
    {
        Recorded r => new ConversionAnswer(r.ConversionId, "recorded", Matched: match.Matched, MatchReason: match.Reason),
        AlreadyRecorded r => new ConversionAnswer(r.ConversionId, "already-recorded", Matched: match.Matched, MatchReason: match.Reason),
        RecordedDifferently r => new ConversionAnswer(r.ConversionId, "conflict", r.Differences),
        var other => throw new UnreachableException(other.ToString()),
    };

    private static (Asked? Order, IReadOnlyList<FieldFault> Faults) Read(ReadOnlySpan<byte> json, ConversionReader reader, TimeProvider time) =>
        RequestBody.Read(json, ConversionsJson.Default.ConversionAsk, new Checks(time), reader.Read);
}
