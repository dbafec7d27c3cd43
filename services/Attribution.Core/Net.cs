using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>What a conversion is worth after its adjustments.</summary>
public static class Net
{
    /// <summary>
    /// The amount plus all adjustments in its currency, never below zero nor above the original. Only the sum is bounded, not
    /// the steps to it: a refund too many that is corrected later leaves no trace, whatever order they came in.
    /// </summary>
    public static long OfMinor(Journey journey)
    {
        var sum = Int128.Zero;
        foreach (var adjustment in journey.Adjustments)
        {
            if (Counts(adjustment, journey.Conversion))
            {
                sum += adjustment.AmountMinor;
            }
        }

        return Bounded(journey.Conversion, sum);
    }

    /// <summary>An adjustment in another currency is kept and has no effect.</summary>
    public static bool Counts(ConversionAdjusted adjustment, ConversionRecorded conversion) => adjustment.Currency == conversion.Currency;

    public static long Bounded(ConversionRecorded conversion, Int128 sum) =>
        (long)Int128.Clamp(conversion.AmountMinor + sum, 0, long.Max(0, conversion.AmountMinor));

    /// <summary>Whether the whole conversion was called off, which an amount of zero cannot show.</summary>
    public static bool IsCancelled(Journey journey)
    {
        if (journey.Restated is { InForce.Cancelled: true })
        {
            return true;
        }

        foreach (var adjustment in journey.Adjustments)
        {
            if (adjustment.Reason == AdjustmentReason.Cancellation && Counts(adjustment, journey.Conversion))
            {
                return true;
            }
        }

        return false;
    }
}
