using PartnerPulse.Contracts;

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

/// <summary>An event of a tailed log: the event itself, or a click as the line of JSON that it was written as.</summary>
public readonly record struct TailedEvent
{
    public TailedEvent(long position, IEvent @event) => (Position, Event) = (position, @event);

    public TailedEvent(long position, ReadOnlyMemory<byte> click) => (Position, Click) = (position, click);

    public long Position { get; }

    /// <summary>Null for a click that is a line.</summary>
    public IEvent? Event { get; }

    /// <summary>A <see cref="ClickRecorded"/> as UTF-8 JSON; empty where there is an <see cref="Event"/>.</summary>
    public ReadOnlyMemory<byte> Click { get; }
}
