using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using Polly;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Intake;

/// <summary>
/// Puts a random token where a customer's key was: in the log, in everything derived from it and in what was set aside, in one
/// transaction. The facts keep together as they were, so no credit changes, now or after a rebuild.
/// </summary>
/// <remarks>
/// Facts that were under way come later, with the key: the erasure names them, and they take the token then. What the customer
/// does afterwards is not named, whenever it arrives, and stays apart.
/// </remarks>
internal sealed partial class Erasure([FromKeyedServices(AttributionService.Schema)] EventLog log, TimeProvider time, ILogger<Erasure> logger) : BackgroundService
{
    /// <summary>A broker may deliver a message again, however long ago it was taken in; it does not wait for days.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromDays(7);

    private static readonly TimeSpan s_pause = TimeSpan.FromHours(1);
    private static readonly string s_identified = $"'{EventTypes.Of<VisitorIdentified>().Name}', '{EventTypes.Of<PartnerIdentified>().Name}'";

    public async Task EraseAsync(CustomerErased erased, Handover? handover, CancellationToken cancellationToken, string? traceParent = null)
    {
        var s = log.Schema;
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // Neither a rebuild (it truncates the table) nor a page of the projector or of the sealer may be half way with the key. In this order, which
        // is theirs too, nobody waits in a circle.
        await connection.Sql($"lock table {s}.conversions in row exclusive mode").RunAsync(cancellationToken);
        await connection.Sql(
            $"""
             insert into {s}.mt_event_progression as p (name, last_seq_id) values ($1, 0)
             on conflict (name) do update set last_seq_id = p.last_seq_id
             """,
            P(Projector.Checkpoint)).RunAsync(cancellationToken);
        await Seals.Sealer.LockAsync(connection, s, cancellationToken);
        await log.LockAsync(connection, cancellationToken);
        var identities = new List<IEvent>();
        if (!await IsThereAsync(connection, erased.EventId, cancellationToken))
        {
            (identities, erased) = await RewriteAsync(connection, erased, cancellationToken);
            await connection.Sql(
                $"""
                 insert into {s}.erasures (event_id, token, origin, position, erased_at)
                 select id, $2, $3, $4, $5 from unnest($1::uuid[]) as e(id) where not exists (select from {s}.mt_events m where m.id = e.id)
                 on conflict on constraint pk_erasures do nothing
                 """,
                P(Named(erased)), P(erased.Token), P(handover?.Origin ?? ""), P(handover?.To ?? 0), P(time.GetUtcNow())).RunAsync(cancellationToken);
        }

        await log.AppendAsync(connection, [.. identities.Append(erased with { Identities = null }).Select(e => IntakeWriter.ToNewEvent(e) with { TraceParent = traceParent })], cancellationToken);
        if (handover is not null)
        {
            await IntakeProgress.RememberAsync(connection, s, handover, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        log.SignalAppended();
    }

    /// <summary>
    /// The same events, with the token in the place of the key in those that were under way when their customer was erased. Takes the
    /// log's lock where one of them could hold a key: an erasure commits before or after, never between.
    /// </summary>
    public static async Task<IReadOnlyList<NewEvent>> WithTokensAsync(
        NpgsqlConnection connection, EventLog log, IReadOnlyList<NewEvent> events, CancellationToken cancellationToken)
    {
        var click = EventTypes.Of<ClickRecorded>().Name;
        var ids = events.Where(e => e.Type != click).Select(e => e.Id).ToArray();
        if (ids.Length == 0)
        {
            return events;
        }

        await log.LockAsync(connection, cancellationToken);
        var tokens = new Dictionary<Guid, string>();
        await using (var command = connection.Sql($"select event_id, token from {log.Schema}.erasures where event_id = any($1)", P(ids)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                tokens.Add(reader.GetGuid(0), reader.GetString(1));
            }
        }

        return tokens.Count == 0 ? events : [.. events.Select(e => WithToken(e, tokens.GetValueOrDefault(e.Id)))];
    }

    /// <summary>Forgets what can no longer come.</summary>
    public async Task ForgetAsync(CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await connection.Sql(
            $"""
             delete from {log.Schema}.erasures e
              where e.erased_at < $1
                and (e.origin = '' or exists (select from {log.Schema}.intake_progress p
                                               where p.origin = e.origin and p.from_position = 0 and p.to_position >= e.position))
             """,
            P(time.GetUtcNow() - s_patience)).RunAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(30), (attempt, fault) => logger.ForgettingRetries(attempt, fault))
            .Build();
        while (!stoppingToken.IsCancellationRequested)
        {
            await pipeline.ExecuteAsync(async cancellation => await ForgetAsync(cancellation), stoppingToken);
            await Task.Delay(s_pause, time, stoppingToken);
        }
    }

    private static Guid[] Named(CustomerErased erased) => [.. erased.Conversions, .. erased.Identities ?? []];

    private static NewEvent WithToken(NewEvent e, string? token) =>
        token is not null && LogPage.Read(e.Type, e.Data.Span, out _) is { } fact ? IntakeWriter.ToNewEvent(With(fact, token)) with { TraceParent = e.TraceParent } : e;

    private static IEvent With(IEvent fact, string token) => fact switch
    {
        ConversionRecorded c => c with { CustomerKey = token },
        VisitorIdentified i => i with { EventId = Ids.Identity(i.ProgramId, token, i.VisitorId, i.ClickId), CustomerKey = token },
        PartnerIdentified i => i with { EventId = Ids.PartnerIdentity(i.ProgramId, token, i.PartnerId), CustomerKey = token },
        _ => throw new System.Diagnostics.UnreachableException(fact.ToString()),
    };

    private async Task<bool> IsThereAsync(NpgsqlConnection connection, Guid eventId, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select 1 from {log.Schema}.mt_events where id = $1", P(eventId));
        return await command.ExecuteScalarAsync(cancellationToken) is not null;
    }

    /// <returns>The ties that are to be appended anew, under the token, and the erasure with what it has changed.</returns>
    private async Task<(List<IEvent> Identities, CustomerErased Erased)> RewriteAsync(NpgsqlConnection connection, CustomerErased erased, CancellationToken cancellationToken)
    {
        var s = log.Schema;
        var (ids, conversions) = (Named(erased), erased.Conversions.ToArray());
        var identities = new List<IEvent>();
        string? key = null;
        await using (var command = connection.Sql($"select type, data from {s}.mt_events where id = any($1)", P(ids)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                switch (LogPage.Read(reader.GetString(0), reader.GetFieldValue<byte[]>(1), out _))
                {
                    case ConversionRecorded conversion when conversion.CustomerKey != erased.Token:
                        key = conversion.CustomerKey;
                        break;
                    case VisitorIdentified identity:
                        key = identity.CustomerKey;
                        identities.Add(With(identity, erased.Token));
                        break;
                    case PartnerIdentified identity:
                        key = identity.CustomerKey;
                        identities.Add(With(identity, erased.Token));
                        break;
                    default:
                        break; // Came with the token already, or cannot be read and went aside.
                }
            }
        }

        await RewriteSetAsideAsync(connection, ids, erased.Token, cancellationToken);
        if (key is null)
        {
            return (identities, erased);
        }

        var (customer, nobody) = (Ids.Customer(erased.ProgramId, key), Ids.Customer(erased.ProgramId, erased.Token));
        var rewritten = await PositionsAsync(
            connection.Sql(
                $$"""
                  update {{s}}.mt_events set data = jsonb_set(data, '{customerKey}', to_jsonb($2::text)) where id = any($1) and data ->> 'customerKey' = $3
                  returning seq_id
                  """,
                P(conversions), P(erased.Token), P(key)),
            cancellationToken);

        // The id of a tie is derived from the key as well: it goes, and the tie comes again as another event.
        // Its seal keeps what proves the page, and no salt, without which nobody can try keys against it.
        var removed = await PositionsAsync(
            connection.Sql(
                $"""
                 with gone as (delete from {s}.mt_events where id = any($1) and type in ({s_identified}) returning seq_id, type, timestamp),
                      kept as (update {s}.seal_salts k set salt = null, type = g.type, recorded_at = g.timestamp from gone g where k.position = g.seq_id)
                 select seq_id from gone
                 """,
                P(ids)),
            cancellationToken);
        await connection.Sql($"update {s}.seal_salts set salt = null where position = any($1)", P(rewritten)).RunAsync(cancellationToken);
        await connection.Sql(
            $"delete from {s}.mt_streams where id = $1 and not exists (select from {s}.mt_events where stream_id = $1)", P(customer)).RunAsync(cancellationToken);

        // A key is of letters, digits, '.', '-' and '_': in a text of JSON it stands as it is.
        await connection.Sql(
            $"update {s}.journeys set facts = replace(facts::text, $2, $3)::json where conversion_id = any($1)",
            P(conversions), P(key), P(erased.Token)).RunAsync(cancellationToken);
        await connection.Sql($"update {s}.conversions set customer = $2 where conversion_id = any($1)", P(conversions), P(nobody)).RunAsync(cancellationToken);
        await connection.Sql(
            $"""
             with gone as (delete from {s}.ties where customer = $1 returning is_click, key, visitor_id)
             insert into {s}.ties (customer, is_click, key, visitor_id) select $2, is_click, key, visitor_id from gone
             on conflict on constraint pk_ties do nothing
             """,
            P(customer), P(nobody)).RunAsync(cancellationToken);
        await connection.Sql(
            $"""
             with gone as (delete from {s}.own_customers where customer = $1 returning partner_id)
             insert into {s}.own_customers (customer, partner_id) select $2, partner_id from gone
             on conflict on constraint pk_own_customers do nothing
             """,
            P(customer), P(nobody)).RunAsync(cancellationToken);

        // Something that is not named has the key: the customer came back, and that overtook the erasure, or more events of this
        // erasure follow. Who is tied to whom is then best asked of the whole log.
        await connection.Sql(
            $"""
             update {s}.mt_event_progression set last_seq_id = {Projector.RebuildRequested}
              where name = $1
                and (exists (select from {s}.conversions where customer = $2) or exists (select from {s}.mt_events where stream_id = $2))
             """,
            P(Projector.Checkpoint), P(customer)).RunAsync(cancellationToken);
        return (identities, erased with { Rewritten = rewritten, Removed = removed });
    }

    private static async Task<long[]> PositionsAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using (command)
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            var positions = new List<long>();
            while (await reader.ReadAsync(cancellationToken))
            {
                positions.Add(reader.GetInt64(0));
            }

            positions.Sort();
            return [.. positions];
        }
    }

    private async Task RewriteSetAsideAsync(NpgsqlConnection connection, Guid[] ids, string token, CancellationToken cancellationToken)
    {
        var rows = new List<(long Id, byte[] Data)>();
        await using (var command = connection.Sql($"select id, data from {log.Schema}.set_aside where event_id = any($1)", P(ids)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                var data = Encoding.UTF8.GetString(reader.GetFieldValue<byte[]>(1));
                rows.Add((reader.GetInt64(0), Encoding.UTF8.GetBytes(KeyField().Replace(data, $"\"customerKey\":\"{token}\""))));
            }
        }

        foreach (var (id, data) in rows)
        {
            await connection.Sql($"update {log.Schema}.set_aside set data = $2 where id = $1", P(id), P(data)).RunAsync(cancellationToken);
        }
    }

    // What was set aside may be no JSON at all.
    [GeneratedRegex("\"customerKey\"\\s*:\\s*\"[^\"]*\"", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex KeyField();
}
