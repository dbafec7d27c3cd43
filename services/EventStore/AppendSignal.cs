namespace PartnerPulse.EventStore;

/// <summary>Wakes every reader that waits; a reader that was busy meanwhile is woken at its next wait.</summary>
public sealed class AppendSignal
{
    private volatile TaskCompletionSource _next = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Take it before looking for work, await it when there was none: what is appended in between is not slept through.</summary>
    public Task Next => _next.Task;

    public void Set() => Interlocked.Exchange(ref _next, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
}
