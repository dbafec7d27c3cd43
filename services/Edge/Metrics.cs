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
    public static readonly Counter<long> ImportRejected = Diagnostics.Meter.CreateCounter<long>("pulse.edge.import_lines_rejected", "{line}", "Lines of imports that were refused");
    public static readonly Counter<long> CatalogueFailures = Diagnostics.Meter.CreateCounter<long>("pulse.edge.catalogue_failures", "{attempt}", "Attempts to read the catalogue that failed");
    public static readonly Histogram<int> GroupSize = Diagnostics.Meter.CreateHistogram<int>("pulse.edge.commit_clicks", "{click}", "Clicks that share one commit");
    public static readonly Histogram<double> CommitTime = Diagnostics.Meter.CreateHistogram<double>("pulse.edge.commit_seconds", "s", "Time of one commit of the spool");
}
