using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>An adjustment as a Standard Webhook carries it: the body of the adjustments' path, and what the path says there.</summary>
internal sealed record AdjustmentTold
{
    /// <summary>The scheme's where absent.</summary>
    public string? Source { get; init; }
    public string? OrderId { get; init; }

    /// <summary>The shop's own id of it.</summary>
    public string? Id { get; init; }

    /// <summary>Decimal string; negative takes away.</summary>
    public string? Amount { get; init; }
    public string? Currency { get; init; }
    public string? Reason { get; init; }
    public DateTimeOffset? OccurredAt { get; init; }
}

/// <summary>
/// Standard Webhooks with the shapes of our own API: <c>{"type":"order.recorded","data":{…}}</c>, data as <c>POST /v1/conversions</c>
/// takes it, and <c>order.adjusted</c>. What is not to be said of a field there is not to be said here.
/// </summary>
internal static class StandardMapping
{
    public static Told Map(Node root)
    {
        var type = root.RequiredWord("type");
        if (type is not ("order.recorded" or "order.adjusted"))
        {
            return type is null ? new Unclear(root.Faults) : new Nothing("is no event that concerns orders");
        }

        if (root.Required("data") is not { } data)
        {
            return new Unclear(root.Faults);
        }

        if (type == "order.recorded")
        {
            return Read(data, ConversionsJson.Default.ConversionAsk, out var fault) is { } order
                ? new OrderNews { Source = order.Source, OrderId = order.OrderId, Order = order, Compare = true }
                : new Unclear([fault!]);
        }

        return Read(data, ConversionsJson.Default.AdjustmentTold, out var wrong) is { } told
            ? new OrderNews
            {
                Source = told.Source,
                OrderId = told.OrderId,
                Adjustments =
                [
                    new AdjustmentAsk { Id = told.Id, Amount = told.Amount, Currency = told.Currency, Reason = told.Reason, OccurredAt = told.OccurredAt },
                ],
                Compare = true,
            }
            : new Unclear([wrong!]);
    }

    private static T? Read<T>(Node data, JsonTypeInfo<T> type, out FieldFault? fault)
        where T : class
    {
        try
        {
            fault = null;
            return data.Json.Deserialize(type);
        }
        catch (JsonException e)
        {
            fault = RequestBody.Fault(e);
            fault = fault with { Field = fault.Field == "body" ? "data" : $"data.{fault.Field}" };
            return null;
        }
    }
}
