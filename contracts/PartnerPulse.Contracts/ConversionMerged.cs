namespace PartnerPulse.Contracts;

/// <summary>
/// A conversion is the same sale as another one: it is set aside, and the other is kept. Its adjustments stay with it. There may be
/// several of one conversion; the one nearest in time names the sale. Its natural key is the two conversions.
/// </summary>
public sealed record ConversionMerged : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>The conversion that is set aside.</summary>
    public required Guid ConversionId { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary>The conversion that is kept.</summary>
    public required Guid Into { get; init; }
    public required string IntoSource { get; init; }
    public required string IntoOrderId { get; init; }

    /// <summary>When the conversion that is kept happened.</summary>
    public required DateTimeOffset IntoOccurredAt { get; init; }

    /// <summary>What makes them one.</summary>
    public required OrderIdentity Rule { get; init; }
}
