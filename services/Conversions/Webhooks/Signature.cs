using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>
/// The signatures of the schemes, over the bytes of the body as they came. Any of several secrets may fit, so that one can be
/// replaced by another without a delivery in between being refused. Compared in constant time.
/// </summary>
internal static class Signature
{
    /// <summary>How far the time of a delivery may lie from ours, in both directions; the bound itself is inside.</summary>
    public static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(300);

    private const int MaxHeader = 4_096;

    /// <summary>
    /// <c>Stripe-Signature: t=…,v1=…</c>: HMAC-SHA256 in hex over time, dot and body, by the whole secret as text.
    /// </summary>
    /// <returns>Null where a signature fits; else what is wrong, by the header's name.</returns>
    public static FieldFault? OfStripe(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<string> secrets, DateTimeOffset now)
    {
        const string Name = "Stripe-Signature";
        if (!Header(headers, Name, out var header, out var fault))
        {
            return fault;
        }

        string? time = null;
        var given = new List<byte[]>();
        foreach (var part in header.Split(','))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            var (key, value) = equals < 0 ? (part, "") : (part[..equals].Trim(), part[(equals + 1)..].Trim());
            if (key == "t")
            {
                time ??= value;
            }
            else if (key == "v1" && FromHex(value) is { } signature)
            {
                given.Add(signature);
            }
        }

        if (time is null || !TryUnix(time, out var at))
        {
            return new FieldFault(Name, "names no time 't='");
        }

        return given.Count == 0 ? new FieldFault(Name, "holds no signature 'v1='")
            : !Fits(given, secrets, Encoding.UTF8.GetBytes, Encoding.UTF8.GetBytes(time + "."), body) ? NoneFits(Name)
            : OutOfTime(Name, at, now);
    }

    /// <summary>Shopify and WooCommerce: HMAC-SHA256 in base64 over the body, by the secret as text. It carries no time.</summary>
    public static FieldFault? OfBody(IHeaderDictionary headers, string name, ReadOnlySpan<byte> body, IReadOnlyList<string> secrets)
    {
        if (!Header(headers, name, out var header, out var fault))
        {
            return fault;
        }

        return FromBase64(header) is not { } given ? new FieldFault(name, "is not a SHA-256 in base64")
            : Fits([given], secrets, Encoding.UTF8.GetBytes, [], body) ? null
            : NoneFits(name);
    }

    /// <summary>
    /// Standard Webhooks: <c>webhook-signature: v1,… v1,…</c>, HMAC-SHA256 in base64 over id, time and body joined by dots, by the
    /// bytes that the secret (<c>whsec_…</c>) is the base64 of.
    /// </summary>
    public static FieldFault? OfStandard(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<string> secrets, DateTimeOffset now)
    {
        const string Name = "webhook-signature";
        if (!Header(headers, "webhook-id", out var id, out var fault)
            || !Header(headers, "webhook-timestamp", out var time, out fault)
            || !Header(headers, Name, out var header, out fault))
        {
            return fault;
        }

        if (!TryUnix(time, out var at))
        {
            return new FieldFault("webhook-timestamp", "is not a time in seconds since 1970");
        }

        var given = new List<byte[]>();
        foreach (var part in header.Split(' '))
        {
            if (part.StartsWith("v1,", StringComparison.Ordinal) && FromBase64(part[3..]) is { } signature)
            {
                given.Add(signature);
            }
        }

        return given.Count == 0 ? new FieldFault(Name, "holds no signature 'v1,'")
            : !Fits(given, secrets, StandardKey, Encoding.UTF8.GetBytes($"{id}.{time}."), body) ? NoneFits(Name)
            : OutOfTime("webhook-timestamp", at, now);
    }

    /// <summary>The key of a secret of Standard Webhooks; empty where it is none.</summary>
    public static byte[] StandardKey(string secret)
    {
        const string Prefix = "whsec_";
        var text = secret.StartsWith(Prefix, StringComparison.Ordinal) ? secret[Prefix.Length..] : secret;
        var key = new byte[text.Length];
        return Convert.TryFromBase64String(text, key, out var length) ? key[..length] : [];
    }

    private static bool Fits(List<byte[]> given, IReadOnlyList<string> secrets, Func<string, byte[]> toKey, ReadOnlySpan<byte> before, ReadOnlySpan<byte> body)
    {
        var fits = false;
        Span<byte> expected = stackalloc byte[HMACSHA256.HashSizeInBytes];
        foreach (var secret in secrets)
        {
            // An empty key would be everybody's.
            if (toKey(secret) is not { Length: > 0 } key)
            {
                continue;
            }

            using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
            hmac.AppendData(before);
            hmac.AppendData(body);
            hmac.GetHashAndReset(expected);
            foreach (var signature in given)
            {
                fits |= CryptographicOperations.FixedTimeEquals(expected, signature);
            }
        }

        return fits;
    }

    // Judged after the signature: only who knows a secret learns what our clock says.
    private static FieldFault? OutOfTime(string name, DateTimeOffset at, DateTimeOffset now)
    {
        var away = (long)Math.Floor((now - at).TotalSeconds);
        return away > Tolerance.TotalSeconds ? new FieldFault(name, $"is {away} seconds old; at most {Tolerance.TotalSeconds} are allowed")
            : -away > Tolerance.TotalSeconds ? new FieldFault(name, $"is {-away} seconds ahead; at most {Tolerance.TotalSeconds} are allowed")
            : null;
    }

    private static FieldFault NoneFits(string name) => new(name, "is not the signature of this body by any secret that is set up");

    private static bool Header(IHeaderDictionary headers, string name, out string value, out FieldFault? fault)
    {
        var values = headers[name];
        value = values.Count == 1 ? values[0] ?? "" : "";
        fault = values.Count == 0 ? new FieldFault(name, "is missing")
            : values.Count > 1 ? new FieldFault(name, "is given twice")
            : value.Length == 0 ? new FieldFault(name, "is empty")
            : value.Length > MaxHeader ? new FieldFault(name, $"has {value.Length} characters; at most {MaxHeader} are allowed")
            : null;
        return fault is null;
    }

    private static bool TryUnix(string text, out DateTimeOffset at)
    {
        at = default;
        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || seconds > MaxUnix)
        {
            return false;
        }

        at = DateTimeOffset.FromUnixTimeSeconds(seconds);
        return true;
    }

    private static readonly long MaxUnix = DateTimeOffset.MaxValue.ToUnixTimeSeconds();

    private static byte[]? FromHex(string text)
    {
        var hash = new byte[HMACSHA256.HashSizeInBytes];
        return text.Length == 2 * hash.Length && Convert.FromHexString(text, hash, out _, out _) == System.Buffers.OperationStatus.Done ? hash : null;
    }

    private static byte[]? FromBase64(string text)
    {
        var hash = new byte[HMACSHA256.HashSizeInBytes];
        return Convert.TryFromBase64String(text, hash, out var length) && length == hash.Length ? hash : null;
    }
}
