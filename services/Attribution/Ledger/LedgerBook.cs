using System.Text;
using Npgsql;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Ledger;

/// <summary>
/// Writes the ledger and the statements from what the log says of credits and closings, in its order. Each is written once, however
/// often it is folded.
/// </summary>
internal sealed class LedgerBook(string schema)
{
    private static readonly string s_conversion = EventTypes.Of<ConversionRecorded>().Name;

    /// <summary>Names of the events that make it up.</summary>
    public static IReadOnlyList<string> Types { get; } = [EventTypes.Of<CreditsRevised>().Name, EventTypes.Of<StatementClosed>().Name];

    /// <summary>Whether the event is one that the ledger is made of.</summary>
    public static bool Concerns(IEvent fact) => fact is CreditsRevised or StatementClosed;

    /// <summary>The tables as before the first event.</summary>
    public Task TruncateAsync(NpgsqlConnection connection, CancellationToken cancellationToken) =>
        connection.Sql($"truncate {schema}.ledger, {schema}.statements").RunAsync(cancellationToken);

    /// <summary>Folds events that follow those that were folded before.</summary>
    /// <param name="connection">In the caller's transaction.</param>
    /// <param name="facts">The events with their positions.</param>
    /// <param name="reported">All conversions up to there, where they are at hand; else they are read.</param>
    /// <param name="cancellationToken">Ends the wait for the database.</param>
    /// <exception cref="InvalidDataException">A revision is of a conversion that the log does not hold.</exception>
    public async Task FoldAsync(
        NpgsqlConnection connection, IReadOnlyList<(long Position, IEvent Fact)> facts, ReportedConversions? reported, CancellationToken cancellationToken)
    {
        if (facts.Count == 0)
        {
            return;
        }

        reported ??= await ReadConversionsAsync(
            connection, facts.Select(f => f.Fact).OfType<CreditsRevised>().Select(r => r.ConversionId).Distinct().ToArray(), cancellationToken);
        var firstOpen = await FirstOpenAsync(connection, cancellationToken);
        var entries = new List<LedgerEntry>();
        foreach (var (position, fact) in facts)
        {
            switch (fact)
            {
                case CreditsRevised revised:
                    var conversion = reported.Find(revised.ConversionId)
                        ?? throw new InvalidDataException($"The revision at position {position} is of conversion {revised.ConversionId}, which the log does not hold.");
                    entries.AddRange(LedgerEntry.Of(position, revised, conversion, firstOpen));
                    break;
                case StatementClosed closed:
                    await connection.Sql(
                        $"insert into {schema}.statements (period, position, closed) values ($1, $2, $3::json) on conflict on constraint pk_statements do nothing",
                        P(closed.Period), P(position), P(Encoding.UTF8.GetString(EventTypes.Serialize(closed)))).RunAsync(cancellationToken);
                    firstOpen = (Period.Parse(closed.Period) ?? throw new InvalidDataException($"'{closed.Period}' of the statement at position {position} is not a month.")).Next;
                    break;
                default:
                    throw new System.Diagnostics.UnreachableException(fact.ToString());
            }
        }

        await WriteAsync(connection, entries, cancellationToken);
    }

    /// <summary>The first month that no statement has closed; null before the first statement.</summary>
    public async Task<Period?> FirstOpenAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select max(period) from {schema}.statements");
        return await command.ExecuteScalarAsync(cancellationToken) is string last ? Period.Parse(last)!.Value.Next : null;
    }

    /// <summary>Those of the ledger's events that are in the log after a position, with their positions, in order.</summary>
    public async Task<IReadOnlyList<(long Position, IEvent Fact)>> ReadTailAsync(NpgsqlConnection connection, long position, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select seq_id, type, data from {schema}.mt_events where seq_id > $1 and type = any($2) order by seq_id", P(position), P(Types.ToArray()));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var facts = new List<(long, IEvent)>();
        while (await reader.ReadAsync(cancellationToken))
        {
            if (LogPage.Read(reader.GetString(1), reader.GetFieldValue<byte[]>(2), out _) is { } fact)
            {
                facts.Add((reader.GetInt64(0), fact));
            }
        }

        return facts;
    }

    private async Task<ReportedConversions> ReadConversionsAsync(NpgsqlConnection connection, Guid[] ids, CancellationToken cancellationToken)
    {
        var conversions = new ReportedConversions();
        if (ids.Length == 0)
        {
            return conversions;
        }

        await using var command = connection.Sql(
            $"select data from {schema}.mt_events where stream_id = any($1) and type = '{s_conversion}'", P(ids));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (LogPage.Read(s_conversion, reader.GetFieldValue<byte[]>(0), out _) is ConversionRecorded conversion)
            {
                conversions.Add(conversion);
            }
        }

        return conversions;
    }

    private async Task WriteAsync(NpgsqlConnection connection, List<LedgerEntry> entries, CancellationToken cancellationToken)
    {
        if (entries.Count == 0)
        {
            return;
        }

        await connection.Sql(
            $"""
             insert into {schema}.ledger (position, partner_id, conversion_id, source, order_id, occurred_at, occurred_on, recorded_at, period, kind, generation, currency,
                                          share, amount_minor, commission_minor)
             select * from unnest($1::bigint[], $2::varchar[], $3::uuid[], $4::varchar[], $5::varchar[], $6::timestamptz[], $7::date[], $8::timestamptz[], $9::varchar[],
                                  $10::varchar[], $11::int[], $12::varchar[], $13::numeric[], $14::bigint[], $15::bigint[])
             on conflict on constraint pk_ledger do nothing
             """,
            P(All(e => e.Position)), P(All(e => e.PartnerId)), P(All(e => e.Conversion.ConversionId)), P(All(e => e.Conversion.Source)), P(All(e => e.Conversion.OrderId)),
            P(All(e => e.Conversion.OccurredAt.UtcDateTime)), P(All(e => DateOnly.FromDateTime(e.Conversion.OccurredAt.UtcDateTime))), P(All(e => e.RecordedAt.UtcDateTime)),
            P(All(e => e.Period.ToString())), P(All(e => e.Kind)), P(All(e => e.Generation)), P(All(e => e.Conversion.Currency)), P(All(e => e.Change.Share)),
            P(All(e => e.Change.AmountMinor)), P(All(e => e.Change.CommissionMinor))).RunAsync(cancellationToken);

        T[] All<T>(Func<LedgerEntry, T> column) => entries.Select(column).ToArray();
    }
}
