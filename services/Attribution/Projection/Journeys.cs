using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.SetAside;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.Attribution.Projection.Db;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// Assembles journeys from the log. The log itself is the index of clicks: a visitor is a stream. So only what concerns a
/// conversion is ever read, and a journey is a function of the log up to a position, whatever the order of arrival.
/// </summary>
internal sealed class Journeys(string schema, ILogger logger)
{
    /// <summary>Conversions that are assembled at once; people are not torn apart, so it may be a few more.</summary>
    private const int ChunkSize = 2_000;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    /// <summary>Where a conversion's touches are to be found.</summary>
    public readonly record struct Person(Guid ConversionId, string? CustomerKey, Guid? ClickId, Guid? VisitorStream);

    /// <summary>Remembers new conversions, so that what concerns them finds them.</summary>
    public async Task AddConversionsAsync(NpgsqlConnection connection, IReadOnlyCollection<ConversionRecorded> conversions, CancellationToken cancellationToken)
    {
        if (conversions.Count == 0)
        {
            return;
        }

        await connection.Sql(
            $"""
             insert into {schema}.conversions (conversion_id, customer_key, click_id, visitor_stream)
             select * from unnest($1::uuid[], $2::varchar[], $3::uuid[], $4::uuid[])
             on conflict on constraint pk_conversions do nothing
             """,
            P(conversions.Select(c => c.ConversionId).ToArray()),
            P(conversions.Select(c => c.CustomerKey).ToArray()),
            P(conversions.Select(c => c.ClickId).ToArray()),
            P(conversions.Select(c => c.VisitorId is { } visitor ? Ids.VisitorStream(c.ProgramId, visitor) : (Guid?)null).ToArray()))
            .RunAsync(cancellationToken);
    }

    /// <summary>
    /// The conversions that a page concerns, and all others of the same customers, in the order of customers:
    /// a new visitor of a customer is a visitor of each of the customer's conversions.
    /// </summary>
    public async Task<IReadOnlyList<Person>> AffectedAsync(NpgsqlConnection connection, LogPage page, CancellationToken cancellationToken)
    {
        var conversions = new HashSet<Guid>();
        var partners = new HashSet<string>(StringComparer.Ordinal);
        foreach (var fact in page.Facts)
        {
            switch (fact)
            {
                case ConversionRecorded conversion:
                    conversions.Add(conversion.ConversionId);
                    break;
                case ConversionAdjusted adjustment:
                    conversions.Add(adjustment.ConversionId);
                    break;
                case ConversionMerged merged:
                    conversions.Add(merged.ConversionId);
                    break;
                case ConversionSeparated separated:
                    conversions.Add(separated.ConversionId);
                    break;
                case PartnerSuspended suspended:
                    partners.Add(suspended.PartnerId);
                    break;
                case PartnerReinstated reinstated:
                    partners.Add(reinstated.PartnerId);
                    break;
                default:
                    break; // Other facts concern no conversion.
            }
        }

        if (conversions.Count == 0 && partners.Count == 0 && page.ClickKeys.Count == 0)
        {
            return [];
        }

        var ofPartners = partners.Count == 0 ? "" : $"union select conversion_id from {schema}.journeys where partners && $3::varchar[]";
        await using var command = connection.Sql(
            $"""
             with touched as (
                 select conversion_id from unnest($1::uuid[]) as k(key) join {schema}.journey_keys using (key)
                 union select unnest($2::uuid[])
                 {ofPartners}
             ), people as (
                 select c.* from touched join {schema}.conversions c using (conversion_id)
             )
             select * from people
             union
             select c.* from {schema}.conversions c where c.customer_key in (select customer_key from people where customer_key is not null)
             order by 2, 1
             """,
            P(page.ClickKeys.ToArray()), P(conversions.ToArray()), P(partners.ToArray()));
        return await ReadPeopleAsync(command, cancellationToken);
    }

    /// <summary>Everybody who converted, in the order of customers.</summary>
    public async Task<IReadOnlyList<Person>> AllAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select conversion_id, customer_key, click_id, visitor_stream from {schema}.conversions order by 2, 1");
        return await ReadPeopleAsync(command, cancellationToken);
    }

    /// <summary>
    /// Assembles and stores the journeys of <paramref name="people"/> as of <paramref name="position"/>, chunk by chunk.
    /// </summary>
    /// <param name="fresh">The table holds none of them yet.</param>
    public async IAsyncEnumerable<IReadOnlyList<Journey>> AssembleAsync(
        NpgsqlConnection connection,
        IReadOnlyList<Person> people,
        long position,
        bool fresh,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (var start = 0; start < people.Count;)
        {
            var end = Math.Min(start + ChunkSize, people.Count);
            while (end < people.Count && people[end].CustomerKey is { } customer && people[end - 1].CustomerKey == customer)
            {
                end++;
            }

            var chunk = people.Skip(start).Take(end - start).ToArray();
            start = end;
            var journeys = await AssembleChunkAsync(connection, chunk, position, cancellationToken);
            await StoreAsync(connection, journeys, position, fresh, cancellationToken);
            AttributionMetrics.Journeys.Add(journeys.Count);
            yield return journeys;
        }
    }

    /// <summary>Journeys as a generation tails them: after a place in the order of their changes.</summary>
    public static async Task<(IReadOnlyList<Journey> Journeys, long ChangedAt, Guid Last)> ReadChangedAsync(
        NpgsqlConnection connection, string schema, long changedAt, Guid after, int max, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select changed_at, conversion_id, facts from {schema}.journeys
              where (changed_at, conversion_id) > ($1, $2) order by changed_at, conversion_id limit $3
             """,
            P(changedAt), P(after), P(max));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var journeys = new List<Journey>();
        while (await reader.ReadAsync(cancellationToken))
        {
            (changedAt, after) = (reader.GetInt64(0), reader.GetGuid(1));
            journeys.Add(Deserialize(reader.GetFieldValue<byte[]>(2)));
        }

        return (journeys, changedAt, after);
    }

    /// <summary>The journey of one conversion and the position up to which it is known; null where the conversion is unknown.</summary>
    public static async Task<(Journey Journey, long Position)?> ReadAsync(
        NpgsqlConnection connection, string schema, Guid conversionId, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select changed_at, facts from {schema}.journeys where conversion_id = $1", P(conversionId));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (Deserialize(reader.GetFieldValue<byte[]>(1)), reader.GetInt64(0)) : null;
    }

    private static Journey Deserialize(byte[] facts) =>
        JsonSerializer.Deserialize(facts, JourneyJson.Default.Journey) ?? throw new JsonException("A stored journey is null.");

    private static async Task<IReadOnlyList<Person>> ReadPeopleAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var people = new List<Person>();
        while (await reader.ReadAsync(cancellationToken))
        {
            people.Add(new Person(reader.GetGuid(0), reader.GetTextOrNull(1), reader.GetGuidOrNull(2), reader.GetGuidOrNull(3)));
        }

        return people;
    }

    private async Task<IReadOnlyList<Journey>> AssembleChunkAsync(
        NpgsqlConnection connection, Person[] people, long position, CancellationToken cancellationToken)
    {
        var (conversions, adjustments, identity) = await ReadConversionsAsync(connection, people, position, cancellationToken);
        var clicks = new Clicks();
        await ReadClicksAsync(connection, "id", Present(people.Select(p => p.ClickId)), position, clicks, cancellationToken);

        // The streams of a person: the conversion's visitor and the visitor of its click.
        var streams = people.ToDictionary(p => p.ConversionId, p => Present([p.VisitorStream, StreamOf(clicks, p.ClickId)]));
        await ReadClicksAsync(connection, "stream_id", [.. streams.Values.SelectMany(s => s).Distinct()], position, clicks, cancellationToken);

        var journeys = new List<Journey>(people.Length);
        var keys = new List<(Guid Key, Guid Conversion)>();
        foreach (var customer in ByCustomer(people))
        {
            var theirs = customer.Where(p => conversions.ContainsKey(p.ConversionId)).ToArray();
            var ofCustomer = theirs.Select(p => conversions[p.ConversionId]).ToArray();
            var customersStreams = theirs.SelectMany(p => streams[p.ConversionId]).Distinct().ToArray();
            var candidates = customersStreams.SelectMany(clicks.OfStream)
                .Concat(Present(theirs.Select(p => p.ClickId)).Select(clicks.ById).OfType<ClickRecorded>())
                .ToArray();
            foreach (var person in theirs)
            {
                journeys.Add(Journey.Assemble(
                    conversions[person.ConversionId], ofCustomer, candidates, adjustments.GetValueOrDefault(person.ConversionId, [])) with
                {
                    SameOrder = SameOrder.Of(conversions[person.ConversionId], identity.GetValueOrDefault(person.ConversionId, [])),
                });
                keys.AddRange(customersStreams.Append(person.ClickId ?? Guid.Empty).Where(k => k != Guid.Empty).Select(k => (k, person.ConversionId)));
            }
        }

        await AddKeysAsync(connection, keys, cancellationToken);
        return journeys;
    }

    /// <summary>Conversions without a customer are each on their own.</summary>
    private static IEnumerable<IReadOnlyList<Person>> ByCustomer(Person[] people) =>
        people.Where(p => p.CustomerKey is null).Select(p => (IReadOnlyList<Person>)[p])
            .Concat(people.Where(p => p.CustomerKey is not null).GroupBy(p => p.CustomerKey, StringComparer.Ordinal).Select(g => g.ToArray()));

    private static Guid? StreamOf(Clicks clicks, Guid? clickId) =>
        clickId is { } id && clicks.ById(id) is { VisitorId: not null } click ? Ids.ClickStream(click) : null;

    private static Guid[] Present(IEnumerable<Guid?> ids) => ids.OfType<Guid>().Distinct().ToArray();

    private async Task<(
        Dictionary<Guid, ConversionRecorded> Conversions, Dictionary<Guid, List<ConversionAdjusted>> Adjustments, Dictionary<Guid, List<IEvent>> Identity)> ReadConversionsAsync(
        NpgsqlConnection connection, Person[] people, long position, CancellationToken cancellationToken)
    {
        var identity = new Dictionary<Guid, List<IEvent>>();
        var conversions = new Dictionary<Guid, ConversionRecorded>();
        var adjustments = new Dictionary<Guid, List<ConversionAdjusted>>();
        await using var command = connection.Sql(
            $"""
             select type, data from {schema}.mt_events
              where stream_id = any($1) and seq_id <= $2
                and type in ('{EventTypes.Of<ConversionRecorded>().Name}', '{EventTypes.Of<ConversionAdjusted>().Name}',
                             '{EventTypes.Of<ConversionMerged>().Name}', '{EventTypes.Of<ConversionSeparated>().Name}')
             """,
            P(people.Select(p => p.ConversionId).ToArray()), P(position));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            // What cannot be read went aside when its page was read.
            switch (LogPage.Read(reader.GetString(0), reader.GetFieldValue<byte[]>(1), out _))
            {
                case ConversionRecorded conversion:
                    conversions[conversion.ConversionId] = conversion;
                    break;
                case ConversionAdjusted adjustment:
                    if (!adjustments.TryGetValue(adjustment.ConversionId, out var list))
                    {
                        adjustments[adjustment.ConversionId] = list = [];
                    }

                    list.Add(adjustment);
                    break;
                case ConversionMerged merged:
                    Identity(merged.ConversionId).Add(merged);
                    break;
                case ConversionSeparated separated:
                    Identity(separated.ConversionId).Add(separated);
                    break;
                default:
                    break;
            }
        }

        return (conversions, adjustments, identity);

        List<IEvent> Identity(Guid conversionId)
        {
            if (!identity.TryGetValue(conversionId, out var list))
            {
                identity[conversionId] = list = [];
            }

            return list;
        }
    }

    private async Task ReadClicksAsync(
        NpgsqlConnection connection, string column, Guid[] keys, long position, Clicks clicks, CancellationToken cancellationToken)
    {
        if (keys.Length == 0)
        {
            return;
        }

        var bad = new List<(NewEvent Event, string Reason)>();
        await using (var command = connection.Sql(
            $"select id, stream_id, data from {schema}.mt_events where {column} = any($1) and seq_id <= $2 and type = '{s_click}'", P(keys), P(position)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                var data = reader.GetFieldValue<byte[]>(2);
                if (LogPage.Read(s_click, data, out var reason) is ClickRecorded click)
                {
                    clicks.Add(reader.GetGuid(1), click);
                }
                else
                {
                    bad.Add((new NewEvent(reader.GetGuid(0), reader.GetGuid(1), "visitor", s_click, "", data), reason));
                }
            }
        }

        foreach (var (e, reason) in bad)
        {
            await SetAsideStore.AddAsync(connection, schema, e, "fold", reason, cancellationToken);
            logger.EventSetAside(e.Id, e.Type, "fold", reason);
        }
    }

    private async Task AddKeysAsync(NpgsqlConnection connection, List<(Guid Key, Guid Conversion)> keys, CancellationToken cancellationToken)
    {
        if (keys.Count == 0)
        {
            return;
        }

        await connection.Sql(
            $"""
             insert into {schema}.journey_keys (key, conversion_id) select * from unnest($1::uuid[], $2::uuid[])
             on conflict on constraint pk_journey_keys do nothing
             """,
            P(keys.Select(k => k.Key).ToArray()), P(keys.Select(k => k.Conversion).ToArray())).RunAsync(cancellationToken);
    }

    private async Task StoreAsync(
        NpgsqlConnection connection, IReadOnlyList<Journey> journeys, long position, bool fresh, CancellationToken cancellationToken)
    {
        if (journeys.Count == 0)
        {
            return;
        }

        if (!fresh)
        {
            await connection.Sql($"delete from {schema}.journeys where conversion_id = any($1)", P(journeys.Select(j => j.Conversion.ConversionId).ToArray()))
                .RunAsync(cancellationToken);
        }

        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.journeys (conversion_id, changed_at, partners, facts) from stdin (format binary)", cancellationToken);
        foreach (var journey in journeys)
        {
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(journey.Conversion.ConversionId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(position, NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(
                journey.Touches.Select(t => t.Click.PartnerId).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray(),
                NpgsqlDbType.Array | NpgsqlDbType.Varchar,
                cancellationToken);
            await writer.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(journey, JourneyJson.Default.Journey), NpgsqlDbType.Json, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }

    private sealed class Clicks
    {
        private readonly Dictionary<Guid, ClickRecorded> _byId = [];
        private readonly Dictionary<Guid, List<ClickRecorded>> _byStream = [];

        public void Add(Guid stream, ClickRecorded click)
        {
            if (!_byId.TryAdd(click.EventId, click))
            {
                return;
            }

            if (!_byStream.TryGetValue(stream, out var list))
            {
                _byStream[stream] = list = [];
            }

            list.Add(click);
        }

        public ClickRecorded? ById(Guid id) => _byId.GetValueOrDefault(id);

        public List<ClickRecorded> OfStream(Guid stream) => _byStream.GetValueOrDefault(stream, []);
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Journey))]
internal sealed partial class JourneyJson : JsonSerializerContext;
