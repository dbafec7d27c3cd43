using System.Collections.Frozen;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>A way in which shops send what happens.</summary>
/// <param name="Name">As it stands in the path.</param>
/// <param name="Verify">Null where the delivery is signed by one of the secrets; else what is wrong.</param>
/// <param name="Map">What the payload says.</param>
internal sealed record HookScheme(string Name, HookScheme.Verifier Verify, Func<Node, IHeaderDictionary, Told> Map)
{
    public delegate FieldFault? Verifier(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<string> secrets, DateTimeOffset now);

    public const string WooCommerce = "woocommerce";
    public const string Standard = "standard";

    private static readonly FrozenDictionary<string, HookScheme> s_all = new HookScheme[]
    {
        new("stripe", Signature.OfStripe, (root, _) => StripeMapping.Map(root)),
        new("shopify", (headers, body, secrets, _) => Signature.OfBody(headers, "X-Shopify-Hmac-Sha256", body, secrets), ShopifyMapping.Map),
        new(WooCommerce, (headers, body, secrets, _) => Signature.OfBody(headers, "X-WC-Webhook-Signature", body, secrets), WooCommerceMapping.Map),
        new(Standard, Signature.OfStandard, (root, _) => StandardMapping.Map(root)),
    }.ToFrozenDictionary(scheme => scheme.Name, StringComparer.Ordinal);

    public static HookScheme? Find(string name) => s_all.GetValueOrDefault(name);

    public static FieldFault Unknown { get; } = new("scheme", "must be 'stripe', 'shopify', 'woocommerce' or 'standard'");
}
