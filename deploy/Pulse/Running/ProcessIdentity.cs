using System.Diagnostics;
using System.Globalization;

namespace PartnerPulse.Pulse.Running;

/// <summary>
/// A process, told apart from a later one with the same number by when it started. <paramref name="Start"/> is opaque: on
/// Linux the boot and the tick of the start, elsewhere the time.
/// </summary>
internal sealed record ProcessIdentity(int Pid, string Start)
{
    public static ProcessIdentity Current => Of(Environment.ProcessId) ?? throw new InvalidOperationException("This process is not alive.");

    /// <summary>Null where no such process runs. A zombie does not run.</summary>
    public static ProcessIdentity? Of(int pid)
    {
        if (pid <= 0)
        {
            return null;
        }

        if (OperatingSystem.IsLinux())
        {
            return ReadStat($"/proc/{pid.ToString(CultureInfo.InvariantCulture)}/stat") is { } stat && ParseStat(stat) is { } tick
                ? new ProcessIdentity(pid, $"{s_boot.Value}:{tick}")
                : null;
        }

        try
        {
            using var process = Process.GetProcessById(pid);
            return new ProcessIdentity(pid, process.StartTime.ToUniversalTime().Ticks.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception gone) when (gone is ArgumentException or InvalidOperationException)
        {
            return null;
        }
    }

    public bool IsAlive => Of(Pid) is { } now && now == this;

    /// <summary>The start tick in a line of <c>/proc/n/stat</c>; null for a process that is dead but not yet collected.</summary>
    internal static string? ParseStat(string stat)
    {
        // The name stands in parentheses and may hold spaces and parentheses itself; the fields after it do not.
        var end = stat.LastIndexOf(')');
        if (end < 0)
        {
            return null;
        }

        var fields = stat[(end + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length < 20 || fields[0] is "Z" or "X" ? null : fields[19];
    }

    private static string? ReadStat(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static readonly Lazy<string> s_boot = new(() =>
    {
        const string path = "/proc/sys/kernel/random/boot_id";
        return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
    });
}
