using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Threading.Tasks.Sources;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting;

namespace PartnerPulse.Edge;

/// <summary>
/// Clicks on their way into the spool, and the wait for their commit. Pooled: a request that records a click makes no garbage
/// of its own here. Rent it, add, append it, await once; then it is the pool's again.
/// </summary>
internal sealed class SpoolEntry : IValueTaskSource<bool>, IDisposable
{
    /// <summary>Characters that are harmless in a file are not escaped: addresses stay readable, and a third smaller.</summary>
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private readonly Utf8JsonWriter _writer;
    private readonly Action<SpoolEntry> _return;
    private readonly TimeProvider _time;
    private ManualResetValueTaskSourceCore<bool> _core;

    public SpoolEntry(TimeProvider time, Action<SpoolEntry> giveBack)
    {
        _time = time;
        _writer = new Utf8JsonWriter(_buffer, s_json);
        _return = giveBack;
    }

    /// <summary>The clicks as lines of JSON.</summary>
    public ReadOnlySpan<byte> Lines => _buffer.WrittenSpan;

    public int Bytes => _buffer.WrittenCount;

    public int Capacity => _buffer.Capacity;

    public int Count { get; private set; }

    /// <summary>When the redirect began that waits for this, by the clock of <see cref="TimeProvider.GetTimestamp"/>; null where none is measured.</summary>
    public long? Since { get; set; }

    public ValueTask<bool> Committed => new(this, _core.Version);

    /// <param name="click">The click.</param>
    /// <param name="context">The trace context in which it came, where its trace is sampled.</param>
    public void Add(ClickRecorded click, string? context = null)
    {
        if (context is null)
        {
            JsonSerializer.Serialize(_writer, click, ContractsJson.Default.ClickRecorded);
            _writer.Flush();
            _writer.Reset();
        }
        else
        {
            AddTraced(click, context);
        }

        _buffer.GetSpan(1)[0] = (byte)'\n';
        _buffer.Advance(1);
        Count++;
    }

    private void AddTraced(ClickRecorded click, string context)
    {
        var alone = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(alone, s_json))
        {
            JsonSerializer.Serialize(writer, click, ContractsJson.Default.ClickRecorded);
        }

        TracedLine.Write(_buffer, alone.WrittenSpan, context);
    }

    /// <summary>
    /// Answers who waits, here and now where it is a redirect: that takes microseconds, and many go well on one thread. An import
    /// goes on for long, and elsewhere. The entry is not the caller's any more.
    /// </summary>
    public void Complete(bool kept)
    {
        if (Since is { } since)
        {
            Metrics.RedirectTime.Record(_time.GetElapsedTime(since).TotalSeconds);
        }

        _core.RunContinuationsAsynchronously = Count > 1;
        _core.SetResult(kept);
    }

    public void Clear()
    {
        _buffer.ResetWrittenCount();
        _core.Reset();
        Count = 0;
        Since = null;
    }

    public void Dispose() => _writer.Dispose();

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        var kept = _core.GetResult(token);
        _return(this);
        return kept;
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
