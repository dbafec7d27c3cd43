using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using PartnerPulse.Hosting;

namespace PartnerPulse.Edge;

/// <summary>The secret of the edges, and the keys for one purpose each that are made from it (HKDF, RFC 5869).</summary>
internal sealed class SigningKey
{
    private const int Length = 32;
    private readonly byte[] _secret;

    public SigningKey(IOptions<EdgeOptions> options, ILogger<SigningKey> logger)
        : this(Load(options.Value.SigningKeyFile, logger))
    {
    }

    internal SigningKey(byte[] secret) => _secret = secret;

    /// <summary>The key for <paramref name="purpose"/>, 32 bytes.</summary>
    public byte[] For(string purpose) =>
        HKDF.Expand(HashAlgorithmName.SHA256, _secret, Length, System.Text.Encoding.UTF8.GetBytes(purpose));

    private static byte[] Load(string file, ILogger logger)
    {
        if (SecretFile.MakeIfMissing(file, () => RandomNumberGenerator.GetBytes(Length)))
        {
            logger.SigningKeyMade(file);
        }

        var secret = File.ReadAllBytes(file);
        return secret.Length >= Length
            ? secret
            : throw new InvalidDataException($"Edge:SigningKeyFile {file} has {secret.Length} bytes; it must have at least {Length} random ones.");
    }
}
