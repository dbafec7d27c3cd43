using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Conversions;

/// <summary>Applies adjustments, whichever way they came in: decides on the order as it stands, and again where it moved meanwhile.</summary>
internal sealed class ConversionAdjuster(ConversionLog log)
{
    public const int MaxTries = 20;

    /// <returns>What became of it, and the order after it.</returns>
    public async Task<(AdjustConversion.Outcome Outcome, Conversion Conversion)> AdjustAsync(AdjustConversion.Asked asked, CancellationToken cancellationToken)
    {
        var conversionId = Ids.Conversion(log.Program, asked.Source, asked.OrderId);
        var conversion = Conversion.Unknown;
        for (var attempt = 0; attempt < MaxTries; attempt++)
        {
            (conversion, var version) = await log.LoadAsync(conversionId, cancellationToken);
            var outcome = AdjustConversion.Decide(conversion, asked, log.Program);
            if (outcome is not AdjustConversion.Adjusted adjusted)
            {
                return (outcome, conversion);
            }

            if (await log.AppendAsync(adjusted.Event, version, cancellationToken) is Appended)
            {
                return (outcome, Conversion.Evolve(conversion, adjusted.Event));
            }
        }

        return (new AdjustConversion.Contended(), conversion);
    }
}
