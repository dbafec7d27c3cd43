namespace PartnerPulse.Contracts;

/// <summary>
/// A customer asked to be forgotten: in these facts a random token stands from now on where the customer's key was. They keep
/// together, and nobody can derive the token from the customer again. Holds no key itself. A customer with very many orders takes
/// several of these, with one token.
/// </summary>
public sealed record CustomerErased : IEvent
{
    public const int MaxConversions = 100_000;

    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>What stands in the place of the key: <c>e1.</c> and 256 random bits in base64url.</summary>
    public required string Token { get; init; }

    /// <summary>The conversions that held the key; at most <see cref="MaxConversions"/>.</summary>
    public required IReadOnlyList<Guid> Conversions { get; init; }

    /// <summary>
    /// Ids of the <see cref="VisitorIdentified"/> and <see cref="PartnerIdentified"/> that held the key. They were derived from it, so they have others now, and these
    /// are absent once the event was handed on.
    /// </summary>
    public IReadOnlyList<Guid>? Identities { get; init; }

    /// <summary>
    /// In the attribution log: positions of the events in which the token stands since then. The seals of these events prove that
    /// nothing else of them has changed. Absent elsewhere.
    /// </summary>
    public IReadOnlyList<long>? Rewritten { get; init; }

    /// <summary>In the attribution log: positions from which the erasure took events, whose ids were derived from the key. Absent elsewhere.</summary>
    public IReadOnlyList<long>? Removed { get; init; }
}
