using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Tests.Edge;

public sealed class SpoolTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_was_appended_is_read_in_order_with_positions_without_gaps()
    {
        using var spool = Open();
        var clicks = Enumerable.Range(0, 1_000).Select(A_click).ToArray();
        await Task.WhenAll(clicks.Chunk(7).Select(chunk => Append(spool, chunk)));

        var page = await spool.ReadAsync(0, 5_000, default);
        Assert.Equal(Enumerable.Range(1, 1_000).Select(i => (long)i), page.Events.Select(e => e.Position));
        Assert.Equal(clicks.Select(c => c.EventId).Order(), page.Events.Select(e => e.ReadClick().EventId).Order());
        Assert.Equal((1_000, 1_000), (page.To, await spool.LastPositionAsync(default)));
        Assert.Equal(clicks.ToDictionary(c => c.EventId), page.Events.ToDictionary(e => e.ReadClick().EventId, e => e.ReadClick()));
    }

    [Fact]
    public async Task A_page_may_end_within_a_commit_and_the_next_goes_on_there()
    {
        using var spool = Open();
        var clicks = Enumerable.Range(0, 50).Select(A_click).ToArray();
        await Append(spool, clicks);

        var read = new List<TailedEvent>();
        for (var position = 0L; position < 50;)
        {
            var page = await spool.ReadAsync(position, 7, default);
            Assert.InRange(page.Events.Count, 1, 7);
            read.AddRange(page.Events);
            position = page.To;
        }

        Assert.Equal(clicks.Select(c => c.EventId), read.Select(e => e.ReadClick().EventId));
        Assert.Empty((await spool.ReadAsync(50, 7, default)).Events);
    }

    [Fact]
    public async Task A_reader_far_behind_reads_the_file_and_then_memory_and_misses_nothing()
    {
        using var spool = Open();
        var clicks = Enumerable.Range(0, 6_000).Select(i => A_click(i) with { UserAgent = new string('x', 2_000) }).ToArray();
        foreach (var chunk in clicks.Chunk(100))
        {
            await Append(spool, chunk);
        }

        var read = new List<TailedEvent>();
        for (var position = 0L; position < clicks.Length;)
        {
            var page = await spool.ReadAsync(position, 700, default);
            Assert.InRange(page.Events.Count, 1, 700);
            Assert.Equal(page.To, page.Events[^1].Position);
            read.AddRange(page.Events);
            position = page.To;
            await spool.SaveCheckpointAsync(position - 50, default);
        }

        Assert.Equal(Enumerable.Range(1, clicks.Length).Select(i => (long)i), read.Select(e => e.Position));
        Assert.Equal(clicks, read.Select(e => e.ReadClick()));

        // What the file holds is what memory held.
        Assert.Equal(clicks[^2_000..], (await spool.ReadAsync(4_000, 2_000, default)).Events.Select(e => e.ReadClick()));
    }

    [Fact]
    public async Task Positions_and_name_go_on_after_a_restart_also_when_all_is_pruned()
    {
        string origin;
        using (var spool = Open())
        {
            origin = spool.Origin;
            for (var i = 0; i < 30; i++)
            {
                await Append(spool, [.. Enumerable.Range(0, 500).Select(A_click)]);
            }

            await spool.SaveCheckpointAsync(15_000, default);
            await Until(() => spool.Bytes < 11_000 * 500);
        }

        using (var connection = new SqliteConnection($"Data Source={_folder.File("spool.db")};Pooling=False"))
        {
            connection.Open();
            using var prune = connection.CreateCommand();
            prune.CommandText = "delete from clicks";
            prune.ExecuteNonQuery();
        }

        using var again = Open();
        Assert.Equal((origin, 15_000, 15_000), (again.Origin, await again.LastPositionAsync(default), await again.CheckpointAsync(default)));
        await Append(again, [A_click(1)]);
        var page = await again.ReadAsync(15_000, 10, default);
        Assert.Equal(15_001, Assert.Single(page.Events).Position);
    }

    [Fact]
    public async Task Clicks_that_were_handed_on_are_pruned_and_others_never()
    {
        using var spool = Open();
        for (var i = 0; i < 60; i++)
        {
            await Append(spool, [.. Enumerable.Range(0, 500).Select(A_click)]);
        }

        var full = spool.Bytes;
        await spool.SaveCheckpointAsync(20_000, default);
        await Until(() => spool.Bytes <= full * 2 / 3);
        Assert.Equal(10_000, (await spool.ReadAsync(20_000, 20_000, default)).Events.Count);
    }

    [Fact]
    public async Task A_full_spool_keeps_nothing_says_so_and_recovers_when_the_bus_is_back()
    {
        using var spool = Open(maxBytes: 100_000);
        var kept = 0;
        while (await Append(spool, [.. Enumerable.Range(0, 10).Select(A_click)]))
        {
            kept += 10;
        }

        Assert.InRange(kept, 100, 1_000);
        Assert.Equal(10, spool.Lost);
        Assert.Contains("Edge:SpoolMaxBytes", spool.Fault, StringComparison.Ordinal);
        Assert.Equal(kept, await spool.LastPositionAsync(default));

        await spool.SaveCheckpointAsync(kept, default);
        await Until(() => spool.Fault is null);
        Assert.True(await Append(spool, [A_click(1)]));
        Assert.Equal(kept + 1, await spool.LastPositionAsync(default));
    }

    [Fact]
    public async Task A_disk_that_fails_loses_clicks_visibly_and_recovers_by_itself()
    {
        using var spool = Open();
        Assert.True(await Append(spool, [A_click(1)]));
        using (var other = new SqliteConnection($"Data Source={_folder.File("spool.db")};Pooling=False"))
        {
            // Another writer that holds the file stands for any disk that refuses.
            other.Open();
            using var transaction = other.BeginTransaction(deferred: false);
            Assert.False(await Append(spool, [A_click(2), A_click(3)]));
            Assert.Equal(2, spool.Lost);
            Assert.Contains("SQLite", spool.Fault, StringComparison.Ordinal);
        }

        await Until(() => spool.Fault is null);
        Assert.True(await Append(spool, [A_click(4)]));
        Assert.Equal(2, (await spool.ReadAsync(0, 10, default)).To);
    }

    [Fact]
    public void A_folder_belongs_to_one_edge()
    {
        using var spool = Open();
        Assert.Contains("Edge:Data", Assert.Throws<InvalidDataException>(() => Open()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_waits_when_the_edge_stops_is_kept()
    {
        Task<bool>[] waiting;
        using (var spool = Open())
        {
            waiting = [.. Enumerable.Range(0, 100).Select(i => Append(spool, [A_click(i)]))];
        }

        Assert.All(await Task.WhenAll(waiting), Assert.True);
        using var again = Open();
        Assert.Equal(100, await again.LastPositionAsync(default));
    }

    private static ClickRecorded A_click(int i) => new()
    {
        EventId = Guid.NewGuid(),
        ProgramId = "main",
        OccurredAt = new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero).AddSeconds(i),
        PartnerId = "acme",
        Link = "acme",
        Query = "a=1&b=\"x\"<ä>\n",
        UserAgent = "Mozilla/5.0 (X11; Linux x86_64) 😀",
        Via = ClickVia.Redirect,
    };

    private static async Task<bool> Append(Spool spool, IReadOnlyList<ClickRecorded> clicks)
    {
        var entry = spool.Rent();
        foreach (var click in clicks)
        {
            entry.Add(click);
        }

        return await spool.AppendAsync(entry);
    }

    private static async Task Until(Func<bool> fact)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!fact())
        {
            await Task.Delay(10, patience.Token);
        }
    }

    private Spool Open(long maxBytes = 1_000_000_000) => new(
        new EdgeOptions { Data = _folder.Path, Durability = Durability.Process, SpoolMaxBytes = maxBytes }, TimeProvider.System, NullLogger<Spool>.Instance);
}
