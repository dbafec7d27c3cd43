using PartnerPulse.EventStore;

namespace PartnerPulse.Attribution.Projection;

/// <summary>How far this process's projector is, for those who wait for it and for <c>/ready</c>.</summary>
internal sealed class ProjectionProgress(TimeProvider time)
{
    private readonly AppendSignal _advanced = new();
    private long _position;
    private string? _fault;

    public long Position => Volatile.Read(ref _position);

    /// <summary>Why the projector does not get on; null while it does.</summary>
    public string? Fault => Volatile.Read(ref _fault);

    public Task NextAdvance => _advanced.Next;

    public void Advanced(long position)
    {
        Volatile.Write(ref _position, position);
        Volatile.Write(ref _fault, null);
        _advanced.Set();
    }

    public void Failed(Exception exception) => Volatile.Write(ref _fault, exception.Message);

    /// <summary>
    /// Waits until everything up to <paramref name="position"/> is folded by whichever instance projects, so that a caller reads
    /// what it wrote.
    /// </summary>
    /// <returns>False where <paramref name="atMost"/> passed first.</returns>
    public async Task<bool> WaitAsync(EventLog log, long position, TimeSpan atMost, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var next = NextAdvance;
            if (Position >= position || await log.CheckpointAsync(Projector.Checkpoint, cancellationToken) >= position)
            {
                return true;
            }

            if (time.GetElapsedTime(started) > atMost)
            {
                return false;
            }

            await Task.WhenAny(next, Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken));
        }
    }
}
