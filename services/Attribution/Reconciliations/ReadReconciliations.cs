using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using NpgsqlTypes;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Reconciliations;

/// <summary>
/// <c>GET /v1/reconciliations</c> and <c>GET /v1/reconciliations/{id}?verdict=</c>: what became of lists, as it was when they were sent. A
/// partner sees its own, without the money of orders that are others'.
/// </summary>
internal sealed class ReadReconciliations([FromKeyedServices(AttributionService.Schema)] EventLog log)
{
    public const int DefaultLimit = 100;
    private const int MaxLimit = 1_000;
    private const int MostListed = 200;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/reconciliations", ListAsync).RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Reconciliations")
            .WithSummary("Lists that were reconciled, the latest first");
        routes.MapGet("/v1/reconciliations/{id:guid}", ReadAsync).RequireScope(Scope.Read, Scope.PartnerPrefix).WithTags("Reconciliations")
            .WithSummary("What became of each line of a partner's list");
    }

    private static async Task<Results<Ok<ReconciliationList>, ProblemHttpResult>> ListAsync(
        HttpContext http, ReadReconciliations use, CancellationToken cancellationToken, string? partner = null, string? from = null, string? to = null)
    {
        var faults = new List<FieldFault>();
        var (start, end) = QueryRange.Read(from, to, faults);
        var viewer = PartnerView.Of(http.ApiKey(), partner, faults);
        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        await using var command = use.Log.DataSource.Sql(
            $"""
             select summary from {use.Log.Schema}.reconciliations
              where ($1 is null or partner_id = $1) and created_at >= $2 and created_at < $3 order by id desc limit {MostListed}
             """,
            OrNull(viewer, NpgsqlDbType.Varchar), P(start?.UtcDateTime ?? DateTime.MinValue), P(end?.UtcDateTime ?? DateTime.MaxValue));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var list = new List<ReconciliationSummary>();
        while (await reader.ReadAsync(cancellationToken))
        {
            list.Add(JsonSerializer.Deserialize(reader.GetString(0), ReconciliationsJson.Default.ReconciliationSummary)!);
        }

        return TypedResults.Ok(new ReconciliationList(list));
    }

    private static async Task<Results<Ok<ReconciliationView>, RowStream<ReconciledLine>, ProblemHttpResult>> ReadAsync(
        Guid id, HttpContext http, ReadReconciliations use, CancellationToken cancellationToken, string? verdict = null, int after = 0, int limit = DefaultLimit)
    {
        var key = http.ApiKey();
        var faults = new List<FieldFault>();
        if (verdict is not null && !Verdict.All.Contains(verdict))
        {
            faults.Add(new FieldFault("verdict", $"is '{verdict}'; it must be one of {string.Join(", ", Verdict.All)}"));
        }

        if (limit is < 1 or > MaxLimit)
        {
            faults.Add(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        if (faults.Count > 0)
        {
            return Problem.Invalid(faults);
        }

        // Another partner's is not there, for all that a partner can tell.
        if (await use.FindAsync(id, cancellationToken) is not { } summary || (!key.May(Scope.Read) && summary.Partner != key.Partner))
        {
            return Problem.NotFound("id", $"'{id}' is not a reconciliation");
        }

        var format = http.Request.RowFormat();
        if (format != RowFormat.Json)
        {
            return new RowStream<ReconciledLine>(
                format, use.LinesAsync(id, verdict, after, limit: null, !key.May(Scope.Read), http.RequestAborted), ReconciliationsJson.Default.ReconciledLine, ReconciledLine.Columns);
        }

        var lines = new List<ReconciledLine>();
        await foreach (var line in use.LinesAsync(id, verdict, after, limit, !key.May(Scope.Read), cancellationToken))
        {
            lines.Add(line);
        }

        return TypedResults.Ok(new ReconciliationView(summary, lines, lines.Count == limit ? lines[^1].Number : null));
    }

    private EventLog Log => log;

    private async Task<ReconciliationSummary?> FindAsync(Guid id, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.Sql($"select summary from {log.Schema}.reconciliations where id = $1", P(id));
        return await command.ExecuteScalarAsync(cancellationToken) is string text
            ? JsonSerializer.Deserialize(text, ReconciliationsJson.Default.ReconciliationSummary)
            : null;
    }

    private async IAsyncEnumerable<ReconciledLine> LinesAsync(
        Guid id, string? verdict, int after, int? limit, bool forPartner, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.Sql(
            $"select line from {log.Schema}.reconciliation_lines where id = $1 and number > $2 and ($3 is null or verdict = $3) order by number limit $4",
            P(id), P(after), OrNull(verdict, NpgsqlDbType.Varchar), OrNull(limit, NpgsqlDbType.Integer));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var line = JsonSerializer.Deserialize(reader.GetString(0), ReconciliationsJson.Default.ReconciledLine)!;
            yield return forPartner ? line.ForPartner() : line;
        }
    }
}
