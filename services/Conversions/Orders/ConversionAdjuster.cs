using PartnerPulse.Contracts;

namespace PartnerPulse.Conversions.Orders;

/// <summary>Applies adjustments, whichever way they came in.</summary>
internal sealed class ConversionAdjuster(ConversionLog log)
{
    /// <returns>What became of it, and the order after it.</returns>
    public async Task<(AdjustConversion.Outcome Outcome, Conversion Conversion)> AdjustAsync(AdjustConversion.Asked asked, CancellationToken cancellationToken)
    {
        var (outcome, conversion) = await log.ChangeAsync<AdjustConversion.Outcome>(
            Ids.Conversion(log.Program, asked.Source, asked.OrderId),
            conversion =>
            {
                var outcome = AdjustConversion.Decide(conversion, asked, log.Program);
                return (outcome, outcome is AdjustConversion.Adjusted adjusted ? [adjusted.Event] : []);
            },
            cancellationToken);
        return (outcome ?? new AdjustConversion.Contended(), conversion);
    }
}
