namespace PartnerPulse.Pulse.Gateway;

internal enum Upstream
{
    Edge,
    Conversions,
    Partners,
    Attribution,
    Outbound,
}

/// <summary>Which service a path belongs to. Every path of the API is unique across services.</summary>
internal static class Routes
{
    private static readonly (string Prefix, Upstream Upstream)[] s_prefixes =
    [
        ("/r", Upstream.Edge),
        ("/t", Upstream.Edge),
        ("/t.js", Upstream.Edge),
        ("/v1/imports/clicks", Upstream.Edge),
        ("/v1/conversions", Upstream.Conversions),
        ("/v1/identities", Upstream.Conversions),
        ("/v1/customers", Upstream.Conversions),
        ("/v1/postback", Upstream.Conversions),
        ("/v1/imports/conversions", Upstream.Conversions),
        ("/v1/hooks", Upstream.Conversions),
        ("/v1/orders", Upstream.Conversions),
        ("/v1/order-identities", Upstream.Conversions),
        ("/v1/partners", Upstream.Partners),
        ("/v1/coupons", Upstream.Partners),
        ("/v1/program", Upstream.Partners),
        ("/v1/catalogue", Upstream.Partners),
        ("/v1/webhooks", Upstream.Outbound),
        ("/v1/postbacks", Upstream.Outbound),
        ("/v1", Upstream.Attribution),
    ];

    /// <summary>Whole segments count: <c>/v1/partnership</c> is not <c>/v1/partners</c>. Null for a path that nobody serves.</summary>
    public static Upstream? Of(PathString path)
    {
        foreach (var (prefix, upstream) in s_prefixes)
        {
            if (path.StartsWithSegments(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return upstream;
            }
        }

        return null;
    }
}
