using System.Security.Cryptography;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.UserAgents;

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
        if (!File.Exists(file))
        {
            Make(file);
        }

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

    private static void Make(string file)
    {
        // Written beside and linked into place: two instances that start at once end with the same whole file.
        var full = Path.GetFullPath(file);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        var draft = $"{full}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6))}";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var key = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        using (var stream = new FileStream(draft, options))
        {
            stream.Write(System.Text.Encoding.ASCII.GetBytes(key.ExportPkcs8PrivateKeyPem() + "\n"));
            stream.Flush(flushToDisk: true);
        }

        try
        {
            File.Move(draft, full, overwrite: false);
        }
        catch (IOException) when (File.Exists(full))
        {
            File.Delete(draft);
        }
    }

    public void Dispose()
    {
        if (_key.IsValueCreated)
        {
            _key.Value.Dispose();
        }
    }
}
