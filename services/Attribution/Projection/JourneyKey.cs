using System.Runtime.InteropServices;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Projection;

/// <summary>A journey's place in the order in which journeys change: by the log position of the change, then the conversion's id.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct JourneyKey(long ChangedAt, Guid ConversionId)
{
    public bool IsAfter(JourneyKey other) =>
        ChangedAt > other.ChangedAt || (ChangedAt == other.ChangedAt && Ids.CompareBytes(ConversionId, other.ConversionId) > 0);
}
