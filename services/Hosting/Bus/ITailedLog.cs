namespace PartnerPulse.Hosting.Bus;

/// <summary>A log that a relay tails: the event store of a service, or the spool of an edge.</summary>
public interface ITailedLog
{
    /// <summary>Name of the log on the bus: receivers remember per origin how far they have got.</summary>
    string Origin { get; }

    /// <summary>Completes at the next append. Take it before reading, await it when there was nothing to read.</summary>
    Task NextAppend { get; }

    /// <summary>Position of the last event; 0 where there is none.</summary>
    ValueTask<long> LastPositionAsync(CancellationToken cancellationToken);

    /// <summary>How far the relay is.</summary>
    ValueTask<long> CheckpointAsync(CancellationToken cancellationToken);

    ValueTask SaveCheckpointAsync(long position, CancellationToken cancellationToken);

    /// <summary>The next events after <paramref name="position"/>, at most <paramref name="max"/>.</summary>
    ValueTask<TailPage> ReadAsync(long position, int max, CancellationToken cancellationToken);
}

/// <summary>A page of a tailed log.</summary>
/// <param name="Events">Events to hand on, in order; those that concern nobody else are left out.</param>
/// <param name="To">Position of the last event that was read, handed on or not; the position asked for where there was none.</param>
public sealed record TailPage(IReadOnlyList<TailedEvent> Events, long To);

/// <summary>An event of a tailed log, as the log holds it.</summary>
/// <param name="Position">Its place in the log.</param>
/// <param name="Type">Its published name.</param>
/// <param name="Data">The event as UTF-8 JSON.</param>
/// <param name="TraceParent">The W3C trace context in which it came, where its trace is sampled.</param>
public readonly record struct TailedEvent(long Position, string Type, ReadOnlyMemory<byte> Data, string? TraceParent = null);
