using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution.Credits;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Replays;

/// <summary>
/// <c>GET /v1/replays/{id}/diff</c>: what promotion would change, per partner; <c>…/diff/conversions</c>: the same per order.
/// Both sides are read in one snapshot and folded to the same position.
/// </summary>
internal sealed class DiffReplay(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, Generations generations, ProjectionProgress progress)
{
    private const int MaxLimit = 1_000;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public sealed record Side(long Conversions, decimal Shares, IReadOnlyList<Amounts> Amounts);

    /// <param name="Partner">The partner.</param>
    /// <param name="Before">Under the generation that counts.</param>
    /// <param name="After">Under the replay.</param>
    /// <param name="Difference">After less before; negative loses.</param>
    public sealed record Row(string Partner, Side Before, Side After, Side Difference);

    public sealed record UnattributedChange(Unattributed Before, Unattributed After);

    public sealed record Diff(
        Guid Replay, int Generation, int RulesVersion, int Against, int AgainstRulesVersion, long Position, long ConversionsChanged,
        IReadOnlyList<Row> Rows, UnattributedChange Unattributed);

    public sealed record PartnerChange(string Partner, PartnerSide Before, PartnerSide After);

    public sealed record PartnerSide(decimal Share, string Amount, string Commission);

    /// <param name="ConversionId">The conversion.</param>
    /// <param name="Source">Where the order came from.</param>
    /// <param name="OrderId">The shop's id of the order.</param>
    /// <param name="Currency">Currency of its amounts.</param>
    /// <param name="ReasonBefore">Why nobody is credited under the generation that counts.</param>
    /// <param name="ReasonAfter">Why nobody would be credited.</param>
    /// <param name="Partners">Partners whose part differs.</param>
    public sealed record ConversionChange(
        Guid ConversionId, string Source, string OrderId, string Currency, string? ReasonBefore, string? ReasonAfter, IReadOnlyList<PartnerChange> Partners);

    /// <param name="Conversions">In the order of their ids.</param>
    /// <param name="Next">Ask again with <c>after</c> set to it; absent at the end.</param>
    public sealed record ConversionChanges(IReadOnlyList<ConversionChange> Conversions, Guid? Next);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/replays/{id:guid}/diff", (Guid id, DiffReplay use, CancellationToken cancellationToken) => use.HandleAsync(id, cancellationToken))
            .RequireScope(Scope.Read).WithTags("Replays")
            .WithSummary("What promotion would change per partner, in shares and money");
        routes.MapGet("/v1/replays/{id:guid}/diff/conversions", (
                Guid id, DiffReplay use, CancellationToken cancellationToken, Guid? after = null, int limit = 100) =>
                use.HandleConversionsAsync(id, after ?? Guid.Empty, limit, cancellationToken))
            .RequireScope(Scope.Read).WithTags("Replays")
            .WithSummary("What promotion would change per order");
    }

    private async Task<Results<Ok<Diff>, ProblemHttpResult>> HandleAsync(Guid id, CancellationToken cancellationToken)
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
        var rows = Rows(
            await Groups.ReadAsync(connection, schema, before, "partner", cancellationToken),
            await Groups.ReadAsync(connection, schema, after, "partner", cancellationToken));
        return TypedResults.Ok(new Diff(
            id, replay.Number, replay.RulesVersion, active.Number, active.RulesVersion,
            await log.CheckpointAsync(connection, Projector.Checkpoint, cancellationToken),
            await CountChangedAsync(connection, active.Number, replay.Number, cancellationToken),
            rows,
            new UnattributedChange(
                await Groups.ReadUnattributedAsync(connection, schema, before, cancellationToken),
                await Groups.ReadUnattributedAsync(connection, schema, after, cancellationToken))));
    }

    private async Task<Results<Ok<ConversionChanges>, ProblemHttpResult>> HandleConversionsAsync(
        Guid id, Guid after, int limit, CancellationToken cancellationToken)
    {
        if (limit is < 1 or > MaxLimit)
        {
            return Problem.Invalid(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var (pair, problem) = await SnapshotAsync(connection, id, cancellationToken);
        if (pair is null)
        {
            return problem!;
        }

        var changes = await ReadChangesAsync(connection, pair.Value.Active.Number, pair.Value.Replay.Number, after, limit, cancellationToken);
        return TypedResults.Ok(new ConversionChanges(changes, changes.Count == limit ? changes[^1].ConversionId : null));
    }

    /// <summary>Partners with a credit on either side, largest movers first.</summary>
    public static IReadOnlyList<Row> Rows(IReadOnlyList<Group> before, IReadOnlyList<Group> after)
    {
        var partners = before.Concat(after).Select(g => g.Key).Distinct(StringComparer.Ordinal);
        var none = new Group("", 0, 0, []);
        return partners
            .Select(partner =>
            {
                var was = before.FirstOrDefault(g => g.Key == partner) ?? none;
                var would = after.FirstOrDefault(g => g.Key == partner) ?? none;
                var money = Subtract(would.Money, was.Money);
                return (
                    Row: new Row(
                        partner, SideOf(was), SideOf(would),
                        new Side(would.Conversions - was.Conversions, Groups.Plain(would.Shares - was.Shares), money.Select(m => m.Format()).ToArray())),
                    Moved: money.Sum(m => Math.Abs(m.AmountMinor)),
                    Shares: Math.Abs(would.Shares - was.Shares));
            })
            .OrderByDescending(r => r.Moved).ThenByDescending(r => r.Shares).ThenBy(r => r.Row.Partner, StringComparer.Ordinal)
            .Select(r => r.Row)
            .ToArray();
    }

    private static Side SideOf(Group group) => new(group.Conversions, Groups.Plain(group.Shares), group.Amounts);

    private static GroupMoney[] Subtract(IReadOnlyList<GroupMoney> from, IReadOnlyList<GroupMoney> what) =>
        from.Concat(what).Select(m => m.Currency).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .Select(currency =>
            {
                var (a, b) = (from.FirstOrDefault(m => m.Currency == currency), what.FirstOrDefault(m => m.Currency == currency));
                return new GroupMoney(currency, a.AmountMinor - b.AmountMinor, a.CommissionMinor - b.CommissionMinor);
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

    /// <summary>One row per conversion and partner that differs between generations $1 and $2; columns as in <see cref="ReadChangesAsync"/>.</summary>
    private string Changed(string fromConversion) =>
        $"""
         select coalesce(b.conversion_id, a.conversion_id) as conversion_id, coalesce(b.partner_id, a.partner_id) as partner_id,
                b.share as share_before, b.amount as amount_before, b.commission as commission_before,
                a.share as share_after, a.amount as amount_after, a.commission as commission_after
           from (select {Sums} from {log.Schema}.credits where generation = $1 {fromConversion} group by 1, 2) b
           full join (select {Sums} from {log.Schema}.credits where generation = $2 {fromConversion} group by 1, 2) a
             on a.conversion_id = b.conversion_id and a.partner_id = b.partner_id
          where (b.share, b.amount, b.commission) is distinct from (a.share, a.amount, a.commission)
         """;

    private async Task<long> CountChangedAsync(NpgsqlConnection connection, int before, int after, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select count(distinct c.conversion_id) from ({Changed("")}) c
               join {log.Schema}.decisions d on d.generation = $2 and d.conversion_id = c.conversion_id where not d.test
             """,
            P(before), P(after));
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private async Task<IReadOnlyList<ConversionChange>> ReadChangesAsync(
        NpgsqlConnection connection, int before, int after, Guid from, int limit, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             with changed as ({Changed("and conversion_id > $3")}),
             page as (
                 select distinct c.conversion_id from changed c
                   join {log.Schema}.decisions d on d.generation = $2 and d.conversion_id = c.conversion_id and not d.test
                  order by 1 limit $4
             )
             select c.*, d.source, d.order_id, d.currency, p.reason, d.reason
               from page join changed c using (conversion_id)
               join {log.Schema}.decisions d on d.generation = $2 and d.conversion_id = c.conversion_id
               join {log.Schema}.decisions p on p.generation = $1 and p.conversion_id = c.conversion_id
              order by c.conversion_id, c.partner_id collate "C"
             """,
            P(before), P(after), P(from), P(limit));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var changes = new List<ConversionChange>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (conversion, currency) = (reader.GetGuid(0), reader.GetString(10));
            var partner = new PartnerChange(reader.GetString(1), PartnerSideOf(reader, 2, currency), PartnerSideOf(reader, 5, currency));
            if (changes is [.., var last] && last.ConversionId == conversion)
            {
                changes[^1] = last with { Partners = [.. last.Partners, partner] };
            }
            else
            {
                changes.Add(new ConversionChange(
                    conversion, reader.GetString(8), reader.GetString(9), currency, reader.GetTextOrNull(11), reader.GetTextOrNull(12), [partner]));
            }
        }

        return changes;
    }

    private static PartnerSide PartnerSideOf(NpgsqlDataReader reader, int column, string currency) =>
        reader.IsDBNull(column)
            ? new PartnerSide(0, Currency.Format(0, currency), Currency.Format(0, currency))
            : new PartnerSide(
                Groups.Plain(reader.GetDecimal(column)), Currency.Format(reader.GetInt64(column + 1), currency), Currency.Format(reader.GetInt64(column + 2), currency));
}
