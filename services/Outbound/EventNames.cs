using System.Collections.Frozen;
using PartnerPulse.Contracts;

namespace PartnerPulse.Outbound;

/// <summary>The names under which the outside can subscribe, and what each is called in the log.</summary>
internal static class EventNames
{
    public const string CreditRevised = "credit.revised";
    public const string ConversionRecorded = "conversion.recorded";
    public const string ConversionAdjusted = "conversion.adjusted";
    public const string StatementClosed = "statement.closed";

    private static readonly FrozenDictionary<string, string> s_logged = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        [CreditRevised] = EventTypes.Of<CreditsRevised>().Name,
        [ConversionRecorded] = EventTypes.Of<ConversionRecorded>().Name,
        [ConversionAdjusted] = EventTypes.Of<ConversionAdjusted>().Name,
        [StatementClosed] = EventTypes.Of<StatementClosed>().Name,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public static IReadOnlyList<string> All { get; } = [.. s_logged.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Names of the events in the log that somebody may want to be told.</summary>
    public static string[] Logged { get; } = [.. s_logged.Values];

    public static bool IsKnown(string name) => s_logged.ContainsKey(name);

    public static string Of(IEvent @event) => @event switch
    {
        CreditsRevised => CreditRevised,
        Contracts.ConversionRecorded => ConversionRecorded,
        Contracts.ConversionAdjusted => ConversionAdjusted,
        Contracts.StatementClosed => StatementClosed,
        var other => throw new System.Diagnostics.UnreachableException(other.GetType().Name),
    };
}
