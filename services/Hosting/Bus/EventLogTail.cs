using PartnerPulse.EventStore;

namespace PartnerPulse.Hosting.Bus;

/// <summary>The event store of a service as a relay sees it.</summary>
/// <param name="log">The log.</param>
/// <param name="handsOn">
/// Names of the events that concern others; null for all. Only a log that hands on everything has intervals without gaps, see
/// <see cref="Handover"/>.
/// </param>
public sealed class EventLogTail(EventLog log, IReadOnlySet<string>? handsOn) : ITailedLog
{
    private const string Checkpoint = "relay";

    public string Origin => log.Schema;

    public Task NextAppend => log.NextAppend;

    public async ValueTask<long> LastPositionAsync(CancellationToken cancellationToken) => await log.LastPositionAsync(cancellationToken);

    public async ValueTask<long> CheckpointAsync(CancellationToken cancellationToken) => await log.CheckpointAsync(Checkpoint, cancellationToken);

    public async ValueTask SaveCheckpointAsync(long position, CancellationToken cancellationToken) =>
        await log.SaveCheckpointAsync(Checkpoint, position, cancellationToken);

    public async ValueTask<TailPage> ReadAsync(long position, int max, CancellationToken cancellationToken)
    {
        var events = new List<TailedEvent>();
        var to = position;
        await foreach (var stored in log.StreamAllAsync(position, max, cancellationToken))
        {
            if (handsOn?.Contains(stored.Type) is not false)
            {
                events.Add(new TailedEvent(stored.Position, stored.Type, stored.Data));
            }

            to = stored.Position;
        }

        if (events.Count > 0 && Diagnostics.Source.HasListeners())
        {
            await AddContextsAsync(events, position, to, cancellationToken);
        }

        return new TailPage(events, to);
    }

    private async Task AddContextsAsync(List<TailedEvent> events, long position, long to, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var contexts = await log.Traces.ReadAsync(connection, position, to, cancellationToken);
        for (var i = 0; contexts.Count > 0 && i < events.Count; i++)
        {
            events[i] = events[i] with { TraceParent = contexts.GetValueOrDefault(events[i].Position) };
        }
    }
}
