using Npgsql;
using PartnerPulse.EventStore;
using Xunit.Abstractions;

namespace PartnerPulse.IntegrationTests.EventStore;

/// <summary>Appends: idempotent by id, versions without gaps, conflicts as values.</summary>
public sealed class AppendTests(LogDatabase database, ITestOutputHelper output) : IClassFixture<LogDatabase>
{
    [Servers.PostgresFact]
    public async Task The_same_event_again_changes_nothing()
    {
        var log = await database.NewLogAsync();
        var events = An.Events(5, Guid.NewGuid());

        Assert.Equal(5, await log.AppendAsync(events, CancellationToken.None));
        Assert.Equal(0, await log.AppendAsync(events, CancellationToken.None));
        Assert.Equal(1, await log.AppendAsync([events[1], An.Event(), events[4]], CancellationToken.None));

        Assert.Equal(6L, await database.ScalarAsync<long>($"select count(*) from {log.Schema}.mt_events"));
        await AssertVersionsAsync(log);
    }

    [Servers.PostgresFact]
    public async Task The_same_event_twice_in_one_append_counts_once()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();
        var first = An.Event(stream);
        var second = An.Event(stream);

        Assert.Equal(2, await log.AppendAsync([first, second, first, second, first], CancellationToken.None));

        Assert.Equal([first.Id, second.Id], (await log.ReadStreamAsync(stream, CancellationToken.None)).Select(e => e.Id));
        await AssertVersionsAsync(log);
    }

    [Servers.PostgresFact]
    public async Task The_same_events_from_many_writers_at_once_count_once()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var log = await database.NewLogAsync();
        var streams = Enumerable.Range(0, 20).Select(_ => Guid.NewGuid()).ToArray();
        var events = Enumerable.Range(0, 500).Select(i => An.Event(streams[i % streams.Length])).ToArray();

        var added = await Task.WhenAll(Enumerable.Range(0, 8).Select(writer => Task.Run(async () =>
        {
            var mine = events.ToArray();
            new Random(seed + writer).Shuffle(mine);
            var sum = 0;
            foreach (var batch in mine.Chunk(60))
            {
                sum += await log.AppendAsync(batch, CancellationToken.None);
            }

            return sum;
        })));

        Assert.Equal(500, added.Sum());
        Assert.Equal(500L, await database.ScalarAsync<long>($"select count(*) from {log.Schema}.mt_events"));
        await AssertVersionsAsync(log);
    }

    [Servers.PostgresFact]
    public async Task Who_asks_is_told_which_events_were_new_and_each_is_new_to_one_writer_only()
    {
        var log = await database.NewLogAsync();
        var events = An.Events(200);

        var added = await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(() =>
            log.AppendNewAsync(events[(writer * 40)..Math.Min(200, (writer * 40) + 100)], CancellationToken.None))));

        Assert.Equal(events[..200].Select(e => e.Id).Order(), added.SelectMany(ids => ids).Concat((await log.AppendNewAsync(events, CancellationToken.None))).Order());
        Assert.Empty(await log.AppendNewAsync(events, CancellationToken.None));
        Assert.Equal(events[..3].Select(e => e.Id).Order(), (await log.FindAsync([.. events[..3].Select(e => e.Id), Guid.NewGuid()], CancellationToken.None)).Select(e => e.Id).Order());
    }

    [Servers.PostgresFact]
    public async Task Twenty_thousand_events_go_in_one_transaction_in_their_order()
    {
        var log = await database.NewLogAsync();
        var streams = Enumerable.Range(0, 3_000).Select(_ => Guid.NewGuid()).ToArray();
        var random = new Random(7);
        var events = Enumerable.Range(0, 20_000).Select(_ => An.Event(streams[random.Next(streams.Length)])).ToArray();

        Assert.Equal(20_000, await log.AppendAsync(events, CancellationToken.None));

        var read = await log.ReadAllAsync(0, 30_000, CancellationToken.None);
        Assert.Equal(events.Select(e => e.Id), read.Select(e => e.Id));
        Assert.Equal(1L, await database.ScalarAsync<long>($"select count(distinct xmin::text) from {log.Schema}.mt_events"));
        await AssertVersionsAsync(log);
    }

    [Servers.PostgresFact]
    public async Task A_stream_is_appended_to_at_the_version_that_was_decided_on()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();

        Assert.Equal(new Appended(2, 2), await log.AppendAsync(stream, 0, An.Events(2, stream), CancellationToken.None));
        Assert.Equal(new VersionConflict(0, 2), await log.AppendAsync(stream, 0, An.Events(1, stream), CancellationToken.None));
        Assert.Equal(new VersionConflict(5, 2), await log.AppendAsync(stream, 5, An.Events(1, stream), CancellationToken.None));
        Assert.Equal(new Appended(3, 3), await log.AppendAsync(stream, 2, An.Events(1, stream), CancellationToken.None));
        await AssertVersionsAsync(log);
    }

    [Servers.PostgresFact]
    public async Task A_retry_of_a_decision_is_told_from_a_conflict()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();
        var events = An.Events(2, stream);
        await log.AppendAsync(stream, 0, events, CancellationToken.None);

        Assert.IsType<AlreadyThere>(await log.AppendAsync(stream, 0, events, CancellationToken.None));
        Assert.Equal(new VersionConflict(2, 2), await log.AppendAsync(stream, 2, [events[1], An.Event(stream)], CancellationToken.None));
        Assert.Equal(2, (await log.ReadStreamAsync(stream, CancellationToken.None)).Count);
    }

    [Servers.PostgresFact]
    public async Task Of_many_who_decided_on_the_same_version_one_appends_and_the_others_learn_it()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Task.Run(() =>
            log.AppendAsync(stream, 0, An.Events(1, stream), CancellationToken.None))));

        Assert.Single(outcomes.OfType<Appended>());
        Assert.All(outcomes.Where(o => o is not Appended), outcome => Assert.Equal(new VersionConflict(0, 1), outcome));
    }

    [Servers.PostgresFact]
    public async Task A_clash_with_a_writer_that_takes_no_lock_is_a_conflict_too()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();
        await log.AppendAsync(stream, 0, An.Events(1, stream), CancellationToken.None);
        await database.ExecuteAsync(
            $"insert into {log.Schema}.mt_events (seq_id, id, stream_id, version, data, type) values (nextval('{log.Schema}.mt_events_sequence'), gen_random_uuid(), '{stream}', 2, '{{}}', 'bare')");

        Assert.Equal(new VersionConflict(1, 1), await log.AppendAsync(stream, 1, An.Events(1, stream), CancellationToken.None));
        Assert.Equal(2, (await log.ReadStreamAsync(stream, CancellationToken.None)).Count);
    }

    [Servers.PostgresFact]
    public async Task Any_other_clash_is_a_fault_and_no_conflict()
    {
        // A position that is taken means that the sequence was tampered with. Called a conflict, the caller would try for ever.
        var log = await database.NewLogAsync();
        await database.ExecuteAsync(
            $"insert into {log.Schema}.mt_events (seq_id, id, stream_id, version, data, type) values (1, gen_random_uuid(), gen_random_uuid(), 1, '{{}}', 'bare')");
        var stream = Guid.NewGuid();

        var fault = await Assert.ThrowsAsync<PostgresException>(() => log.AppendAsync(stream, 0, An.Events(1, stream), CancellationToken.None));

        Assert.Equal((PostgresErrorCodes.UniqueViolation, "pkey_mt_events_seq_id"), (fault.SqlState, fault.ConstraintName));
    }

    [Servers.PostgresFact]
    public async Task Events_of_another_stream_are_refused()
    {
        var log = await database.NewLogAsync();

        await Assert.ThrowsAsync<ArgumentException>(() => log.AppendAsync(Guid.NewGuid(), 0, An.Events(1), CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(() => log.AppendAsync(Guid.NewGuid(), 0, [], CancellationToken.None));
    }

    [Servers.PostgresFact]
    public async Task Versions_have_no_gaps_whoever_writes()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var log = await database.NewLogAsync();
        var streams = Enumerable.Range(0, 5).Select(_ => Guid.NewGuid()).ToArray();

        await Task.WhenAll(Enumerable.Range(0, 6).Select(writer => Task.Run(async () =>
        {
            var random = new Random(seed + writer);
            for (var i = 0; i < 25; i++)
            {
                if (random.Next(2) == 0)
                {
                    var many = Enumerable.Range(0, random.Next(1, 9)).Select(_ => An.Event(streams[random.Next(streams.Length)])).ToArray();
                    await log.AppendAsync(many, CancellationToken.None);
                }
                else
                {
                    var stream = streams[random.Next(streams.Length)];
                    var version = (await log.ReadStreamAsync(stream, CancellationToken.None)).Count;
                    await log.AppendAsync(stream, version, An.Events(random.Next(1, 3), stream), CancellationToken.None);
                }
            }
        })));

        await AssertVersionsAsync(log);
    }

    [Servers.PostgresFact]
    public async Task Rows_events_and_checkpoint_commit_together_or_not_at_all()
    {
        var log = await database.NewLogAsync();
        await database.ExecuteAsync($"create table {log.Schema}.totals (name text primary key, amount bigint not null)");
        foreach (var commits in (bool[])[false, true])
        {
            await using var connection = await database.DataSource.OpenConnectionAsync();
            await using var transaction = await connection.BeginTransactionAsync();
            await using var row = new NpgsqlCommand($"insert into {log.Schema}.totals values ('acme', 1)", connection);
            await row.ExecuteNonQueryAsync();
            await log.SaveCheckpointAsync(connection, "totals", 41, CancellationToken.None);
            await log.AppendAsync(connection, An.Events(3), CancellationToken.None);
            await (commits ? transaction.CommitAsync() : transaction.RollbackAsync());

            Assert.Equal(commits ? 41 : 0, await log.CheckpointAsync("totals", CancellationToken.None));
            Assert.Equal(commits ? 1L : 0L, await database.ScalarAsync<long>($"select count(*) from {log.Schema}.totals"));
            Assert.Equal(commits ? 3L : 0L, await database.ScalarAsync<long>($"select count(*) from {log.Schema}.mt_events"));
        }

        await log.SaveCheckpointAsync("totals", 42, CancellationToken.None);
        Assert.Equal(42, await log.CheckpointAsync("totals", CancellationToken.None));
        Assert.Equal(0, await log.CheckpointAsync("another", CancellationToken.None));
    }

    [Servers.PostgresFact]
    public async Task An_append_in_the_callers_transaction_goes_with_it()
    {
        var log = await database.NewLogAsync();
        var stream = Guid.NewGuid();
        await using (var connection = await database.DataSource.OpenConnectionAsync())
        {
            await using var transaction = await connection.BeginTransactionAsync();
            Assert.Equal(new Appended(1, 1), await log.AppendAsync(connection, stream, 0, An.Events(1, stream), CancellationToken.None));
        }

        Assert.Empty(await log.ReadStreamAsync(stream, CancellationToken.None));
        Assert.IsType<Appended>(await log.AppendAsync(stream, 0, An.Events(1, stream), CancellationToken.None));
    }

    /// <summary>Versions of every stream are 1, 2, 3… in the order of positions, and its row says the last.</summary>
    private async Task AssertVersionsAsync(EventLog log) => Assert.Empty(await database.ColumnAsync(
        $"""
         with events as (
             select stream_id, array_agg(version order by seq_id) as versions, count(*) as n from {log.Schema}.mt_events group by stream_id
         )
         select coalesce(e.stream_id, s.id)::text || ': ' || coalesce(e.versions::text, '-') || ' against ' || coalesce(s.version::text, '-')
           from events e full join {log.Schema}.mt_streams s on s.id = e.stream_id
          where e.stream_id is null or s.id is null or s.version <> e.n
             or e.versions <> array(select generate_series(1, e.n))
         """));
}
