namespace PartnerPulse.Contracts;

/// <summary>
/// What a data-driven model learned for a generation, from all journeys up to a position of the log. The generation judges by it
/// as long as it lives, so neither a rebuild nor a later conversion fits anew.
/// </summary>
public sealed record ModelFitted : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required Guid ReplayId { get; init; }
    public required int Generation { get; init; }

    /// <summary>The version of the rules whose model it is: a generation may judge by several.</summary>
    public required int RulesVersion { get; init; }

    /// <summary>Position in the attribution log up to which journeys were taken into account.</summary>
    public required long Position { get; init; }

    /// <summary>How many of the last partners the next step depends on: 1 to 3.</summary>
    public required int Order { get; init; }

    /// <summary>Journeys that ended in a conversion credited to its touches.</summary>
    public required long Converted { get; init; }

    /// <summary>Journeys that did not.</summary>
    public required long NotConverted { get; init; }

    /// <summary>States of the chain beside its start and its two ends.</summary>
    public required int States { get; init; }

    /// <summary>Of every partner on any of the journeys, ordered by program, then partner id, ordinal.</summary>
    public required IReadOnlyList<RemovalEffect> Effects { get; init; }
}

/// <summary>What would be lost without one partner.</summary>
public sealed record RemovalEffect
{
    /// <summary>The program that the partner is of.</summary>
    public required string ProgramId { get; init; }
    public required string PartnerId { get; init; }

    /// <summary>The part of all conversions that is lost without the partner, in units of 2^-40: 0 to 2^40.</summary>
    public required long Units { get; init; }
}
