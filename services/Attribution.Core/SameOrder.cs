using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Whether a conversion is the same sale as another one, which has the credit.</summary>
public static class SameOrder
{
    /// <summary>
    /// The merge that sets the conversion aside: of those that name it the one nearest in time, then by the other's id as bytes. Null
    /// where there is none, or where the conversion was separated, whenever that was.
    /// </summary>
    /// <param name="conversion">The conversion.</param>
    /// <param name="events">Must hold its <see cref="ConversionMerged"/> and <see cref="ConversionSeparated"/>, in any order; others are ignored.</param>
    public static ConversionMerged? Of(ConversionRecorded conversion, IEnumerable<IEvent> events)
    {
        ConversionMerged? nearest = null;
        foreach (var @event in events)
        {
            switch (@event)
            {
                case ConversionSeparated separated when separated.ConversionId == conversion.ConversionId:
                    return null;
                case ConversionMerged merged when merged.ConversionId == conversion.ConversionId && (nearest is null || Compare(merged, nearest, conversion) < 0):
                    nearest = merged;
                    break;
                default:
                    break;
            }
        }

        return nearest;
    }

    private static int Compare(ConversionMerged left, ConversionMerged right, ConversionRecorded conversion)
    {
        var byTime = Distance(left, conversion).CompareTo(Distance(right, conversion));
        return byTime != 0 ? byTime : Ids.CompareBytes(left.Into, right.Into);
    }

    private static long Distance(ConversionMerged merged, ConversionRecorded conversion) =>
        Math.Abs(merged.IntoOccurredAt.UtcTicks - conversion.OccurredAt.UtcTicks);
}
