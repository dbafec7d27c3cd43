using Npgsql;
using PartnerPulse.EventStore;

namespace PartnerPulse.Hosting.Bus;

/// <summary>How much of a tailed log waits to be handed on.</summary>
internal sealed class RelayFigures(ITailedLog log) : IFigures
{
    private readonly KeyValuePair<string, object?> _origin = new("origin", log.Origin);

    public bool AreWanted => RelayMetrics.Waiting.Enabled;

    public async Task RecordAsync(CancellationToken cancellationToken)
    {
        // In this order: what is handed on meanwhile does not make it negative.
        var checkpoint = await log.CheckpointAsync(cancellationToken);
        RelayMetrics.Waiting.Record(await log.LastPositionAsync(cancellationToken) - checkpoint, _origin);
    }
}

/// <summary>How long and how large a log is. Forgets old trace contexts on the way: only who measures traces.</summary>
internal sealed class EventLogFigures(EventLog log, TimeProvider time) : IFigures
{
    /// <summary>So long a credit is told in the trace of a click.</summary>
    private static readonly TimeSpan s_remembered = TimeSpan.FromDays(90);

    private static readonly TimeSpan s_forgets = TimeSpan.FromHours(1);

    private readonly KeyValuePair<string, object?> _schema = new("schema", log.Schema);
    private long _forgot;

    public bool AreWanted => LogMetrics.Position.Enabled || Diagnostics.Source.HasListeners();

    public async Task RecordAsync(CancellationToken cancellationToken)
    {
        LogMetrics.Position.Record(await log.LastPositionAsync(cancellationToken), _schema);
        await using (var command = log.DataSource.Sql($"select pg_total_relation_size('{log.Schema}.mt_events')"))
        {
            LogMetrics.Bytes.Record((long)(await command.ExecuteScalarAsync(cancellationToken))!, _schema);
        }

        if (_forgot == 0 || time.GetElapsedTime(_forgot) > s_forgets)
        {
            await log.Traces.ForgetAsync(log.DataSource, s_remembered, cancellationToken);
            _forgot = time.GetTimestamp();
        }
    }
}
