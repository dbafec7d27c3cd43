using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

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

    /// <summary>The conversions that are the same sale and have its credit: this one is set aside. Absent where there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<SameOrderBody>? SameOrderAs { get; init; }

    /// <summary>Conversions that are the same sale and were set aside for this one; the first hundred. Absent where there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<SameOrderBody>? SetAside { get; init; }

    /// <summary>When it was taken for a sale of its own. Absent where it never was.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? SeparatedAt { get; init; }
}

/// <param name="Rule">What makes them one; absent where it is told at the other.</param>
internal sealed record SameOrderBody(
    Guid ConversionId, string Source, string OrderId, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] OrderIdentity? Rule = null);

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
        if (version == 0)
        {
            return Problem.NotFound("orderId", $"'{orderId}' of '{source}' is not recorded");
        }

        var setAside = await log.SetAsideForAsync(id, cancellationToken);
        return TypedResults.Ok(Show(id, source, orderId, conversion) with
        {
            SameOrderAs = conversion is { Separated: null, Merges: [_, ..] } ? [.. conversion.Merges.Select(m => new SameOrderBody(m.Into, m.IntoSource, m.IntoOrderId, m.Rule))] : null,
            SetAside = setAside.Count == 0 ? null : [.. setAside.Select(s => new SameOrderBody(s.ConversionId, s.Source, s.OrderId))],
            SeparatedAt = conversion.Separated?.OccurredAt,
        });
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
