using System.Text.Json;

namespace PartnerPulse.Contracts;

/// <summary>A version of the rules exists. It decides nothing until a replay under it is promoted.</summary>
public sealed record RulesPublished : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>1, 2, 3… in the program.</summary>
    public required int Version { get; init; }

    /// <summary>SHA-256 of the canonical document, lower-case hex.</summary>
    public required string Hash { get; init; }

    /// <summary>The canonical document: every field present, defaults written out.</summary>
    public required JsonElement Document { get; init; }

    /// <summary>Name of the API key that published it.</summary>
    public string? By { get; init; }

    /// <summary>Why, in the words of whoever published it. Absent where nothing was said, and in events from before the field.</summary>
    public string? Why { get; init; }
}
