using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution.Credits;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Replays;

/// <summary>
/// <c>GET /v1/replays/{id}/diff</c>: what promotion would change, per partner; <c>…/diff/conversions</c>: the same per order.
/// Both sides are read in one snapshot and folded to the same position.
/// </summary>
internal sealed class DiffReplay(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations, ProjectionProgress progress)
{
    /// <summary>In <see cref="Row.Outcome"/>: more in some currency and less in none, in shares where no amount differs.</summary>
    public const string Wins = "wins";
    public const string Loses = "loses";

    /// <summary>More in one currency and less in another.</summary>
    public const string Mixed = "mixed";
    public const string Even = "even";

    private const int MaxLimit = 1_000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public sealed record Side(long Conversions, decimal Shares, IReadOnlyList<Amounts> Amounts);

    /// <param name="Partner">The partner.</param>
    /// <param name="Before">Under the generation that counts.</param>
    /// <param name="After">Under the replay.</param>
    /// <param name="Difference">After less before; negative loses.</param>
    /// <param name="Outcome"><c>wins</c>, <c>loses</c>, <c>mixed</c> (by currency) or <c>even</c>.</param>
    public sealed record Row(string Partner, Side Before, Side After, Side Difference, string Outcome);

    /// <summary>One currency over all partners. The difference is what entered less what left: what moved stays among partners.</summary>
    /// <param name="Currency">ISO 4217.</param>
    /// <param name="Before">Credited to partners, and their commission.</param>
    /// <param name="After">The same after.</param>
    /// <param name="Difference">After less before.</param>
    /// <param name="Entered">Net of conversions that are credited only after.</param>
    /// <param name="Left">Net of conversions that are credited only before.</param>
    /// <param name="Moved">From some partners to others, within conversions that are credited both times.</param>
    public sealed record Total(string Currency, Amounts Before, Amounts After, Amounts Difference, Passing Entered, Passing Left, string Moved);

    public sealed record Passing(long Conversions, string Amount);

    /// <summary>What the next open statement would carry of conversions whose month is closed; closed statements do not change.</summary>
    /// <param name="Currency">ISO 4217.</param>
    /// <param name="Conversions">Conversions that differ and whose month is closed.</param>
    /// <param name="Amount">Difference of what is credited.</param>
    /// <param name="Commission">Difference of commission.</param>
    public sealed record Carried(string Currency, long Conversions, string Amount, string Commission);

    /// <summary>A partner in one currency, for tables.</summary>
    public sealed record MoneyRow(
        string Partner, string Outcome, string Currency, long ConversionsBefore, long ConversionsAfter, decimal SharesBefore, decimal SharesAfter,
        decimal AmountBefore, decimal AmountAfter, decimal AmountDifference, decimal CommissionBefore, decimal CommissionAfter, decimal CommissionDifference);

    /// <summary>A partner in one order, for tables.</summary>
    public sealed record OrderRow(
        Guid ConversionId, string Source, string OrderId, DateTimeOffset OccurredAt, string Partner, string Currency, decimal ShareBefore, decimal ShareAfter,
        decimal AmountBefore, decimal AmountAfter, decimal AmountDifference, decimal CommissionBefore, decimal CommissionAfter, decimal CommissionDifference,
        string? ReasonBefore, string? ReasonAfter, bool InClosedStatement);

    public sealed record UnattributedChange(Unattributed Before, Unattributed After);

    public sealed record Diff(
        Guid Replay, int Generation, int RulesVersion, int Against, int AgainstRulesVersion, long Position, long ConversionsChanged,
        IReadOnlyList<Row> Rows, int Winners, int Losers, IReadOnlyList<Total> Totals, IReadOnlyList<Carried> ClosedStatements,
        UnattributedChange Unattributed);

    public sealed record PartnerChange(string Partner, PartnerSide Before, PartnerSide After);

    public sealed record PartnerSide(decimal Share, string Amount, string Commission);

    /// <param name="ConversionId">The conversion.</param>
    /// <param name="Source">Where the order came from.</param>
    /// <param name="OrderId">The shop's id of the order.</param>
    /// <param name="OccurredAt">When it happened.</param>
    /// <param name="Currency">Currency of its amounts.</param>
    /// <param name="ReasonBefore">Why nobody is credited under the generation that counts.</param>
    /// <param name="ReasonAfter">Why nobody would be credited.</param>
    /// <param name="InClosedStatement">Its month is closed: what differs would come in the next open statement.</param>
    /// <param name="Partners">Partners whose part differs.</param>
    public sealed record ConversionChange(
        Guid ConversionId, string Source, string OrderId, DateTimeOffset OccurredAt, string Currency, string? ReasonBefore, string? ReasonAfter,
        bool InClosedStatement, IReadOnlyList<PartnerChange> Partners);

    /// <param name="Conversions">Those first whose parts differ by most minor units, amount and commission together; then by id.</param>
    /// <param name="Next">Ask again with <c>after</c> set to it; absent at the end.</param>
    public sealed record ConversionChanges(IReadOnlyList<ConversionChange> Conversions, string? Next);

    private static readonly Column<MoneyRow>[] s_money =
    [
        new("partner", r => r.Partner), new("outcome", r => r.Outcome), new("currency", r => r.Currency),
        new("conversions_before", r => r.ConversionsBefore), new("conversions_after", r => r.ConversionsAfter),
        new("shares_before", r => r.SharesBefore), new("shares_after", r => r.SharesAfter),
        new("amount_before", r => r.AmountBefore), new("amount_after", r => r.AmountAfter), new("amount_difference", r => r.AmountDifference),
        new("commission_before", r => r.CommissionBefore), new("commission_after", r => r.CommissionAfter), new("commission_difference", r => r.CommissionDifference),
    ];

    private static readonly Column<OrderRow>[] s_orders =
    [
        new("conversion_id", r => r.ConversionId), new("source", r => r.Source), new("order_id", r => r.OrderId), new("occurred_at", r => r.OccurredAt),
        new("partner", r => r.Partner), new("currency", r => r.Currency), new("share_before", r => r.ShareBefore), new("share_after", r => r.ShareAfter),
        new("amount_before", r => r.AmountBefore), new("amount_after", r => r.AmountAfter), new("amount_difference", r => r.AmountDifference),
        new("commission_before", r => r.CommissionBefore), new("commission_after", r => r.CommissionAfter), new("commission_difference", r => r.CommissionDifference),
        new("reason_before", r => r.ReasonBefore), new("reason_after", r => r.ReasonAfter),
        new("in_closed_statement", r => r.InClosedStatement),
    ];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/replays/{id:guid}/diff", (Guid id, HttpRequest request, DiffReplay use, CancellationToken cancellationToken) =>
                use.HandleAsync(id, request, cancellationToken))
            .RequireScope(Scope.Read).WithTags("Replays")
            .WithSummary("What promotion would change per partner, in shares and money; as CSV or JSON lines by Accept");
        routes.MapGet("/v1/replays/{id:guid}/diff/conversions", (
                Guid id, HttpRequest request, DiffReplay use, CancellationToken cancellationToken, string? after = null, int limit = 100) =>
                use.HandleConversionsAsync(id, request, after, limit, cancellationToken))
            .RequireScope(Scope.Read).WithTags("Replays")
            .WithSummary("What promotion would change per order, the largest first; all of it as CSV or JSON lines by Accept");
    }

    private async Task<Results<Ok<Diff>, RowStream<MoneyRow>, ProblemHttpResult>> HandleAsync(Guid id, HttpRequest request, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var (pair, problem) = await SnapshotAsync(connection, id, cancellationToken);
        if (pair is null)
        {
            return problem!;
        }

        var (replay, active) = pair.Value;
        var schema = log.Schema;
        var (before, after) = (new CreditFilter(active.Number, null, null), new CreditFilter(replay.Number, null, null));
        var (was, would) = (
            await Groups.ReadAsync(connection, schema, before, "partner", cancellationToken),
            await Groups.ReadAsync(connection, schema, after, "partner", cancellationToken));
        if (request.RowFormat() is var format and not RowFormat.Json)
        {
            return Table(format, was, would);
        }

        var rows = Rows(was, would);
        var (changed, exchanged, closed) = await ReadExchangedAsync(connection, active.Number, replay.Number, cancellationToken);
        return TypedResults.Ok(new Diff(
            id, replay.Number, replay.RulesVersion, active.Number, active.RulesVersion,
            await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken),
            changed,
            rows,
            rows.Count(r => r.Outcome == Wins),
            rows.Count(r => r.Outcome == Loses),
            Totals(was, would, exchanged),
            closed,
            new UnattributedChange(
                await Groups.ReadUnattributedAsync(connection, schema, before, cancellationToken),
                await Groups.ReadUnattributedAsync(connection, schema, after, cancellationToken))));
    }

    private async Task<Results<Ok<ConversionChanges>, RowStream<OrderRow>, ProblemHttpResult>> HandleConversionsAsync(
        Guid id, HttpRequest request, string? after, int limit, CancellationToken cancellationToken)
    {
        var faults = new List<FieldFault>();
        if (limit is < 1 or > MaxLimit)
        {
            faults.Add(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        if (!TryReadCursor(after, out var cursor))
        {
            faults.Add(new FieldFault("after", $"is '{after}'; it must be the next of an answer"));
        }

        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        var format = request.RowFormat();
        var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var isHandedOn = false;
        try
        {
            var (pair, problem) = await SnapshotAsync(connection, id, cancellationToken);
            if (pair is null)
            {
                return problem!;
            }

            var (before, replayed) = (pair.Value.Active.Number, pair.Value.Replay.Number);
            if (format != RowFormat.Json)
            {
                isHandedOn = true;
                return new RowStream<OrderRow>(format, StreamAsync(connection, before, replayed, cancellationToken), DiffJson.Default.OrderRow, s_orders);
            }

            var (changes, last) = await ReadPageAsync(connection, before, replayed, cursor, limit, cancellationToken);
            return TypedResults.Ok(new ConversionChanges(
                changes, changes.Count == limit ? string.Create(CultureInfo.InvariantCulture, $"{last.Moved}_{last.Conversion:N}") : null));
        }
        finally
        {
            if (!isHandedOn)
            {
                await connection.DisposeAsync();
            }
        }
    }

    /// <summary>Partners with a credit on either side, largest movers first.</summary>
    public static IReadOnlyList<Row> Rows(IReadOnlyList<Group> before, IReadOnlyList<Group> after) =>
        Movers(before, after)
            .Select(m => new Row(
                m.Partner, SideOf(m.Before), SideOf(m.After),
                new Side(m.After.Conversions - m.Before.Conversions, Groups.Plain(m.After.Shares - m.Before.Shares), m.Difference.Select(d => d.Format()).ToArray()),
                Outcome(m)))
            .ToArray();

    /// <summary>One a currency, by its code.</summary>
    /// <param name="before">By partner.</param>
    /// <param name="after">By partner.</param>
    /// <param name="exchanged">By currency: what changed hands.</param>
    public static IReadOnlyList<Total> Totals(IReadOnlyList<Group> before, IReadOnlyList<Group> after, IReadOnlyDictionary<string, Exchange> exchanged)
    {
        var (was, would) = (SumsOf(before), SumsOf(after));
        return Subtract(would, was).Select(difference =>
        {
            var currency = difference.Currency;
            var exchange = exchanged.GetValueOrDefault(currency);
            return new Total(
                currency, In(was, currency).Format(), In(would, currency).Format(), difference.Format(),
                new Passing(exchange.Entered, Currency.Format(exchange.EnteredMinor, currency)),
                new Passing(exchange.Left, Currency.Format(exchange.LeftMinor, currency)),
                Currency.Format(exchange.MovedMinor, currency));
        }).ToArray();
    }

    public static Side SideOf(Group group) => new(group.Conversions, Groups.Plain(group.Shares), group.Amounts);

    /// <summary>A row for each partner and currency, the largest movers first.</summary>
    public static RowStream<MoneyRow> Table(RowFormat format, IReadOnlyList<Group> before, IReadOnlyList<Group> after) =>
        new(format, MoneyRows(before, after).ToAsyncEnumerable(), DiffJson.Default.MoneyRow, s_money);

    private sealed record Mover(string Partner, Group Before, Group After, GroupMoney[] Difference);

    private static IEnumerable<Mover> Movers(IReadOnlyList<Group> before, IReadOnlyList<Group> after)
    {
        var none = new Group("", 0, 0, []);
        var (was, would) = (before.ToDictionary(g => g.Key, StringComparer.Ordinal), after.ToDictionary(g => g.Key, StringComparer.Ordinal));
        return was.Keys.Union(would.Keys, StringComparer.Ordinal)
            .Select(partner =>
            {
                var (one, other) = (was.GetValueOrDefault(partner, none), would.GetValueOrDefault(partner, none));
                return new Mover(partner, one, other, Subtract(other.Money, one.Money));
            })
            .OrderByDescending(m => m.Difference.Sum(d => Math.Abs(d.AmountMinor))).ThenByDescending(m => Math.Abs(m.After.Shares - m.Before.Shares))
            .ThenBy(m => m.Partner, StringComparer.Ordinal);
    }

    private static IEnumerable<MoneyRow> MoneyRows(IReadOnlyList<Group> before, IReadOnlyList<Group> after)
    {
        foreach (var mover in Movers(before, after))
        {
            var outcome = Outcome(mover);
            foreach (var difference in mover.Difference)
            {
                var currency = difference.Currency;
                var (was, would) = (In(mover.Before.Money, currency), In(mover.After.Money, currency));
                yield return new MoneyRow(
                    mover.Partner, outcome, currency, was.Conversions, would.Conversions, Groups.Plain(was.Shares), Groups.Plain(would.Shares),
                    Currency.ToDecimal(was.AmountMinor, currency), Currency.ToDecimal(would.AmountMinor, currency), Currency.ToDecimal(difference.AmountMinor, currency),
                    Currency.ToDecimal(was.CommissionMinor, currency), Currency.ToDecimal(would.CommissionMinor, currency),
                    Currency.ToDecimal(difference.CommissionMinor, currency));
            }
        }
    }

    private static string Outcome(Mover mover)
    {
        var (more, less) = (mover.Difference.Any(d => d.AmountMinor > 0), mover.Difference.Any(d => d.AmountMinor < 0));
        if (!more && !less)
        {
            (more, less) = (mover.After.Shares > mover.Before.Shares, mover.After.Shares < mover.Before.Shares);
        }

        return (more, less) switch
        {
            (true, true) => Mixed,
            (true, false) => Wins,
            (false, true) => Loses,
            (false, false) => Even,
        };
    }

    private static GroupMoney[] SumsOf(IReadOnlyList<Group> groups) =>
        groups.SelectMany(g => g.Money).GroupBy(m => m.Currency, StringComparer.Ordinal)
            .Select(of => new GroupMoney(
                of.Key, of.Sum(m => m.Conversions), of.Sum(m => m.Shares), of.Sum(m => m.AmountMinor), of.Sum(m => m.CommissionMinor)))
            .ToArray();

    /// <summary>Of one currency; nothing where there is none.</summary>
    private static GroupMoney In(IReadOnlyList<GroupMoney> money, string currency)
    {
        var found = money.FirstOrDefault(m => m.Currency == currency);
        return found.Currency is null ? new GroupMoney(currency, 0, 0, 0, 0) : found;
    }

    private static GroupMoney[] Subtract(IReadOnlyList<GroupMoney> from, IReadOnlyList<GroupMoney> what) =>
        from.Concat(what).Select(m => m.Currency).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .Select(currency =>
            {
                var (a, b) = (In(from, currency), In(what, currency));
                return new GroupMoney(
                    currency, a.Conversions - b.Conversions, a.Shares - b.Shares, a.AmountMinor - b.AmountMinor, a.CommissionMinor - b.CommissionMinor);
            })
            .ToArray();

    /// <summary>Opens a snapshot in which the replay and the active generation are folded to the same position.</summary>
    private async Task<((Generation Replay, Generation Active)? Pair, ProblemHttpResult? Problem)> SnapshotAsync(
        NpgsqlConnection connection, Guid id, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(s_patience);
        while (true)
        {
            var next = progress.NextAdvance;
            var transaction = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
            if (await generations.FindReplayAsync(connection, id, cancellationToken) is not { } replay)
            {
                return (null, Problem.NotFound("id", $"'{id}' is not a replay"));
            }

            if (replay.State is not (Generation.Ready or Generation.Active or Generation.Retired)
                || await generations.ActiveAsync(connection, cancellationToken) is not { } active)
            {
                return (null, Problem.Conflict(new FieldFault("state", $"is '{replay.State}'; a replay can be compared when it is '{Generation.Ready}'")));
            }

            if (replay.State != Generation.Ready || await IsCurrentAsync(connection, replay, cancellationToken))
            {
                return ((replay, active), null);
            }

            await transaction.DisposeAsync();
            if (patience.IsCancellationRequested)
            {
                return (null, Problem.Of(StatusCodes.Status503ServiceUnavailable, "The replay is still catching up", new FieldFault("id", "has not caught up with the log; try again")));
            }

            await Task.WhenAny(next, Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken));
        }
    }

    private async Task<bool> IsCurrentAsync(NpgsqlConnection connection, Generation replay, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select not exists (select from {log.Schema}.journeys where (changed_at, conversion_id) > ($1, $2))", P(replay.FoldedTo), P(replay.FoldedConversion));
        return await command.ExecuteScalarAsync(cancellationToken) is true;
    }

    private const string Sums = "conversion_id, partner_id, sum(share) as share, sum(amount_minor)::bigint as amount, sum(commission_minor)::bigint as commission";

    /// <summary>One row per conversion and partner that differs between generations $1 and $2.</summary>
    private string Changed =>
        $"""
         select coalesce(b.conversion_id, a.conversion_id) as conversion_id, coalesce(b.partner_id, a.partner_id) as partner_id,
                coalesce(b.share, 0) as share_before, coalesce(b.amount, 0) as amount_before, coalesce(b.commission, 0) as commission_before,
                coalesce(a.share, 0) as share_after, coalesce(a.amount, 0) as amount_after, coalesce(a.commission, 0) as commission_after
           from (select {Sums} from {log.Schema}.credits where generation = $1 group by 1, 2) b
           full join (select {Sums} from {log.Schema}.credits where generation = $2 group by 1, 2) a
             on a.conversion_id = b.conversion_id and a.partner_id = b.partner_id
          where (b.share, b.amount, b.commission) is distinct from (a.share, a.amount, a.commission)
         """;

    /// <summary>Whether there is a statement of the month of order <c>o</c>.</summary>
    private string IsClosed => $"exists (select from {log.Schema}.statements s where s.period = to_char(o.occurred_at at time zone 'UTC', 'YYYY-MM'))";

    /// <summary>
    /// What changed of <c>c</c>, as order <c>o</c>, where both generations have judged it: one that counts no more knows nothing of what
    /// came later. Shares add up to 1, so a conversion that both credit differs in rows of both.
    /// </summary>
    private string JudgedByBoth =>
        $"""
         join {log.Schema}.orders o on o.conversion_id = c.conversion_id and not o.test
         left join {log.Schema}.uncredited b on b.generation = $1 and b.conversion_id = c.conversion_id
         left join {log.Schema}.uncredited a on a.generation = $2 and a.conversion_id = c.conversion_id
         where (c.credited_before or b.reason is not null) and (c.credited_after or a.reason is not null)
         """;

    /// <summary>The same with each conversion's movement and what it is; $1 and $2 are the generations.</summary>
    private string Orders =>
        $"""
         select c.conversion_id, c.partner_id, c.share_before, c.amount_before, c.commission_before, c.share_after, c.amount_after, c.commission_after,
                c.moved, o.source, o.order_id, o.occurred_at, o.currency, b.reason as reason_before, a.reason as reason_after, {IsClosed} as closed
           from (
             select changed.*, sum(abs(amount_after - amount_before) + abs(commission_after - commission_before)) over conversion::bigint as moved,
                    bool_or(share_before > 0) over conversion as credited_before, bool_or(share_after > 0) over conversion as credited_after
               from ({Changed}) changed window conversion as (partition by conversion_id)
           ) c {JudgedByBoth}
         """;

    /// <summary>Conversions that differ, and by currency what changed hands among them and what of it closed months have.</summary>
    private async Task<(long Changed, IReadOnlyDictionary<string, Exchange> Exchanged, IReadOnlyList<Carried> Closed)> ReadExchangedAsync(
        NpgsqlConnection connection, int before, int after, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             with changed as (
                 select conversion_id, sum(greatest(amount_after - amount_before, 0))::bigint as gained,
                        sum(amount_before)::bigint as amount_before, sum(amount_after)::bigint as amount_after,
                        sum(amount_after - amount_before)::bigint as amount, sum(commission_after - commission_before)::bigint as commission,
                        bool_or(share_before > 0) as credited_before, bool_or(share_after > 0) as credited_after
                   from ({Changed}) changed group by 1
             )
             select o.currency, count(*),
                    count(*) filter (where not c.credited_before), coalesce(sum(c.amount_after) filter (where not c.credited_before), 0)::bigint,
                    count(*) filter (where not c.credited_after), coalesce(sum(c.amount_before) filter (where not c.credited_after), 0)::bigint,
                    coalesce(sum(c.gained) filter (where c.credited_before and c.credited_after), 0)::bigint,
                    count(*) filter (where {IsClosed}), coalesce(sum(c.amount) filter (where {IsClosed}), 0)::bigint,
                    coalesce(sum(c.commission) filter (where {IsClosed}), 0)::bigint
               from changed c {JudgedByBoth}
              group by 1 order by 1
             """,
            P(before), P(after));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var closed = new List<Carried>();
        var exchanged = new Dictionary<string, Exchange>(StringComparer.Ordinal);
        var changed = 0L;
        while (await reader.ReadAsync(cancellationToken))
        {
            changed += reader.GetInt64(1);
            exchanged.Add(reader.GetString(0), new Exchange(reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6)));
            if (reader.GetInt64(7) > 0)
            {
                var currency = reader.GetString(0);
                closed.Add(new Carried(currency, reader.GetInt64(7), Currency.Format(reader.GetInt64(8), currency), Currency.Format(reader.GetInt64(9), currency)));
            }
        }

        return (changed, exchanged, closed);
    }

    private async Task<(IReadOnlyList<ConversionChange> Changes, (long Moved, Guid Conversion) Last)> ReadPageAsync(
        NpgsqlConnection connection, int before, int after, (long Moved, Guid Conversion) cursor, int limit, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select *
               from (select rows.*, dense_rank() over (order by moved desc, conversion_id) as place
                       from ({Orders}) rows where moved < $3 or (moved = $3 and conversion_id > $4)) ranked
              where place <= $5
              order by moved desc, conversion_id, partner_id collate "C"
             """,
            P(before), P(after), P(cursor.Moved), P(cursor.Conversion), P(limit));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var changes = new List<ConversionChange>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (conversion, currency) = (reader.GetGuid(0), reader.GetString(12));
            var partner = new PartnerChange(reader.GetString(1), PartnerSideOf(reader, 2, currency), PartnerSideOf(reader, 5, currency));
            cursor = (reader.GetInt64(8), conversion);
            if (changes is [.., var last] && last.ConversionId == conversion)
            {
                changes[^1] = last with { Partners = [.. last.Partners, partner] };
            }
            else
            {
                changes.Add(new ConversionChange(
                    conversion, reader.GetString(9), reader.GetString(10), reader.GetFieldValue<DateTimeOffset>(11), currency, reader.GetTextOrNull(13),
                    reader.GetTextOrNull(14), reader.GetBoolean(15), [partner]));
            }
        }

        return (changes, cursor);
    }

    /// <summary>All of them, the largest first; the connection goes with the last.</summary>
    private async IAsyncEnumerable<OrderRow> StreamAsync(NpgsqlConnection connection, int before, int after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using (connection)
        {
            await using var command = connection.Sql($"{Orders} order by moved desc, conversion_id, partner_id collate \"C\"", P(before), P(after));
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var currency = reader.GetString(12);
                var (amountBefore, amountAfter) = (reader.GetInt64(3), reader.GetInt64(6));
                var (commissionBefore, commissionAfter) = (reader.GetInt64(4), reader.GetInt64(7));
                yield return new OrderRow(
                    reader.GetGuid(0), reader.GetString(9), reader.GetString(10), reader.GetFieldValue<DateTimeOffset>(11), reader.GetString(1), currency,
                    Groups.Plain(reader.GetDecimal(2)), Groups.Plain(reader.GetDecimal(5)),
                    Currency.ToDecimal(amountBefore, currency), Currency.ToDecimal(amountAfter, currency), Currency.ToDecimal(amountAfter - amountBefore, currency),
                    Currency.ToDecimal(commissionBefore, currency), Currency.ToDecimal(commissionAfter, currency),
                    Currency.ToDecimal(commissionAfter - commissionBefore, currency), reader.GetTextOrNull(13), reader.GetTextOrNull(14), reader.GetBoolean(15));
            }
        }
    }

    /// <summary>Where nothing is asked for, before everything.</summary>
    private static bool TryReadCursor(string? text, out (long Moved, Guid Conversion) cursor)
    {
        cursor = (long.MaxValue, Guid.Empty);
        if (string.IsNullOrEmpty(text))
        {
            return true;
        }

        if (text.Split('_') is [var moved, var conversion]
            && long.TryParse(moved, NumberStyles.None, CultureInfo.InvariantCulture, out var minor) && Guid.TryParseExact(conversion, "N", out var id))
        {
            cursor = (minor, id);
            return true;
        }

        return false;
    }

    private static PartnerSide PartnerSideOf(NpgsqlDataReader reader, int column, string currency) => new(
        Groups.Plain(reader.GetDecimal(column)), Currency.Format(reader.GetInt64(column + 1), currency), Currency.Format(reader.GetInt64(column + 2), currency));
}

[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(DiffReplay.MoneyRow))]
[JsonSerializable(typeof(DiffReplay.OrderRow))]
internal sealed partial class DiffJson : JsonSerializerContext;
