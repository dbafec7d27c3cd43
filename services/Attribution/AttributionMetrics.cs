using System.Diagnostics.Metrics;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution.Core;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution;

internal static class AttributionMetrics
{
    public static readonly Counter<long> Appended = Diagnostics.Meter.CreateCounter<long>("pulse.intake.appended", "{event}", "Events that were new to the log");
    public static readonly Counter<long> Duplicates = Diagnostics.Meter.CreateCounter<long>("pulse.intake.duplicates", "{event}", "Events that were in the log already");
    public static readonly Counter<long> SetAside = Diagnostics.Meter.CreateCounter<long>("pulse.set_aside", "{event}", "Events set aside with a reason");
    public static readonly Counter<long> Projected = Diagnostics.Meter.CreateCounter<long>("pulse.projector.events", "{event}", "Events folded");
    public static readonly Counter<long> Journeys = Diagnostics.Meter.CreateCounter<long>("pulse.projector.journeys", "{journey}", "Journeys assembled anew");
    public static readonly Counter<long> Crowds = Diagnostics.Meter.CreateCounter<long>("pulse.projector.crowds", "{customer}", "Customer keys met that are tied to more than one person can have");
    public static readonly Counter<long> Credits = Diagnostics.Meter.CreateCounter<long>("pulse.generation.conversions", "{conversion}", "Conversions decided, by all generations");

    public static readonly Counter<long> Sealed = Diagnostics.Meter.CreateCounter<long>("pulse.seals.events", "{event}", "Events sealed into the chain");
    public static readonly Counter<long> Checkpoints = Diagnostics.Meter.CreateCounter<long>("pulse.seals.checkpoints", "{checkpoint}", "Checkpoints of the chain signed and written to the file");
    public static readonly Counter<long> PackOverflows = Diagnostics.Meter.CreateCounter<long>("pulse.pack.overflows", "{time}", "Times that the journeys took more memory than they may");

    public static readonly Counter<long> Revised = Diagnostics.Meter.CreateCounter<long>("pulse.credits.revised", "{conversion}", "Conversions whose credit changed under the rules that count");

    public static readonly Gauge<long> ProjectorLag = Diagnostics.Meter.CreateGauge<long>("pulse.projector.lag", "{position}", "Positions of the log that are not folded yet");
    public static readonly Gauge<double> ProjectorLagSeconds = Diagnostics.Meter.CreateGauge<double>("pulse.projector.lag_seconds", "s", "How long the first of them has been in the log");
    public static readonly Gauge<long> SealsLag = Diagnostics.Meter.CreateGauge<long>("pulse.seals.lag", "{position}", "Positions of the log that are not sealed yet");
    public static readonly Gauge<long> ReplaysRunning = Diagnostics.Meter.CreateGauge<long>("pulse.replay.running", "{replay}", "Replays in their first pass, those that wait included");
    public static readonly Gauge<long> ReplaysDone = Diagnostics.Meter.CreateGauge<long>("pulse.replay.done", "{conversion}", "Conversions that they have judged");
    public static readonly Gauge<long> ReplaysTotal = Diagnostics.Meter.CreateGauge<long>("pulse.replay.total", "{conversion}", "Conversions that they judge altogether");
    public static readonly Gauge<long> SetAsideWaiting = Diagnostics.Meter.CreateGauge<long>("pulse.set_aside.waiting", "{event}", "Events that lie aside until somebody puts them back");

    public static readonly Gauge<long> PackBytes = Diagnostics.Meter.CreateGauge<long>("pulse.pack.bytes", "By", "Memory of the journeys that are kept for what-ifs");
    public static readonly Gauge<long> PackConversions = Diagnostics.Meter.CreateGauge<long>("pulse.pack.conversions", "{conversion}", "Journeys that are kept for what-ifs");
    public static readonly Gauge<long> PackPosition = Diagnostics.Meter.CreateGauge<long>("pulse.pack.position", "{position}", "Position of the log up to which they are known");

    /// <summary>Moves where more different user agents come than a list remembers verdicts of.</summary>
    public static readonly Counter<long> BotListForgotten = Diagnostics.Meter.CreateCounter<long>(
        "pulse.bot_list.forgotten", "{time}", "Times that a bot list's remembered verdicts were dropped because they were too many");
}

/// <summary>How far behind the log everything is that follows it, what waits for a person, and what is kept in memory.</summary>
internal sealed class AttributionFigures([FromKeyedServices(AttributionService.Schema)] EventLog log, WhatIf.PackKeeper pack, BotLists lists) : IFigures
{
    private readonly Dictionary<BotList, long> _forgotten = [];

    public bool AreWanted => AttributionMetrics.ProjectorLag.Enabled;

    public async Task RecordAsync(CancellationToken cancellationToken)
    {
        RecordMemory();
        var s = log.Schema;
        await using var command = log.DataSource.Sql(
            $"""
             with folded as (select greatest(coalesce(max(last_seq_id), 0), 0) as position from {s}.mt_event_progression where name = $1),
                  last as (select coalesce(max(seq_id), 0) as position from {s}.mt_events),
                  replays as (select count(*) as running, coalesce(sum(done), 0)::bigint as done, coalesce(sum(total), 0)::bigint as total
                                from {s}.generations where state = 'running')
             select last.position - folded.position,
                    coalesce((select extract(epoch from now() - timestamp)::float8 from {s}.mt_events where seq_id > folded.position order by seq_id limit 1), 0),
                    last.position - coalesce((select last_seq_id from {s}.mt_event_progression where name = $2), 0),
                    running, done, total,
                    (select count(*) from {s}.set_aside where stage = 'intake'), (select count(*) from {s}.set_aside where stage = 'fold')
               from folded, last, replays
             """,
            P(Projection.Projector.Checkpoint), P(Seals.Sealer.Progress));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        AttributionMetrics.ProjectorLag.Record(reader.GetInt64(0));
        AttributionMetrics.ProjectorLagSeconds.Record(Math.Max(0, reader.GetDouble(1)));
        AttributionMetrics.SealsLag.Record(reader.GetInt64(2));
        AttributionMetrics.ReplaysRunning.Record(reader.GetInt64(3));
        AttributionMetrics.ReplaysDone.Record(reader.GetInt64(4));
        AttributionMetrics.ReplaysTotal.Record(reader.GetInt64(5));
        AttributionMetrics.SetAsideWaiting.Record(reader.GetInt64(6), new KeyValuePair<string, object?>("stage", "intake"));
        AttributionMetrics.SetAsideWaiting.Record(reader.GetInt64(7), new KeyValuePair<string, object?>("stage", "fold"));
    }

    private void RecordMemory()
    {
        AttributionMetrics.PackBytes.Record(pack.Bytes);
        AttributionMetrics.PackConversions.Record(pack.Conversions);
        AttributionMetrics.PackPosition.Record(pack.Position);
        foreach (var list in lists.All)
        {
            var forgotten = list.Forgotten;
            AttributionMetrics.BotListForgotten.Add(forgotten - _forgotten.GetValueOrDefault(list), new KeyValuePair<string, object?>("version", list.Version));
            _forgotten[list] = forgotten;
        }
    }
}
