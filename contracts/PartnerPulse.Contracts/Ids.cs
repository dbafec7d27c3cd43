using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace PartnerPulse.Contracts;

/// <summary>
/// Ids derived from natural keys (UUID v5, RFC 9562 section 5.5), so that every service and every retry arrives at the
/// same one. The parts of a name are joined by U+001F, which no part may contain.
/// </summary>
public static class Ids
{
    private static readonly Guid s_namespace = new("6f9b7f52-3a0e-5c7d-9a41-7d2c1f0b8e11");

    /// <summary>The conversion with this natural key.</summary>
    public static Guid Conversion(string program, string source, string orderId) => Derive("conversion", program, source, orderId);

    /// <summary>The adjustment of a conversion with the shop's own id.</summary>
    public static Guid Adjustment(Guid conversionId, string adjustmentId) => Derive("adjustment", conversionId.ToString("N"), adjustmentId);

    /// <summary>The statement that a conversion amounts to so much as of a time.</summary>
    public static Guid Restatement(Guid conversionId, DateTimeOffset asOf, long amountMinor, bool cancelled) => Derive(
        "restatement",
        conversionId.ToString("N"),
        asOf.UtcTicks.ToString(CultureInfo.InvariantCulture),
        amountMinor.ToString(CultureInfo.InvariantCulture),
        cancelled ? "cancelled" : "");

    /// <summary>That a conversion is the same sale as another.</summary>
    public static Guid Merge(Guid conversionId, Guid into) => Derive("merge", conversionId.ToString("N"), into.ToString("N"));

    /// <summary>That a conversion is a sale of its own.</summary>
    public static Guid Separation(Guid conversionId) => Derive("separation", conversionId.ToString("N"));

    /// <summary>The stream of what a program declares to be one sale.</summary>
    public static Guid OrderIdentities(string program) => Derive("order-identities", program);

    /// <summary>
    /// The click that an outside system calls <paramref name="clickId"/>: the id itself where it is a UUID, else one derived
    /// from it. Imports and conversions both go through here, so they meet.
    /// </summary>
    public static Guid Click(string program, string clickId) =>
        Guid.TryParse(clickId, out var id) ? id : Derive("click", program, clickId);

    /// <summary>The stream of a visitor's clicks.</summary>
    public static Guid VisitorStream(string program, string visitorId) => Derive("visitor", program, visitorId);

    /// <summary>The stream of a partner.</summary>
    public static Guid PartnerStream(string program, string partnerId) => Derive("partner", program, partnerId);

    /// <summary>The stream of a coupon code, however it is written.</summary>
    public static Guid CouponStream(string program, string code) => Derive("coupon", program, CouponCode.Of(code));

    /// <summary>The customer of this key: the stream of its identifications, and its name in the projections of Attribution.</summary>
    public static Guid Customer(string program, string customerKey) => Derive("customer", program, customerKey);

    /// <summary>The fact that a visitor, or the visitor of a click, is this customer.</summary>
    public static Guid Identity(string program, string customerKey, string? visitorId, Guid? clickId) =>
        Derive("identity", program, customerKey, visitorId ?? "", clickId?.ToString("N") ?? "");

    /// <summary>The fact that this customer is a partner itself.</summary>
    public static Guid PartnerIdentity(string program, string customerKey, string partnerId) =>
        Derive("partner-identity", program, customerKey, partnerId);

    /// <summary>The stream of a click: its visitor's, or its own where there is none.</summary>
    public static Guid ClickStream(ClickRecorded click) => ClickStream(click.ProgramId, click.EventId, click.VisitorId);

    /// <summary>The stream of a click of which only this much is known.</summary>
    public static Guid ClickStream(string program, Guid clickId, string? visitorId) =>
        visitorId is null ? clickId : VisitorStream(program, visitorId);

    /// <summary>The statement of a month.</summary>
    public static Guid Statement(string program, string period) => Derive("statement", program, period);

    /// <summary>A UUID v5 of <paramref name="kind"/> and <paramref name="parts"/>.</summary>
    public static Guid Derive(string kind, params ReadOnlySpan<string> parts)
    {
        var length = 16 + Encoding.UTF8.GetMaxByteCount(kind.Length);
        foreach (var part in parts)
        {
            length += 3 + Encoding.UTF8.GetMaxByteCount(part.Length);
        }

        var buffer = length <= 1024 ? stackalloc byte[1024] : new byte[length];
        s_namespace.TryWriteBytes(buffer, bigEndian: true, out _);
        var used = 16 + Encoding.UTF8.GetBytes(kind, buffer[16..]);
        foreach (var part in parts)
        {
            buffer[used++] = 0x1F;
            used += Encoding.UTF8.GetBytes(part, buffer[used..]);
        }

        Span<byte> hash = stackalloc byte[20];
#pragma warning disable CA5350 // SHA-1 is what UUID v5 is made of; nothing here is a secret.
        SHA1.HashData(buffer[..used], hash);
#pragma warning restore CA5350
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }

    /// <summary>Compares ids as their 16 bytes in network order: the tie-breaker of the order of touches.</summary>
    public static int CompareBytes(Guid left, Guid right)
    {
        Span<byte> a = stackalloc byte[16];
        Span<byte> b = stackalloc byte[16];
        left.TryWriteBytes(a, bigEndian: true, out _);
        right.TryWriteBytes(b, bigEndian: true, out _);
        var high = BinaryPrimitives.ReadUInt64BigEndian(a).CompareTo(BinaryPrimitives.ReadUInt64BigEndian(b));
        return high != 0 ? high : BinaryPrimitives.ReadUInt64BigEndian(a[8..]).CompareTo(BinaryPrimitives.ReadUInt64BigEndian(b[8..]));
    }
}
