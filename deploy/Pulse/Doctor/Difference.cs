using System.Globalization;
using System.Text.Json.Nodes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Pulse.Doctor;

/// <summary>Says in a sentence what a receipt has otherwise than it should, and where to look.</summary>
internal static class Difference
{
    /// <returns>Null where the receipt is right.</returns>
    public static string? Of(Decision expected, JsonNode receipt, bool sharesAreKnown)
    {
        var touches = (receipt["touches"] as JsonArray ?? []).OfType<JsonNode>().Where(touch => touch["clickId"] is not null)
            .ToDictionary(touch => (Guid)touch["clickId"]!, touch => touch["stoppedBy"]?.ToString());
        foreach (var verdict in expected.Touches)
        {
            var click = verdict.Touch.Click;
            if (!touches.TryGetValue(click.EventId, out var stoppedBy))
            {
                return $"the click {click.EventId} of {click.PartnerId} is not on the receipt: it is still in the edge's spool (the edge's /ready says why), or the order does not lead to it ({Way(verdict.Touch.Evidence)})";
            }

            if (stoppedBy != verdict.StoppedBy)
            {
                return $"the click of {click.PartnerId} should {(verdict.StoppedBy is null ? "count" : $"stop with {verdict.StoppedBy}")} and {(stoppedBy is null ? "counts" : $"stops with {stoppedBy}")}: {Hint(stoppedBy ?? verdict.StoppedBy!)}";
            }
        }

        if (touches.Count > expected.Touches.Length)
        {
            return $"{touches.Count - expected.Touches.Length} clicks are on the receipt that are not this visitor's";
        }

        var net = Currency.Format(expected.NetMinor, expected.Currency);
        if (receipt["conversion"]?["net"]?.ToString() != net)
        {
            return $"the order should be worth {net} and is worth {receipt["conversion"]?["net"]}: a refund is missing or came twice";
        }

        var should = expected.Partners.Select(p => $"{p.PartnerId} {(sharesAreKnown ? Currency.Format(p.AmountMinor, expected.Currency) : "")}".TrimEnd()).ToArray();
        var has = (receipt["partners"] as JsonArray ?? []).OfType<JsonNode>().Select(p => $"{p["partner"]} {(sharesAreKnown ? p["amount"]!.ToString() : "")}".TrimEnd()).ToArray();
        return should.SequenceEqual(has, StringComparer.Ordinal) ? null
            : string.Create(CultureInfo.InvariantCulture, $"the rules give {Who(should)} and the receipt gives {Who(has)}{(receipt["reason"] is { } reason ? $" ({reason})" : "")}; it was judged under rules version {receipt["rules"]?["version"]}");
    }

    private static string Who(string[] partners) => partners.Length == 0 ? "nobody anything" : string.Join(" and ", partners);

    private static string Way(Evidence evidence) => evidence switch
    {
        Evidence.ClickId => "by its click id",
        Evidence.VisitorCookie => "by the visitor's cookie",
        _ => "by the customer's login",
    };

    private static string Hint(string reason) => reason switch
    {
        StopReason.SuspendedPartner => "the test partner is suspended; DELETE /v1/partners/{id}/suspension",
        StopReason.Test => "the mark of test traffic (pp_test=1) was lost on the way to the edge; a proxy may drop query parameters",
        StopReason.Bot or StopReason.Preview => "the user agent that arrives is not the browser's; a proxy may replace it",
        StopReason.Prefetch or StopReason.Head => "a proxy drops or adds Sec-Purpose, or turns HEAD into GET",
        StopReason.AfterConversion => "the clocks of the edge and of Conversions differ",
        _ => "compare the receipt with the rules (./pulse receipt doctor ORDER)",
    };
}
