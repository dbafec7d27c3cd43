namespace PartnerPulse.Contracts;

/// <summary>A partner joined the program.</summary>
public sealed record PartnerEnrolled : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string PartnerId { get; init; }
    public required string Name { get; init; }

    /// <summary>The code that names the partner in a landing link: <c>?ref=</c>. Unique in the program, lower case.</summary>
    public required string Ref { get; init; }

    /// <summary>Where the partner's first link goes.</summary>
    public required string Destination { get; init; }
}
