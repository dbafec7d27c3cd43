using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions;

/// <summary>An order as it is recorded. While only adjustments are known the order's own fields are absent.</summary>
internal sealed record ConversionBody
{
    public required Guid ConversionId { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary><c>recorded</c>, or <c>awaited</c> while only adjustments are known.</summary>
    public required string Status { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ConversionKind? Kind { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>The amount in force, before adjustments.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Amount { get; init; }

    /// <summary>As of when the shop says the amount; absent for an order that was recorded without.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? AmountAsOf { get; init; }

    /// <summary>True where the shop called the order off, and has not taken that back.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Cancelled { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Currency { get; init; }

    /// <summary>The amount after the adjustments, never below zero nor above the amount in force.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Net { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? VisitorId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Guid? ClickId { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CustomerKey { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Coupon { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? NewCustomer { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? Test { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<ItemBody>? Items { get; init; }

    public required IReadOnlyList<AdjustmentBody> Adjustments { get; init; }
}

internal sealed record ItemBody(string Product, int Quantity, string Amount);

/// <param name="Id">The shop's own id.</param>
/// <param name="AdjustmentId">Id of the event.</param>
/// <param name="Effective">False where its currency is not the order's: kept, without effect.</param>
internal sealed record AdjustmentBody(
    string Id, Guid AdjustmentId, string Amount, string Currency, AdjustmentReason Reason, DateTimeOffset OccurredAt, bool Effective);

/// <summary><c>GET /v1/conversions/{source}/{orderId}</c>: what is recorded of an order.</summary>
internal static class ReadConversion
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapGet(OrderPath.Pattern, HandleAsync)
            .RequireScope(Scope.Read)
            .WithName("ReadConversion").WithTags("Conversions").WithSummary("What is recorded of an order, with its adjustments and net amount");

    private static async Task<Results<Ok<ConversionBody>, ProblemHttpResult>> HandleAsync(
        HttpContext http, ConversionLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        var checks = new Checks(time);
        var (source, orderId) = OrderPath.Read(http, checks);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var id = Ids.Conversion(log.Program, source, orderId);
        var (conversion, version) = await log.LoadAsync(id, cancellationToken);
        return version == 0
            ? Problem.NotFound("orderId", $"'{orderId}' of '{source}' is not recorded")
            : TypedResults.Ok(Show(id, source, orderId, conversion));
    }

    private static ConversionBody Show(Guid id, string source, string orderId, Conversion conversion)
    {
        var adjustments = conversion.Adjustments.Select(a => new AdjustmentBody(
            a.AdjustmentId,
            a.EventId,
            Currency.Format(a.AmountMinor, a.Currency),
            a.Currency,
            a.Reason,
            a.OccurredAt,
            conversion.Order is null || conversion.Order.Currency == a.Currency)).ToArray();
        if (conversion.Order is not { } order)
        {
            return new ConversionBody { ConversionId = id, Source = source, OrderId = orderId, Status = "awaited", Adjustments = adjustments };
        }

        return new ConversionBody
        {
            ConversionId = id,
            Source = source,
            OrderId = orderId,
            Status = "recorded",
            Kind = order.Kind,
            OccurredAt = order.OccurredAt,
            Amount = Currency.Format(conversion.AmountMinor!.Value, order.Currency),
            AmountAsOf = conversion.InForce?.OccurredAt ?? order.AmountAsOf,
            Cancelled = conversion.InForce is { Cancelled: true } ? true : null,
            Currency = order.Currency,
            Net = Currency.Format(conversion.NetMinor!.Value, order.Currency),
            VisitorId = order.VisitorId,
            ClickId = order.ClickId,
            CustomerKey = order.CustomerKey,
            Coupon = order.Coupon,
            NewCustomer = order.NewCustomer,
            Test = order.Test,
            Items = order.Items?.Select(item => new ItemBody(item.Product, item.Quantity, Currency.Format(item.AmountMinor, order.Currency))).ToArray(),
            Adjustments = adjustments,
        };
    }
}
