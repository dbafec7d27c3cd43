using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using UnreachableException = System.Diagnostics.UnreachableException;

namespace PartnerPulse.Partners;

/// <summary>A name that may exist only once and that an append takes for its partner or program.</summary>
/// <param name="Kind">What is named.</param>
/// <param name="Name">The name.</param>
internal readonly record struct Claim(string Kind, string Name)
{
    public const string Slug = "slug";

    /// <summary>Everything that reads like a slug; see <see cref="Names.Skeleton"/>.</summary>
    public const string Skeleton = "skeleton";
    public const string Ref = "ref";

    /// <summary>A host name of a program's links.</summary>
    public const string LinkHost = "link-host";

    /// <summary>An origin of a program's pages.</summary>
    public const string Origin = "origin";
}

/// <summary>What was decided about a partner. A use case's outcomes derive from it.</summary>
internal abstract record Decision
{
    /// <summary>What becomes true by it; nothing where it only answers.</summary>
    public virtual IReadOnlyList<IEvent> Events => [];

    /// <summary>Names that the events use.</summary>
    public virtual IReadOnlyList<Claim> Claims => [];
}

/// <summary>What was decided cannot be: another partner holds the name.</summary>
internal sealed record NameTaken(Claim Claim) : Decision;

/// <summary>Others changed the partner again and again meanwhile.</summary>
internal sealed record TooBusy : Decision;

/// <summary>What became of an append to a stream that claims names.</summary>
internal abstract record SaveOutcome
{
    private SaveOutcome()
    {
    }

    public sealed record Saved : SaveOutcome;

    /// <summary>Somebody else changed the stream since it was loaded: load and decide again.</summary>
    public sealed record Stale : SaveOutcome;

    /// <summary>Others hold the names.</summary>
    public sealed record Taken(IReadOnlyList<Claim> Claims) : SaveOutcome;
}

/// <summary>Whose events and names: a partner or a program.</summary>
/// <param name="Stream">Its stream.</param>
/// <param name="Type">Type of the stream.</param>
/// <param name="Name">Under which it holds claims.</param>
internal readonly record struct Owner(Guid Stream, string Type, string Name);

/// <summary>Partners in the log, and the claims that commit with their events.</summary>
internal sealed class PartnerLog(EventLog log, string program)
{
    /// <summary>Times a decision is made again because somebody else was faster.</summary>
    public const int MaxTries = 8;

    public EventLog Log => log;

    public string Program => program;

    public Task CreateClaimsAsync(CancellationToken cancellationToken) =>
        new SchemaScript(typeof(PartnerLog).Assembly, "PartnerPulse.Partners.Sql.001_claims.sql", log.Schema).RunAsync(log.DataSource, cancellationToken);

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
    /// Loads the partner, decides, and appends what was decided; all of it again where somebody else was faster. The partner comes
    /// back as it is then.
    /// </summary>
    /// <param name="partnerId">The partner.</param>
    /// <param name="decide">Asked anew at each try, so that it takes the time and fresh ids then.</param>
    /// <param name="otherName">Whether <paramref name="decide"/> will use another name instead of one that is taken.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    public async Task<(Partner? Partner, Decision Decision)> ChangeAsync(
        string partnerId, Func<Partner?, Decision> decide, CancellationToken cancellationToken, Func<Claim, bool>? otherName = null)
    {
        for (var attempt = 0; attempt < MaxTries; attempt++)
        {
            var (partner, version) = await LoadAsync(partnerId, cancellationToken);
            var decision = decide(partner);
            if (decision.Events.Count == 0)
            {
                return (partner, decision);
            }

            switch (await SaveAsync(partnerId, version, decision.Events, decision.Claims, cancellationToken))
            {
                case SaveOutcome.Saved:
                    return (decision.Events.Aggregate(partner, Partner.Evolve), decision);
                case SaveOutcome.Taken { Claims: var taken } when otherName?.Invoke(taken[0]) is not true:
                    return (partner, new NameTaken(taken[0]));
                case SaveOutcome.Taken or SaveOutcome.Stale:
                    break;
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return (null, new TooBusy());
    }

    /// <summary>
    /// Appends to the partner's stream and takes the claims, in one transaction. A claim that the partner holds already is fine.
    /// </summary>
    public Task<SaveOutcome> SaveAsync(
        string partnerId, long expectedVersion, IReadOnlyList<IEvent> events, IReadOnlyList<Claim> claims, CancellationToken cancellationToken) =>
        SaveAsync(new Owner(Ids.PartnerStream(program, partnerId), "partner", partnerId), expectedVersion, events, claims, gives: [], cancellationToken);

    /// <summary>The same for any owner of names.</summary>
    /// <param name="owner">Whose stream and names.</param>
    /// <param name="expectedVersion">Version of the stream on which the decision was made.</param>
    /// <param name="events">At least one.</param>
    /// <param name="claims">Names that it needs.</param>
    /// <param name="gives">Kinds of which it gives up all names that it does not claim here.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    public async Task<SaveOutcome> SaveAsync(
        Owner owner, long expectedVersion, IReadOnlyList<IEvent> events, IReadOnlyList<Claim> claims, string[] gives, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (gives.Length > 0)
        {
            await GiveUpAsync(connection, owner.Name, claims, gives, cancellationToken);
        }

        if (claims.Count > 0 && await TakeAsync(connection, owner.Name, claims, cancellationToken) is { Count: > 0 } taken)
        {
            return new SaveOutcome.Taken(taken);
        }

        var outcome = await log.AppendAsync(connection, owner.Stream, expectedVersion, events.Select(e => New(owner, e)).ToArray(), cancellationToken);
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

    private async Task GiveUpAsync(NpgsqlConnection connection, string owner, IReadOnlyList<Claim> kept, string[] kinds, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             delete from {log.Schema}.claims c
              where c.kind = any($1) and c.owner = $2
                and not exists (select from unnest($3::text[], $4::text[]) as k(kind, name) where k.kind = c.kind and k.name = c.name)
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kinds });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kept.Select(c => c.Kind).ToArray() });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kept.Select(c => c.Name).ToArray() });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <returns>The claims that others hold, a slug before what reads like it; none where all are the owner's now.</returns>
    private async Task<IReadOnlyList<Claim>> TakeAsync(NpgsqlConnection connection, string owner, IReadOnlyList<Claim> claims, CancellationToken cancellationToken)
    {
        var kinds = claims.Select(c => c.Kind).ToArray();
        var names = claims.Select(c => c.Name).ToArray();

        // The insert waits for a concurrent holder of the same name to commit or give up. Everyone inserts in the same order, so
        // nobody waits in a circle. The second statement sees what the first waited for.
        await using var insert = new NpgsqlCommand(
            $"""
             insert into {log.Schema}.claims (kind, name, owner)
             select kind, name, $3 from unnest($1::text[], $2::text[]) as c(kind, name) order by kind, name
             on conflict on constraint pk_claims do nothing
             """,
            connection);
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kinds });
        insert.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
        insert.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        await insert.ExecuteNonQueryAsync(cancellationToken);

        await using var others = new NpgsqlCommand(
            $"""
             select c.kind, c.name from {log.Schema}.claims c join (select distinct * from unnest($1::text[], $2::text[]) as a(kind, name)) a using (kind, name)
              where c.owner <> $3 order by c.kind desc, c.name
             """,
            connection);
        others.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = kinds });
        others.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
        others.Parameters.Add(new NpgsqlParameter<string> { TypedValue = owner });
        var taken = new List<Claim>();
        await using var reader = await others.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            taken.Add(new Claim(reader.GetString(0), reader.GetString(1)));
        }

        return taken;
    }

    private static IEvent Event(StoredEvent stored) => Event(stored.Type, stored.Data.Span);

    private static IEvent Event(string type, ReadOnlySpan<byte> data) => EventTypes.Deserialize(
        EventTypes.Find(type) ?? throw new InvalidDataException($"The event '{type}' of a partner is not known here."), data);

    private static NewEvent New(Owner owner, IEvent e)
    {
        var type = EventTypes.Of(e);
        return new NewEvent(e.EventId, owner.Stream, owner.Type, type.Name, type.DotnetType, EventTypes.Serialize(e));
    }
}
