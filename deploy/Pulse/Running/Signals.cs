using System.Runtime.InteropServices;

namespace PartnerPulse.Pulse.Running;

internal enum Signal
{
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
}

internal static partial class Signals
{
    /// <summary>Sends the signal; false where there is no such process any more.</summary>
    public static bool Send(int pid, Signal signal) => pid > 1 && Kill(pid, (int)signal) == 0;

    /// <summary>Sends the signal to every process of the session that <paramref name="pid"/> leads.</summary>
    public static bool SendToGroup(int pid, Signal signal) => pid > 1 && Kill(-pid, (int)signal) == 0;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int pid, int signal);
}
