namespace PartnerPulse.Contracts;

/// <summary>What a program allows on its links and landing pages. Each replaces the one before as a whole.</summary>
public sealed record ProgramConfigured : IEvent
{
    public required Guid EventId { get; init; }
    public required string ProgramId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>Host names of the program's links, the preferred one first. On one of them only this program's slugs lead anywhere.</summary>
    public IReadOnlyList<string> LinkHosts { get; init; } = [];

    /// <summary>Origins of the program's pages (<c>https://shop.example</c>), from which landings are taken.</summary>
    public IReadOnlyList<string> Origins { get; init; } = [];

    /// <summary>Host names to which a deep link may lead besides the link's own.</summary>
    public IReadOnlyList<string> DeepLinkHosts { get; init; } = [];

    /// <summary>Query parameters that name a partner on a landing page, in the order in which they are tried.</summary>
    public IReadOnlyList<string> PartnerParameters { get; init; } = DefaultPartnerParameters;

    /// <summary>Where unknown, expired and retired links lead that have no fallback of their own.</summary>
    public string? Fallback { get; init; }

    /// <summary>The parameters of a program that was never configured.</summary>
    public static IReadOnlyList<string> DefaultPartnerParameters { get; } = ["ref", "via"];
}
