using System.Text.Json;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// Tells a <see cref="CreditsRevised"/> for each conversion whose credit a promotion changed, or a rebuild that found more in the log than
/// was folded before it. Both may concern all of history: what changed is kept by one statement in their transaction, and told
/// afterwards in small commits, because an append holds the log's lock and everybody who takes in would wait for it.
/// </summary>
internal sealed class UntoldRevisions(EventLog log)
{
    private const int ChunkSize = 2_000;

    // The projector alone keeps and tells, so that an empty table is looked at once and not before every page.
    private bool _mayHaveSome = true;

    private const string Sums = "conversion_id, partner_id, sum(share) as share, sum(amount_minor)::bigint as amount, sum(commission_minor)::bigint as commission";

    /// <summary>What one side gave, in the shape of <see cref="PartnerCredit"/> and in the order of the projector.</summary>
    private static string Credits(string of) =>
        $"""
         coalesce(json_agg(json_build_object('partnerId', partner_id, 'share', {of}_share, 'amountMinor', {of}_amount, 'commissionMinor', {of}_commission)
                           order by partner_id collate "C") filter (where {of}_share is not null), '[]')
         """;

    /// <summary>Keeps what differs between the generation that counted and the one that counts from now on, in the caller's transaction.</summary>
    public Task KeepAsync(NpgsqlConnection connection, ReplayPromoted replay, int before, CancellationToken cancellationToken) =>
        KeepAsync(
            connection, $"select {Sums} from {log.Schema}.credits where generation = {before} group by 1, 2", replay.Generation, replay.EventId, replay.ProgramId,
            replay.OccurredAt, new RevisionCause { Kind = RevisionCause.Replay, EventId = replay.EventId, ReplayId = replay.ReplayId }, only: "", cancellationToken);

    /// <summary>Remembers until the end of the caller's transaction what the generation gives, before its rows are thrown away.</summary>
    public async Task RememberAsync(NpgsqlConnection connection, int generation, CancellationToken cancellationToken)
    {
        // A statement that makes a table takes no parameters.
        await connection.Sql(
            $"create temporary table told_credits on commit drop as select {Sums} from {log.Schema}.credits where generation = {generation} group by 1, 2")
            .RunAsync(cancellationToken);
        await connection.Sql("analyze told_credits").RunAsync(cancellationToken);
    }

    /// <summary>Keeps what differs between what was remembered and what counts after a rebuild up to <paramref name="position"/>.</summary>
    public Task KeepAsync(NpgsqlConnection connection, int generation, string program, long position, CancellationToken cancellationToken) =>
        KeepAsync(connection, "select * from told_credits", generation, program, position, only: "", cancellationToken);

    /// <summary>
    /// The same where the tables were thrown away for others: what was told of a conversion is what the ledger has of it. Test
    /// conversions are not in there, and are not told.
    /// </summary>
    public Task KeepBookedAsync(NpgsqlConnection connection, int generation, string program, long position, CancellationToken cancellationToken) =>
        KeepAsync(
            connection,
            $"""
             select conversion_id, partner_id, sum(share) as share, sum(amount_minor)::bigint as amount, sum(commission_minor)::bigint as commission
               from {log.Schema}.ledger group by 1, 2 having sum(share) <> 0 or sum(amount_minor) <> 0 or sum(commission_minor) <> 0
             """,
            generation, program, position, only: "and not o.test", cancellationToken);

    private async Task KeepAsync(
        NpgsqlConnection connection, string was, int generation, string program, long position, string only, CancellationToken cancellationToken)
    {
        DateTimeOffset recordedAt;
        await using (var command = connection.Sql($"select timestamp from {log.Schema}.mt_events where seq_id = $1", P(position)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            if (!await reader.ReadAsync(cancellationToken))
            {
                return;
            }

            recordedAt = reader.GetFieldValue<DateTimeOffset>(0);
        }

        await KeepAsync(
            connection, was, generation, Ids.Derive("rebuild", $"{position}"), program, recordedAt, new RevisionCause { Kind = RevisionCause.Rebuild }, only,
            cancellationToken);
    }

    private async Task KeepAsync(
        NpgsqlConnection connection, string was, int generation, Guid id, string program, DateTimeOffset occurredAt, RevisionCause cause, string only,
        CancellationToken cancellationToken)
    {
        var s = log.Schema;
        // The database takes a generation that has come since it last looked for empty, and would join two of them row by row: of a full join
        // it makes no loop, and all else is found by an index.
        await connection.Sql(
            $"""
             with both_sides as (
                 select conversion_id, partner_id,
                        was.share as was_share, was.amount as was_amount, was.commission as was_commission,
                        now_is.share as now_is_share, now_is.amount as now_is_amount, now_is.commission as now_is_commission,
                        bool_or((was.share, was.amount, was.commission) is distinct from (now_is.share, now_is.amount, now_is.commission))
                            over (partition by conversion_id) as differs
                   from ({was}) was full join (select {Sums} from {s}.credits where generation = $1 group by 1, 2) now_is using (conversion_id, partner_id)
             ),
             changed as (
                 select conversion_id, {Credits("was")} as before, {Credits("now_is")} as after from both_sides where differs group by 1
             )
             insert into {s}.untold_revisions (cause_id, program_id, occurred_at, conversion_id, generation, currency, before, after, clicks, causes)
             select $2, $3, $4, o.conversion_id, $1, o.currency, changed.before, changed.after, c.clicks, $5::json
               from changed
               join {s}.orders o on o.conversion_id = changed.conversion_id {only}
               left join lateral (
                   select json_agg(json_build_object('clickId', click_id, 'partnerId', partner_id) order by click_id) as clicks
                     from {s}.credits where generation = $1 and conversion_id = changed.conversion_id
               ) c on true
              order by o.conversion_id
             """,
            P(generation), P(id), P(program), P(occurredAt),
            P(JsonSerializer.Serialize([cause], ContractsJson.Default.IReadOnlyListRevisionCause))).RunAsync(cancellationToken);
        _mayHaveSome = true;
    }

    /// <summary>Whether something is still to be told, as the caller's transaction sees it.</summary>
    public static async Task<bool> AnyAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select exists (select from {schema}.untold_revisions)");
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    /// <summary>Another process may have projected meanwhile, and left something.</summary>
    public void LookAgain() => _mayHaveSome = true;

    /// <summary>Tells all that is kept, a chunk a transaction. Killed in between, the next call goes on where this one was.</summary>
    public async Task TellAllAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        while (_mayHaveSome)
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            var chunk = await TakeAsync(connection, cancellationToken);
            if (chunk.Count > 0)
            {
                await log.AppendAsync(connection, chunk.Select(Intake.IntakeWriter.ToNewEvent).ToArray(), cancellationToken);
            }

            await transaction.CommitAsync(cancellationToken);
            _mayHaveSome = chunk.Count == ChunkSize;
            if (chunk.Count > 0)
            {
                log.SignalAppended();
            }
        }
    }

    private async Task<IReadOnlyList<CreditsRevised>> TakeAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             with taken as (
                 delete from {log.Schema}.untold_revisions where id in (select id from {log.Schema}.untold_revisions order by id limit $1)
                 returning id, cause_id, program_id, occurred_at, conversion_id, generation, currency, before, after, clicks, causes
             )
             select * from taken order by id
             """,
            P(ChunkSize));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var revisions = new List<CreditsRevised>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (cause, conversion) = (reader.GetGuid(1), reader.GetGuid(4));
            revisions.Add(new CreditsRevised
            {
                EventId = Ids.Derive("credits-revised-by", $"{cause:N}", $"{conversion:N}"),
                ProgramId = reader.GetString(2),
                OccurredAt = reader.GetFieldValue<DateTimeOffset>(3),
                ConversionId = conversion,
                Generation = reader.GetInt32(5),
                Currency = reader.GetString(6),
                Before = JsonSerializer.Deserialize(reader.GetString(7), ContractsJson.Default.IReadOnlyListPartnerCredit)!,
                After = JsonSerializer.Deserialize(reader.GetString(8), ContractsJson.Default.IReadOnlyListPartnerCredit)!,
                Clicks = reader.IsDBNull(9) ? null : JsonSerializer.Deserialize(reader.GetString(9), ContractsJson.Default.IReadOnlyListCreditedClick),
                Causes = reader.IsDBNull(10) ? null : JsonSerializer.Deserialize(reader.GetString(10), ContractsJson.Default.IReadOnlyListRevisionCause),
            });
        }

        return revisions;
    }
}
