using System.Diagnostics.Metrics;
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
}
