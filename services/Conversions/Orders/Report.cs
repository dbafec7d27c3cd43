using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>
/// What a line of an import or a message says: an order; or, where it has an <see cref="AdjustmentId"/>, an adjustment of the order
/// that <see cref="ConversionAsk.Source"/> and <see cref="ConversionAsk.OrderId"/> name.
/// </summary>
internal sealed record ReportAsk : ConversionAsk
{
    /// <summary>The shop's own id of the adjustment.</summary>
    public string? AdjustmentId { get; init; }

    /// <summary>Of the adjustment: <c>refund</c>, <c>chargeback</c>, <c>cancellation</c> or <c>correction</c>.</summary>
    public string? Reason { get; init; }
}

/// <summary>A report that passed all checks that need no log.</summary>
internal abstract record Report(Guid ConversionId)
{
    public sealed record OfOrder(RecordConversion.Asked Asked) : Report(Asked.Order.ConversionId);

    public sealed record OfAdjustment(Guid ConversionId, AdjustConversion.Asked Asked) : Report(ConversionId);
}

/// <summary>What became of a report.</summary>
internal abstract record ReportOutcome
{
    public sealed record Recorded : ReportOutcome;

    public sealed record AlreadyRecorded : ReportOutcome;

    /// <summary>It contradicts what is recorded, or cannot be recorded.</summary>
    public sealed record Refused(IReadOnlyList<FieldFault> Faults) : ReportOutcome;
}

/// <summary>Turns a report into what is asked, or lists everything that is wrong with it.</summary>
internal sealed class ReportReader(ConversionReader orders, string program)
{
    public Report? Read(ReportAsk ask, Checks checks)
    {
        if (string.IsNullOrEmpty(ask.AdjustmentId))
        {
            if (!string.IsNullOrEmpty(ask.Reason))
            {
                checks.Add("adjustmentId", "is required where there is a reason");
            }

            return orders.Read(ask, checks) is { } order && checks.Passed ? new Report.OfOrder(order) : null;
        }

        var source = ConversionReader.Source(checks, ask.Source);
        var orderId = checks.Required("orderId", ask.OrderId, ConversionReader.MaxOrderId);
        var adjustment = new AdjustmentAsk
        {
            Id = ask.AdjustmentId, Amount = ask.Amount, Currency = ask.Currency, Reason = ask.Reason, OccurredAt = ask.OccurredAt,
        };
        return AdjustConversion.Read(adjustment, source, orderId, checks) is { } asked && checks.Passed
            ? new Report.OfAdjustment(Ids.Conversion(program, source, orderId), asked)
            : null;
    }

    /// <summary>The id of an adjustment is called otherwise in a report, where an order has ids too.</summary>
    public static IReadOnlyList<FieldFault> InTermsOf(ReportAsk ask, IReadOnlyList<FieldFault> faults) =>
        string.IsNullOrEmpty(ask.AdjustmentId) ? faults : [.. faults.Select(fault => fault.Field == "id" ? fault with { Field = "adjustmentId" } : fault)];
}
