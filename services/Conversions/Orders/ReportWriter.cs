using System.Diagnostics;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>Records many reports at once: the orders in one commit, then the adjustments, each on its order as it stands.</summary>
internal sealed class ReportWriter(ConversionWriter orders, ConversionAdjuster adjuster)
{
    /// <summary>Orders whose adjustments are applied side by side.</summary>
    private const int MaxAtOnce = 8;

    /// <summary>What became of each report, in their order. All of it is committed by then.</summary>
    public async Task<IReadOnlyList<ReportOutcome>> RecordAsync(IReadOnlyList<Report> reports, CancellationToken cancellationToken)
    {
        var outcomes = new ReportOutcome[reports.Count];
        var ofOrders = Enumerable.Range(0, outcomes.Length).Where(i => reports[i] is Report.OfOrder).ToArray();
        var recorded = await orders.RecordAsync([.. ofOrders.Select(i => ((Report.OfOrder)reports[i]).Asked)], cancellationToken);
        for (var i = 0; i < ofOrders.Length; i++)
        {
            outcomes[ofOrders[i]] = Outcome(recorded[i]);
        }

        var ofAdjustments = Enumerable.Range(0, outcomes.Length).Where(i => reports[i] is Report.OfAdjustment).GroupBy(i => reports[i].ConversionId);
        await Parallel.ForEachAsync(
            ofAdjustments,
            new ParallelOptions { MaxDegreeOfParallelism = MaxAtOnce, CancellationToken = cancellationToken },
            async (ofOrder, cancellation) =>
            {
                foreach (var i in ofOrder)
                {
                    var (outcome, _) = await adjuster.AdjustAsync(((Report.OfAdjustment)reports[i]).Asked, cancellation);
                    outcomes[i] = Outcome(outcome);
                }
            });
        return outcomes;
    }

    public static ReportOutcome Outcome(RecordConversion.Outcome outcome) => outcome switch
    {
        RecordConversion.Recorded => new ReportOutcome.Recorded(),
        RecordConversion.AlreadyRecorded => new ReportOutcome.AlreadyRecorded(),
        RecordConversion.RecordedDifferently r => new ReportOutcome.Refused(r.Differences),
        var other => throw new UnreachableException(other.ToString()),
    };

    public static ReportOutcome Outcome(AdjustConversion.Outcome outcome) => outcome switch
    {
        AdjustConversion.Adjusted => new ReportOutcome.Recorded(),
        AdjustConversion.AlreadyAdjusted => new ReportOutcome.AlreadyRecorded(),
        AdjustConversion.AdjustedDifferently a => new ReportOutcome.Refused(a.Differences),
        AdjustConversion.Refused r => new ReportOutcome.Refused(r.Faults),
        AdjustConversion.Contended => new ReportOutcome.Refused([new FieldFault("orderId", $"was changed by others {ConversionLog.MaxTries} times meanwhile; try again")]),
        var other => throw new UnreachableException(other.ToString()),
    };
}
