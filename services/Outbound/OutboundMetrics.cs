using System.Diagnostics.Metrics;
using Npgsql;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;

namespace PartnerPulse.Outbound;

internal static class OutboundMetrics
{
    public static readonly Counter<long> Queued = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.queued", "{delivery}", "Deliveries made from the log");
    public static readonly Counter<long> Unreadable = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.unreadable", "{event}", "Events of the log that could not be told");
    public static readonly Counter<long> HeldBack = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.held_back", "{page}", "Times that a subscription had too much waiting to be given more");
    public static readonly Counter<long> Delivered = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.delivered", "{delivery}", "Deliveries that were taken");
    public static readonly Counter<long> Failed = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.failed", "{attempt}", "Attempts that failed");
    public static readonly Counter<long> Dead = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.dead", "{delivery}", "Deliveries given up");
    public static readonly Counter<long> Disabled = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.disabled", "{subscription}", "Subscriptions disabled because their receiver was gone");
    public static readonly Counter<long> Refused = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.refused", "{connection}", "Connections refused because they would not lead to a public address");
    public static readonly Counter<long> Full = Diagnostics.Meter.CreateCounter<long>("pulse.outbound.full", "{time}", "Times that as many deliveries were under way as may be");
    public static readonly Gauge<long> Waiting = Diagnostics.Meter.CreateGauge<long>("pulse.outbound.waiting", "{delivery}", "Deliveries that are not taken yet");
    public static readonly Gauge<long> DeadLetters = Diagnostics.Meter.CreateGauge<long>("pulse.outbound.dead_letters", "{delivery}", "Deliveries given up that lie until somebody sends them again");
    public static readonly Gauge<long> Lag = Diagnostics.Meter.CreateGauge<long>("pulse.outbound.lag", "{position}", "Positions of Attribution's log that are not told to the subscription furthest behind");
    public static readonly Gauge<long> Subscriptions = Diagnostics.Meter.CreateGauge<long>("pulse.outbound.subscriptions", "{subscription}", "Subscriptions by state: working, failing (one attempt at a time), disabled");
}

/// <summary>What waits, and for whom.</summary>
internal sealed class OutboundFigures(NpgsqlDataSource database) : IFigures
{
    private const string S = OutboundService.Schema;

    public bool AreWanted => OutboundMetrics.Waiting.Enabled;

    public async Task RecordAsync(CancellationToken cancellationToken)
    {
        await using var command = database.Sql(
            $"""
             select (select count(*) from {S}.deliveries where state = 'waiting'),
                    (select count(*) from {S}.deliveries where state = 'dead'),
                    (select coalesce(max(seq_id), 0) from {OutboundService.Source}.mt_events) - min(position) filter (where enabled),
                    count(*) filter (where enabled and failing_since is null), count(*) filter (where enabled and failing_since is not null),
                    count(*) filter (where not enabled)
               from {S}.subscriptions
             """);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        OutboundMetrics.Waiting.Record(reader.GetInt64(0));
        OutboundMetrics.DeadLetters.Record(reader.GetInt64(1));
        OutboundMetrics.Lag.Record(Math.Max(0, reader.OrDefault<long?>(2) ?? 0));
        foreach (var (state, column) in new[] { ("working", 3), ("failing", 4), ("disabled", 5) })
        {
            OutboundMetrics.Subscriptions.Record(reader.GetInt64(column), new KeyValuePair<string, object?>("state", state));
        }
    }
}
