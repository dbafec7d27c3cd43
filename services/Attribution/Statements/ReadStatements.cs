using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;

namespace PartnerPulse.Attribution.Statements;

/// <summary>
/// <c>GET /v1/statements</c>, <c>GET /v1/statements/{id}</c> by month or id, <c>GET /v1/statements/{id}/payouts</c>. A closed month is shown as it
/// was closed; one that is open as if it were closed now. A partner sees its own part.
/// </summary>
internal sealed class ReadStatements(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, ReadLedger entries, IOptions<AttributionOptions> options, TimeProvider time)
{
    /// <summary>Entries that are shown within a statement; the ledger has them all.</summary>
    private const int MostEntries = 500;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/statements", ListAsync).RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Statements")
            .WithSummary("Months that are closed, with their totals a currency");
        routes.MapGet("/v1/statements/{id}", ReadAsync).RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Statements")
            .WithSummary("The statement of a month: what each partner earned, what was adjusted, held, paid and carried on");
        routes.MapGet("/v1/statements/{id}/payouts", PayoutsAsync).RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Statements")
            .WithSummary("What a statement pays to whom");
    }

    /// <summary>The statement of a month, of one partner where it is given; null where the month has not begun.</summary>
    public async Task<StatementView?> FindAsync(Period period, string? partner, CancellationToken cancellationToken)
    {
        if (await BalancesAsync(period, cancellationToken) is not var (closed, asOf, balances))
        {
            return null;
        }

        var shown = Of(balances, partner);
        var list = partner is null
            ? null
            : await entries.PageAsync(new EntryFilter(partner, period.ToString(), null, null, null), (0, ""), MostEntries, cancellationToken);
        return new StatementView(
            closed?.EventId,
            period.ToString(),
            closed is null ? "open" : "closed",
            closed?.OccurredAt,
            closed?.By,
            closed is null ? null : new StatementBasis(closed.Position, closed.Generation, closed.RulesVersion, closed.RulesHash, closed.EngineVersion),
            closed?.HoldDays ?? options.Value.HoldDays,
            asOf,
            TotalView.Of(shown),
            [.. shown.Select(BalanceView.Of)],
            list,
            $"/v1/ledger?period={period}{(partner is null ? "" : $"&partner={Uri.EscapeDataString(partner)}")}");
    }

    /// <summary>The month that a path names by itself or by the id of its statement; null where there is none.</summary>
    public async Task<Period?> PeriodOfAsync(string id, CancellationToken cancellationToken)
    {
        if (Period.Parse(id) is { } period)
        {
            return period;
        }

        if (!Guid.TryParse(id, out var statement))
        {
            return null;
        }

        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var statements = await ClosedStatements.ReadAsync(connection, log.Schema, cancellationToken);
        return statements.Closed.FirstOrDefault(c => c.EventId == statement) is { } closed ? Period.Parse(closed.Period) : null;
    }

    public static ProblemHttpResult NoMonth(string period) => Problem.NotFound("period", $"'{period}' is not a month such as 2026-10");

    public static ProblemHttpResult Unknown(string id) => Problem.NotFound("id", $"'{id}' is neither a month such as 2026-10 nor the id of a statement");

    private static async Task<Results<Ok<StatementList>, ProblemHttpResult>> ListAsync(
        HttpContext http, ReadStatements use, CancellationToken cancellationToken, string? partner = null)
    {
        var faults = new List<FieldFault>();
        var viewer = PartnerView.Of(http.ApiKey(), partner, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        await using var connection = await use.Log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var statements = await ClosedStatements.ReadAsync(connection, use.Log.Schema, cancellationToken);
        return TypedResults.Ok(new StatementList(
            [.. statements.Closed.Reverse().Select(c => Row(c, Of(c.Balances, viewer)))],
            statements.Next?.ToString()));
    }

    private static async Task<Results<Ok<StatementView>, ProblemHttpResult>> ReadAsync(
        string id, HttpContext http, ReadStatements use, CancellationToken cancellationToken, string? partner = null)
    {
        var faults = new List<FieldFault>();
        var viewer = PartnerView.Of(http.ApiKey(), partner, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        return await use.PeriodOfAsync(id, cancellationToken) is { } period
            ? await use.FindAsync(period, viewer, cancellationToken) is { } view ? TypedResults.Ok(view) : NotBegun(period)
            : Unknown(id);
    }

    private static async Task<Results<Ok<Payouts>, RowStream<PayoutView>, ProblemHttpResult>> PayoutsAsync(
        string id, HttpContext http, ReadStatements use, CancellationToken cancellationToken, string? partner = null)
    {
        var faults = new List<FieldFault>();
        var viewer = PartnerView.Of(http.ApiKey(), partner, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        if (await use.PeriodOfAsync(id, cancellationToken) is not { } period)
        {
            return Unknown(id);
        }

        if (await use.BalancesAsync(period, cancellationToken) is not var (closed, asOf, balances))
        {
            return NotBegun(period);
        }

        var rows = Of(balances, viewer).Select(b => PayoutView.Of(b, period.ToString(), asOf, closed?.EventId)).ToArray();
        var format = http.Request.RowFormat();
        return format == RowFormat.Json
            ? TypedResults.Ok(new Payouts(period.ToString(), closed is null ? "open" : "closed", asOf, rows))
            : new RowStream<PayoutView>(format, rows.ToAsyncEnumerable(), StatementsJson.Default.PayoutView, PayoutView.Columns);
    }

    private EventLog Log => log;

    private static ProblemHttpResult NotBegun(Period period) => Problem.NotFound("period", $"{period} has not begun");

    private static IReadOnlyList<StatementBalance> Of(IReadOnlyList<StatementBalance> balances, string? partner) =>
        partner is null ? balances : [.. balances.Where(b => b.PartnerId == partner)];

    private static StatementRow Row(StatementClosed closed, IReadOnlyList<StatementBalance> shown) => new(
        closed.Period, closed.EventId, closed.OccurredAt, closed.Position, closed.RulesVersion,
        shown.Select(b => b.PartnerId).Distinct(StringComparer.Ordinal).Count(), TotalView.Of(shown));

    /// <summary>What was closed, or what closing would say now; null where the month has not begun.</summary>
    private async Task<(StatementClosed? Closed, string AsOf, IReadOnlyList<StatementBalance> Balances)?> BalancesAsync(Period period, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        var statements = await ClosedStatements.ReadAsync(connection, log.Schema, cancellationToken);
        if (statements.Find(period) is { } closed)
        {
            return (closed, closed.PayableAsOf, closed.Balances);
        }

        var now = time.GetUtcNow();
        if (period.Start > now)
        {
            return null;
        }

        // As if all months up to it were closed today, one after the other.
        var today = DateOnly.FromDateTime(now.UtcDateTime);
        IReadOnlyList<StatementBalance> balances = statements.Before(period)?.Balances ?? [];
        var month = statements.Next is { } next && next < period ? next : period;
        for (; month <= period; month = month.Next)
        {
            balances = Balances.Of(
                await Balances.ReadAsync(connection, log.Schema, month, options.Value.HoldDays, today, cancellationToken), balances);
        }

        return (null, ClosedStatements.Day(today), balances);
    }
}
