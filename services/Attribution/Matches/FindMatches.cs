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
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Matches;

/// <summary>What an order names of those who may be credited.</summary>
internal sealed record MatchAsk
{
    public Guid? ClickId { get; init; }
    public string? VisitorId { get; init; }
    public string? CustomerKey { get; init; }
    public string? Coupon { get; init; }
}

internal sealed record MatchesAsk(IReadOnlyList<MatchAsk> Orders);

/// <param name="Matched">Whether a click or a coupon is known that the order could be credited by, whatever the rules say of it.</param>
/// <param name="Reason">Why not.</param>
internal sealed record MatchAnswer(bool Matched, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason);

internal sealed record MatchesAnswer(IReadOnlyList<MatchAnswer> Orders);

[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(MatchesAsk))]
[JsonSerializable(typeof(MatchesAnswer))]
internal sealed partial class MatchesJson : JsonSerializerContext;

/// <summary>
/// <c>POST /v1/matches</c>: whether orders have a click or a partner's coupon at all, for the answer to whoever reports them. It reads the log, so that
/// an order that has just been reported need not be folded first. A later click may still match: nothing is decided here.
/// </summary>
internal sealed class FindMatches([FromKeyedServices(AttributionService.Schema)] EventLog log, IOptions<ProgramOptions> program)
{
    public const int MaxOrders = 5_000;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/matches", HandleAsync)
            .RequireScope(Scope.Read, Scope.ReadMatches)
            .TakesJson<MatchesAsk>("""{"orders":[{"clickId":"0195501a-2f00-7abc-8def-0123456789ab"},{"visitorId":"3f2a"},{"coupon":"SPRING10"}]}""")
            .WithName("FindMatches").WithTags("Receipts").WithSummary("Whether orders have a click or a coupon that they could be credited by");

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
            connection, $"select id from {log.Schema}.mt_streams where id = any($1)", [.. orders.SelectMany(o => new[] { Visitor(o), Coupon(o) }).OfType<Guid>().Distinct()], cancellationToken);

        // Ties are visitors by their stream and clicks by their id.
        var customers = await ReadAsync<Guid>(
            connection,
            $"""
             select distinct customer from {log.Schema}.ties t
              where customer = any($1)
                and (exists (select 1 from {log.Schema}.mt_streams where id = t.key) or exists (select 1 from {log.Schema}.mt_events where id = t.key))
             """,
            [.. orders.Select(Customer).OfType<Guid>().Distinct()],
            cancellationToken);
        return [.. orders.Select(order => Decide(
            order, Holds(clicks, order.ClickId), Holds(streams, Visitor(order)), Holds(customers, Customer(order)), Holds(streams, Coupon(order))))];
    }

    /// <summary>The answer for one order.</summary>
    public static MatchAnswer Decide(MatchAsk order, bool clickIsKnown, bool visitorIsKnown, bool customerIsKnown, bool couponIsKnown)
    {
        if (clickIsKnown || visitorIsKnown || customerIsKnown || couponIsKnown)
        {
            return new MatchAnswer(Matched: true, Reason: null);
        }

        string[] reasons =
        [
            .. order.ClickId is { } click ? [$"the click {click} is not known"] : Array.Empty<string>(),
            .. order.VisitorId is not null ? ["the visitor has no click that is known"] : Array.Empty<string>(),
            .. order.CustomerKey is not null ? ["no click of the customer is known"] : Array.Empty<string>(),
            .. order.Coupon is not null ? [$"the coupon '{order.Coupon}' was never a partner's"] : Array.Empty<string>(),
        ];
        return new MatchAnswer(Matched: false, reasons.Length == 0 ? "it names no click, no visitor, no customer and no coupon" : string.Join("; ", reasons));
    }

    private static bool Holds(HashSet<Guid> known, Guid? id) => id is { } given && known.Contains(given);

    private Guid? Visitor(MatchAsk order) => order.VisitorId is { } visitor ? Ids.VisitorStream(program.Value.Program, visitor) : null;

    private Guid? Customer(MatchAsk order) => order.CustomerKey is { } key ? Ids.Customer(program.Value.Program, key) : null;

    private Guid? Coupon(MatchAsk order) => order.Coupon is { } code ? Ids.CouponStream(program.Value.Program, code) : null;

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
