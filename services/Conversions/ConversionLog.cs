using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Conversions;

/// <summary>Orders in the log.</summary>
internal sealed class ConversionLog(EventLog log, string program)
{
    public const string CustomerStreamType = "customer";

    private const string StreamType = "conversion";

    public string Program => program;

    public EventLog Log => log;

    /// <summary>The order as it stands and the version of its stream; 0 where nothing is known.</summary>
    public async Task<(Conversion Conversion, long Version)> LoadAsync(Guid conversionId, CancellationToken cancellationToken)
    {
        var conversion = Conversion.Unknown;
        var version = 0L;
        foreach (var stored in await log.ReadStreamAsync(conversionId, cancellationToken))
        {
            conversion = Conversion.Evolve(conversion, Event(stored));
            version = stored.Version;
        }

        return (conversion, version);
    }

    /// <summary>Appends the orders that are not recorded yet, in one transaction.</summary>
    /// <returns>Ids of those that were new.</returns>
    public Task<IReadOnlySet<Guid>> AppendNewAsync(IEnumerable<ConversionRecorded> orders, CancellationToken cancellationToken) =>
        log.AppendNewAsync(orders.Select(order => New(order.ConversionId, order)).ToArray(), cancellationToken);

    /// <summary>What is recorded of these orders, by conversion id.</summary>
    public async Task<IReadOnlyDictionary<Guid, ConversionRecorded>> FindAsync(IReadOnlyCollection<Guid> conversionIds, CancellationToken cancellationToken)
    {
        var recorded = await log.FindAsync(conversionIds, cancellationToken);
        return recorded.ToDictionary(stored => stored.Id, stored => (ConversionRecorded)Event(stored));
    }

    /// <summary>Appends the ties that are not recorded yet, in one transaction.</summary>
    /// <returns>Ids of those that were new.</returns>
    public Task<IReadOnlySet<Guid>> AppendNewAsync(IEnumerable<VisitorIdentified> identities, CancellationToken cancellationToken) =>
        log.AppendNewAsync(identities.Select(i => New(Ids.Customer(i.ProgramId, i.CustomerKey), i, CustomerStreamType)).ToArray(), cancellationToken);

    public Task<AppendOutcome> AppendAsync(ConversionAdjusted adjustment, long expectedVersion, CancellationToken cancellationToken) =>
        log.AppendAsync(adjustment.ConversionId, expectedVersion, [New(adjustment.ConversionId, adjustment)], cancellationToken);

    private static IEvent Event(StoredEvent stored) => EventTypes.Deserialize(
        EventTypes.Find(stored.Type) ?? throw new InvalidDataException($"The event '{stored.Type}' of an order is not known here."), stored.Data.Span);

    internal static NewEvent New(Guid stream, IEvent e, string streamType = StreamType)
    {
        var type = EventTypes.Of(e);
        return new NewEvent(e.EventId, stream, streamType, type.Name, type.DotnetType, EventTypes.Serialize(e));
    }
}
