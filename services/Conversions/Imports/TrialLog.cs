using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.EventStore;

namespace PartnerPulse.Conversions.Imports;

/// <summary>
/// Decides reports as <see cref="ReportWriter"/> would and records nothing. What the reports before would have recorded lies in a
/// table that only this connection sees and that goes with it, so a file of any length takes no memory here either.
/// </summary>
internal sealed class TrialLog : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;
    private readonly string _schema;
    private readonly string _program;

    private TrialLog(NpgsqlConnection connection, string schema, string program) => (_connection, _schema, _program) = (connection, schema, program);

    public static async Task<TrialLog> OpenAsync(EventLog log, string program, CancellationToken cancellationToken)
    {
        var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(
            """
            create temp table if not exists trial (seq bigint generated always as identity, stream_id uuid not null, type varchar not null, data jsonb not null);
            create index if not exists trial_by_stream on trial (stream_id);
            truncate trial
            """,
            connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
        return new TrialLog(connection, log.Schema, program);
    }

    public async Task<IReadOnlyList<ReportOutcome>> DecideAsync(IReadOnlyList<Report> reports, CancellationToken cancellationToken)
    {
        var conversions = await LoadAsync([.. reports.Select(r => r.ConversionId).Distinct()], cancellationToken);
        var outcomes = new ReportOutcome[reports.Count];
        var events = new List<(Guid Stream, IEvent Event)>();

        // In the order in which the writer records: orders first.
        for (var i = 0; i < outcomes.Length; i++)
        {
            if (reports[i] is Report.OfOrder order)
            {
                var outcome = RecordConversion.Decide(Conversion(order.ConversionId).Order, order.Asked);
                outcomes[i] = ReportWriter.Outcome(outcome);
                Keep(order.ConversionId, outcome is RecordConversion.Recorded ? order.Asked.Order : null);
            }
        }

        for (var i = 0; i < outcomes.Length; i++)
        {
            if (reports[i] is Report.OfAdjustment adjustment)
            {
                var outcome = AdjustConversion.Decide(Conversion(adjustment.ConversionId), adjustment.Asked, _program);
                outcomes[i] = ReportWriter.Outcome(outcome);
                Keep(adjustment.ConversionId, (outcome as AdjustConversion.Adjusted)?.Event);
            }
        }

        await AddAsync(events, cancellationToken);
        return outcomes;

        Conversion Conversion(Guid id) => conversions.GetValueOrDefault(id, Conversions.Conversion.Unknown);

        void Keep(Guid id, IEvent? e)
        {
            if (e is not null)
            {
                conversions[id] = Conversions.Conversion.Evolve(Conversion(id), e);
                events.Add((id, e));
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection.State == System.Data.ConnectionState.Open)
        {
            await using var command = new NpgsqlCommand("drop table if exists trial", _connection);
            await command.ExecuteNonQueryAsync();
        }

        await _connection.DisposeAsync();
    }

    private async Task<Dictionary<Guid, Conversion>> LoadAsync(Guid[] ids, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            $"""
             select stream_id, type, data from (
                 select stream_id, type, data, 0 as later, version from {_schema}.mt_events where stream_id = any($1)
                 union all select stream_id, type, data, 1, seq from trial where stream_id = any($1)) e
              order by later, version
             """,
            _connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = ids });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var conversions = new Dictionary<Guid, Conversion>();
        while (await reader.ReadAsync(cancellationToken))
        {
            var id = reader.GetGuid(0);
            var e = ConversionLog.Event(reader.GetString(1), reader.GetFieldValue<byte[]>(2));
            conversions[id] = Conversion.Evolve(conversions.GetValueOrDefault(id, Conversion.Unknown), e);
        }

        return conversions;
    }

    private async Task AddAsync(List<(Guid Stream, IEvent Event)> events, CancellationToken cancellationToken)
    {
        if (events.Count == 0)
        {
            return;
        }

        await using var command = new NpgsqlCommand(
            "insert into trial (stream_id, type, data) select s, t, d::jsonb from unnest($1::uuid[], $2::varchar[], $3::text[]) with ordinality e(s, t, d, n) order by n", _connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. events.Select(e => e.Stream)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. events.Select(e => EventTypes.Of(e.Event).Name)] });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. events.Select(e => System.Text.Encoding.UTF8.GetString(EventTypes.Serialize(e.Event)))] });
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
