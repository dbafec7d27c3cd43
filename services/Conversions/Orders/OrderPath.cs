using Microsoft.AspNetCore.Http.Features;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>Source and order id as parts of a path.</summary>
internal static class OrderPath
{
    public const string Pattern = "/v1/conversions/{source}/{orderId}";

    public static string Of(string source, string orderId) => $"/v1/conversions/{source}/{Uri.EscapeDataString(orderId)}";

    /// <summary>
    /// The order that the path names. Read from the address as it was sent: the router leaves <c>%2F</c> as it is, so the order
    /// <c>A/1</c> could not be told from <c>A%2F1</c>.
    /// </summary>
    public static (string Source, string OrderId) Read(HttpContext http, Checks checks)
    {
        var target = http.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var path = target.AsSpan(target.IndexOf("/v1/conversions/", StringComparison.Ordinal) + "/v1/conversions/".Length);
        var query = path.IndexOf('?');
        path = query < 0 ? path : path[..query];
        var slash = path.IndexOf('/');
        var rest = path[(slash + 1)..];
        var end = rest.IndexOf('/');
        var source = Uri.UnescapeDataString(path[..slash].ToString());
        var orderId = Uri.UnescapeDataString((end < 0 ? rest : rest[..end]).ToString());
        return (ConversionReader.Source(checks, source), checks.Required("orderId", orderId, ConversionReader.MaxOrderId));
    }
}
