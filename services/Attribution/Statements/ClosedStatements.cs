using System.Globalization;
using Npgsql;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Statements;

/// <summary>The statements so far, oldest first, and what the ledger has that none of them has.</summary>
/// <param name="Closed">Months without a gap.</param>
/// <param name="FirstUnbilled">The earliest month with entries where no statement was ever closed; null where there are none.</param>
internal sealed record ClosedStatements(IReadOnlyList<StatementClosed> Closed, Period? FirstUnbilled)
{
    /// <summary>The month that must be closed next; null where it may be any.</summary>
    public Period? Next => Closed is [.., var last] ? Period.Parse(last.Period)!.Value.Next : FirstUnbilled;

    public StatementClosed? Find(Period period) => Closed.FirstOrDefault(c => c.Period == period.ToString());

    /// <summary>The statement before the one of <paramref name="period"/>; null before the first.</summary>
    public StatementClosed? Before(Period period) => Closed.LastOrDefault(c => string.CompareOrdinal(c.Period, period.ToString()) < 0);

    public static async Task<ClosedStatements> ReadAsync(NpgsqlConnection connection, string schema, CancellationToken cancellationToken)
    {
        var type = EventTypes.Of<StatementClosed>();
        var closed = new List<StatementClosed>();
        await using (var command = connection.Sql($"select closed from {schema}.statements order by period"))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                closed.Add((StatementClosed)EventTypes.Deserialize(type, reader.GetFieldValue<byte[]>(0)));
            }
        }

        if (closed.Count > 0)
        {
            return new ClosedStatements(closed, null);
        }

        await using var first = connection.Sql($"select min(period) from {schema}.ledger");
        return new ClosedStatements([], await first.ExecuteScalarAsync(cancellationToken) is string period ? Period.Parse(period) : null);
    }

    /// <summary>A day as statements write it.</summary>
    public static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    /// <summary>The day of <see cref="StatementClosed.PayableAsOf"/>.</summary>
    public static DateOnly Day(string day) => DateOnly.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture);
}
