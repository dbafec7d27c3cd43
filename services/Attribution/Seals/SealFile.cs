using System.Text;

namespace PartnerPulse.Attribution.Seals;

/// <summary>The checkpoints, a line of JSON each, in a file outside the database. Lines are only ever added.</summary>
internal static class SealFile
{
    /// <summary>Adds a line; it is on the disk when this returns.</summary>
    public static void Append(string file, Checkpoint checkpoint)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        using var stream = new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);

        // A crash may have left half a line; it is ended, and passed over by readers as what it is.
        stream.Seek(-Math.Min(1, stream.Length), SeekOrigin.End);
        var torn = stream.Length > 0 && stream.ReadByte() != '\n';
        stream.Seek(0, SeekOrigin.End);
        stream.Write(Encoding.UTF8.GetBytes($"{(torn ? "\n" : "")}{checkpoint.ToLine()}\n"));
        stream.Flush(flushToDisk: true);
    }

    /// <summary>All lines with their numbers, from 1; a checkpoint is null where the line is none. Null where there is no file.</summary>
    public static IReadOnlyList<(int Line, Checkpoint? Checkpoint)>? Read(string file)
    {
        if (!File.Exists(file))
        {
            return null;
        }

        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var lines = new List<(int, Checkpoint?)>();
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            lines.Add((++number, Checkpoint.Parse(line)));
        }

        return lines;
    }
}
