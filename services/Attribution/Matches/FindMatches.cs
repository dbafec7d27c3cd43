using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using static PartnerPulse.Attribution.Projection.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Matches;

/// <summary>What an order names of those who may be credited.</summary>
internal sealed record MatchAsk
{
    public Guid? ClickId { get; init; }
    public string? VisitorId { get; init; }
    public string? CustomerKey { get; init; }
}

internal sealed record MatchesAsk(IReadOnlyList<MatchAsk> Orders);

/// <param name="Matched">Whether any click is known that the order could be credited by, whatever the rules say of it.</param>
/// <param name="Reason">Why not.</param>
internal sealed record MatchAnswer(bool Matched, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason);

internal sealed record MatchesAnswer(IReadOnlyList<MatchAnswer> Orders);

[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(MatchesAsk))]
[JsonSerializable(typeof(MatchesAnswer))]
internal sealed partial class MatchesJson : JsonSerializerContext;

/// <summary>
/// <c>POST /v1/matches</c>: whether orders have a click at all, for the answer to whoever reports them. It reads the log, so that
/// an order that has just been reported need not be folded first. A later click may still match: nothing is decided here.
/// </summary>
internal sealed class FindMatches([FromKeyedServices(AttributionService.Schema)] EventLog log, IOptions<ProgramOptions> program)
{
    public const int MaxOrders = 5_000;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/matches", HandleAsync)
            .RequireScope(Scope.Read)
            .TakesJson<MatchesAsk>()
            .WithName("FindMatches").WithTags("Receipts").WithSummary("Whether orders have a click that they could be credited by");

    private static async Task<Results<JsonHttpResult<MatchesAnswer>, ProblemHttpResult>> HandleAsync(
        HttpRequest request, FindMatches matches, CancellationToken cancellationToken)
    {
        var (ask, fault) = await request.ReadJsonAsync(MatchesJson.Default.MatchesAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        return ask.Orders.Count > MaxOrders
            ? Problem.Invalid(new FieldFault("orders", $"holds {ask.Orders.Count}; at most {MaxOrders} are allowed"))
            : TypedResults.Json(new MatchesAnswer(await matches.FindAsync(ask.Orders, cancellationToken)), MatchesJson.Default.MatchesAnswer);
    }

    private async Task<IReadOnlyList<MatchAnswer>> FindAsync(IReadOnlyList<MatchAsk> orders, CancellationToken cancellationToken)
    {
        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        var clicks = await ReadAsync<Guid>(
            connection, $"select id from {log.Schema}.mt_events where id = any($1) and type = '{s_click}'", [.. orders.Select(o => o.ClickId).OfType<Guid>().Distinct()], cancellationToken);
        var streams = await ReadAsync<Guid>(
            connection, $"select id from {log.Schema}.mt_streams where id = any($1)", [.. orders.Select(Stream).OfType<Guid>().Distinct()], cancellationToken);

        // What the customer's other orders have found: their journeys hold the clicks of every device that is tied to the customer.
        var customers = await ReadAsync<string>(
            connection,
            $"""
             select distinct c.customer_key from {log.Schema}.conversions c join {log.Schema}.journeys j using (conversion_id)
              where c.customer_key = any($1) and cardinality(j.partners) > 0
             """,
            [.. orders.Select(o => o.CustomerKey).OfType<string>().Distinct(StringComparer.Ordinal)],
            cancellationToken);
        return [.. orders.Select(order => Decide(
            order, order.ClickId is { } click && clicks.Contains(click), Stream(order) is { } stream && streams.Contains(stream), order.CustomerKey is { } key && customers.Contains(key)))];
    }

    /// <summary>The answer for one order.</summary>
    public static MatchAnswer Decide(MatchAsk order, bool clickIsKnown, bool visitorIsKnown, bool customerIsKnown)
    {
        if (clickIsKnown || visitorIsKnown || customerIsKnown)
        {
            return new MatchAnswer(Matched: true, Reason: null);
        }

        string[] reasons =
        [
            .. order.ClickId is { } click ? [$"the click {click} is not known"] : Array.Empty<string>(),
            .. order.VisitorId is not null ? ["the visitor has no click that is known"] : Array.Empty<string>(),
            .. order.CustomerKey is not null ? ["no click of the customer is known"] : Array.Empty<string>(),
        ];
        return new MatchAnswer(Matched: false, reasons.Length == 0 ? "it names no click, no visitor and no customer" : string.Join("; ", reasons));
    }

    private Guid? Stream(MatchAsk order) => order.VisitorId is { } visitor ? Ids.VisitorStream(program.Value.Program, visitor) : null;

    private static async Task<HashSet<T>> ReadAsync<T>(NpgsqlConnection connection, string sql, T[] keys, CancellationToken cancellationToken)
    {
        var found = new HashSet<T>();
        if (keys.Length == 0)
        {
            return found;
        }

        await using var command = connection.Sql(sql, P(keys));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.Add(reader.GetFieldValue<T>(0));
        }

        return found;
    }
}
