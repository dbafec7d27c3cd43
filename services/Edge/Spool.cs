using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Edge;

/// <summary>
/// The edge's log: clicks in a local SQLite file until the bus has them. One thread writes. While it commits, all requests that
/// come gather, and the next commit takes them all as one row, so that the price of a commit is shared by everyone who waits.
/// </summary>
/// <remarks>
/// A row holds the clicks of one commit as lines of JSON, under the position of the last of them: a person can read it with
/// <c>select last, count, cast(data as text) from clicks</c>. <see cref="SpoolFile"/> opens and salvages it. A row for each click costs about three times as much to write.
/// </remarks>
internal sealed class Spool : ITailedLog, IDisposable
{
    /// <summary>Clicks handed on that stay in the file, for a person who looks; none while the file is half full.</summary>
    private const int KeepHandedOn = 10_000;

    /// <summary>Bytes that one commit takes at most; who waits behind them is in the next.</summary>
    private const int MaxGroupBytes = 4 * 1024 * 1024;

    /// <summary>Entries that wait at most; more than that means that the disk does not keep up, and is counted as lost.</summary>
    private const int MaxWaiting = 20_000;

    /// <summary>Commits under load from one that prunes to the next, and rows that one prunes at most: twice what they have added.</summary>
    private const int PruneEvery = 16;
    private const int PruneBusy = 2 * PruneEvery;
    private const int PruneIdle = 256;

    /// <summary>Bytes of clicks that are kept in memory for the relay, at most. A relay further behind reads the file.</summary>
    private const int MaxRecentBytes = 8 * 1024 * 1024;

    /// <summary>Requests that one thread answers after a commit; waking a thread for each costs more than the answer.</summary>
    private const int AnswersTogether = 16;

    private const int MaxPooled = 1_024;
    private const int MaxPooledBytes = 32 * 1024;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    // The relay is woken this often at most: on a page of hundreds it spends a fraction of what it spends on a page of one.
    private static readonly TimeSpan s_wakeRelay = TimeSpan.FromMilliseconds(20);

    // An idle writer wakes to keep the checkpoint, to prune, and to try whether a failed disk works again.
    private static readonly TimeSpan s_tend = TimeSpan.FromMilliseconds(100);

    private readonly ILogger<Spool> _logger;
    private readonly TimeProvider _time;
    private readonly long _maxBytes;
    private readonly FileStream _lockFile;
    private readonly string _id;
    private readonly SqliteConnection _writeConnection;
    private readonly SqliteConnection _readConnection;
    private readonly SqliteCommand _read;
    private readonly SqliteCommand _oldest;
    private readonly SemaphoreSlim _reading = new(1, 1);
    private readonly Statement _begin;
    private readonly Statement _commit;
    private readonly Statement _rollback;
    private readonly Statement _insert;
    private readonly Statement _saveCheckpoint;
    private readonly Statement _prune;
    private readonly Thread _writer;
    private readonly AppendSignal _appended = new();
    private readonly ConcurrentQueue<SpoolEntry> _pool = new();

    // Guards _waiting, _asleep and _stopping; never held across I/O.
    private readonly object _gate = new();
    private List<SpoolEntry> _waiting = [];
    private bool _asleep;
    private bool _stopping;

    // Guards _recent and _recentBytes: the last commits, without gaps up to the last of them.
    private readonly Lock _recentGate = new();
    private readonly Queue<Commit> _recent = new();
    private int _recentBytes;

    // The writer's alone.
    private List<SpoolEntry> _taken = [];
    private long _savedCheckpoint;
    private bool _pruneMore = true;
    private int _unpruned;
    private bool _relayWaits;
    private long _relayWoken;
    private long _lost;

    // Written by the writer, read by anyone.
    private long _last;
    private long _bytes;
    private volatile string? _fault;
    private volatile string? _unreadable;
    private long _oldestAt;

    // Written by the relay, read by anyone.
    private long _checkpoint;

    public Spool(IOptions<EdgeOptions> options, TimeProvider time, ILogger<Spool> logger)
        : this(options.Value, time, logger)
    {
    }

    /// <exception cref="InvalidDataException">Another process has the file.</exception>
    internal Spool(EdgeOptions options, TimeProvider time, ILogger<Spool> logger)
    {
        _logger = logger;
        _time = time;
        _maxBytes = options.SpoolMaxBytes;
        Directory.CreateDirectory(options.Data);
        var file = Path.Combine(options.Data, SpoolFile.Name);
        _lockFile = TakeLock(Path.Combine(options.Data, "spool.lock"));
        try
        {
            _writeConnection = SpoolFile.Open(options.Data, options.Durability, time, logger);
            _readConnection = SqliteFiles.Open(file, SqliteOpenMode.ReadOnly);
            _read = _readConnection.CreateCommand();
            _read.CommandText = "select last, count, data, checksum from clicks where last > $position order by last";
            _read.Parameters.Add("$position", SqliteType.Integer);
            _read.Prepare();

            _oldest = _readConnection.CreateCommand();
            _oldest.CommandText = "select at from clicks where last > $position order by last limit 1";
            _oldest.Parameters.Add("$position", SqliteType.Integer);

            var db = _writeConnection.Handle!;
            _begin = new Statement(db, "begin immediate");
            _commit = new Statement(db, "commit");
            _rollback = new Statement(db, "rollback");
            _insert = new Statement(db, "insert into clicks (last, count, data, at, checksum) values (?1, ?2, ?3, ?4, ?5)");
            _saveCheckpoint = new Statement(db, "update state set checkpoint = ?1, checksum = ?2");
            _prune = new Statement(db, "delete from clicks where last in (select last from clicks where last <= ?1 order by last limit ?2) returning length(data)");
            (_id, Origin) = ReadState(options.Name);
        }
        catch
        {
            _readConnection?.Dispose();
            _writeConnection?.Dispose();
            _lockFile.Dispose();
            throw;
        }

        Metrics.Spools.TryAdd(this, Origin);
        logger.SpoolOpen(Origin, _last, _checkpoint);
        _writer = new Thread(Write) { IsBackground = true, Name = "spool" };
        _writer.Start();
    }

    /// <summary><c>edge-{name}-{id}</c>: the id is the file's own, so that a new file is a new log with positions of its own.</summary>
    public string Origin { get; }

    public Task NextAppend => _appended.Next;

    /// <summary>Why clicks cannot be kept; null while all is well.</summary>
    public string? Fault => _fault;

    /// <summary>Why clicks cannot be handed on, where the file is the reason; null while all is well.</summary>
    public string? ReadFault => _unreadable;

    /// <summary>Bytes of the clicks in the file.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Bytes of clicks that the file may hold.</summary>
    public long MaxBytes => _maxBytes;

    /// <summary>Clicks that were not kept since the start.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    /// <summary>Clicks that came out of damaged files, which lie beside this one.</summary>
    public long Salvaged { get; private set; }

    /// <summary>Clicks in those files that could not be read.</summary>
    public long Unreadable { get; private set; }

    /// <summary>Clicks that the bus does not have yet.</summary>
    public long Waiting => Math.Max(0, Interlocked.Read(ref _last) - Interlocked.Read(ref _checkpoint));

    /// <summary>Share of <see cref="EdgeOptions.SpoolMaxBytes"/> that is in use.</summary>
    public double Fullness => (double)Bytes / _maxBytes;

    /// <summary>How long the first of <see cref="Waiting"/> has waited; 0 where none does, or where the clock went back since.</summary>
    public long OldestWaitingSeconds
    {
        get
        {
            // A page under way takes milliseconds; where the disk hangs, the last answer has to do.
            if (Waiting > 0 && _reading.Wait(TimeSpan.FromSeconds(1)))
            {
                try
                {
                    _oldest.Parameters[0].Value = Interlocked.Read(ref _checkpoint);
                    _oldestAt = _oldest.ExecuteScalar() as long? ?? 0;
                }
                catch (SqliteException)
                {
                    // The relay meets the same fault, and tells it.
                }
                finally
                {
                    _reading.Release();
                }
            }

            return Waiting == 0 || _oldestAt == 0 ? 0 : Math.Max(0, _time.GetUtcNow().ToUnixTimeSeconds() - _oldestAt);
        }
    }

    public SpoolEntry Rent() => _pool.TryDequeue(out var entry) ? entry : new SpoolEntry(_time, Return);

    /// <summary>Keeps one click; in a sampled trace its way into the file is a span. Completes as <see cref="AppendAsync"/> does.</summary>
    /// <param name="click">The click.</param>
    /// <param name="since">Begin of the redirect that waits for it, where that is measured.</param>
    public ValueTask<bool> KeepAsync(ClickRecorded click, long? since = null)
    {
        if (TraceContexts.Current is not null)
        {
            return new ValueTask<bool>(KeepTracedAsync(click, since));
        }

        var entry = Rent();
        entry.Add(click);
        entry.Since = since;
        return AppendAsync(entry);
    }

    private async Task<bool> KeepTracedAsync(ClickRecorded click, long? since)
    {
        using var span = Diagnostics.Source.StartActivity("spool");
        var entry = Rent();
        entry.Add(click, TraceContexts.Current);
        entry.Since = since;
        var kept = await AppendAsync(entry);
        if (!kept)
        {
            span?.SetStatus(ActivityStatusCode.Error);
        }

        return kept;
    }

    /// <summary>Completes after the commit. False: the clicks are not kept, see <see cref="Fault"/>.</summary>
    public ValueTask<bool> AppendAsync(SpoolEntry entry)
    {
        var committed = entry.Committed;
        var taken = false;
        lock (_gate)
        {
            if (!_stopping && _waiting.Count < MaxWaiting)
            {
                taken = true;
                _waiting.Add(entry);
                if (_asleep)
                {
                    _asleep = false;
                    Monitor.Pulse(_gate);
                }
            }
        }

        if (!taken)
        {
            Lose(entry.Count, "more clicks wait than the disk keeps up with");
            entry.Complete(kept: false);
        }

        return committed;
    }

    public ValueTask<long> LastPositionAsync(CancellationToken cancellationToken) => new(Interlocked.Read(ref _last));

    public ValueTask<long> CheckpointAsync(CancellationToken cancellationToken) => new(Interlocked.Read(ref _checkpoint));

    /// <summary>
    /// The file follows with the next commit, or a moment later: a checkpoint that a power cut takes back means that clicks are
    /// handed on twice, which changes nothing.
    /// </summary>
    public ValueTask SaveCheckpointAsync(long position, CancellationToken cancellationToken)
    {
        Interlocked.Exchange(ref _checkpoint, position);
        lock (_recentGate)
        {
            while (_recent.TryPeek(out var commit) && commit.Last <= position)
            {
                _recentBytes -= _recent.Dequeue().Lines.Length;
            }
        }

        return ValueTask.CompletedTask;
    }

    public async ValueTask<TailPage> ReadAsync(long position, int max, CancellationToken cancellationToken)
    {
        if (position >= Interlocked.Read(ref _last))
        {
            return new TailPage([], position);
        }

        if (Recent(position, max) is { } recent)
        {
            return recent;
        }

        await _reading.WaitAsync(cancellationToken);
        try
        {
            var page = Read(position, max);
            _unreadable = null;
            return page;
        }
        catch (Exception e) when (e is SqliteException or InvalidDataException or InvalidCastException)
        {
            _unreadable = $"clicks after position {position} cannot be read: {e.Message} The next start of the edge salvages the file.";
            throw;
        }
        finally
        {
            _reading.Release();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_stopping)
            {
                return;
            }

            _stopping = true;
            Monitor.Pulse(_gate);
        }

        Metrics.Spools.TryRemove(this, out _);
        _writer.Join();
        foreach (var statement in (ReadOnlySpan<Statement>)[_begin, _commit, _rollback, _insert, _saveCheckpoint, _prune])
        {
            statement.Dispose();
        }

        _read.Dispose();
        _oldest.Dispose();
        _readConnection.Dispose();
        _writeConnection.Dispose();
        _reading.Dispose();
        _lockFile.Dispose();
        while (_pool.TryDequeue(out var entry))
        {
            entry.Dispose();
        }
    }

    private static FileStream TakeLock(string file)
    {
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new InvalidDataException($"Another edge works in the folder {Path.GetDirectoryName(file)}; each needs a folder of its own (Edge:Data). {e.Message}", e);
        }
    }

    private (string Id, string Origin) ReadState(string name)
    {
        using var command = _writeConnection.CreateCommand();
        command.CommandText = "select id, checkpoint, max(checkpoint, coalesce((select max(last) from clicks), 0)), coalesce((select sum(length(data)) from clicks), 0), coalesce((select sum(clicks) from salvage), 0), coalesce((select sum(unreadable) from salvage), 0) from state";
        using var reader = command.ExecuteReader();
        reader.Read();
        _checkpoint = _savedCheckpoint = reader.GetInt64(1);
        _last = reader.GetInt64(2);
        _bytes = reader.GetInt64(3);
        (Salvaged, Unreadable) = (reader.GetInt64(4), reader.GetInt64(5));
        return (reader.GetString(0), $"edge-{name}-{reader.GetString(0)}");
    }

    /// <summary>The page from memory; null where it begins before what memory holds.</summary>
    private TailPage? Recent(long position, int max)
    {
        lock (_recentGate)
        {
            if (!_recent.TryPeek(out var first) || position < first.First - 1)
            {
                return null;
            }

            var events = new List<TailedEvent>();
            foreach (var commit in _recent)
            {
                if (events.Count == max)
                {
                    break;
                }

                AddLines(events, commit.Lines, commit.First, position, max);
            }

            return events.Count == 0 ? null : new TailPage(events, events[^1].Position);
        }
    }

    /// <summary>Adds those of the lines that lie after <paramref name="position"/>, until there are <paramref name="max"/>.</summary>
    /// <param name="events">The page.</param>
    /// <param name="lines">Clicks as lines of JSON.</param>
    /// <param name="first">Position of the first of them.</param>
    /// <param name="position">Where the page begins.</param>
    /// <param name="max">Events that the page holds at most.</param>
    private static void AddLines(List<TailedEvent> events, ReadOnlyMemory<byte> lines, long first, long position, int max)
    {
        for (var at = first; !lines.IsEmpty && events.Count < max; at++)
        {
            var end = lines.Span.IndexOf((byte)'\n');
            if (at > position)
            {
                var context = TracedLine.Read(lines[..end], out var click);
                events.Add(new TailedEvent(at, s_click, click, context));
            }

            lines = lines[(end + 1)..];
        }
    }

    private void Remember(byte[] lines, int count)
    {
        var commit = new Commit(_last - count + 1, _last, lines);
        lock (_recentGate)
        {
            _recent.Enqueue(commit);
            _recentBytes += commit.Lines.Length;
            while (_recentBytes > MaxRecentBytes && _recent.Count > 1)
            {
                _recentBytes -= _recent.Dequeue().Lines.Length;
            }
        }
    }

    private TailPage Read(long position, int max)
    {
        var events = new List<TailedEvent>();
        _read.Parameters[0].Value = position;
        using var reader = _read.ExecuteReader();
        while (events.Count < max && reader.Read())
        {
            var lines = (byte[])reader.GetValue(2);
            if (reader.GetInt64(3) != SpoolFile.Checksum(reader.GetInt64(0), reader.GetInt64(1), lines))
            {
                throw new InvalidDataException($"The clicks up to position {reader.GetInt64(0)} do not match their checksum.");
            }

            AddLines(events, lines, reader.GetInt64(0) - reader.GetInt64(1) + 1, position, max);
        }

        return new TailPage(events, events.Count == 0 ? position : events[^1].Position);
    }

    private void Return(SpoolEntry entry)
    {
        if (entry.Capacity > MaxPooledBytes || _pool.Count >= MaxPooled)
        {
            entry.Dispose();
            return;
        }

        entry.Clear();
        _pool.Enqueue(entry);
    }

    private void Write()
    {
        while (true)
        {
            bool stopping;

            // Requests that are about to come get to come: on a busy processor the next commit then takes several times as many.
            Thread.Yield();
            lock (_gate)
            {
                if (_waiting.Count == 0 && !_stopping)
                {
                    _asleep = true;
                    Monitor.Wait(_gate, _relayWaits ? s_wakeRelay : s_tend);
                    _asleep = false;
                }

                (_taken, _waiting) = (_waiting, _taken);
                stopping = _stopping;
            }

            if (_taken.Count == 0)
            {
                Tend();
                if (stopping)
                {
                    return;
                }

                continue;
            }

            for (var start = 0; start < _taken.Count;)
            {
                start = CommitGroup(start);
            }

            _taken.Clear();
        }
    }

    /// <summary>Commits the entries from <paramref name="start"/>, as many as one commit takes.</summary>
    /// <returns>The first entry that it did not take.</returns>
    private int CommitGroup(int start)
    {
        var end = start;
        var bytes = 0;
        while (end < _taken.Count && (end == start || bytes + _taken[end].Bytes <= MaxGroupBytes))
        {
            bytes += _taken[end++].Bytes;
        }

        // The relay's memory keeps the array, so every commit has its own.
        var lines = GC.AllocateUninitializedArray<byte>(bytes);
        var clicks = 0;
        var at = 0;
        foreach (var entry in CollectionsMarshal.AsSpan(_taken)[start..end])
        {
            entry.Lines.CopyTo(lines.AsSpan(at));
            at += entry.Bytes;
            clicks += entry.Count;
        }

        var kept = TryCommit(lines, clicks, ++_unpruned >= PruneEvery ? PruneBusy : 0);
        if (kept)
        {
            Remember(lines, clicks);
            Metrics.Clicks.Add(clicks);
            Metrics.GroupSize.Record(clicks);
        }

        for (var i = start; i < end; i += AnswersTogether)
        {
            var answers = new Answers([.. CollectionsMarshal.AsSpan(_taken)[i..Math.Min(i + AnswersTogether, end)]], kept);
            ThreadPool.UnsafeQueueUserWorkItem(answers, preferLocal: false);
        }

        _relayWaits |= kept;
        if (_time.GetElapsedTime(_relayWoken) >= s_wakeRelay)
        {
            WakeRelay();
        }

        return end;
    }

    private void WakeRelay()
    {
        if (_relayWaits)
        {
            _relayWaits = false;
            _relayWoken = _time.GetTimestamp();
            _appended.Set();
        }
    }

    private void Tend()
    {
        WakeRelay();
        if (_fault is not null || _savedCheckpoint != Interlocked.Read(ref _checkpoint) || _pruneMore)
        {
            TryCommit([], 0, PruneIdle);
        }
    }

    /// <summary>One transaction: the clicks, the checkpoint where it moved, and a little pruning.</summary>
    private bool TryCommit(ReadOnlySpan<byte> lines, int clicks, int pruneRows)
    {
        if (clicks > 0 && _bytes + lines.Length > _maxBytes)
        {
            Lose(clicks, $"the spool is full: it holds {_bytes} bytes of the {_maxBytes} that Edge:SpoolMaxBytes allows");
            clicks = 0;
        }

        var keep = clicks > 0;
        var asked = lines.Length > 0;
        var started = _time.GetTimestamp();
        try
        {
            var checkpoint = Interlocked.Read(ref _checkpoint);
            var last = _last + clicks;
            _begin.Run();
            if (keep)
            {
                _insert.Bind(1, last).Bind(2, clicks).Bind(3, lines)
                    .Bind(4, _time.GetUtcNow().ToUnixTimeSeconds()).Bind(5, SpoolFile.Checksum(last, clicks, lines)).Run();
            }

            // A disk that failed is tried by writing the checkpoint again.
            if (checkpoint != _savedCheckpoint || _fault is not null)
            {
                _saveCheckpoint.Bind(1, checkpoint).Bind(2, SpoolFile.Checksum(_id, checkpoint)).Run();
            }

            var prune = pruneRows > 0 && _pruneMore;
            var pruned = prune
                ? _prune.Bind(1, checkpoint - (_bytes < _maxBytes / 2 ? KeepHandedOn : 0)).Bind(2, pruneRows).Run()
                : 0;
            _commit.Run();

            _pruneMore = (_pruneMore && (!prune || pruned > 0)) || checkpoint != _savedCheckpoint;
            _unpruned = prune ? 0 : _unpruned;
            _savedCheckpoint = checkpoint;
            Interlocked.Add(ref _bytes, (keep ? lines.Length : 0) - pruned);
            Interlocked.Exchange(ref _last, last);
        }
        catch (SqliteFault e)
        {
            try
            {
                _rollback.Run();
            }
            catch (SqliteFault)
            {
                // SQLite has rolled back by itself.
            }

            Lose(clicks, $"SQLite: {e.Message} ({e.Code})");
            return false;
        }

        Metrics.CommitTime.Record(_time.GetElapsedTime(started).TotalSeconds);
        if (_fault is not null && (keep || (!asked && _bytes < _maxBytes - (_maxBytes / 16))))
        {
            _fault = null;
            _logger.SpoolRecovered(Lost);
        }

        return keep;
    }

    private void Lose(int clicks, string reason)
    {
        Interlocked.Add(ref _lost, clicks);
        Metrics.Lost.Add(clicks);
        if (_fault is null)
        {
            _logger.SpoolFails(reason);
        }

        _fault = reason;
    }

    /// <summary>What one commit added.</summary>
    private sealed record Commit(long First, long Last, byte[] Lines);

    /// <summary>Answers to some of those who waited for one commit.</summary>
    private sealed class Answers(SpoolEntry[] entries, bool kept) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            foreach (var entry in entries)
            {
                entry.Complete(kept);
            }
        }
    }
}
