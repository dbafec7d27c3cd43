using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using PartnerPulse.Hosting;

namespace PartnerPulse.Edge;

internal static class Metrics
{
    public static readonly Counter<long> Clicks = Diagnostics.Meter.CreateCounter<long>("pulse.edge.clicks", "{click}", "Clicks kept in the spool");
    public static readonly Counter<long> Lost = Diagnostics.Meter.CreateCounter<long>("pulse.edge.clicks_lost", "{click}", "Clicks that the spool could not keep; their visitors were redirected");
    public static readonly Counter<long> Unknown = Diagnostics.Meter.CreateCounter<long>("pulse.edge.slugs_unknown", "{request}", "Requests for slugs that lead nowhere");
    public static readonly Counter<long> Ended = Diagnostics.Meter.CreateCounter<long>("pulse.edge.links_ended", "{request}", "Requests for expired and retired links");
    public static readonly Counter<long> DeepLinksRefused = Diagnostics.Meter.CreateCounter<long>("pulse.edge.deep_links_refused", "{request}", "Requests whose ?to= nobody is sent to");
    public static readonly Counter<long> Burst = Diagnostics.Meter.CreateCounter<long>("pulse.edge.clicks_burst", "{click}", "Clicks marked because many came from their network");
    public static readonly Counter<long> Refused = Diagnostics.Meter.CreateCounter<long>("pulse.edge.clicks_refused", "{request}", "Requests answered 429");
    public static readonly Counter<long> NetworksForgotten = Diagnostics.Meter.CreateCounter<long>("pulse.edge.networks_forgotten", "{network}", "Networks whose count of clicks made room for another's");
    public static readonly Counter<long> LandingsUnknown = Diagnostics.Meter.CreateCounter<long>("pulse.edge.landings_unknown", "{request}", "Landings that name a partner whom nobody knows");
    public static readonly Counter<long> LandingsRefused = Diagnostics.Meter.CreateCounter<long>("pulse.edge.landings_refused", "{request}", "Landings sent by origins that belong to no program");
    public static readonly Counter<long> ImportRejected = Diagnostics.Meter.CreateCounter<long>("pulse.edge.import_lines_rejected", "{line}", "Lines of imports that were refused");
    public static readonly Counter<long> CatalogueFailures = Diagnostics.Meter.CreateCounter<long>("pulse.edge.catalogue_failures", "{attempt}", "Attempts to read the catalogue that failed");
    public static readonly Counter<long> CatalogueEventsUnusable = Diagnostics.Meter.CreateCounter<long>("pulse.edge.catalogue_events_unusable", "{event}", "Catalogue events that were not what their name says, and were passed over");
    public static readonly Histogram<int> GroupSize = Diagnostics.Meter.CreateHistogram(
        "pulse.edge.commit_clicks", "{click}", "Clicks that share one commit", tags: null,
        new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000] });
    public static readonly Histogram<double> CommitTime = Diagnostics.Meter.CreateHistogram(
        "pulse.edge.commit_seconds", "s", "Time of one commit of the spool", tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] });

    public static readonly Histogram<double> RedirectTime = Diagnostics.Meter.CreateHistogram(
        "pulse.edge.redirect_seconds", "s", "Time from a visitor's request until the click is committed, and the visitor sent on", tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] });

    /// <summary>Spools that are open in this process, under their names; what the gauges below measure.</summary>
    public static readonly ConcurrentDictionary<Spool, string> Spools = new();

    public static readonly ObservableGauge<long> SpoolBytes = Gauge("pulse.edge.spool_bytes", "By", "Bytes of clicks in the spool", spool => spool.Bytes);
    public static readonly ObservableGauge<long> SpoolLimit = Gauge("pulse.edge.spool_limit_bytes", "By", "Bytes of clicks that the spool may hold", spool => spool.MaxBytes);
    public static readonly ObservableGauge<long> SpoolWaiting = Gauge("pulse.edge.spool_waiting", "{click}", "Clicks in the spool that the bus does not have yet", spool => spool.Waiting);
    public static readonly ObservableGauge<long> SpoolOldest = Gauge("pulse.edge.spool_oldest_seconds", "s", "How long the first of them has waited", spool => spool.OldestWaitingSeconds);
    public static readonly ObservableGauge<long> SpoolUnreadable = Gauge("pulse.edge.spool_unreadable", "{click}", "Clicks in damaged files that could not be salvaged", spool => spool.Unreadable);

    private static ObservableGauge<long> Gauge(string name, string unit, string description, Func<Spool, long> read) =>
        Diagnostics.Meter.CreateObservableGauge(
            name,
            () => Spools.Select(spool => new Measurement<long>(read(spool.Key), new KeyValuePair<string, object?>("origin", spool.Value))),
            unit,
            description);
}
