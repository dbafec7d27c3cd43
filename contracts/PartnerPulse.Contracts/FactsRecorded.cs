namespace PartnerPulse.Contracts;

/// <summary>
/// The message in which events travel on the bus to Attribution, but for clicks: up to <see cref="MaxFacts"/> at once, in the order
/// of the sender's log. On the wire a line each: <c>{"type":"conversion_recorded","data":{…}}</c>; with <c>"traceparent"</c> before the data
/// where its trace is sampled.
/// </summary>
public sealed record FactsRecorded
{
    public const int MaxFacts = 500;

    public required IReadOnlyList<RecordedFact> Facts { get; init; }
}

/// <summary>An event as the sender's log holds it.</summary>
/// <param name="Type">Its published name, see <see cref="EventTypes"/>.</param>
/// <param name="Data">The event as UTF-8 JSON.</param>
/// <param name="TraceParent">The W3C trace context in which it came, where its trace is sampled; no part of the event.</param>
public readonly record struct RecordedFact(string Type, ReadOnlyMemory<byte> Data, string? TraceParent = null);
