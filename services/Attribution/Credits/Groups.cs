using System.Text.Json.Serialization;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.Attribution.Projection;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Credits;

/// <summary>Money of one currency, as decimal strings in the currency's own decimals.</summary>
internal sealed record Amounts(string Currency, string Amount, string Commission);

/// <summary>Net amounts of one currency that nobody is credited for.</summary>
internal sealed record UnattributedAmount(string Currency, string Amount);

internal sealed record Unattributed(long Conversions, IReadOnlyList<UnattributedAmount> Amounts);

/// <summary>What a generation gives to one group: a partner, a campaign, a link or a day.</summary>
/// <param name="Key">Name of the group; empty where a click named no campaign or link.</param>
/// <param name="Conversions">Conversions in which the group has a share.</param>
/// <param name="Shares">Sum of the shares, unrounded.</param>
/// <param name="Money">Minor units by currency.</param>
internal sealed record Group(string Key, long Conversions, decimal Shares, IReadOnlyList<GroupMoney> Money)
{
    public IReadOnlyList<Amounts> Amounts => Money.Select(m => m.Format()).ToArray();
}

/// <summary>A group's part in conversions of one currency.</summary>
internal readonly record struct GroupMoney(string Currency, long Conversions, decimal Shares, long AmountMinor, long CommissionMinor)
{
    public Amounts Format() => new(
        Currency, Contracts.Currency.Format(AmountMinor, Currency), Contracts.Currency.Format(CommissionMinor, Currency));
}

/// <summary>Which credits are asked for.</summary>
internal sealed record CreditFilter(int Generation, DateTimeOffset? From, DateTimeOffset? To);

/// <summary>Sums of a generation's credits. Test conversions are never among them.</summary>
internal static class Groups
{
    public static IReadOnlyDictionary<string, string> KeyColumns { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal)
    {
        ["partner"] = "c.partner_id",
        ["campaign"] = "coalesce(c.campaign, '')",
        ["link"] = "coalesce(c.link, '')",
        ["day"] = "to_char(o.occurred_at at time zone 'UTC', 'YYYY-MM-DD')",
    };

    private const string InRange = "and not o.test and o.occurred_at >= $2 and o.occurred_at < $3";

    public static async Task<IReadOnlyList<Group>> ReadAsync(
        NpgsqlConnection connection, string schema, CreditFilter filter, string groupBy, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select {KeyColumns[groupBy]} collate "C" as key, o.currency, count(distinct c.conversion_id), sum(c.share),
                    sum(c.amount_minor)::bigint, sum(c.commission_minor)::bigint
               from {schema}.credits c join {schema}.orders o on o.conversion_id = c.conversion_id
              where c.generation = $1 {InRange}
              group by 1, 2 order by 1, 2
             """,
            P(filter.Generation), P(filter.From ?? DateTimeOffset.MinValue), P(filter.To ?? DateTimeOffset.MaxValue));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var groups = new List<Group>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var (key, conversions, shares) = (reader.GetString(0), reader.GetInt64(2), reader.GetDecimal(3));
            var money = new GroupMoney(reader.GetString(1), conversions, shares, reader.GetInt64(4), reader.GetInt64(5));
            if (groups is [.., var last] && last.Key == key)
            {
                groups[^1] = last with { Conversions = last.Conversions + conversions, Shares = last.Shares + shares, Money = [.. last.Money, money] };
            }
            else
            {
                groups.Add(new Group(key, conversions, shares, [money]));
            }
        }

        return groups;
    }

    public static async Task<Unattributed> ReadUnattributedAsync(
        NpgsqlConnection connection, string schema, CreditFilter filter, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select o.currency, count(*), sum(u.net_minor)::bigint
               from {schema}.uncredited u join {schema}.orders o on o.conversion_id = u.conversion_id
              where u.generation = $1 {InRange}
              group by 1 order by 1
             """,
            P(filter.Generation), P(filter.From ?? DateTimeOffset.MinValue), P(filter.To ?? DateTimeOffset.MaxValue));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var conversions = 0L;
        var amounts = new List<UnattributedAmount>();
        while (await reader.ReadAsync(cancellationToken))
        {
            conversions += reader.GetInt64(1);
            amounts.Add(new UnattributedAmount(reader.GetString(0), Currency.Format(reader.GetInt64(2), reader.GetString(0))));
        }

        return new Unattributed(conversions, amounts);
    }

    /// <summary>The same number without trailing zeros: a sum of shares with 18 decimals is often a whole number.</summary>
    public static decimal Plain(decimal number) => number / 1.0000000000000000000000000000m;
}
