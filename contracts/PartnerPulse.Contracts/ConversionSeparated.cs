namespace PartnerPulse.Contracts;

/// <summary>A conversion is a sale of its own, for good: whatever merged it, and whatever will, has no effect.</summary>
public sealed record ConversionSeparated : IEvent
{
    /// <summary>Derived from the conversion, see <see cref="Ids.Separation"/>: it is separated once.</summary>
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ConversionId { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary>Name of the API key that separated it.</summary>
    public string? By { get; init; }
}
