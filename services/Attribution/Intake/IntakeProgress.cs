using Npgsql;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Attribution.Intake;

/// <summary>Which parts of each sender's log have been appended here.</summary>
internal static class IntakeProgress
{
    /// <summary>Remembers an interval in the transaction that appends its events; joins it with those that it touches.</summary>
    public static async Task RememberAsync(NpgsqlConnection connection, string schema, Handover handover, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             with touching as (
                 delete from {schema}.intake_progress
                  where origin = $1 and from_position <= $3 and to_position >= $2
                 returning from_position, to_position
             )
             insert into {schema}.intake_progress (origin, from_position, to_position)
             select $1, least($2, min(from_position)), greatest($3, max(to_position)) from touching
             """,
            connection);
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = handover.Origin });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = handover.After });
        command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = handover.To });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Per sender the position up to which nothing is missing.</summary>
    public static async Task<IReadOnlyDictionary<string, long>> ReadAsync(EventLog log, CancellationToken cancellationToken)
    {
        await using var command = log.DataSource.CreateCommand(
            $"select origin, to_position from {log.Schema}.intake_progress where from_position = 0");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var progress = new SortedDictionary<string, long>(StringComparer.Ordinal);
        while (await reader.ReadAsync(cancellationToken))
        {
            progress[reader.GetString(0)] = reader.GetInt64(1);
        }

        return progress;
    }
}

internal static class Intervals
{
    /// <summary>Joins intervals of the same origin that lie end to end, so that a commit of many messages remembers few.</summary>
    public static IEnumerable<Handover> Merge(IEnumerable<Handover?> handovers)
    {
        Handover? open = null;
        foreach (var next in handovers.OfType<Handover>().OrderBy(h => h.Origin, StringComparer.Ordinal).ThenBy(h => h.After).ThenBy(h => h.To))
        {
            if (open is not null && open.Origin == next.Origin && next.After <= open.To)
            {
                open = open with { To = Math.Max(open.To, next.To) };
                continue;
            }

            if (open is not null)
            {
                yield return open;
            }

            open = next;
        }

        if (open is not null)
        {
            yield return open;
        }
    }
}
