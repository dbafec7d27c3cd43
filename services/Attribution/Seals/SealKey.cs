using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.UserAgents;
using PartnerPulse.Hosting;

namespace PartnerPulse.Attribution.Seals;

/// <summary>The key that signs checkpoints: ECDSA on P-256, made once, in a file that only its owner reads. The public half lies beside it.</summary>
internal sealed class SealKey(IOptions<AttributionOptions> options) : IDisposable
{
    private readonly Lazy<ECDsa> _key = new(() => Open(options.Value.SealKeyFile!));

    public string PublicPem => _key.Value.ExportSubjectPublicKeyInfoPem();

    public Checkpoint Sign(string log, SealPage page, DateTimeOffset at)
    {
        var unsigned = new Checkpoint(log, page.Number, page.To, Convert.ToHexStringLower(page.Entry), SealedEvent.TimeText(at), IdOf(_key.Value), Signature: "");
        return unsigned with { Signature = Convert.ToBase64String(_key.Value.SignData(System.Text.Encoding.UTF8.GetBytes(unsigned.Text), HashAlgorithmName.SHA256)) };
    }

    public bool HasSigned(Checkpoint checkpoint) => checkpoint.IsSignedBy(_key.Value);

    /// <summary>How checkpoints name a key.</summary>
    public static string IdOf(ECDsa key) => Convert.ToHexStringLower(SHA256.HashData(key.ExportSubjectPublicKeyInfo()))[..16];

    /// <summary>Where the public half of a key lies.</summary>
    public static string PublicFile(string file) => file + ".pub";

    private static ECDsa Open(string file)
    {
        SecretFile.MakeIfMissing(file, NewPem);
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(File.ReadAllText(file));
        }
        catch (ArgumentException fault)
        {
            key.Dispose();
            throw new InvalidDataException($"Attribution:SealKeyFile {file} holds no private key in PEM.", fault);
        }

        var known = PublicFile(file);
        if (!File.Exists(known))
        {
            File.WriteAllText(known, key.ExportSubjectPublicKeyInfoPem() + "\n");
        }

        return key;
    }

    private static byte[] NewPem()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return System.Text.Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n");
    }

    public void Dispose()
    {
        if (_key.IsValueCreated)
        {
            _key.Value.Dispose();
        }
    }
}
