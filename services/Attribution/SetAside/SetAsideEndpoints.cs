using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.SetAside;

/// <summary>
/// <c>GET /v1/set-aside</c>: events that could not be taken in or folded, with the reason.
/// <c>POST /v1/set-aside/{id}/return</c>: try again, after the cause is gone.
/// </summary>
internal static class SetAsideEndpoints
{
    private const int MaxLimit = 1_000;

    public sealed record Row(long Id, Guid EventId, string Stage, string Type, string Reason, string Data, DateTimeOffset SetAsideAt);

    /// <param name="Events">Oldest first.</param>
    /// <param name="Next">Ask again with <c>after</c> set to it; absent at the end.</param>
    public sealed record Rows(IReadOnlyList<Row> Events, long? Next);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/set-aside", ReadAsync).RequireScope(Scope.Admin).WithTags("Operations").WithSummary("Events that were set aside, with the reason");
        routes.MapPost("/v1/set-aside/{id:long}/return", ReturnAsync).RequireScope(Scope.Admin).WithTags("Operations")
            .WithSummary("Put an event back that was set aside");
    }

    private static async Task<Results<Ok<Rows>, ProblemHttpResult>> ReadAsync(
        [FromKeyedServices(AttributionService.Schema)] EventLog log, CancellationToken cancellationToken, long after = 0, int limit = 100)
    {
        if (limit is < 1 or > MaxLimit)
        {
            return Problem.Invalid(new FieldFault("limit", $"is {limit}; it must be 1 to {MaxLimit}"));
        }

        await using var command = log.DataSource.Sql(
            $"select id, event_id, stage, type, reason, data, set_aside_at from {log.Schema}.set_aside where id > $1 order by id limit $2", P(after), P(limit));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<Row>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new Row(
                reader.GetInt64(0), reader.GetGuid(1), reader.GetString(2), reader.GetString(3), reader.GetString(4),
                System.Text.Encoding.UTF8.GetString(reader.GetFieldValue<byte[]>(5)), reader.GetFieldValue<DateTimeOffset>(6)));
        }

        return TypedResults.Ok(new Rows(rows, rows.Count == limit ? rows[^1].Id : null));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> ReturnAsync(
        long id, [FromKeyedServices(AttributionService.Schema)] EventLog log, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (await TakeAsync(connection, log.Schema, id, cancellationToken) is not var (e, stage))
        {
            return Problem.NotFound("id", $"'{id}' is not set aside");
        }

        if (EventTypes.Find(e.Type) is not { } type)
        {
            return Problem.Conflict(new FieldFault("type", $"'{e.Type}' is not an event that this version knows"));
        }

        if (stage != "intake")
        {
            return Problem.Conflict(new FieldFault("stage", "is 'fold': the event is in the log; POST /v1/rebuild folds it"));
        }

        try
        {
            await log.AppendAsync(connection, [IntakeWriter.ToNewEvent(EventTypes.Deserialize(type, e.Data.Span)) with { Data = e.Data }], cancellationToken);
        }
        catch (Exception fault) when (fault is System.Text.Json.JsonException or PostgresException { SqlState: ['2', '2', ..] })
        {
            return Problem.Conflict(new FieldFault("data", $"is still at fault: {(fault as PostgresException)?.MessageText ?? fault.Message}"));
        }

        await transaction.CommitAsync(cancellationToken);
        log.SignalAppended();
        return TypedResults.NoContent();
    }

    private static async Task<(NewEvent Event, string Stage)?> TakeAsync(NpgsqlConnection connection, string schema, long id, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"delete from {schema}.set_aside where id = $1 returning event_id, stream_id, type, data, stage", P(id));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? (new NewEvent(reader.GetGuid(0), reader.GetGuid(1), "", reader.GetString(2), "", reader.GetFieldValue<byte[]>(3)), reader.GetString(4))
            : null;
    }
}
