using System.Text.Json;
using System.Text.Json.Serialization;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.SetAside;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// Assembles journeys from the log. The log itself is the index of clicks: a visitor is a stream. So only what concerns a
/// conversion is ever read, and a journey is a function of the log up to a position, whatever the order of arrival.
/// </summary>
internal sealed class Journeys(string schema, ILogger logger)
{
    /// <summary>Conversions that are assembled at once.</summary>
    private const int ChunkSize = 400;

    private const string PersonColumns = "c.conversion_id, c.customer, c.click_id, c.visitor_stream, c.coupon_stream";

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;
    private static readonly string s_reports = string.Join(", ", ReportedConversions.Types.Select(type => $"'{type}'"));

    /// <summary>Where a conversion's touches and the holder of its coupon are to be found.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
    public readonly record struct Person(Guid ConversionId, Guid? Customer, Guid? ClickId, Guid? VisitorStream, Guid? CouponStream);

    /// <summary>A journey as it is stored, and its place in the order of changes.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
    public readonly record struct Stored(long ChangedAt, Guid ConversionId, byte[] Facts, byte[] Touches);

    /// <summary>Remembers new conversions, so that what concerns them finds them.</summary>
    public async Task AddConversionsAsync(NpgsqlConnection connection, IReadOnlyCollection<ConversionRecorded> conversions, CancellationToken cancellationToken)
    {
        if (conversions.Count == 0)
        {
            return;
        }

        await connection.Sql(
            $"""
             insert into {schema}.conversions (conversion_id, customer, click_id, visitor_stream, coupon_stream, introduces, test, occurred_ticks)
             select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bool[], $7::bool[], $8::bigint[])
             on conflict on constraint pk_conversions do nothing
             """,
            P(conversions.Select(c => c.ConversionId).ToArray()),
            P(conversions.Select(c => c.CustomerKey is { } key ? Ids.Customer(c.ProgramId, key) : (Guid?)null).ToArray()),
            P(conversions.Select(c => c.ClickId).ToArray()),
            P(conversions.Select(c => c.VisitorId is { } visitor ? Ids.VisitorStream(c.ProgramId, visitor) : (Guid?)null).ToArray()),
            P(conversions.Select(c => c.Coupon is { } code ? Ids.CouponStream(c.ProgramId, code) : (Guid?)null).ToArray()),
            P(conversions.Select(c => Journey.Introduces(c.Kind)).ToArray()),
            P(conversions.Select(c => c.Test).ToArray()),
            P(conversions.Select(c => c.OccurredAt.UtcTicks).ToArray()))
            .RunAsync(cancellationToken);
    }

    /// <summary>Remembers which visitors and clicks belong to which customers, by whatever fact says so.</summary>
    /// <returns>
    /// Customers that are tied to something new, so that all their conversions are concerned. Not those that were a crowd before:
    /// nothing that is tied to them matters any more.
    /// </returns>
    public async Task<IReadOnlyList<Guid>> AddTiesAsync(NpgsqlConnection connection, IReadOnlyList<IEvent> facts, CancellationToken cancellationToken)
    {
        var ties = new HashSet<(Guid Customer, bool IsClick, Guid Key, string? VisitorId)>();
        foreach (var fact in facts)
        {
            var (key, visitorId, clickId) = fact switch
            {
                ConversionRecorded c => (c.CustomerKey, c.VisitorId, c.ClickId),
                VisitorIdentified i => (i.CustomerKey, i.VisitorId, i.ClickId),
                _ => ((string?)null, (string?)null, (Guid?)null),
            };
            if (key is null)
            {
                continue;
            }

            var customer = Ids.Customer(fact.ProgramId, key);
            if (visitorId is not null)
            {
                ties.Add((customer, false, Ids.VisitorStream(fact.ProgramId, visitorId), visitorId));
            }

            if (clickId is { } click)
            {
                ties.Add((customer, true, click, null));
            }
        }

        if (ties.Count == 0)
        {
            return [];
        }

        // The outer select sees the table as it was before the insert.
        await using var command = connection.Sql(
            $"""
             with added as (
                 insert into {schema}.ties (customer, is_click, key, visitor_id)
                 select * from unnest($1::uuid[], $2::bool[], $3::uuid[], $4::varchar[])
                 on conflict on constraint pk_ties do nothing
                 returning customer
             )
             select a.customer from (select distinct customer from added) a
              where (select count(*) from (select from {schema}.ties t where t.customer = a.customer limit {CustomerTies.Most + 1}) before) <= {CustomerTies.Most}
             """,
            P(ties.Select(t => t.Customer).ToArray()), P(ties.Select(t => t.IsClick).ToArray()), P(ties.Select(t => t.Key).ToArray()),
            P(ties.Select(t => t.VisitorId).ToArray()));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var retied = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
        {
            retied.Add(reader.GetGuid(0));
        }

        return retied;
    }

    /// <summary>Remembers which customers are partners themselves.</summary>
    /// <returns>Customers of whom that is new, so that all their conversions are concerned.</returns>
    public async Task<IReadOnlyList<Guid>> AddOwnCustomersAsync(NpgsqlConnection connection, IReadOnlyList<IEvent> facts, CancellationToken cancellationToken)
    {
        var own = facts.OfType<PartnerIdentified>().Select(i => (Customer: Ids.Customer(i.ProgramId, i.CustomerKey), i.PartnerId)).Distinct().ToArray();
        if (own.Length == 0)
        {
            return [];
        }

        await using var command = connection.Sql(
            $"""
             with added as (
                 insert into {schema}.own_customers (customer, partner_id) select * from unnest($1::uuid[], $2::varchar[])
                 on conflict on constraint pk_own_customers do nothing
                 returning customer
             )
             select distinct customer from added
             """,
            P(own.Select(o => o.Customer).ToArray()), P(own.Select(o => o.PartnerId).ToArray()));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var concerned = new List<Guid>();
        while (await reader.ReadAsync(cancellationToken))
        {
            concerned.Add(reader.GetGuid(0));
        }

        return concerned;
    }

    /// <summary>
    /// The conversions that a page concerns, in the order of customers. A new visitor of a customer concerns each of the customer's
    /// conversions, and a lead that is new, or is the same as another one or no longer, all that come after it.
    /// </summary>
    /// <param name="connection">In the page's transaction.</param>
    /// <param name="page">The page; its conversions and ties are in the tables already.</param>
    /// <param name="retied">Customers that the page ties to something new, or to a partner.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    public async Task<IReadOnlyList<Person>> AffectedAsync(
        NpgsqlConnection connection, LogPage page, IReadOnlyList<Guid> retied, CancellationToken cancellationToken)
    {
        var conversions = new HashSet<Guid>();
        var leads = new List<Guid>();
        var partners = new HashSet<string>(StringComparer.Ordinal);
        var coupons = new List<(Guid Stream, long SinceTicks)>();
        foreach (var fact in page.Facts)
        {
            switch (fact)
            {
                case ConversionRecorded conversion:
                    conversions.Add(conversion.ConversionId);
                    if (Journey.Introduces(conversion.Kind) && conversion.CustomerKey is not null)
                    {
                        leads.Add(conversion.ConversionId);
                    }

                    break;
                case ConversionAdjusted adjustment:
                    conversions.Add(adjustment.ConversionId);
                    break;
                case ConversionRestated statement:
                    conversions.Add(statement.ConversionId);
                    break;
                case ConversionMerged merged:
                    conversions.Add(merged.ConversionId);
                    leads.Add(merged.ConversionId);
                    break;
                case ConversionSeparated separated:
                    conversions.Add(separated.ConversionId);
                    leads.Add(separated.ConversionId);
                    break;
                case CouponAssigned assigned:
                    coupons.Add((Ids.CouponStream(assigned.ProgramId, assigned.Code), assigned.From.UtcTicks));
                    break;
                case CouponWithdrawn withdrawn:
                    coupons.Add((Ids.CouponStream(withdrawn.ProgramId, withdrawn.Code), withdrawn.OccurredAt.UtcTicks));
                    break;
                default:
                    // Ties came in by their customers; facts that are of no partner either concern no conversion.
                    if (PartnerStandings.PartnerOf(fact) is { } partner)
                    {
                        partners.Add(partner);
                    }

                    break;
            }
        }

        if (conversions.Count == 0 && partners.Count == 0 && coupons.Count == 0 && retied.Count == 0 && page.ClickKeys.Count == 0)
        {
            return [];
        }

        // A coupon of a lead concerns who inherits from it: that came later, so it is not left out by the time.
        var ofPartners = partners.Count == 0 ? "" : $"union select conversion_id from {schema}.journeys where partners && $3::varchar[]";
        await using var command = connection.Sql(
            $"""
             with touched as (
                 select conversion_id from unnest($1::uuid[]) as k(key) join {schema}.journey_keys using (key)
                 union select unnest($2::uuid[])
                 {ofPartners}
                 union
                 select c.conversion_id
                   from unnest($4::uuid[], $5::bigint[]) as k(key, since) join {schema}.journey_keys using (key) join {schema}.conversions c using (conversion_id)
                  where c.occurred_ticks >= k.since
                 union select c.conversion_id from {schema}.conversions c where c.customer = any($6)
                 union
                 select c.conversion_id
                   from {schema}.conversions lead join {schema}.conversions c on c.customer = lead.customer and c.occurred_ticks >= lead.occurred_ticks
                  where lead.conversion_id = any($7) and lead.introduces
                    and (select count(*)
                           from (select from {schema}.conversions e
                                  where e.introduces and e.customer = lead.customer and e.test = lead.test
                                    and (e.occurred_ticks, e.conversion_id) < (lead.occurred_ticks, lead.conversion_id)
                                  limit {Journey.MostIntroductions}) earlier) < {Journey.MostIntroductions}
             )
             select {PersonColumns} from touched join {schema}.conversions c using (conversion_id) order by 2, 1
             """,
            P(page.ClickKeys.ToArray()), P(conversions.ToArray()), P(partners.ToArray()),
            P(coupons.Select(c => c.Stream).ToArray()), P(coupons.Select(c => c.SinceTicks).ToArray()), P(retied.ToArray()), P(leads.ToArray()));
        return await ReadPeopleAsync(command, cancellationToken);
    }

    /// <summary>Everybody who converted, in the order of customers, then of visitors: what they share is read once a chunk.</summary>
    public async Task<IReadOnlyList<Person>> AllAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select {PersonColumns} from {schema}.conversions c order by c.customer, c.visitor_stream, c.conversion_id");
        return await ReadPeopleAsync(command, cancellationToken);
    }

    /// <summary>
    /// The same for everybody, into an empty table and with a judgement of each chunk: as many chunks at once as there are cores are
    /// read from the log by connections of their own, decoded, judged and packed. The caller's connection asks who belongs together,
    /// which only its transaction sees, and writes what is finished, in order.
    /// </summary>
    /// <param name="connection">In a transaction that holds the table empty.</param>
    /// <param name="source">For the connections that read the log.</param>
    /// <param name="people">In the order of customers.</param>
    /// <param name="position">How far the log is taken into account.</param>
    /// <param name="reported">What the log reports of them up to there, where it is at hand.</param>
    /// <param name="judge">Called on other threads, for one chunk each.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async IAsyncEnumerable<T> AssembleAllAsync<T>(
        NpgsqlConnection connection,
        NpgsqlDataSource source,
        IReadOnlyList<Person> people,
        long position,
        ReportedConversions? reported,
        Func<IReadOnlyList<Journey>, T> judge,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var ahead = new Queue<Task<(Assembled Assembled, T Judged)>>();
        try
        {
            for (var start = 0; start < people.Count || ahead.Count > 0;)
            {
                while (start < people.Count && ahead.Count <= Environment.ProcessorCount)
                {
                    var chunk = people.Skip(start).Take(ChunkSize).ToArray();
                    start += chunk.Length;
                    var lookedUp = await LookUpAsync(connection, chunk, cancellationToken);
                    ahead.Enqueue(Task.Run(() => AssembleApartAsync(source, lookedUp, position, reported, judge, stop.Token), stop.Token));
                }

                var (assembled, judged) = await ahead.Dequeue();
                await StoreAsync(connection, assembled, position, fresh: true, cancellationToken);
                AttributionMetrics.Journeys.Add(assembled.Journeys.Count);
                yield return judged;
            }
        }
        finally
        {
            await stop.CancelAsync();
            foreach (var unfinished in ahead)
            {
                await ((Task)unfinished).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task<(Assembled Assembled, T Judged)> AssembleApartAsync<T>(
        NpgsqlDataSource source, LookedUp lookedUp, long position, ReportedConversions? reported, Func<IReadOnlyList<Journey>, T> judge,
        CancellationToken cancellationToken)
    {
        await using var reading = await source.OpenConnectionAsync(cancellationToken);
        var assembled = await AssembleChunkAsync(reading, lookedUp, position, reported, cancellationToken);
        return (assembled, judge(assembled.Journeys));
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
        for (var start = 0; start < people.Count; start += ChunkSize)
        {
            var chunk = people.Skip(start).Take(ChunkSize).ToArray();
            var assembled = await AssembleChunkAsync(connection, await LookUpAsync(connection, chunk, cancellationToken), position, reported: null, cancellationToken);
            var journeys = assembled.Journeys;
            await StoreAsync(connection, assembled, position, fresh, cancellationToken);
            AttributionMetrics.Journeys.Add(journeys.Count);
            yield return journeys;
        }
    }

    /// <summary>Journeys as a generation tails them: after a place in the order of their changes.</summary>
    public static async Task<(IReadOnlyList<Journey> Journeys, long ChangedAt, Guid Last)> ReadChangedAsync(
        NpgsqlConnection connection, string schema, long changedAt, Guid after, int max, CancellationToken cancellationToken)
    {
        await using var command = ChangedCommand(connection, schema, changedAt, after, max);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var journeys = new List<Journey>();
        while (await reader.ReadAsync(cancellationToken))
        {
            (changedAt, after) = (reader.GetInt64(0), reader.GetGuid(1));
            journeys.Add(Deserialize(reader.GetFieldValue<byte[]>(2), reader.GetFieldValue<byte[]>(3)));
        }

        return (journeys, changedAt, after);
    }

    /// <summary>
    /// The same as they are stored, as they arrive from a snapshot of the caller's: whoever reads many has them decoded elsewhere.
    /// </summary>
    public static async IAsyncEnumerable<Stored> StreamChangedAsync(
        NpgsqlConnection connection, string schema, long changedAt, Guid after, int max,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = ChangedCommand(connection, schema, changedAt, after, max);
        await using var reader = await command.ExecuteReaderAsync(System.Data.CommandBehavior.SequentialAccess, cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            yield return new Stored(reader.GetInt64(0), reader.GetGuid(1), reader.GetFieldValue<byte[]>(2), reader.GetFieldValue<byte[]>(3));
        }
    }

    private static NpgsqlCommand ChangedCommand(NpgsqlConnection connection, string schema, long changedAt, Guid after, int max) => connection.Sql(
        $"""
         select changed_at, conversion_id, facts, touches from {schema}.journeys
          where (changed_at, conversion_id) > ($1, $2) order by changed_at, conversion_id limit $3
         """,
        P(changedAt), P(after), P(max));

    /// <summary>The journey of one conversion and the position up to which it is known; null where the conversion is unknown.</summary>
    public static async Task<(Journey Journey, long Position)?> ReadAsync(
        NpgsqlConnection connection, string schema, Guid conversionId, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select changed_at, facts, touches from {schema}.journeys where conversion_id = $1", P(conversionId));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (Deserialize(reader.GetFieldValue<byte[]>(1), reader.GetFieldValue<byte[]>(2)), reader.GetInt64(0)) : null;
    }

    /// <summary>A journey from what is stored of it.</summary>
    /// <exception cref="JsonException">These are not the facts of a journey.</exception>
    /// <exception cref="InvalidDataException">These are not its touches.</exception>
    public static Journey Deserialize(byte[] facts, byte[] touches) => PackedTouches.Unpack(
        JsonSerializer.Deserialize(facts, JourneyJson.Default.Journey) ?? throw new JsonException("A stored journey is null."), touches);

    /// <summary>What the JSON holds: everything but the touches.</summary>
    private static Journey Bare(Journey journey) => journey with
    {
        Touches = [],
        Introductions = journey.Introductions.IsEmpty ? journey.Introductions : [.. journey.Introductions.Select(Bare)],
    };

    /// <summary>The journeys of those of the conversions that are known.</summary>
    public static async Task<IReadOnlyList<Journey>> ReadManyAsync(
        NpgsqlConnection connection, string schema, Guid[] conversions, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select facts, touches from {schema}.journeys where conversion_id = any($1)", P(conversions));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var journeys = new List<Journey>(conversions.Length);
        while (await reader.ReadAsync(cancellationToken))
        {
            journeys.Add(Deserialize(reader.GetFieldValue<byte[]>(0), reader.GetFieldValue<byte[]>(1)));
        }

        return journeys;
    }

    private static async Task<IReadOnlyList<Person>> ReadPeopleAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var people = new List<Person>();
        while (await reader.ReadAsync(cancellationToken))
        {
            people.Add(new Person(reader.GetGuid(0), reader.GetGuidOrNull(1), reader.GetGuidOrNull(2), reader.GetGuidOrNull(3), reader.GetGuidOrNull(4)));
        }

        return people;
    }

    /// <summary>Who belongs together, from the tables that are derived in the caller's transaction.</summary>
    private async Task<LookedUp> LookUpAsync(NpgsqlConnection connection, Person[] people, CancellationToken cancellationToken)
    {
        var customersIds = Present(people.Select(p => p.Customer));
        return new LookedUp(
            people, await ReadTiesAsync(connection, customersIds, cancellationToken), await ReadIntroducingAsync(connection, customersIds, cancellationToken),
            await ReadOwnCustomersAsync(connection, customersIds, cancellationToken));
    }

    /// <summary>Reads the log and nothing else, and writes nothing.</summary>
    private async Task<Assembled> AssembleChunkAsync(
        NpgsqlConnection connection, LookedUp lookedUp, long position, ReportedConversions? reported, CancellationToken cancellationToken)
    {
        var (people, customers, introducing, own) = lookedUp;
        var unreadable = new List<(NewEvent Event, string Reason)>();
        var everybody = people.Concat(introducing.Values.SelectMany(p => p)).DistinctBy(p => p.ConversionId).ToArray();
        reported ??= await ReadReportedAsync(connection, everybody, position, cancellationToken);
        var coupons = await ReadCouponsAsync(connection, Present(everybody.Select(p => p.CouponStream)), position, cancellationToken);

        var clicks = new Clicks();
        var named = everybody.Select(p => p.ClickId).Concat(customers.Values.SelectMany(c => c.Clicks).Select(id => (Guid?)id));
        await ReadClicksAsync(connection, "id", Present(named), position, clicks, unreadable, cancellationToken);
        foreach (var customer in customers.Values)
        {
            customer.Streams.UnionWith(Present(customer.Clicks.Select(id => StreamOf(clicks, id))));
        }

        var streams = everybody.ToDictionary(p => p.ConversionId, p => Present([p.VisitorStream, StreamOf(clicks, p.ClickId)]));
        await ReadClicksAsync(
            connection, "stream_id", [.. streams.Values.Concat(customers.Values.Select(c => c.Streams.ToArray())).SelectMany(s => s).Distinct()], position, clicks,
            unreadable, cancellationToken);

        var journeys = new List<Journey>(people.Length);
        var keys = new List<(Guid Key, Guid Conversion)>();
        foreach (var person in people)
        {
            if (reported.Find(person.ConversionId) is not { } conversion)
            {
                continue;
            }

            var customer = person.Customer is { } id ? customers.GetValueOrDefault(id) : null;
            Person[] leads = person.Customer is { } introduced && !Journey.Introduces(conversion.Kind) && introducing.TryGetValue(introduced, out var found)
                ? [.. found.Where(p => reported.Find(p.ConversionId) is not null)]
                : [];

            // Its own and those of its introductions are among the customer's, where the customer is no crowd.
            Person[] those = [person, .. leads];
            var ofStreams = those.SelectMany(p => streams[p.ConversionId]).Concat(customer?.Streams ?? []).ToHashSet();
            var ofClicks = Present(those.Select(p => p.ClickId)).Concat(customer?.Clicks ?? []).ToHashSet();
            var ofCoupons = Present(those.Select(p => p.CouponStream));
            journeys.Add(Journey.Assemble(
                conversion,
                customer?.Ties ?? CustomerTies.None,
                [.. ofStreams.SelectMany(clicks.OfStream), .. ofClicks.Select(clicks.ById).OfType<ClickRecorded>()],
                reported.AdjustmentsOf(person.ConversionId),
                ofCoupons.SelectMany(stream => coupons.GetValueOrDefault(stream, [])),
                leads.Select(p => reported.Find(p.ConversionId)!),
                reported.RestatementsOf(person.ConversionId),
                those.SelectMany(p => reported.IdentitiesOf(p.ConversionId)),
                person.Customer is { } buyer ? own.GetValueOrDefault(buyer, []) : []));
            keys.AddRange(ofStreams.Concat(ofClicks).Concat(ofCoupons).Distinct().Select(key => (key, person.ConversionId)));
        }

        return new Assembled(journeys, journeys.ConvertAll(Row.Of), keys, unreadable);
    }

    /// <summary>By customer what is tied to it; nothing to look up where it is a crowd.</summary>
    private async Task<Dictionary<Guid, Customer>> ReadTiesAsync(NpgsqlConnection connection, Guid[] customersIds, CancellationToken cancellationToken)
    {
        var customers = new Dictionary<Guid, Customer>();
        if (customersIds.Length == 0)
        {
            return customers;
        }

        await using var command = connection.Sql(
            $"""
             select c.customer, t.is_click, t.key, t.visitor_id
               from unnest($1::uuid[]) as c(customer)
              cross join lateral (select * from {schema}.ties t where t.customer = c.customer limit {CustomerTies.Most + 1}) t
             """,
            P(customersIds));
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                if (!customers.TryGetValue(reader.GetGuid(0), out var customer))
                {
                    customers.Add(reader.GetGuid(0), customer = new Customer());
                }

                var (isClick, key) = (reader.GetBoolean(1), reader.GetGuid(2));
                customer.Ties.Add(reader.GetTextOrNull(3), isClick ? key : null);
                (isClick ? customer.Clicks : customer.Streams).Add(key);
            }
        }

        foreach (var crowd in customers.Values.Where(c => c.Ties.IsCrowd))
        {
            AttributionMetrics.Crowds.Add(1);
            crowd.Clicks.Clear();
            crowd.Streams.Clear();
        }

        return customers;
    }

    /// <summary>By customer the partners that it is itself.</summary>
    private async Task<Dictionary<Guid, List<string>>> ReadOwnCustomersAsync(NpgsqlConnection connection, Guid[] customersIds, CancellationToken cancellationToken)
    {
        var own = new Dictionary<Guid, List<string>>();
        if (customersIds.Length == 0)
        {
            return own;
        }

        await using var command = connection.Sql($"select customer, partner_id from {schema}.own_customers where customer = any($1)", P(customersIds));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            own.Under(reader.GetGuid(0)).Add(reader.GetString(1));
        }

        return own;
    }

    /// <summary>By customer its first leads and signups, as many as can introduce it, test and not.</summary>
    private async Task<Dictionary<Guid, List<Person>>> ReadIntroducingAsync(NpgsqlConnection connection, Guid[] customersIds, CancellationToken cancellationToken)
    {
        var introducing = new Dictionary<Guid, List<Person>>();
        if (customersIds.Length == 0)
        {
            return introducing;
        }

        await using var command = connection.Sql(
            $"""
             select {PersonColumns}
               from unnest($1::uuid[]) as k(customer) cross join (values (true), (false)) as t(test)
              cross join lateral (select * from {schema}.conversions l
                                   where l.introduces and l.customer = k.customer and l.test = t.test
                                   order by l.occurred_ticks, l.conversion_id limit {Journey.MostIntroductions}) c
             """,
            P(customersIds));
        foreach (var lead in await ReadPeopleAsync(command, cancellationToken))
        {
            introducing.Under(lead.Customer!.Value).Add(lead);
        }

        return introducing;
    }

    /// <summary>By stream what happened to each coupon.</summary>
    private async Task<Dictionary<Guid, List<IEvent>>> ReadCouponsAsync(NpgsqlConnection connection, Guid[] streams, long position, CancellationToken cancellationToken)
    {
        var coupons = new Dictionary<Guid, List<IEvent>>();
        if (streams.Length == 0)
        {
            return coupons;
        }

        await using var command = connection.Sql(
            $"""
             select stream_id, type, data from {schema}.mt_events
              where stream_id = any($1) and seq_id <= $2
                and type in ('{EventTypes.Of<CouponAssigned>().Name}', '{EventTypes.Of<CouponWithdrawn>().Name}')
             """,
            P(streams), P(position));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            // What cannot be read went aside when its page was read.
            if (LogPage.Read(reader.GetString(1), reader.GetFieldValue<byte[]>(2), out _) is { } fact)
            {
                coupons.Under(reader.GetGuid(0)).Add(fact);
            }
        }

        return coupons;
    }

    private static Guid? StreamOf(Clicks clicks, Guid? clickId) =>
        clickId is { } id && clicks.ById(id) is { VisitorId: not null } click ? Ids.ClickStream(click) : null;

    private static Guid[] Present(IEnumerable<Guid?> ids) => ids.OfType<Guid>().Distinct().ToArray();

    private async Task<ReportedConversions> ReadReportedAsync(NpgsqlConnection connection, Person[] people, long position, CancellationToken cancellationToken)
    {
        var reported = new ReportedConversions();
        await using var command = connection.Sql(
            $"select type, data from {schema}.mt_events where stream_id = any($1) and seq_id <= $2 and type in ({s_reports})",
            P(people.Select(p => p.ConversionId).ToArray()), P(position));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            // What cannot be read went aside when its page was read.
            if (LogPage.Read(reader.GetString(0), reader.GetFieldValue<byte[]>(1), out _) is { } fact)
            {
                reported.Add(fact);
            }
        }

        return reported;
    }

    private async Task ReadClicksAsync(
        NpgsqlConnection connection, string column, Guid[] keys, long position, Clicks clicks, List<(NewEvent Event, string Reason)> unreadable,
        CancellationToken cancellationToken)
    {
        if (keys.Length == 0)
        {
            return;
        }

        await using var command = connection.Sql(
            $"select id, stream_id, data::text from {schema}.mt_events where {column} = any($1) and seq_id <= $2 and type = '{s_click}'", P(keys), P(position));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var buffer = new byte[4_096];
        while (await reader.ReadAsync(cancellationToken))
        {
            var length = (int)reader.GetBytes(2, 0, buffer: null, 0, 0);
            if (length > buffer.Length)
            {
                buffer = new byte[length];
            }

            reader.GetBytes(2, 0, buffer, 0, length);
            var data = buffer.AsMemory(0, length);
            if (ClickReader.Read(data.Span, out var reason) is { } click)
            {
                clicks.Add(reader.GetGuid(1), click);
            }
            else
            {
                unreadable.Add((new NewEvent(reader.GetGuid(0), reader.GetGuid(1), "visitor", s_click, "", data.ToArray()), reason));
            }
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

    private async Task StoreAsync(NpgsqlConnection connection, Assembled assembled, long position, bool fresh, CancellationToken cancellationToken)
    {
        await LogPage.SetAsideAsync(connection, schema, assembled.Unreadable, logger, cancellationToken);
        await AddKeysAsync(connection, assembled.Keys, cancellationToken);
        if (assembled.Rows.Count == 0)
        {
            return;
        }

        if (!fresh)
        {
            await connection.Sql(
                $"with gone as (delete from {schema}.journeys where conversion_id = any($1)) delete from {schema}.orders where conversion_id = any($1)",
                P(assembled.Rows.Select(row => row.ConversionId).ToArray())).RunAsync(cancellationToken);
        }

        await CopyJourneysAsync(connection, assembled.Rows, position, cancellationToken);
        await CopyOrdersAsync(connection, assembled.Journeys, cancellationToken);
    }

    private async Task CopyJourneysAsync(NpgsqlConnection connection, List<Row> rows, long position, CancellationToken cancellationToken)
    {
        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.journeys (conversion_id, changed_at, partners, facts, touches) from stdin (format binary)", cancellationToken);
        foreach (var row in rows)
        {
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(row.ConversionId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(position, NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(row.Partners, NpgsqlDbType.Array | NpgsqlDbType.Varchar, cancellationToken);
            await writer.WriteAsync(row.Facts, NpgsqlDbType.Json, cancellationToken);
            await writer.WriteAsync(row.Touches, NpgsqlDbType.Bytea, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }

    private async Task CopyOrdersAsync(NpgsqlConnection connection, IReadOnlyList<Journey> journeys, CancellationToken cancellationToken)
    {
        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {schema}.orders (conversion_id, source, order_id, occurred_at, currency, original_minor, net_minor, test) from stdin (format binary)", cancellationToken);
        foreach (var journey in journeys)
        {
            var conversion = journey.Conversion;
            await writer.StartRowAsync(cancellationToken);
            await writer.WriteAsync(conversion.ConversionId, NpgsqlDbType.Uuid, cancellationToken);
            await writer.WriteAsync(conversion.Source, NpgsqlDbType.Varchar, cancellationToken);
            await writer.WriteAsync(conversion.OrderId, NpgsqlDbType.Varchar, cancellationToken);
            await writer.WriteAsync(conversion.OccurredAt, NpgsqlDbType.TimestampTz, cancellationToken);
            await writer.WriteAsync(conversion.Currency, NpgsqlDbType.Varchar, cancellationToken);
            await writer.WriteAsync(conversion.AmountMinor, NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(Net.OfMinor(journey), NpgsqlDbType.Bigint, cancellationToken);
            await writer.WriteAsync(conversion.Test, NpgsqlDbType.Boolean, cancellationToken);
        }

        await writer.CompleteAsync(cancellationToken);
    }

    /// <summary>Everybody whose standing may matter to it, some of them more than once.</summary>
    public static IEnumerable<string> PartnersOf(Journey journey) =>
        journey.Touches.Select(t => t.Click.PartnerId)
            .Concat(journey.CouponPartner is { } partner ? [partner] : [])
            .Concat(journey.Introductions.SelectMany(PartnersOf));

    /// <summary>Some people, what is tied to their customers, and who introduced those.</summary>
    private sealed record LookedUp(Person[] People, Dictionary<Guid, Customer> Customers, Dictionary<Guid, List<Person>> Introducing, Dictionary<Guid, List<string>> Own);

    /// <summary>Journeys as they are, as they are stored, by which keys they are found, and clicks that could not be read.</summary>
    private sealed record Assembled(
        IReadOnlyList<Journey> Journeys, List<Row> Rows, List<(Guid Key, Guid Conversion)> Keys, List<(NewEvent Event, string Reason)> Unreadable);

    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Auto)]
    private readonly record struct Row(Guid ConversionId, string[] Partners, byte[] Facts, byte[] Touches)
    {
        public static Row Of(Journey journey) => new(
            journey.Conversion.ConversionId,
            [.. PartnersOf(journey).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)],
            JsonSerializer.SerializeToUtf8Bytes(Bare(journey), JourneyJson.Default.Journey),
            PackedTouches.Pack(journey));
    }

    /// <summary>What is tied to one customer: by name for the journeys, by key to look it up.</summary>
    private sealed class Customer
    {
        public CustomerTies Ties { get; } = new();

        public HashSet<Guid> Streams { get; } = [];

        public HashSet<Guid> Clicks { get; } = [];
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

            _byStream.Under(stream).Add(click);
        }

        public ClickRecorded? ById(Guid id) => _byId.GetValueOrDefault(id);

        public List<ClickRecorded> OfStream(Guid stream) => _byStream.GetValueOrDefault(stream, []);
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Journey))]
internal sealed partial class JourneyJson : JsonSerializerContext;
