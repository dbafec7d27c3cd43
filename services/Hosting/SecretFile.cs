using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace PartnerPulse.Hosting;

/// <summary>A file with a service's secret: made once, for its owner alone.</summary>
public static partial class SecretFile
{
    /// <summary>Makes the file where it is missing, and the folders that it lies in.</summary>
    /// <param name="file">Its path.</param>
    /// <param name="make">Its content; asked for only where it is missing.</param>
    /// <returns>Whether it was made by this call.</returns>
    public static bool MakeIfMissing(string file, Func<byte[]> make)
    {
        if (File.Exists(file))
        {
            return false;
        }

        // Written beside and linked into place: two instances that start at once end with the same whole file.
        var full = Path.GetFullPath(file);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        var draft = $"{full}.{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6))}";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var stream = new FileStream(draft, options))
        {
            stream.Write(make());
            stream.Flush(flushToDisk: true);
        }

        // A move alone is not enough but on Windows: it looks whether the file is there, and then replaces it. Where there are no links it has to do.
        if (!OperatingSystem.IsWindows() && Link(draft, full) == 0)
        {
            File.Delete(draft);
            return true;
        }

        try
        {
            File.Move(draft, full, overwrite: false);
            return true;
        }
        catch (IOException) when (File.Exists(full))
        {
            File.Delete(draft);
            return false;
        }
    }

    [LibraryImport("libc", EntryPoint = "link", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Link(string existing, string added);
}
