using System.Security.Cryptography;
using System.Text;

namespace PartnerPulse.Outbound;

/// <summary>Signatures by the Standard Webhooks specification, version 1: HMAC-SHA256 over <c>{id}.{seconds}.{body}</c>.</summary>
internal static class Signature
{
    public const string SecretPrefix = "whsec_";

    private const int SecretBytes = 32;

    public static byte[] NewSecret() => RandomNumberGenerator.GetBytes(SecretBytes);

    /// <summary>The secret as a receiver keeps it: <c>whsec_</c> and base64.</summary>
    public static string Text(byte[] secret) => SecretPrefix + Convert.ToBase64String(secret);

    /// <summary>The value of <c>webhook-signature</c>: one signature a secret, so that a receiver may hold either of two.</summary>
    public static string Of(string id, long unixSeconds, ReadOnlySpan<byte> body, params IEnumerable<byte[]> secrets)
    {
        byte[] signed = [.. Encoding.UTF8.GetBytes($"{id}.{unixSeconds}."), .. body];
        return string.Join(' ', secrets.Select(secret => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(secret, signed))}"));
    }
}
