using Npgsql;
using NpgsqlTypes;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Outbound;

/// <summary>A delivery to make.</summary>
internal sealed record NewDelivery(Guid Id, Guid SubscriptionId, Guid EventId, string Event, bool Test, byte[] Body)
{
    /// <summary>The W3C trace context of the event, where its trace is sampled.</summary>
    public string? TraceParent { get; init; }
}

/// <summary>Deliveries where they are kept.</summary>
internal sealed class Deliveries(NpgsqlDataSource database)
{
    private const string S = OutboundService.Schema;

    private const string Columns =
        """
        d.id, d.number, d.subscription_id, d.event_id, d.event, d.test, d.body, d.state, d.attempts, d.due_at, d.created_at, d.first_attempt_at, d.last_attempt_at,
        d.last_status, d.last_answer, d.traceparent
        """;

    public async Task AddAsync(NewDelivery delivery, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await AddAsync(connection, [delivery], now, cancellationToken);
    }

    /// <summary>Adds those that are not there yet, in the caller's transaction, due at once.</summary>
    public static async Task AddAsync(NpgsqlConnection connection, IReadOnlyList<NewDelivery> deliveries, DateTimeOffset now, CancellationToken cancellationToken) =>
        OutboundMetrics.Queued.Add(await connection.Sql(
            $"""
             insert into {S}.deliveries (id, subscription_id, event_id, event, test, body, due_at, created_at, traceparent)
             select id, subscription_id, event_id, event, test, body, $7, $7, traceparent
               from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::varchar[], $5::bool[], $6::bytea[], $8::varchar[]) with ordinality
                    as n(id, subscription_id, event_id, event, test, body, traceparent, place)
              order by place
             on conflict on constraint pk_deliveries do nothing
             """,
            P(deliveries.Select(d => d.Id).ToArray()), P(deliveries.Select(d => d.SubscriptionId).ToArray()), P(deliveries.Select(d => d.EventId).ToArray()),
            P(deliveries.Select(d => d.Event).ToArray()), P(deliveries.Select(d => d.Test).ToArray()), P(deliveries.Select(d => d.Body).ToArray()), P(now),
            P(deliveries.Select(d => d.TraceParent).ToArray()))
            .RunAsync(cancellationToken));

    /// <summary>
    /// Claims what is due, the longest due first: until the lease ends nobody else does. What has waited for one subscriber does not
    /// stand before what waits for another.
    /// </summary>
    /// <param name="failing">To subscribers that fail, or to those that work.</param>
    /// <param name="perSubscriber">How many may be under way to each.</param>
    /// <param name="underWay">How many are, by subscriber.</param>
    /// <param name="max">How many to claim at most.</param>
    public async Task<IReadOnlyList<Delivery>> ClaimAsync(
        bool failing, int perSubscriber, IReadOnlyDictionary<Guid, int> underWay, int max, DateTimeOffset now, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"""
             with busy as (select * from unnest($4::uuid[], $5::int[]) as b(id, count)),
             claimed as (
                 select due.id
                   from (select s.id, $3 - coalesce(b.count, 0) as free from {S}.subscriptions s left join busy b on b.id = s.id
                          where s.enabled and (s.failing_since is not null) = $2) s
                  cross join lateral (
                      select id, due_at from {S}.deliveries
                       where subscription_id = s.id and state = 'waiting' and due_at <= $1
                       order by due_at, number limit greatest(s.free, 0)
                       for update skip locked) due
                  order by due.due_at limit $6
             )
             update {S}.deliveries d set due_at = $7 from claimed where d.id = claimed.id
             returning {Columns}
             """,
            P(now), P(failing), P(perSubscriber), P(underWay.Keys.ToArray()), P(underWay.Values.ToArray()), P(max), P(now + lease));
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Keeps what came of an attempt, with what it says of the subscriber.</summary>
    /// <returns>Why the subscriber is disabled from now on; null where it is not.</returns>
    public async Task<string?> FinishAsync(
        Delivery delivery, Answer answer, Verdict verdict, DateTimeOffset began, DateTimeOffset now, TimeSpan disableAfter, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var (state, dueAt) = verdict switch
        {
            Verdict.Taken => (Delivery.Delivered, now),
            Verdict.Again again => (Delivery.Waiting, again.DueAt),
            Verdict.GivenUp or Verdict.Gone => (Delivery.Dead, now),
            var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
        };
        await connection.Sql(
            $"""
             update {S}.deliveries
                set state = $2, due_at = $3, attempts = attempts + 1, first_attempt_at = coalesce(first_attempt_at, $4), last_attempt_at = $4,
                    last_status = $5, last_answer = $6, finished_at = case when $2 = 'waiting' then null else $7 end
              where id = $1 and state = 'waiting'
             """,
            P(delivery.Id), P(state), P(dueAt), P(began), OrNull(answer.Status, NpgsqlDbType.Integer), P(answer.Text), P(now)).RunAsync(cancellationToken);
        string? disabled = null;
        if (verdict is Verdict.Taken)
        {
            await connection.Sql($"update {S}.subscriptions set failing_since = null where id = $1 and failing_since is not null", P(delivery.SubscriptionId))
                .RunAsync(cancellationToken);
        }
        else
        {
            await using var command = connection.Sql(
                $"""
                 update {S}.subscriptions
                    set failing_since = coalesce(failing_since, $2),
                        enabled = not ($4 or coalesce(failing_since, $2) <= $3),
                        disabled_reason = case when $4 then 'the receiver answered 410 Gone'
                                               when coalesce(failing_since, $2) <= $3 then 'nothing was taken since ' || to_char(failing_since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') end
                  where id = $1 and enabled returning disabled_reason
                 """,
                P(delivery.SubscriptionId), P(now), P(now - disableAfter), P(verdict is Verdict.Gone));
            disabled = await command.ExecuteScalarAsync(cancellationToken) as string;
        }

        await transaction.CommitAsync(cancellationToken);
        return disabled;
    }

    /// <summary>Deliveries of a subscription, the newest first.</summary>
    /// <param name="before">Only those with a smaller number.</param>
    public async Task<IReadOnlyList<Delivery>> ListAsync(Guid subscription, string? state, long before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"""
             select {Columns} from {S}.deliveries d
              where d.subscription_id = $1 and d.number < $2 and ($3::varchar is null or d.state = $3)
              order by d.number desc limit $4
             """,
            P(subscription), P(before), OrNull(state, NpgsqlDbType.Varchar), P(limit));
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Dead letters of a program, the newest first.</summary>
    public async Task<IReadOnlyList<Delivery>> ListDeadAsync(string program, Guid? subscription, long before, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"""
             select {Columns} from {S}.deliveries d join {S}.subscriptions s on s.id = d.subscription_id
              where s.program_id = $1 and d.state = 'dead' and d.number < $2 and ($3::uuid is null or s.id = $3)
              order by d.number desc limit $4
             """,
            P(program), P(before), OrNull(subscription, NpgsqlDbType.Uuid), P(limit));
        return await ReadAsync(command, cancellationToken);
    }

    public async Task<Delivery?> FindAsync(string program, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"select {Columns} from {S}.deliveries d join {S}.subscriptions s on s.id = d.subscription_id where s.program_id = $1 and d.id = $2", P(program), P(id));
        return (await ReadAsync(command, cancellationToken)).SingleOrDefault();
    }

    /// <summary>Puts dead letters back, due at once and with all their attempts before them.</summary>
    /// <param name="id">One of them; all where null.</param>
    /// <param name="subscription">Those of one subscription; of all where null.</param>
    /// <returns>How many.</returns>
    public Task<int> RedeliverAsync(string program, Guid? id, Guid? subscription, DateTimeOffset now, CancellationToken cancellationToken) =>
        database.Sql(
            $"""
             update {S}.deliveries d set state = 'waiting', attempts = 0, first_attempt_at = null, finished_at = null, due_at = $4
               from {S}.subscriptions s
              where s.id = d.subscription_id and s.program_id = $1 and d.state = 'dead' and ($2::uuid is null or d.id = $2) and ($3::uuid is null or s.id = $3)
             """,
            P(program), OrNull(id, NpgsqlDbType.Uuid), OrNull(subscription, NpgsqlDbType.Uuid), P(now)).RunAsync(cancellationToken);

    /// <summary>Deletes what has been finished for long enough, a bounded number at once.</summary>
    /// <returns>How many.</returns>
    public Task<int> TidyAsync(string state, DateTimeOffset finishedBefore, int max, CancellationToken cancellationToken) =>
        database.Sql(
            $"delete from {S}.deliveries where id in (select id from {S}.deliveries where state = $1 and state <> 'waiting' and finished_at < $2 limit $3)",
            P(state), P(finishedBefore), P(max)).RunAsync(cancellationToken);

    private static async Task<IReadOnlyList<Delivery>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var deliveries = new List<Delivery>();
        while (await reader.ReadAsync(cancellationToken))
        {
            deliveries.Add(new Delivery
            {
                Id = reader.GetGuid(0),
                Number = reader.GetInt64(1),
                SubscriptionId = reader.GetGuid(2),
                EventId = reader.GetGuid(3),
                Event = reader.GetString(4),
                Test = reader.GetBoolean(5),
                Body = reader.GetFieldValue<byte[]>(6),
                State = reader.GetString(7),
                Attempts = reader.GetInt32(8),
                DueAt = reader.GetFieldValue<DateTimeOffset>(9),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(10),
                FirstAttemptAt = reader.OrDefault<DateTimeOffset?>(11),
                LastAttemptAt = reader.OrDefault<DateTimeOffset?>(12),
                LastStatus = reader.OrDefault<int?>(13),
                LastAnswer = reader.OrDefault<string>(14),
                TraceParent = reader.OrDefault<string>(15),
            });
        }

        return deliveries;
    }
}
