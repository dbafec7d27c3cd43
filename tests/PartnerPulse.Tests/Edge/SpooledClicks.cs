using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Tests.Edge;

/// <summary>Reads the lines that a spool hands on.</summary>
internal static class SpooledClicks
{
    public static ClickRecorded ReadClick(this TailedEvent tailed) => JsonSerializer.Deserialize(tailed.Data.Span, ContractsJson.Default.ClickRecorded)!;
}
