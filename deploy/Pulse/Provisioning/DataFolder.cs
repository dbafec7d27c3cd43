using System.Security.Cryptography;
using System.Text;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>
/// The folder where everything of one installation lies: clusters, secrets, logs, spools and <c>run.json</c>. What is secret
/// is readable by its owner only.
/// </summary>
internal sealed class DataFolder
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode OwnerOnlyFolder = OwnerOnly | UnixFileMode.UserExecute;

    private DataFolder(string path) => Path = path;

    public string Path { get; }

    /// <summary>Names what belongs to this folder where names are shared with others: nodes, containers, places outside it.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path)))[..12];

    public string Logs => System.IO.Path.Combine(Path, "logs");
    public string Secrets => System.IO.Path.Combine(Path, "secrets");

    /// <summary>The folder given, else <c>.pulse</c> beside the launcher (<c>PULSE_ROOT</c>), else in the current folder.</summary>
    public static string Resolve(string? given) =>
        System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(
            given ?? System.IO.Path.Combine(Environment.GetEnvironmentVariable("PULSE_ROOT") ?? Environment.CurrentDirectory, ".pulse")));

    /// <summary>For reading only; the folder need not exist.</summary>
    public static DataFolder At(string? given) => new(Resolve(given));

    /// <summary>Makes the folder where it is missing.</summary>
    /// <exception cref="ProvisioningException">It cannot be made or written.</exception>
    public static DataFolder Open(string? given)
    {
        var data = new DataFolder(Resolve(given));
        try
        {
            Directory.CreateDirectory(data.Path);
            Directory.CreateDirectory(data.Logs);
            Directory.CreateDirectory(data.Secrets, OwnerOnlyFolder);
            var probe = data.File($".probe-{Environment.ProcessId}");
            System.IO.File.WriteAllText(probe, "");
            System.IO.File.Delete(probe);
            // A folder that another user may enter is still closed to another user's secrets.
            foreach (var _ in Directory.EnumerateFileSystemEntries(data.Secrets))
            {
                break;
            }
        }
        catch (Exception fault) when (fault is UnauthorizedAccessException or IOException)
        {
            throw new ProvisioningException(
                $"The data folder {data.Path} cannot be used: {fault.Message} Run as the user who owns it, or give another with --data.", fault);
        }

        return data;
    }

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Log(string name) => System.IO.Path.Combine(Logs, name + ".log");

    /// <summary>Replaces a file in one step, so that a reader sees the old text or the new one.</summary>
    public void WritePrivate(string name, string text) => WritePrivate(name, Encoding.UTF8.GetBytes(text));

    /// <summary>A secret kept as text under <c>secrets/</c>: made once, then the same for ever.</summary>
    public string Secret(string name, Func<string> make)
    {
        var path = System.IO.Path.Combine(Secrets, name);
        if (!System.IO.File.Exists(path))
        {
            WritePrivate(System.IO.Path.Combine("secrets", name), make());
        }

        return System.IO.File.ReadAllText(path).Trim();
    }

    /// <summary>A secret word of 256 random bits, in hexadecimal digits.</summary>
    public string SecretWord(string name, string prefix = "") =>
        Secret(name, () => prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)));

    /// <summary>Path of a file of 32 random bytes.</summary>
    public string SecretKeyFile(string name)
    {
        var path = System.IO.Path.Combine(Secrets, name);
        if (!System.IO.File.Exists(path))
        {
            WritePrivate(System.IO.Path.Combine("secrets", name), RandomNumberGenerator.GetBytes(32));
        }

        return path;
    }

    private void WritePrivate(string name, byte[] content)
    {
        var path = File(name);
        var next = $"{path}.{Environment.ProcessId}.tmp";
        System.IO.File.Delete(next);
        using (var stream = new FileStream(next, new FileStreamOptions
        {
            Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly,
        }))
        {
            stream.Write(content);
            stream.Flush(flushToDisk: true);
        }

        System.IO.File.Move(next, path, overwrite: true);
    }
}
