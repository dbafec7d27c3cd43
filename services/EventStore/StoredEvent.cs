namespace PartnerPulse.EventStore;

/// <summary>An event to append: names and bytes. The log knows no event types.</summary>
/// <param name="Id">Identity of the event; appending it again changes nothing.</param>
/// <param name="StreamId">The stream it belongs to.</param>
/// <param name="StreamType">Name of the kind of stream, for people and for Marten.</param>
/// <param name="Type">Published name of the event (<c>click_recorded</c>).</param>
/// <param name="DotnetType">What Marten keeps beside it: <c>Namespace.Record, Assembly</c>.</param>
/// <param name="Data">The event as UTF-8 JSON.</param>
public readonly record struct NewEvent(Guid Id, Guid StreamId, string StreamType, string Type, string DotnetType, ReadOnlyMemory<byte> Data)
{
    /// <summary>
    /// The W3C trace context in which it came, where its trace is sampled; the caller's own where null. It is kept beside the log and is
    /// no part of the event.
    /// </summary>
    public string? TraceParent { get; init; }
}

/// <summary>An event as the log holds it.</summary>
/// <param name="Position">Place in the log (<c>seq_id</c>). Order of positions is order of commits; gaps mean nothing.</param>
/// <param name="Id">Identity of the event.</param>
/// <param name="StreamId">The stream it belongs to.</param>
/// <param name="Version">Place in the stream: 1, 2, 3…</param>
/// <param name="Type">Published name of the event.</param>
/// <param name="RecordedAt">When the log took it.</param>
/// <param name="Data">The event as UTF-8 JSON.</param>
public readonly record struct StoredEvent(
    long Position, Guid Id, Guid StreamId, long Version, string Type, DateTimeOffset RecordedAt, ReadOnlyMemory<byte> Data);
