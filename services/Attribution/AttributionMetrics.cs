using System.Diagnostics.Metrics;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Hosting;

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

    /// <summary>What is kept in memory for what-ifs.</summary>
    public static void Watch(WhatIf.PackKeeper pack)
    {
        Diagnostics.Meter.CreateObservableGauge("pulse.pack.bytes", () => pack.Bytes, "By", "Memory of the journeys that are kept for what-ifs");
        Diagnostics.Meter.CreateObservableGauge("pulse.pack.conversions", () => pack.Conversions, "{conversion}", "Journeys that are kept for what-ifs");
        Diagnostics.Meter.CreateObservableGauge("pulse.pack.position", () => pack.Position, "{position}", "Position of the log up to which they are known");
    }

    /// <summary>Moves where more different user agents come than a list remembers verdicts of.</summary>
    public static BotLists Watched(BotLists lists)
    {
        Diagnostics.Meter.CreateObservableCounter(
            "pulse.bot_list.forgotten",
            () => lists.All.Select(list => new Measurement<long>(list.Forgotten, new KeyValuePair<string, object?>("version", list.Version))),
            "{time}",
            "Times that a bot list's remembered verdicts were dropped because they were too many");
        return lists;
    }
}
