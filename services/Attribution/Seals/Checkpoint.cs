using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace PartnerPulse.Attribution.Seals;

/// <summary>
/// A signed statement: up to this page and position the chain is this. It vouches for every event before it, because each page's entry
/// is made from the one before.
/// </summary>
/// <param name="Log">Whose log: program and schema.</param>
/// <param name="Page">Number of the page.</param>
/// <param name="To">Position of its last event.</param>
/// <param name="Entry">The page's entry of the chain, lower-case hex.</param>
/// <param name="At">When it was signed, ISO 8601 in UTC.</param>
/// <param name="Key">Which key: the first 16 hex digits of SHA-256 over its SubjectPublicKeyInfo.</param>
/// <param name="Signature">ECDSA on P-256 with SHA-256 over <see cref="Text"/>, as r and s of 32 bytes each, base64.</param>
public sealed record Checkpoint(string Log, long Page, long To, string Entry, string At, string Key, string Signature)
{
    /// <summary>What is signed: its fields, a line each.</summary>
    [JsonIgnore]
    public string Text => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"pulse-checkpoint-v1\n{Log}\n{Page}\n{To}\n{Entry}\n{At}\n");

    public bool IsSignedBy(ECDsa key)
    {
        Span<byte> signature = stackalloc byte[64];
        return Convert.TryFromBase64String(Signature, signature, out var written)
            && key.VerifyData(Encoding.UTF8.GetBytes(Text), signature[..written], HashAlgorithmName.SHA256);
    }

    public string ToLine() => JsonSerializer.Serialize(this, SealsJson.Default.Checkpoint);

    /// <summary>Null where the line is no checkpoint.</summary>
    public static Checkpoint? Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, SealsJson.Default.Checkpoint);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true, NumberHandling = JsonNumberHandling.Strict,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Checkpoint))]
[JsonSerializable(typeof(ClickAttestation))]
[JsonSerializable(typeof(SignedHead))]
[JsonSerializable(typeof(LogVerification))]
internal sealed partial class SealsJson : JsonSerializerContext;
