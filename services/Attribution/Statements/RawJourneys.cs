using System.Runtime.CompilerServices;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Statements;

/// <summary>
/// Journeys from the raw log up to a position, by the fold in memory that is the reference of all others, and by nothing that was derived
/// before. Facts but clicks are held in memory; clicks are read chunk by chunk, and only those that concern a conversion.
/// </summary>
internal static class RawJourneys
{
    /// <summary>Conversions that are folded at once.</summary>
    private const int ChunkSize = 2_000;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;
    private static readonly string s_revised = EventTypes.Of<CreditsRevised>().Name;

    /// <summary>Histories that together hold every conversion of the log up to the position once.</summary>
    public static async IAsyncEnumerable<History> FoldAsync(
        NpgsqlConnection connection, string schema, long position, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var facts = await Facts.ReadAsync(connection, schema, position, cancellationToken);
        var chunk = new List<Facts.Person>();
        var conversions = 0;
        foreach (var person in facts.People)
        {
            chunk.Add(person);
            conversions += person.Conversions.Count;
            if (conversions >= ChunkSize)
            {
                yield return await FoldAsync(connection, schema, position, facts, chunk, cancellationToken);
                chunk.Clear();
                conversions = 0;
            }
        }

        if (chunk.Count > 0)
        {
            yield return await FoldAsync(connection, schema, position, facts, chunk, cancellationToken);
        }
    }

    private static async Task<History> FoldAsync(
        NpgsqlConnection connection, string schema, long position, Facts facts, List<Facts.Person> people, CancellationToken cancellationToken)
    {
        var events = new List<IEvent>(facts.Everybodys);
        var (streams, ids) = (new HashSet<Guid>(), new HashSet<Guid>());
        foreach (var person in people)
        {
            foreach (var fact in person.Conversions.Concat<IEvent>(person.Identified))
            {
                events.Add(fact);
                var (visitor, click) = fact switch
                {
                    ConversionRecorded c => (c.VisitorId, c.ClickId),
                    VisitorIdentified i => (i.VisitorId, i.ClickId),
                    _ => (null, null),
                };
                if (visitor is not null)
                {
                    streams.Add(Ids.VisitorStream(fact.ProgramId, visitor));
                }

                if (click is { } id)
                {
                    ids.Add(id);
                }
            }

            foreach (var conversion in person.Conversions)
            {
                events.AddRange(facts.OfConversion(conversion.ConversionId));
                if (conversion.Coupon is { } code)
                {
                    events.AddRange(facts.OfCoupon(Ids.CouponStream(conversion.ProgramId, code)));
                }
            }
        }

        var named = await ReadClicksAsync(connection, schema, "id", ids, position, cancellationToken);
        streams.UnionWith(named.Where(c => c.VisitorId is not null).Select(Ids.ClickStream));
        events.AddRange(named);
        events.AddRange(await ReadClicksAsync(connection, schema, "stream_id", streams, position, cancellationToken));
        return History.Fold(events);
    }

    private static async Task<IReadOnlyList<ClickRecorded>> ReadClicksAsync(
        NpgsqlConnection connection, string schema, string column, HashSet<Guid> keys, long position, CancellationToken cancellationToken)
    {
        var clicks = new List<ClickRecorded>();
        if (keys.Count == 0)
        {
            return clicks;
        }

        await using var command = connection.Sql(
            $"select data from {schema}.mt_events where {column} = any($1) and seq_id <= $2 and type = '{s_click}'", P(keys.ToArray()), P(position));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (LogPage.Read(s_click, reader.GetFieldValue<byte[]>(0), out _) is ClickRecorded click)
            {
                clicks.Add(click);
            }
        }

        return clicks;
    }

    /// <summary>All facts but clicks, by whom they concern.</summary>
    private sealed class Facts
    {
        private readonly Dictionary<Guid, Person> _people = [];
        private readonly Dictionary<Guid, List<IEvent>> _ofConversion = [];
        private readonly Dictionary<Guid, List<IEvent>> _ofCoupon = [];

        /// <summary>Who bought, with what belongs together; who has no key is alone with each conversion.</summary>
        public IEnumerable<Person> People => _people.Values.Where(p => p.Conversions.Count > 0);

        /// <summary>Standings and whatever else is no one customer's.</summary>
        public List<IEvent> Everybodys { get; } = [];

        public List<IEvent> OfConversion(Guid conversion) => _ofConversion.GetValueOrDefault(conversion, []);

        public List<IEvent> OfCoupon(Guid stream) => _ofCoupon.GetValueOrDefault(stream, []);

        public static async Task<Facts> ReadAsync(NpgsqlConnection connection, string schema, long position, CancellationToken cancellationToken)
        {
            var facts = new Facts();
            await using var command = connection.Sql(
                $"select type, data from {schema}.mt_events where seq_id <= $1 and type <> '{s_click}' and type <> '{s_revised}' order by seq_id", P(position));
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                // What cannot be read is aside, and credits nobody.
                if (LogPage.Read(reader.GetString(0), reader.GetFieldValue<byte[]>(1), out _) is { } fact)
                {
                    facts.Add(fact);
                }
            }

            return facts;
        }

        private void Add(IEvent fact)
        {
            switch (fact)
            {
                case ConversionRecorded c:
                    PersonOf(c.CustomerKey is { } key ? Ids.Customer(c.ProgramId, key) : c.ConversionId).Conversions.Add(c);
                    break;
                case VisitorIdentified i:
                    PersonOf(Ids.Customer(i.ProgramId, i.CustomerKey)).Identified.Add(i);
                    break;
                case ConversionAdjusted a:
                    _ofConversion.Under(a.ConversionId).Add(a);
                    break;
                case ConversionRestated r:
                    _ofConversion.Under(r.ConversionId).Add(r);
                    break;
                case ConversionMerged m:
                    _ofConversion.Under(m.ConversionId).Add(m);
                    break;
                case ConversionSeparated s:
                    _ofConversion.Under(s.ConversionId).Add(s);
                    break;
                case CouponAssigned c:
                    _ofCoupon.Under(Ids.CouponStream(c.ProgramId, c.Code)).Add(c);
                    break;
                case CouponWithdrawn c:
                    _ofCoupon.Under(Ids.CouponStream(c.ProgramId, c.Code)).Add(c);
                    break;
                default:
                    Everybodys.Add(fact);
                    break;
            }
        }

        private Person PersonOf(Guid key)
        {
            if (!_people.TryGetValue(key, out var person))
            {
                _people.Add(key, person = new Person());
            }

            return person;
        }

        /// <summary>Facts that belong together by a customer.</summary>
        public sealed class Person
        {
            public List<ConversionRecorded> Conversions { get; } = [];

            public List<VisitorIdentified> Identified { get; } = [];
        }
    }
}
