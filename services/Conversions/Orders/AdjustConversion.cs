using System.Collections.Frozen;
using System.Diagnostics;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>A dated change of an order's amount.</summary>
internal sealed record AdjustmentAsk
{
    /// <summary>The shop's own id of it.</summary>
    public string? Id { get; init; }

    /// <summary>Decimal string; negative takes away.</summary>
    public string? Amount { get; init; }

    /// <summary>The order's where absent; needed while the order is not known.</summary>
    public string? Currency { get; init; }
    public string? Reason { get; init; }

    /// <summary>Now where absent.</summary>
    public DateTimeOffset? OccurredAt { get; init; }
}

/// <param name="AdjustmentId">Id of the adjustment's event.</param>
/// <param name="Status"><c>recorded</c> or <c>already-recorded</c>.</param>
/// <param name="Net">The order's amount after all adjustments; absent while the order is not known.</param>
internal sealed record AdjustmentAnswer(
    Guid AdjustmentId,
    string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Net);

/// <summary>
/// <c>POST /v1/conversions/{source}/{orderId}/adjustments</c>: refunds and the like, in parts and repeatedly, also before the
/// order is known. What they take together is capped when it is folded, so a late one is never lost.
/// </summary>
internal static class AdjustConversion
{
    /// <summary>Adjustments that one order may have.</summary>
    public const int MaxAdjustments = 1_000;

    private const int MaxId = 128;

    private static readonly FrozenDictionary<string, AdjustmentReason> s_reasons = new Dictionary<string, AdjustmentReason>(StringComparer.Ordinal)
    {
        ["refund"] = AdjustmentReason.Refund,
        ["chargeback"] = AdjustmentReason.Chargeback,
        ["cancellation"] = AdjustmentReason.Cancellation,
        ["correction"] = AdjustmentReason.Correction,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The request as far as it can be judged without the order: the amount's unit is the order's.</summary>
    public sealed record Asked(
        string Source, string OrderId, string Id, string? Amount, string? Currency, AdjustmentReason Reason, DateTimeOffset OccurredAt, bool TimeGiven);

    public abstract record Outcome;

    public sealed record Adjusted(ConversionAdjusted Event) : Outcome;

    public sealed record AlreadyAdjusted(ConversionAdjusted Event) : Outcome;

    public sealed record AdjustedDifferently(IReadOnlyList<FieldFault> Differences) : Outcome;

    public sealed record Refused(IReadOnlyList<FieldFault> Faults) : Outcome;

    /// <summary>Others changed the order each time it was decided; nothing is recorded, and trying again is right.</summary>
    public sealed record Contended : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost(OrderPath.Pattern + "/adjustments", HandleAsync)
            .RequireScope(Scope.WriteConversions)
            .TakesJson<AdjustmentAsk>("""{"id":"r-1","amount":"-10.00","currency":"EUR","reason":"refund"}""")
            .WithName("AdjustConversion").WithTags("Conversions").WithSummary("Changes an order's amount: refund, chargeback, cancellation, correction");

    public static Asked? Read(AdjustmentAsk ask, string source, string orderId, Checks checks)
    {
        var id = checks.Required("id", ask.Id, MaxId);
        var occurredAt = checks.TimeOrNow("occurredAt", ask.OccurredAt).ToUniversalTime();
        if (string.IsNullOrEmpty(ask.Amount))
        {
            checks.Add("amount", "is required");
        }

        if (!string.IsNullOrEmpty(ask.Currency) && Currency.Decimals(ask.Currency) is null)
        {
            checks.Add("currency", $"'{ask.Currency}' is not a currency of ISO 4217");
        }

        AdjustmentReason reason = default;
        if (string.IsNullOrEmpty(ask.Reason))
        {
            checks.Add("reason", "is required");
        }
        else if (!s_reasons.TryGetValue(ask.Reason, out reason))
        {
            checks.Add("reason", "must be 'refund', 'chargeback', 'cancellation' or 'correction'");
        }

        return checks.Passed
            ? new Asked(source, orderId, id, ask.Amount, string.IsNullOrEmpty(ask.Currency) ? null : ask.Currency, reason, occurredAt, ask.OccurredAt is not null)
            : null;
    }

    public static Outcome Decide(Conversion conversion, Asked asked, string program)
    {
        var before = conversion.FindAdjustment(asked.Id);
        if ((asked.Currency ?? conversion.Order?.Currency ?? before?.Currency) is not { } currency)
        {
            return new Refused([new FieldFault("currency", "is required while the order is not known")]);
        }

        if (!Currency.TryParse(asked.Amount!, currency, out var minor, out var reason))
        {
            return new Refused([new FieldFault("amount", reason!)]);
        }

        if (before is not null)
        {
            FieldFault[] differences =
            [
                .. before.Currency == currency
                    ? Difference.Of("amount", Currency.Format(before.AmountMinor, currency), Currency.Format(minor, currency))
                    : Difference.Of("currency", before.Currency, currency),
                .. Difference.Of("reason", Show(before.Reason), Show(asked.Reason)),
                .. asked.TimeGiven ? Difference.Of("occurredAt", before.OccurredAt.ToString("O"), asked.OccurredAt.ToString("O")) : [],
            ];
            return differences.Length == 0 ? new AlreadyAdjusted(before) : new AdjustedDifferently(differences);
        }

        var faults = new List<FieldFault>();
        if (conversion.Order is { } order && order.Currency != currency)
        {
            faults.Add(new FieldFault("currency", $"is '{currency}'; the order is in {order.Currency}"));
        }

        if (minor == 0)
        {
            faults.Add(new FieldFault("amount", "must not be zero"));
        }
        else if (minor > 0 && asked.Reason != AdjustmentReason.Correction)
        {
            faults.Add(new FieldFault("amount", $"must be negative for a {Show(asked.Reason)}"));
        }

        if (conversion.Adjustments.Length >= MaxAdjustments)
        {
            faults.Add(new FieldFault("id", $"would be the order's adjustment number {MaxAdjustments + 1}; at most {MaxAdjustments} are allowed"));
        }

        if (faults.Count > 0)
        {
            return new Refused(faults);
        }

        var conversionId = Ids.Conversion(program, asked.Source, asked.OrderId);
        return new Adjusted(new ConversionAdjusted
        {
            EventId = Ids.Adjustment(conversionId, asked.Id),
            ProgramId = program,
            OccurredAt = asked.OccurredAt,
            ConversionId = conversionId,
            Source = asked.Source,
            OrderId = asked.OrderId,
            AdjustmentId = asked.Id,
            AmountMinor = minor,
            Currency = currency,
            Reason = asked.Reason,
        });
    }

    private static async Task<Results<Created<AdjustmentAnswer>, Ok<AdjustmentAnswer>, ProblemHttpResult>> HandleAsync(
        HttpContext http, ConversionAdjuster adjuster, TimeProvider time, CancellationToken cancellationToken)
    {
        var checks = new Checks(time);
        var (source, orderId) = OrderPath.Read(http, checks);
        var (ask, fault) = await http.Request.ReadJsonAsync(ConversionsJson.Default.AdjustmentAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid([.. checks.Faults, fault!]);
        }

        if (Read(ask, source, orderId, checks) is not { } asked)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (outcome, conversion) = await adjuster.AdjustAsync(asked, cancellationToken);
        return outcome switch
        {
            Adjusted a => TypedResults.Created(OrderPath.Of(source, orderId), new AdjustmentAnswer(a.Event.EventId, "recorded", Net(conversion))),
            AlreadyAdjusted a => TypedResults.Ok(new AdjustmentAnswer(a.Event.EventId, "already-recorded", Net(conversion))),
            AdjustedDifferently a => Problem.Conflict(a.Differences),
            Refused r => Problem.Invalid(r.Faults),
            Contended => Problem.Of(StatusCodes.Status503ServiceUnavailable, "Try again",
                new FieldFault("orderId", $"was changed by others {ConversionLog.MaxTries} times meanwhile")),
            var other => throw new UnreachableException(other.ToString()),
        };
    }

    private static string Show(AdjustmentReason reason) => reason.ToString().ToLowerInvariant();

    private static string? Net(Conversion conversion) =>
        conversion.NetMinor is { } net ? Currency.Format(net, conversion.Order!.Currency) : null;
}
