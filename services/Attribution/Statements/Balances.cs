using Npgsql;
using NpgsqlTypes;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Statements;

/// <summary>What a month has of one partner in one currency, in minor units, before anything is carried over.</summary>
/// <param name="PartnerId">The partner.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="AmountMinor">By how much credited amounts changed.</param>
/// <param name="EarnedMinor">Commission of the month's own conversions.</param>
/// <param name="AdjustedMinor">Commission of conversions of earlier months.</param>
/// <param name="HeldMinor">Commission of this and all earlier months that is not payable yet.</param>
internal sealed record PartnerSum(string PartnerId, string Currency, long AmountMinor, long EarnedMinor, long AdjustedMinor, long HeldMinor);

/// <summary>The arithmetic of statements.</summary>
internal static class Balances
{
    /// <summary>
    /// What is due is paid but for what is held. A partner that owes, because refunds came after a payout, is paid nothing, and what it owes
    /// is carried on. So whatever is earned is paid exactly once: all that was paid and the last carry add up to all that was earned.
    /// </summary>
    /// <param name="sums">Of the month.</param>
    /// <param name="before">Of the statement before; empty before the first.</param>
    public static IReadOnlyList<StatementBalance> Of(IReadOnlyList<PartnerSum> sums, IReadOnlyList<StatementBalance> before)
    {
        var opening = before.Where(b => b.CarriedMinor != 0).ToDictionary(b => (b.PartnerId, b.Currency), b => b.CarriedMinor);
        var byKey = sums.ToDictionary(s => (s.PartnerId, s.Currency));
        var balances = new List<StatementBalance>();
        foreach (var key in byKey.Keys.Union(opening.Keys).OrderBy(k => k.PartnerId, StringComparer.Ordinal).ThenBy(k => k.Currency, StringComparer.Ordinal))
        {
            var sum = byKey.GetValueOrDefault(key) ?? new PartnerSum(key.PartnerId, key.Currency, 0, 0, 0, 0);
            var carried = opening.GetValueOrDefault(key);
            if (carried == 0 && sum is { AmountMinor: 0, EarnedMinor: 0, AdjustedMinor: 0, HeldMinor: 0 })
            {
                continue;
            }

            var due = carried + sum.EarnedMinor + sum.AdjustedMinor;
            var payable = long.Max(0, due - sum.HeldMinor);
            balances.Add(new StatementBalance
            {
                PartnerId = key.PartnerId,
                Currency = key.Currency,
                AmountMinor = sum.AmountMinor,
                OpeningMinor = carried,
                EarnedMinor = sum.EarnedMinor,
                AdjustedMinor = sum.AdjustedMinor,
                HeldMinor = sum.HeldMinor,
                PayableMinor = payable,
                CarriedMinor = due - payable,
            });
        }

        return balances;
    }

    /// <summary>The sums of a month, from the ledger as the caller's transaction sees it.</summary>
    /// <param name="connection">In the transaction.</param>
    /// <param name="schema">Of the ledger.</param>
    /// <param name="period">The month.</param>
    /// <param name="holdDays">Days that commission is held.</param>
    /// <param name="asOf">What is payable on this day is not held.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    public static async Task<IReadOnlyList<PartnerSum>> ReadAsync(
        NpgsqlConnection connection, string schema, Period period, int holdDays, DateOnly asOf, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"""
             select partner_id, currency,
                    coalesce(sum(amount_minor) filter (where period = $1), 0)::bigint,
                    coalesce(sum(commission_minor) filter (where period = $1 and kind <> '{LedgerEntry.Adjustment}'), 0)::bigint,
                    coalesce(sum(commission_minor) filter (where period = $1 and kind = '{LedgerEntry.Adjustment}'), 0)::bigint,
                    coalesce(sum(commission_minor) filter (where occurred_on > $2), 0)::bigint
               from {schema}.ledger
              where period = $1 or (period < $1 and occurred_on > $2)
              group by 1, 2
             """,
            P(period.ToString()), new NpgsqlParameter { Value = asOf.AddDays(-holdDays), NpgsqlDbType = NpgsqlDbType.Date });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var sums = new List<PartnerSum>();
        while (await reader.ReadAsync(cancellationToken))
        {
            sums.Add(new PartnerSum(
                reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5)));
        }

        return sums;
    }
}
