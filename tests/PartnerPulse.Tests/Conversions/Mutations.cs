using System.Text;

namespace PartnerPulse.Tests.Conversions;

/// <summary>Reports as shops send them, and what may become of one on its way.</summary>
internal static class Mutations
{
    public const string Order =
        """{"source":"shop","orderId":"1001","kind":"sale","occurredAt":"2026-03-01T10:00:00Z","amount":"49.90","currency":"EUR","visitorId":"v1","clickId":"c-1","customer":"ann@example.org","coupon":"SPRING","newCustomer":true,"test":false,"items":[{"product":"shoe","quantity":2,"amount":"40.00"}]}""";

    public const string Adjustment =
        """{"source":"shop","orderId":"1001","adjustmentId":"r-1","amount":"-10.00","currency":"EUR","reason":"refund","occurredAt":"2026-03-02T10:00:00Z"}""";

    private static readonly byte[][] s_nasty =
    [
        .. ((string[])["\"", "\"\"", "\\", "\n", "\r\n", "\r", ",", ";", "\t", "{", "}", "[", "]", ":", "null", "true", "-", "1e400", "99999999999999999999", "0.1", "\\u0000", "\\ud800", "\\u", "\u202E", "\u0000", "\uFEFF", "😀", "2026-13-01", "9999-12-31T23:59:59Z", "\"amount\":\"1\",", "=cmd()", "sep=;"])
            .Select(Encoding.UTF8.GetBytes),
        [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82], new byte[300], [.. Enumerable.Repeat((byte)'[', 100)],
    ];

    /// <summary>The text after none to three mutations.</summary>
    public static byte[] Of(Random random, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var mutations = random.Next(4); mutations > 0; mutations--)
        {
            bytes = Of(random, bytes, mayCut: true);
        }

        return bytes;
    }

    /// <summary>The bytes after one mutation: a byte changed, some left out, some twice, the rest cut off, or something put in.</summary>
    public static byte[] Of(Random random, byte[] bytes, bool mayCut)
    {
        var at = random.Next(bytes.Length + 1);
        var end = Math.Min(bytes.Length, at + random.Next(20));
        switch (random.Next(6))
        {
            case 0 when at < bytes.Length:
                return [.. bytes[..at], (byte)random.Next(256), .. bytes[(at + 1)..]];
            case 1:
                return [.. bytes[..at], .. bytes[end..]];
            case 2:
                return [.. bytes[..end], .. bytes[at..]];
            case 3 when mayCut && random.Next(4) == 0:
                return bytes[..at];
            default:
                return [.. bytes[..at], .. s_nasty[random.Next(s_nasty.Length)], .. bytes[at..]];
        }
    }
}
