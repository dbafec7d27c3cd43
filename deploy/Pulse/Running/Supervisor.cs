using System.Diagnostics;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Running;

/// <summary>
/// Starts processes in order, starts again those that die, with a growing pause, and ends all of them in the opposite order.
/// Every change is told to <c>changed</c> before anything waits for it, so that <c>run.json</c> never lacks a live process.
/// </summary>
internal sealed class Supervisor(Action<string> say, Action<IReadOnlyList<RunningProcess>> changed) : IAsyncDisposable
{
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(10);

    // A process that lived this long is not in a crash loop.
    private static readonly TimeSpan s_settled = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Watched> _watched = []; // guarded by itself
    private readonly Lock _telling = new();

    private sealed class Watched(ProcessSpec spec)
    {
        public ProcessSpec Spec { get; } = spec;
        public ChildProcess? Child { get; set; } // written by its own watcher only, read under the list's lock
        public int Restarts { get; set; }
        public Task Watcher { get; set; } = Task.CompletedTask;
    }

    /// <summary>Starts it and returns when it is ready.</summary>
    /// <exception cref="ProvisioningException">It ended or did not become ready in time; says why, with the end of its log.</exception>
    public async Task StartAsync(ProcessSpec spec, CancellationToken cancellation)
    {
        var watched = new Watched(spec);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _stopping.Token);
        if (spec.BeforeStart is { } before)
        {
            await before(linked.Token);
        }

        lock (_watched)
        {
            linked.Token.ThrowIfCancellationRequested();
            watched.Child = ChildProcess.Start(spec);
            _watched.Add(watched);
        }

        Tell();
        await UntilReadyAsync(watched, linked.Token);
        watched.Watcher = WatchAsync(watched);
    }

    private static async Task UntilReadyAsync(Watched watched, CancellationToken cancellation)
    {
        var spec = watched.Spec;
        if (spec.WhyNotReady is null)
        {
            return;
        }

        var waited = Stopwatch.StartNew();
        string? reason = null;
        while (true)
        {
            cancellation.ThrowIfCancellationRequested();
            if (watched.Child!.HasExited)
            {
                throw new ProvisioningException($"{spec.Name} ended with exit code {watched.Child.ExitCode} before it was ready.{LogTail(spec)}");
            }

            reason = await spec.WhyNotReady(cancellation);
            if (reason is null)
            {
                return;
            }

            if (waited.Elapsed > spec.ReadyWithin)
            {
                throw new ProvisioningException($"{spec.Name} was not ready after {spec.ReadyWithin.TotalSeconds:0} s: {reason}.{LogTail(spec)}");
            }

            await Task.Delay(100, cancellation);
        }
    }

    private async Task WatchAsync(Watched watched)
    {
        var pause = s_firstPause;
        while (!_stopping.IsCancellationRequested)
        {
            var lived = Stopwatch.StartNew();
            try
            {
                await watched.Child!.WaitForExitAsync(_stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            pause = lived.Elapsed > s_settled ? s_firstPause : pause;
            say($"{watched.Spec.Name} ended with exit code {watched.Child.ExitCode}; starting it again in {pause.TotalSeconds:0.0} s");
            try
            {
                await Task.Delay(pause, _stopping.Token);
                if (watched.Spec.BeforeStart is { } before)
                {
                    await before(_stopping.Token);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (ProvisioningException fault)
            {
                say(fault.Message);
            }

            pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, s_longestPause.Ticks));
            lock (_watched)
            {
                if (_stopping.IsCancellationRequested)
                {
                    return;
                }

                watched.Child.Dispose();
                watched.Child = ChildProcess.Start(watched.Spec);
                watched.Restarts++;
            }

            Tell();
        }
    }

    /// <summary>Ends all of them, last started first.</summary>
    public async Task StopAsync()
    {
        Watched[] all;
        lock (_watched)
        {
            _stopping.Cancel();
            all = [.. _watched];
        }

        foreach (var watched in all.Reverse())
        {
            await watched.Watcher;
            if (watched.Child is { } child)
            {
                if (!child.HasExited)
                {
                    await child.StopAsync(watched.Spec);
                }

                child.Dispose();
            }

            if (watched.Spec.Container is { } container)
            {
                await Docker.RemoveAsync(container, CancellationToken.None);
            }

            lock (_watched)
            {
                _watched.Remove(watched);
            }
        }
    }

    private void Tell()
    {
        lock (_telling)
        {
            RunningProcess[] now;
            lock (_watched)
            {
                now = [.. _watched.Where(w => w.Child is not null).Select(w => new RunningProcess
                {
                    Name = w.Spec.Name,
                    Pid = w.Child!.Identity.Pid,
                    Start = w.Child.Identity.Start,
                    Address = w.Spec.Address,
                    Log = w.Spec.LogFile,
                    StopSignal = w.Spec.StopSignal,
                    Container = w.Spec.Container,
                    Restarts = w.Restarts,
                })];
            }

            changed(now);
        }
    }

    private static string LogTail(ProcessSpec spec)
    {
        var lines = LogFiles.Tail(spec.LogFile, 15);
        return lines.Count == 0 ? $" Its log {spec.LogFile} is empty." : $" The end of {spec.LogFile}:\n  {string.Join("\n  ", lines)}";
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stopping.Dispose();
    }
}
