namespace PartnerPulse.Pulse.Running;

/// <summary>Bounds the logs: what grew too large is set aside as <c>.1</c> and begun anew.</summary>
internal static class LogFiles
{
    public const long MaxBytes = 16 * 1024 * 1024;

    /// <summary>
    /// Copies and cuts, because the writers keep the file open (in append mode, so they go on at its new end). A line
    /// written between copy and cut is lost; these are logs for people, not the log of events.
    /// </summary>
    public static void Bound(string folder, long maxBytes = MaxBytes)
    {
        foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*.log"))
        {
            if (file.Length <= maxBytes)
            {
                continue;
            }

            File.Copy(file.FullName, file.FullName + ".1", overwrite: true);
            using var log = new FileStream(file.FullName, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
            log.SetLength(0);
        }
    }

    /// <summary>The last lines, without reading more than the last 64 KB.</summary>
    public static IReadOnlyList<string> Tail(string file, int lines)
    {
        if (!File.Exists(file))
        {
            return [];
        }

        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var skipped = Math.Max(0, stream.Length - 64 * 1024);
        stream.Seek(skipped, SeekOrigin.Begin);
        using var reader = new StreamReader(stream);
        var all = reader.ReadToEnd().Split('\n');
        var whole = all.Skip(skipped > 0 ? 1 : 0).ToList();
        if (whole.Count > 0 && whole[^1].Length == 0)
        {
            whole.RemoveAt(whole.Count - 1);
        }

        return whole.Count > lines ? whole.GetRange(whole.Count - lines, lines) : whole;
    }
}
