using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Conversions;

/// <summary>Orders in the log.</summary>
internal sealed class ConversionLog(EventLog log, string program)
{
    /// <summary>Times a decision is made again because somebody else was faster.</summary>
    public const int MaxTries = 20;

    /// <summary>Orders that are named as set aside for one.</summary>
    public const int MaxSetAside = 100;

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

    /// <summary>Loads the order, decides, and appends what was decided, all of it or nothing; again where somebody else was faster.</summary>
    /// <param name="conversionId">The order.</param>
    /// <param name="decide">Asked anew at each try. Its events are what becomes true by it; none where it only answers.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    /// <returns>What was decided, null where others were faster <see cref="MaxTries"/> times; and the order after it.</returns>
    public async Task<(TOutcome? Outcome, Conversion Conversion)> ChangeAsync<TOutcome>(
        Guid conversionId, Func<Conversion, (TOutcome Outcome, IReadOnlyList<IEvent> Events)> decide, CancellationToken cancellationToken)
        where TOutcome : class
    {
        var conversion = Conversion.Unknown;
        for (var attempt = 0; attempt < MaxTries; attempt++)
        {
            (conversion, var version) = await LoadAsync(conversionId, cancellationToken);
            var (outcome, events) = decide(conversion);
            if (events.Count == 0
                || await log.AppendAsync(conversionId, version, events.Select(e => New(conversionId, e)).ToArray(), cancellationToken) is Appended)
            {
                return (outcome, events.Aggregate(conversion, Conversion.Evolve));
            }
        }

        return (null, conversion);
    }

    /// <summary>Appends the orders that are not recorded yet, in one transaction.</summary>
    /// <returns>Ids of those that were new.</returns>
    public Task<IReadOnlySet<Guid>> AppendNewAsync(IEnumerable<(ConversionRecorded Order, string? TraceParent)> orders, CancellationToken cancellationToken) =>
        log.AppendNewAsync(orders.Select(asked => New(asked.Order.ConversionId, asked.Order) with { TraceParent = asked.TraceParent }).ToArray(), cancellationToken);

    /// <summary>What is recorded of these orders, by conversion id.</summary>
    public async Task<IReadOnlyDictionary<Guid, ConversionRecorded>> FindAsync(IReadOnlyCollection<Guid> conversionIds, CancellationToken cancellationToken)
    {
        var recorded = await log.FindAsync(conversionIds, cancellationToken);
        return recorded.ToDictionary(stored => stored.Id, stored => (ConversionRecorded)Event(stored));
    }

    /// <summary>Appends the ties that are not recorded yet, in one transaction.</summary>
    /// <returns>Ids of those that were new.</returns>
    public Task<IReadOnlySet<Guid>> AppendNewAsync(IEnumerable<IEvent> identities, CancellationToken cancellationToken) =>
        log.AppendNewAsync(identities.Select(i => New(Ids.Customer(i.ProgramId, CustomerOf(i)), i, CustomerStreamType)).ToArray(), cancellationToken);

    /// <summary>The key of the customer that a tie is of.</summary>
    /// <exception cref="System.Diagnostics.UnreachableException">The event is no tie.</exception>
    public static string CustomerOf(IEvent identity) => identity switch
    {
        VisitorIdentified visitor => visitor.CustomerKey,
        PartnerIdentified partner => partner.CustomerKey,
        _ => throw new System.Diagnostics.UnreachableException(identity.ToString()),
    };

    public static NewEvent New(ConversionMerged merge) => New(merge.ConversionId, merge);

    public static NewEvent New(OrderIdentitiesDeclared declared) => New(Ids.OrderIdentities(declared.ProgramId), declared) with { StreamType = "order-identities" };

    /// <summary>Orders that were set aside for this one and are not separated, by their natural keys.</summary>
    public async Task<IReadOnlyList<(Guid ConversionId, string Source, string OrderId)>> SetAsideForAsync(Guid conversionId, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand(
            $"""
             select conversion_id, source, order_id from {log.Schema}.merges m
              where into_id = $1
                and not exists (select from {log.Schema}.mt_events e where e.stream_id = m.conversion_id and e.type = '{EventTypes.Of<ConversionSeparated>().Name}')
              order by source, order_id limit {MaxSetAside}
             """);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = conversionId });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var found = new List<(Guid, string, string)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add((reader.GetGuid(0), reader.GetString(1), reader.GetString(2)));
        }

        return found;
    }

    /// <summary>An event of an order's stream.</summary>
    /// <exception cref="InvalidDataException">This version does not know it.</exception>
    public static IEvent Event(string type, ReadOnlySpan<byte> data) => EventTypes.Deserialize(
        EventTypes.Find(type) ?? throw new InvalidDataException($"The event '{type}' of an order is not known here."), data);

    private static IEvent Event(StoredEvent stored) => Event(stored.Type, stored.Data.Span);

    internal static NewEvent New(Guid stream, IEvent e, string streamType = StreamType)
    {
        var type = EventTypes.Of(e);
        return new NewEvent(e.EventId, stream, streamType, type.Name, type.DotnetType, EventTypes.Serialize(e));
    }
}
