using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using NpgsqlTypes;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Outbound;

/// <summary>Subscriptions where they are kept.</summary>
internal sealed class Subscriptions(NpgsqlDataSource database, [FromKeyedServices(OutboundService.Source)] EventLog source)
{
    public const string Columns =
        """
        id, program_id, kind, partner_id, url, events, description, position, enabled, disabled_reason, failing_since, secret, previous_secret,
        previous_secret_until, created_at
        """;

    private const string S = OutboundService.Schema;

    public async Task<IReadOnlyList<Subscription>> ListAsync(string program, string kind, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"select {Columns} from {S}.subscriptions where program_id = $1 and kind = $2 order by created_at, id", P(program), P(kind));
        return await ReadAsync(command, cancellationToken);
    }

    public async Task<Subscription?> FindWebhookAsync(string program, Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"select {Columns} from {S}.subscriptions where program_id = $1 and id = $2 and kind = 'webhook'", P(program), P(id));
        return (await ReadAsync(command, cancellationToken)).SingleOrDefault();
    }

    public async Task<Subscription?> FindPostbackAsync(string program, string partner, CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"select {Columns} from {S}.subscriptions where program_id = $1 and partner_id = $2 and kind = 'postback'", P(program), P(partner));
        return (await ReadAsync(command, cancellationToken)).SingleOrDefault();
    }

    public async Task<IReadOnlyList<Subscription>> FindAsync(IReadOnlyCollection<Guid> ids, CancellationToken cancellationToken)
    {
        await using var command = database.Sql($"select {Columns} from {S}.subscriptions where id = any($1)", P(ids.ToArray()));
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>Position of the log now: where a new subscription begins, and one that skips what it missed goes on.</summary>
    public Task<long> NowAsync(CancellationToken cancellationToken) => source.LastPositionAsync(cancellationToken);

    /// <returns>False where its address, or its partner, has one already.</returns>
    public async Task<bool> AddAsync(Subscription subscription, CancellationToken cancellationToken) =>
        await database.Sql(
            $"""
             insert into {S}.subscriptions (id, program_id, kind, partner_id, url, events, description, position, secret, created_at, enabled, disabled_reason)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing
             """,
            P(subscription.Id), P(subscription.Program), P(subscription.Kind), OrNull(subscription.Partner, NpgsqlDbType.Varchar), P(subscription.Url),
            P(subscription.Events.ToArray()), OrNull(subscription.Description, NpgsqlDbType.Varchar), P(subscription.Position),
            OrNull(subscription.Secret, NpgsqlDbType.Bytea), P(subscription.CreatedAt),
            P(subscription.Enabled), OrNull(subscription.DisabledReason, NpgsqlDbType.Varchar)).RunAsync(cancellationToken) == 1;

    /// <summary>Changes what a person may change, on the subscription as it is in that moment.</summary>
    /// <returns>The subscription now; null where it is gone.</returns>
    /// <exception cref="PostgresException">A unique violation where another webhook has the address.</exception>
    public async Task<Subscription?> ChangeAsync(Guid id, Func<Subscription, Subscription> decide, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        Subscription? before;
        await using (var command = connection.Sql($"select {Columns} from {S}.subscriptions where id = $1 for update", P(id)))
        {
            before = (await ReadAsync(command, cancellationToken)).SingleOrDefault();
        }

        if (before is null)
        {
            return null;
        }

        var changed = decide(before);
        await SaveAsync(connection, changed, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return changed;
    }

    private static async Task SaveAsync(NpgsqlConnection connection, Subscription subscription, CancellationToken cancellationToken) =>
        await connection.Sql(
            $"""
             update {S}.subscriptions
                set url = $2, events = $3, description = $4, position = $5, enabled = $6, disabled_reason = $7, failing_since = $8,
                    secret = $9, previous_secret = $10, previous_secret_until = $11
              where id = $1
             """,
            P(subscription.Id), P(subscription.Url), P(subscription.Events.ToArray()), OrNull(subscription.Description, NpgsqlDbType.Varchar), P(subscription.Position),
            P(subscription.Enabled), OrNull(subscription.DisabledReason, NpgsqlDbType.Varchar), OrNull(subscription.FailingSince, NpgsqlDbType.TimestampTz),
            OrNull(subscription.Secret, NpgsqlDbType.Bytea), OrNull(subscription.PreviousSecret, NpgsqlDbType.Bytea),
            OrNull(subscription.PreviousSecretUntil, NpgsqlDbType.TimestampTz)).RunAsync(cancellationToken);

    /// <summary>Removes a subscription with everything that waits for it.</summary>
    /// <returns>False where there was none.</returns>
    public async Task<bool> RemoveAsync(Guid id, CancellationToken cancellationToken) =>
        await database.Sql($"delete from {S}.subscriptions where id = $1", P(id)).RunAsync(cancellationToken) == 1;

    public static async Task<IReadOnlyList<Subscription>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var subscriptions = new List<Subscription>();
        while (await reader.ReadAsync(cancellationToken))
        {
            subscriptions.Add(new Subscription
            {
                Id = reader.GetGuid(0),
                Program = reader.GetString(1),
                Kind = reader.GetString(2),
                Partner = reader.OrDefault<string>(3),
                Url = reader.GetString(4),
                Events = reader.GetFieldValue<string[]>(5),
                Description = reader.OrDefault<string>(6),
                Position = reader.GetInt64(7),
                Enabled = reader.GetBoolean(8),
                DisabledReason = reader.OrDefault<string>(9),
                FailingSince = reader.OrDefault<DateTimeOffset?>(10),
                Secret = reader.OrDefault<byte[]>(11),
                PreviousSecret = reader.OrDefault<byte[]>(12),
                PreviousSecretUntil = reader.OrDefault<DateTimeOffset?>(13),
                CreatedAt = reader.GetFieldValue<DateTimeOffset>(14),
            });
        }

        return subscriptions;
    }
}
