using System.Diagnostics;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Running;

/// <summary>
/// One started process. It leads a session of its own, so that Ctrl-C reaches only <c>up</c>, which ends its children in
/// order; and it writes its output straight to its log, so that the log goes on when <c>up</c> is killed.
/// </summary>
internal sealed class ChildProcess : IDisposable
{
    private readonly Process _process;

    private ChildProcess(Process process, ProcessIdentity identity)
    {
        _process = process;
        Identity = identity;
    }

    public ProcessIdentity Identity { get; }
    public bool HasExited => _process.HasExited;
    public int ExitCode => _process.ExitCode;

    public static ChildProcess Start(ProcessSpec spec)
    {
        var start = new ProcessStartInfo("/bin/sh") { UseShellExecute = false };
        start.ArgumentList.Add("-c");
        // exec keeps the process id through the shell and setsid to the program itself.
        start.ArgumentList.Add("log=$1; shift; exec \"$@\" >>\"$log\" 2>&1 </dev/null");
        start.ArgumentList.Add("pulse");
        start.ArgumentList.Add(spec.LogFile);
        if (Shell.Find("setsid") is { } setsid)
        {
            start.ArgumentList.Add(setsid);
        }

        start.ArgumentList.Add(spec.FileName);
        foreach (var argument in spec.Arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in spec.Environment)
        {
            if (value is null)
            {
                start.Environment.Remove(name);
            }
            else
            {
                start.Environment[name] = value;
            }
        }

        start.WorkingDirectory = spec.WorkingDirectory ?? "/";
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{spec.FileName} did not start.");
        // A process that is gone already has no identity any more; the number alone is then never used to kill.
        var identity = ProcessIdentity.Of(process.Id) ?? new ProcessIdentity(process.Id, "gone");
        return new ChildProcess(process, identity);
    }

    public Task WaitForExitAsync(CancellationToken cancellation) => _process.WaitForExitAsync(cancellation);

    /// <summary>Asks, waits, then kills the whole session.</summary>
    public async Task StopAsync(ProcessSpec spec)
    {
        await StopAsync(Identity, spec.StopSignal, spec.StopWithin);
        await _process.WaitForExitAsync();
    }

    /// <summary>Ends a process that this one may not have started. One that only has the same number is left alone.</summary>
    public static async Task StopAsync(ProcessIdentity identity, Signal signal, TimeSpan within)
    {
        if (!identity.IsAlive)
        {
            return;
        }

        Signals.Send(identity.Pid, signal);
        var waited = Stopwatch.StartNew();
        while (identity.IsAlive && waited.Elapsed < within)
        {
            await Task.Delay(25);
        }

        if (identity.IsAlive)
        {
            Signals.SendToGroup(identity.Pid, Signal.Kill);
            Signals.Send(identity.Pid, Signal.Kill);
            waited.Restart();
            while (identity.IsAlive && waited.Elapsed < TimeSpan.FromSeconds(10))
            {
                await Task.Delay(25);
            }
        }
    }

    public void Dispose() => _process.Dispose();
}
