using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Reconciliations;

/// <summary>The order that each claim means, by the surest way that the claim gives: order id, click, customer, time and amount.</summary>
internal sealed class FindOrders(NpgsqlConnection connection, string schema, string program, string partner, Generation generation)
{
    /// <summary>A clock of another system may differ by this much.</summary>
    private static readonly TimeSpan s_near = TimeSpan.FromHours(1);

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    /// <summary>Conversion ids in the order of the claims; none where no order is known.</summary>
    /// <param name="claims">The claims.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    public async Task<IReadOnlyList<Guid?>> FindAsync(IReadOnlyList<ClaimLine> claims, CancellationToken cancellationToken)
    {
        var known = await ReadAsync<Guid>("conversion_id", [.. claims.Select(Named).OfType<Guid>().Distinct()], cancellationToken);
        var byOrder = await ReadAsync<string>("order_id", [.. claims.Where(c => c.Source is null).Select(c => c.OrderId).OfType<string>().Distinct(StringComparer.Ordinal)], cancellationToken);
        var byClick = await ReadClicksAsync([.. claims.Where(c => c.OrderId is null && c.ClickId is not null).Select(c => Ids.Click(program, c.ClickId!)).Distinct()], cancellationToken);
        var byCustomer = await ReadCustomersAsync([.. claims.Where(c => c.CustomerKey is not null).Select(c => Ids.Customer(program, c.CustomerKey!)).Distinct()], cancellationToken);
        var byAmount = await ReadAmountsAsync([.. claims.Where(c => ByAmount(c))], cancellationToken);

        var found = new Guid?[claims.Count];
        var taken = new HashSet<Guid>();
        for (var i = 0; i < found.Length; i++)
        {
            var claim = claims[i];
            var candidates =
                claim is { OrderId: not null, Source: not null } ? known[Named(claim)!.Value]
                : claim.OrderId is { } order ? byOrder[order]
                : claim.ClickId is { } click ? byClick[Ids.Click(program, click)]
                : claim.CustomerKey is { } customer ? byCustomer[Ids.Customer(program, customer)].Where(o => Fits(claim, o))
                : byAmount.Where(o => Fits(claim, o));

            // Of several, one that nobody claimed yet, and of these one that is the partner's; then the earliest.
            var orders = candidates.OrderBy(o => taken.Contains(o.ConversionId)).ThenByDescending(o => o.Own).ThenBy(o => o.OccurredAt).ThenBy(o => o.ConversionId).Take(1).ToArray();
            if (orders is [var best])
            {
                found[i] = best.ConversionId;
                taken.Add(best.ConversionId);
            }
        }

        return found;
    }

    /// <summary>Which of the claimed clicks are known, by the partner's name for them.</summary>
    public async Task<IReadOnlySet<Guid>> KnownClicksAsync(IEnumerable<Guid> clicks, CancellationToken cancellationToken)
    {
        var known = new HashSet<Guid>();
        await using var command = connection.Sql($"select id from {schema}.mt_events where id = any($1) and type = '{s_click}'", P(clicks.ToArray()));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            known.Add(reader.GetGuid(0));
        }

        return known;
    }

    private static bool ByAmount(ClaimLine claim) => claim is { OrderId: null, ClickId: null, CustomerKey: null };

    private Guid? Named(ClaimLine claim) => claim is { OrderId: { } order, Source: { } source } ? Ids.Conversion(program, source, order) : null;

    /// <summary>Whether time and amount of the claim, as far as it has them, are those of the order.</summary>
    private static bool Fits(ClaimLine claim, Order order) =>
        (claim.AmountMinor is not { } amount || ((amount == order.OriginalMinor || amount == order.NetMinor) && claim.Currency == order.Currency))
        && (claim.OccurredAt is not { } at
            || (claim.IsDay ? at.UtcDateTime.Date == order.OccurredAt.UtcDateTime.Date : (at - order.OccurredAt).Duration() <= s_near));

    private readonly record struct Order(Guid ConversionId, string OrderId, DateTimeOffset OccurredAt, string Currency, long OriginalMinor, long NetMinor, bool Own);

    private string Columns => $"""
        o.conversion_id, o.order_id, o.occurred_at, o.currency, o.original_minor, o.net_minor,
        exists (select from {schema}.credits c where c.generation = $1 and c.conversion_id = o.conversion_id and c.partner_id = $2)
        """;

    private async Task<ILookup<T, Order>> ReadAsync<T>(string column, T[] keys, CancellationToken cancellationToken)
    {
        if (keys.Length == 0)
        {
            return Array.Empty<Order>().ToLookup(_ => default(T)!);
        }

        await using var command = connection.Sql(
            $"select {Columns} from {schema}.orders o where not o.test and o.{column} = any($3)", P(generation.Number), P(partner), P(keys));
        var orders = await OrdersAsync(command, cancellationToken);
        return orders.ToLookup(o => typeof(T) == typeof(Guid) ? (T)(object)o.ConversionId : (T)(object)o.OrderId);
    }

    /// <summary>Orders that name the click, or that a click of the same visitor belongs to.</summary>
    private async Task<ILookup<Guid, Order>> ReadClicksAsync(Guid[] clicks, CancellationToken cancellationToken)
    {
        if (clicks.Length == 0)
        {
            return Array.Empty<Order>().ToLookup(_ => Guid.Empty);
        }

        var pairs = new List<(Guid Click, Guid Conversion)>();
        await using (var command = connection.Sql(
            $"""
             select k.click, c.conversion_id from unnest($1::uuid[]) k(click) join {schema}.conversions c on c.click_id = k.click
             union
             select e.id, j.conversion_id
               from {schema}.mt_events e join {schema}.journey_keys j on j.key = e.stream_id or j.key = e.id
              where e.id = any($1) and e.type = '{s_click}'
             """,
            P(clicks)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                pairs.Add((reader.GetGuid(0), reader.GetGuid(1)));
            }
        }

        return await WithOrdersAsync(pairs, cancellationToken);
    }

    private async Task<ILookup<Guid, Order>> ReadCustomersAsync(Guid[] customers, CancellationToken cancellationToken)
    {
        if (customers.Length == 0)
        {
            return Array.Empty<Order>().ToLookup(_ => Guid.Empty);
        }

        var pairs = new List<(Guid Customer, Guid Conversion)>();
        await using (var command = connection.Sql($"select customer, conversion_id from {schema}.conversions where customer = any($1)", P(customers)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                pairs.Add((reader.GetGuid(0), reader.GetGuid(1)));
            }
        }

        return await WithOrdersAsync(pairs, cancellationToken);
    }

    private async Task<ILookup<Guid, Order>> WithOrdersAsync(List<(Guid Key, Guid Conversion)> pairs, CancellationToken cancellationToken)
    {
        var orders = await ReadAsync<Guid>("conversion_id", [.. pairs.Select(p => p.Conversion).Distinct()], cancellationToken);
        return pairs.SelectMany(p => orders[p.Conversion].Select(o => (p.Key, Order: o))).ToLookup(p => p.Key, p => p.Order);
    }

    private async Task<IReadOnlyList<Order>> ReadAmountsAsync(ClaimLine[] claims, CancellationToken cancellationToken)
    {
        if (claims.Length == 0)
        {
            return [];
        }

        var (from, to) = (claims.Min(c => c.OccurredAt!.Value) - s_near, claims.Max(c => c.OccurredAt!.Value) + TimeSpan.FromDays(1));
        await using var command = connection.Sql(
            $"""
             select {Columns} from {schema}.orders o
              where not o.test and o.occurred_at >= $3 and o.occurred_at < $4 and (o.original_minor = any($5) or o.net_minor = any($5))
             """,
            P(generation.Number), P(partner), P(from.UtcDateTime), P(to.UtcDateTime), P(claims.Select(c => c.AmountMinor!.Value).Distinct().ToArray()));
        return await OrdersAsync(command, cancellationToken);
    }

    private static async Task<IReadOnlyList<Order>> OrdersAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var orders = new List<Order>();
        while (await reader.ReadAsync(cancellationToken))
        {
            orders.Add(new Order(
                reader.GetGuid(0), reader.GetString(1), reader.GetFieldValue<DateTimeOffset>(2), reader.GetString(3), reader.GetInt64(4), reader.GetInt64(5),
                reader.GetBoolean(6)));
        }

        return orders;
    }
}
