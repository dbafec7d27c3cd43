using System.Security.Cryptography;
using Microsoft.Extensions.Options;

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
        if (!File.Exists(file))
        {
            Make(file, logger);
        }

        var secret = File.ReadAllBytes(file);
        return secret.Length >= Length
            ? secret
            : throw new InvalidDataException($"Edge:SigningKeyFile {file} has {secret.Length} bytes; it must have at least {Length} random ones.");
    }

    private static void Make(string file, ILogger logger)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using var stream = new FileStream(file, options);
            stream.Write(RandomNumberGenerator.GetBytes(Length));
            logger.SigningKeyMade(file);
        }
        catch (IOException) when (File.Exists(file))
        {
            // Another edge made it in the same moment; its key is ours.
        }
    }
}
