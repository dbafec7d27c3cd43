using System.Text.Json;
using Npgsql;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Attribution.SetAside;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// A stretch of the log as the projector needs it: of clicks only where they lie (their content is read when a conversion
/// wants it), of everything else the event.
/// </summary>
internal sealed class LogPage
{
    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    /// <summary>Position of the last event that was read; the one asked for where there was none.</summary>
    public required long To { get; init; }

    public required int Count { get; init; }

    /// <summary>When the log took the last event of the page: the page's only time.</summary>
    public required DateTimeOffset RecordedAt { get; init; }

    /// <summary>Ids of clicks and the streams they lie in: what conversions may wait for.</summary>
    public required IReadOnlyCollection<Guid> ClickKeys { get; init; }

    public required IReadOnlyList<IEvent> Facts { get; init; }

    /// <summary>Those facts that the ledger is made of, with their positions.</summary>
    public required IReadOnlyList<(long Position, IEvent Fact)> Booked { get; init; }

    private IReadOnlyList<(NewEvent Event, string Reason)> Unreadable { get; init; } = [];

    /// <summary>The page after <paramref name="position"/>. What cannot be read goes aside with its reason.</summary>
    public static async Task<LogPage> ReadAsync(
        NpgsqlConnection connection, string schema, long position, int max, ILogger logger, CancellationToken cancellationToken)
    {
        var page = await ScanAsync(connection, schema, position, long.MaxValue, max, clicks: true, cancellationToken);
        await page.SetAsideAsync(connection, schema, logger, cancellationToken);
        return page;
    }

    /// <summary>The same, and nothing is written: <see cref="SetAsideAsync(NpgsqlConnection, string, ILogger, CancellationToken)"/> does that for the page.</summary>
    /// <param name="clicks">False leaves clicks out altogether: a rebuild assembles every journey anyway.</param>
    public static async Task<LogPage> ScanAsync(
        NpgsqlConnection connection, string schema, long position, long upTo, int max, bool clicks, CancellationToken cancellationToken)
    {
        var keys = new HashSet<Guid>();
        var facts = new List<IEvent>();
        var booked = new List<(long, IEvent)>();
        var bad = new List<(NewEvent Event, string Reason)>();
        var to = position;
        var count = 0;
        var recordedAt = DateTimeOffset.MinValue;
        await using (var command = connection.Sql(
            $"""
             select seq_id, id, stream_id, timestamp, type, case when type <> '{s_click}' then data end
               from {schema}.mt_events
              where seq_id > $1 and seq_id <= $2 {(clicks ? "" : $"and type <> '{s_click}'")}
              order by seq_id limit $3
             """,
            P(position), P(upTo), P(max)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                count++;
                to = reader.GetInt64(0);
                recordedAt = new DateTimeOffset(reader.GetDateTime(3));
                if (reader.IsDBNull(5))
                {
                    keys.Add(reader.GetGuid(1));
                    keys.Add(reader.GetGuid(2));
                    continue;
                }

                var (type, data) = (reader.GetString(4), reader.GetFieldValue<byte[]>(5));
                if (Read(type, data, out var reason) is { } fact)
                {
                    facts.Add(fact);
                    if (LedgerBook.Concerns(fact))
                    {
                        booked.Add((to, fact));
                    }
                }
                else
                {
                    bad.Add((new NewEvent(reader.GetGuid(1), reader.GetGuid(2), "", type, "", data), reason));
                }
            }
        }

        return new LogPage { To = to, Count = count, RecordedAt = recordedAt, ClickKeys = keys, Facts = facts, Booked = booked, Unreadable = bad };
    }

    /// <summary>What could not be read goes aside with its reason, in the transaction of the connection.</summary>
    public Task SetAsideAsync(NpgsqlConnection connection, string schema, ILogger logger, CancellationToken cancellationToken) =>
        SetAsideAsync(connection, schema, Unreadable, logger, cancellationToken);

    public static async Task SetAsideAsync(
        NpgsqlConnection connection, string schema, IReadOnlyList<(NewEvent Event, string Reason)> unreadable, ILogger logger,
        CancellationToken cancellationToken)
    {
        foreach (var (e, reason) in unreadable)
        {
            await SetAsideStore.AddAsync(connection, schema, e, "fold", reason, cancellationToken);
            logger.EventSetAside(e.Id, e.Type, "fold", reason);
        }
    }

    /// <summary>The event, or null and why it cannot be read.</summary>
    public static IEvent? Read(string name, ReadOnlySpan<byte> data, out string reason)
    {
        reason = "";
        if (EventTypes.Find(name) is not { } type)
        {
            reason = $"'{name}' is not an event that this version knows";
            return null;
        }

        try
        {
            return EventTypes.Deserialize(type, data);
        }
        catch (JsonException e)
        {
            reason = e.Message;
            return null;
        }
    }
}
