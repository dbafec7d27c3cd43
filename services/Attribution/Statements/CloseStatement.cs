using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Statements;

/// <summary>The body may be absent.</summary>
internal sealed record CloseStatementAsk
{
    /// <summary>Commission that is payable on this day, written <c>2026-11-30</c>, is paid by the statement; today where absent.</summary>
    public string? PayableAsOf { get; init; }
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow, AllowDuplicateProperties = false, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(CloseStatementAsk))]
internal sealed partial class CloseStatementJson : JsonSerializerContext;

/// <summary>
/// <c>POST /v1/statements/{period}/close</c>: what the month has becomes a fact and never changes. It waits until everything that was in the
/// log is judged and told; what comes later, a refund of an order of the month among it, is an adjustment in the next month that is open.
/// </summary>
internal sealed class CloseStatement(
    [FromKeyedServices(AttributionService.Schema)] EventLog log,
    Generations generations,
    LedgerBook ledger,
    ReadStatements read,
    ProjectionProgress progress,
    IOptions<ProgramOptions> program,
    IOptions<AttributionOptions> options,
    TimeProvider time)
{
    /// <summary>A payout may be prepared this long before its day.</summary>
    private const int MostDaysAhead = 31;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    public abstract record Outcome;

    public sealed record Closes : Outcome;

    public sealed record AlreadyClosed(StatementClosed Statement) : Outcome;

    public sealed record ClosedDifferently(StatementClosed Statement) : Outcome;

    public sealed record NotOver : Outcome;

    public sealed record OutOfOrder(Period Next) : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/statements/{period}/close", HandleAsync)
            .RequireScope(Scope.Admin)
            .TakesJson<CloseStatementAsk>("""{"payableAsOf":"2026-02-28"}""", isOptional: true)
            .WithName("CloseStatement").WithTags("Statements").WithSummary("Closes a month: its statement never changes again");

    /// <summary>Whether the month can be closed now: months are closed in order, each when it is over.</summary>
    public static Outcome Decide(ClosedStatements statements, Period period, string? payableAsOf, DateTimeOffset now) =>
        statements.Find(period) is { } closed ? (payableAsOf is null || payableAsOf == closed.PayableAsOf ? new AlreadyClosed(closed) : new ClosedDifferently(closed))
        : period.End > now ? new NotOver()
        : statements.Next is { } next && next != period ? new OutOfOrder(next)
        : new Closes();

    private static async Task<Results<Created<StatementView>, Ok<StatementView>, ProblemHttpResult>> HandleAsync(
        string period, HttpContext http, CloseStatement use, CancellationToken cancellationToken)
    {
        if (Period.Parse(period) is not { } month)
        {
            return ReadStatements.NoMonth(period);
        }

        var ask = new CloseStatementAsk();
        if (http.Request.HasBody())
        {
            var (body, fault) = await http.Request.ReadJsonAsync(CloseStatementJson.Default.CloseStatementAsk, cancellationToken);
            if (body is null)
            {
                return Problem.Invalid(fault!);
            }

            ask = body;
        }

        var today = DateOnly.FromDateTime(use.Now.UtcDateTime);
        var asOf = today;
        if (ask.PayableAsOf is { } given)
        {
            if (!DateOnly.TryParseExact(given, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out asOf))
            {
                return Problem.Invalid(new FieldFault("payableAsOf", $"'{given}' is not a day such as 2026-11-30"));
            }

            var (least, most) = (month.Next.First.AddDays(-1), today.AddDays(MostDaysAhead));
            if (asOf < least || asOf > most)
            {
                return Problem.Invalid(new FieldFault(
                    "payableAsOf", $"is {given}; it must be from the last day of the month, {ClosedStatements.Day(least)}, to {ClosedStatements.Day(most)}"));
            }
        }

        return await use.CloseAsync(month, ask.PayableAsOf, asOf, http.ApiKey().Name, cancellationToken) switch
        {
            null => Problem.Of(
                StatusCodes.Status503ServiceUnavailable, "Not everything is folded yet",
                new FieldFault("period", $"cannot be closed before what is in the log is judged; {use.Behind()}; try again")),
            (Closes, { } view) => TypedResults.Created($"/v1/statements/{month}", view),
            (AlreadyClosed, { } view) => TypedResults.Ok(view),
            (ClosedDifferently { Statement: var s }, _) => Problem.Conflict(new FieldFault("payableAsOf", $"is {ask.PayableAsOf}; the month was closed as of {s.PayableAsOf}")),
            (NotOver, _) => Problem.Conflict(new FieldFault("period", $"is {month}; it is not over before {month.End:yyyy-MM-dd} UTC")),
            (OutOfOrder { Next: var next }, _) => Problem.Conflict(new FieldFault("period", $"is {month}; months are closed in order, and the next one is {next}")),
            var other => throw new UnreachableException(other.ToString()),
        };
    }

    private DateTimeOffset Now => time.GetUtcNow();

    private string Behind() => progress.Fault is { } fault ? $"the projector says '{fault}'" : $"the projector is at position {progress.Position}";

    /// <summary>Null where the projector did not get to the end of the log in time.</summary>
    private async Task<(Outcome Outcome, StatementView? View)?> CloseAsync(Period period, string? asked, DateOnly asOf, string by, CancellationToken cancellationToken)
    {
        var target = await log.LastPositionAsync(cancellationToken);
        var started = time.GetTimestamp();
        while (true)
        {
            var next = progress.NextAdvance;
            if (await TryCloseAsync(period, asked, asOf, by, target, cancellationToken) is { } outcome)
            {
                return (outcome, outcome is Closes or AlreadyClosed ? await read.FindAsync(period, partner: null, cancellationToken) : null);
            }

            if (time.GetElapsedTime(started) > s_patience)
            {
                return null;
            }

            await Task.WhenAny(next, Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken));
        }
    }

    /// <summary>Null where the log up to <paramref name="target"/> is not judged and told yet.</summary>
    public async Task<Outcome?> TryCloseAsync(Period period, string? asked, DateOnly asOf, string by, long target, CancellationToken cancellationToken)
    {
        var s = log.Schema;
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // In this order, as the projector takes them. With both, no page is folded and nothing is appended meanwhile: what the ledger holds
        // with the end of the log is all that was told of the facts up to here.
        long judged;
        await using (var checkpoint = connection.Sql($"select last_seq_id from {s}.mt_event_progression where name = $1 for update", P(Projector.Checkpoint)))
        {
            judged = await checkpoint.ExecuteScalarAsync(cancellationToken) as long? ?? 0;
        }

        if (judged < target)
        {
            return null;
        }

        await log.LockAsync(connection, cancellationToken);
        if (await UntoldRevisions.AnyAsync(connection, s, cancellationToken) || await generations.ActiveAsync(connection, cancellationToken) is not { } active)
        {
            return null;
        }

        await ledger.FoldAsync(connection, await ledger.ReadTailAsync(connection, judged, cancellationToken), reported: null, cancellationToken);
        var statements = await ClosedStatements.ReadAsync(connection, s, cancellationToken);
        var outcome = Decide(statements, period, asked, Now);
        if (outcome is not Closes)
        {
            return outcome;
        }

        var hold = options.Value.HoldDays;
        var rules = await generations.RulesAsync(connection, active.RulesVersion, cancellationToken);
        var closed = new StatementClosed
        {
            EventId = Ids.Statement(program.Value.Program, period.ToString()),
            ProgramId = program.Value.Program,
            OccurredAt = Now,
            Period = period.ToString(),
            Position = judged,
            Generation = active.Number,
            RulesVersion = active.RulesVersion,
            RulesHash = rules.Hash,
            EngineVersion = Engine.Version,
            HoldDays = hold,
            PayableAsOf = ClosedStatements.Day(asOf),
            Balances = Balances.Of(
                await Balances.ReadAsync(connection, s, period, hold, asOf, cancellationToken), statements.Before(period)?.Balances ?? []),
            By = by,
        };
        var @event = Intake.IntakeWriter.ToNewEvent(closed);
        if (await log.AppendAsync(connection, @event.StreamId, statements.Closed.Count, [@event], cancellationToken) is not Appended appended)
        {
            // Some other writer of the log was there first, without its lock. The next attempt sees what it wrote.
            return null;
        }

        await ledger.FoldAsync(connection, [(appended.Position, closed)], reported: null, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        log.SignalAppended();
        return outcome;
    }
}
