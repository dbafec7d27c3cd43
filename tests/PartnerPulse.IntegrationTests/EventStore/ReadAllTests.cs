using System.Collections.Concurrent;
using PartnerPulse.EventStore;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.EventStore;

/// <summary>A reader that remembers its last position misses nothing, however slowly others commit.</summary>
public sealed class ReadAllTests(LogDatabase database, ITestOutputHelper output) : IClassFixture<LogDatabase>
{
    [Servers.PostgresFact]
    public async Task A_reader_skips_no_slow_commit()
    {
        var log = await database.NewLogAsync();
        var slow = An.Event();
        var fast = An.Event();

        await using var connection = await database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await log.AppendAsync(connection, [slow], CancellationToken.None);
        var second = log.AppendAsync([fast], CancellationToken.None);
        await database.UntilWaitingForLockAsync(1);

        // The slow one has its position and is not committed; nothing after it may be seen.
        Assert.Empty(await log.ReadAllAsync(0, 10, CancellationToken.None));
        await transaction.CommitAsync();
        await second;

        var read = await log.ReadAllAsync(0, 10, CancellationToken.None);
        Assert.Equal([slow.Id, fast.Id], read.Select(e => e.Id));
    }

    [Servers.PostgresFact]
    public async Task A_writer_that_took_no_lock_would_be_skipped()
    {
        // What the lock is for: the same course with bare inserts.
        var log = await database.NewLogAsync();
        var insert = $"insert into {log.Schema}.mt_events (seq_id, id, stream_id, version, data, type) values (nextval('{log.Schema}.mt_events_sequence'), gen_random_uuid(), gen_random_uuid(), 1, '{{}}', 'bare')";
        await using var connection = await database.DataSource.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var slow = new Npgsql.NpgsqlCommand(insert, connection);
        await slow.ExecuteNonQueryAsync();
        await database.ExecuteAsync(insert);

        var before = await log.ReadAllAsync(0, 10, CancellationToken.None);
        await transaction.CommitAsync();
        var after = await log.ReadAllAsync(before[^1].Position, 10, CancellationToken.None);

        Assert.Equal([2L], before.Select(e => e.Position));
        Assert.Empty(after);
        Assert.Equal(2L, await database.ScalarAsync<long>($"select count(*) from {log.Schema}.mt_events"));
    }

    [Servers.PostgresFact]
    public async Task A_reader_beside_slow_and_failing_writers_sees_every_event_once_and_in_order()
    {
        const int Writers = 8;
        const int AppendsPerWriter = 40;
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var log = await database.NewLogAsync();
        var committed = new ConcurrentBag<Guid>();
        using var written = new CancellationTokenSource();

        var reader = Task.Run(async () =>
        {
            var seen = new List<StoredEvent>();
            while (true)
            {
                var last = written.IsCancellationRequested;
                var page = await log.ReadAllAsync(seen.Count == 0 ? 0 : seen[^1].Position, 7, CancellationToken.None);
                seen.AddRange(page);
                if (page.Count == 0 && last)
                {
                    return seen;
                }
            }
        });
        await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(async () =>
        {
            var random = new Random(seed + writer);
            for (var i = 0; i < AppendsPerWriter; i++)
            {
                var events = An.Events(random.Next(1, 6));
                await using var connection = await database.DataSource.OpenConnectionAsync();
                await using var transaction = await connection.BeginTransactionAsync();
                await log.AppendAsync(connection, events, CancellationToken.None);
                await Task.Delay(random.Next(0, 4)); // The slow commit that this test is about.
                if (random.Next(8) == 0)
                {
                    await transaction.RollbackAsync();
                    continue;
                }

                await transaction.CommitAsync();
                foreach (var e in events)
                {
                    committed.Add(e.Id);
                }
            }
        })));
        await written.CancelAsync();
        var seen = await reader;

        Assert.Equal(committed.Count, seen.Count);
        Assert.Equal(committed.Order(), seen.Select(e => e.Id).Order());
        Assert.Equal(seen.Select(e => e.Position).Order(), seen.Select(e => e.Position));
    }

    [Servers.PostgresFact]
    public async Task Pages_lie_end_to_end()
    {
        var log = await database.NewLogAsync();
        var events = An.Events(25);
        await log.AppendAsync(events, CancellationToken.None);

        var read = new List<Guid>();
        var position = 0L;
        while (await log.ReadAllAsync(position, 10, CancellationToken.None) is { Count: > 0 } page)
        {
            read.AddRange(page.Select(e => e.Id));
            position = page[^1].Position;
        }

        Assert.Equal(events.Select(e => e.Id), read);
        Assert.Equal(position, await log.LastPositionAsync(CancellationToken.None));
    }

    [Servers.PostgresFact]
    public async Task A_stream_is_read_in_the_order_of_its_versions_and_nothing_else_with_it()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();
        var mine = An.Events(3, stream);
        await log.AppendAsync([mine[0], An.Event(), mine[1], An.Event(), mine[2]], CancellationToken.None);

        var read = await log.ReadStreamAsync(stream, CancellationToken.None);

        Assert.Equal(mine.Select(e => e.Id), read.Select(e => e.Id));
        Assert.Equal([1L, 2L, 3L], read.Select(e => e.Version));
        Assert.Empty(await log.ReadStreamAsync(Guid.NewGuid(), CancellationToken.None));
    }

    [Servers.PostgresFact]
    public async Task An_append_wakes_who_waits_for_the_next()
    {
        var log = await database.NewLogAsync();
        var next = log.NextAppend;
        Assert.False(next.IsCompleted);

        await log.AppendAsync([An.Event()], CancellationToken.None);

        await next.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.False(log.NextAppend.IsCompleted);
    }
}
