using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Partners;

/// <summary>A name that may exist only once and that an append takes for its partner.</summary>
/// <param name="Kind"><c>slug</c> or <c>ref</c>.</param>
/// <param name="Name">The name.</param>
internal readonly record struct Claim(string Kind, string Name);

/// <summary>What became of an append to a partner's stream.</summary>
internal abstract record SaveOutcome
{
    private SaveOutcome()
    {
    }

    public sealed record Saved : SaveOutcome;

    /// <summary>Somebody else changed the partner since it was loaded: load and decide again.</summary>
    public sealed record Stale : SaveOutcome;

    /// <summary>Another partner holds the name.</summary>
    public sealed record Taken(Claim Claim) : SaveOutcome;
}

/// <summary>Partners in the log, and the claims that commit with their events.</summary>
internal sealed class PartnerLog(EventLog log, string program)
{
    /// <summary>Times a decision is made again because somebody else was faster.</summary>
    public const int MaxTries = 8;

    private const string StreamType = "partner";

    public EventLog Log => log;

    public string Program => program;

    public async Task CreateClaimsAsync(CancellationToken cancellationToken)
    {
        using var stream = typeof(PartnerLog).Assembly.GetManifestResourceStream("PartnerPulse.Partners.Sql.001_claims.sql")!;
        using var reader = new StreamReader(stream);
        var sql = (await reader.ReadToEndAsync(cancellationToken)).Replace("{schema}", log.Schema, StringComparison.Ordinal);

        // Two instances that start at once would both find no table and one would fail on the catalogue's own index.
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand("select pg_advisory_xact_lock(hashtextextended('pulse:schema', 0));" + sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>The partner and the version of its stream; null and 0 where it was never enrolled.</summary>
    public async Task<(Partner? Partner, long Version)> LoadAsync(string partnerId, CancellationToken cancellationToken)
    {
        Partner? partner = null;
        var version = 0L;
        foreach (var stored in await log.ReadStreamAsync(Ids.PartnerStream(program, partnerId), cancellationToken))
        {
            partner = Partner.Evolve(partner, Event(stored));
            version = stored.Version;
        }

        return (partner, version);
    }

    /// <summary>
    /// Appends to the partner's stream and takes the claims, in one transaction. A claim that the partner holds already is fine.
    /// </summary>
    public async Task<SaveOutcome> SaveAsync(
        string partnerId, long expectedVersion, IReadOnlyList<IEvent> events, IReadOnlyList<Claim> claims, CancellationToken cancellationToken)
    {
        var stream = Ids.PartnerStream(program, partnerId);
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (claims.Count > 0 && await TakeAsync(connection, partnerId, claims, cancellationToken) is { } taken)
        {
            return new SaveOutcome.Taken(taken);
        }

        var outcome = await log.AppendAsync(connection, stream, expectedVersion, events.Select(e => New(stream, e)).ToArray(), cancellationToken);
        if (outcome is not Appended)
        {
            return new SaveOutcome.Stale();
        }

        await transaction.CommitAsync(cancellationToken);
        log.SignalAppended();
        return new SaveOutcome.Saved();
    }

    /// <summary>A page of partners in the order of their enrolment, folded from their streams: exact on every instance.</summary>
    /// <returns>The partners, and the position after which the next page begins; null where this is the last.</returns>
    public async Task<(IReadOnlyList<Partner> Partners, long? Next)> ListAsync(long after, int limit, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand(
            $"""
             with page as (
                 select seq_id, stream_id from {log.Schema}.mt_events
                  where type = 'partner_enrolled' and seq_id > $1 order by seq_id limit $2
             )
             select p.seq_id, e.type, e.data
               from page p join {log.Schema}.mt_events e on e.stream_id = p.stream_id
              order by p.seq_id, e.version
             """);
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = after });
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit + 1 });
        var partners = new List<(long Position, Partner Partner)>(limit + 1);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var position = reader.GetInt64(0);
            var @event = Event(reader.GetString(1), reader.GetFieldValue<byte[]>(2));
            if (partners.Count > 0 && partners[^1].Position == position)
            {
                partners[^1] = (position, Partner.Evolve(partners[^1].Partner, @event));
            }
            else
            {
                partners.Add((position, Partner.Evolve(partner: null, @event)));
            }
        }

        return partners.Count > limit
            ? (partners.Take(limit).Select(p => p.Partner).ToArray(), partners[limit - 1].Position)
            : (partners.Select(p => p.Partner).ToArray(), null);
    }

    /// <returns>The first claim that another partner holds; null where all are this partner's now.</returns>
    private async Task<Claim?> TakeAsync(NpgsqlConnection connection, string partnerId, IReadOnlyList<Claim> claims, CancellationToken cancellationToken)
    {
        var kinds = claims.Select(c => c.Kind).ToArray();
        var names = claims.Select(c => c.Name).ToArray();

        // The insert waits for a concurrent holder of the same name to commit or give up. Everyone inserts in the same order, so
        // nobody waits in a circle. The second statement sees what the first waited for.
        await using var insert = new NpgsqlCommand(
            $"""
             insert into {log.Schema}.claims (kind, name, partner_id)
             select kind, name, $3 from unnest($1::text[], $2::text[]) as c(kind, name) order by kind, name
             on conflict (kind, name) do nothing
             """,
            connection);
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kinds });
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = partnerId });
        await insert.ExecuteNonQueryAsync(cancellationToken);

        await using var others = new NpgsqlCommand(
            $"""
             select c.kind, c.name from {log.Schema}.claims c join unnest($1::text[], $2::text[]) as a(kind, name) using (kind, name)
              where c.partner_id <> $3 order by c.kind, c.name limit 1
             """,
            connection);
        others.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kinds });
        others.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
        others.Parameters.Add(new NpgsqlParameter<string> { TypedValue = partnerId });
        await using var reader = await others.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new Claim(reader.GetString(0), reader.GetString(1)) : null;
    }

    private static IEvent Event(StoredEvent stored) => Event(stored.Type, stored.Data.Span);

    private static IEvent Event(string type, ReadOnlySpan<byte> data) => EventTypes.Deserialize(
        EventTypes.Find(type) ?? throw new InvalidDataException($"The event '{type}' of a partner is not known here."), data);

    private static NewEvent New(Guid stream, IEvent e)
    {
        var type = EventTypes.Of(e);
        return new NewEvent(e.EventId, stream, StreamType, type.Name, type.DotnetType, EventTypes.Serialize(e));
    }
}
