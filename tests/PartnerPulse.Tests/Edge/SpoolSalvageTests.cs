using System.Diagnostics;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Edge;

public sealed class SpoolSalvageTests(ITestOutputHelper output) : IDisposable
{
    private const int HandedOn = 150;
    private const int MostClicks = 12;
    private static readonly string[] s_parts = ["spool.db", "spool.db-wal"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("one bit")]
    [InlineData("sixteen zeros")]
    [InlineData("a sector of noise")]
    public async Task Wherever_bytes_are_damaged_the_edge_starts_and_hands_on_what_can_be_read_and_nothing_else(string damage)
    {
        var seed = Seeds.Number(output);
        var random = new Random(seed);
        var (original, clicks, origin) = await FilesOfAKilledEdgeAsync(random);
        var position = clicks.Select((c, i) => (c.EventId, Position: i + 1)).ToDictionary(c => c.EventId, c => c.Position);
        var (salvaged, lost, most) = (0, 0, 0);
        var clock = Stopwatch.StartNew();
        var places = 0;
        for (; places < 150 && clock.Elapsed < TimeSpan.FromSeconds(8); places++)
        {
            var part = random.Next(3) == 0 ? 1 : 0;
            var bytes = original[part].ToArray();
            // Every tenth place is in the file's header, where a random one would seldom be.
            var offset = places % 10 == 0 ? random.Next(part == 0 ? 100 : 32) : random.Next(bytes.Length);
            switch (damage)
            {
                case "one bit":
                    bytes[offset] ^= (byte)(1 << random.Next(8));
                    break;
                case "sixteen zeros":
                    bytes.AsSpan(offset, Math.Min(16, bytes.Length - offset)).Clear();
                    break;
                default:
                    random.NextBytes(bytes.AsSpan(offset, Math.Min(512, bytes.Length - offset)));
                    break;
            }

            var where = $"PULSE_SEED={seed} {damage} at {offset} of {s_parts[part]} (place {places})";
            var folder = Directory.CreateDirectory(_folder.File($"{damage}-{places}")).FullName;
            await File.WriteAllBytesAsync(Path.Combine(folder, s_parts[part]), bytes);
            await File.WriteAllBytesAsync(Path.Combine(folder, s_parts[1 - part]), original[1 - part]);
            using var spool = Open(folder);
            var read = (await spool.ReadAsync(await spool.CheckpointAsync(default), int.MaxValue, default)).Events;
            var ids = read.Select(e => e.ReadClick().EventId).ToList();

            Assert.True(read.All(e => position.TryGetValue(e.ReadClick().EventId, out var at) && clicks[at - 1] == e.ReadClick()), where);
            Assert.True(ids.Distinct().Count() == ids.Count, where);
            Assert.True(ids.Select(id => position[id]).Zip(ids.Skip(1).Select(id => position[id]), (a, b) => a < b).All(inOrder => inOrder), where);
            if (spool.Origin == origin)
            {
                // Nothing was found wrong, so all that waits is there under its own position; but for the last commit in the log,
                // which without its end looks like one that a power cut took back before it was acknowledged.
                Assert.True(read.All(e => position[e.ReadClick().EventId] == e.Position), where);
                Assert.InRange(clicks.Count - HandedOn - read.Count, 0, part == 0 ? 0 : MostClicks);
                continue;
            }

            salvaged++;
            Assert.True(read.Select(e => e.Position).SequenceEqual(Enumerable.Range(1, read.Count).Select(i => (long)i)), where);
            Assert.True(spool.Salvaged == read.Count, where);
            var missing = clicks.Count - HandedOn - ids.Count(id => position[id] > HandedOn);
            lost += missing;
            most = Math.Max(most, missing);

            // The file stays as it was found.
            var aside = Assert.Single(Directory.GetFiles(folder, "spool-damaged-*.db"));
            Assert.True((await File.ReadAllBytesAsync(part == 0 ? aside : aside + "-wal")).AsSpan().SequenceEqual(bytes), where);
            Assert.True(await AppendAsync(spool, [A_click(1)]), where);
        }

        output.WriteLine($"{places} places: {salvaged} files were salvaged; {lost} of {salvaged * (clicks.Count - HandedOn)} waiting clicks could not be read, {most} at most in one");
        Assert.True(salvaged >= places / 3);

        // A damaged page holds a few commits.
        Assert.True(lost <= salvaged * (clicks.Count - HandedOn) * 0.03, $"PULSE_SEED={seed}: {lost} clicks lost");
    }

    [Fact]
    public async Task A_damaged_file_is_told_set_aside_and_counted_until_it_is_taken_away()
    {
        var random = new Random(7);
        var (original, clicks, origin) = await FilesOfAKilledEdgeAsync(random);
        var bytes = original[0].ToArray();
        // A leaf page in the middle of the file, as a disk loses it.
        bytes.AsSpan(bytes.Length / 2 / 4096 * 4096, 4096).Fill(0x5A);
        var folder = Directory.CreateDirectory(_folder.File("told")).FullName;
        await File.WriteAllBytesAsync(Path.Combine(folder, "spool.db"), bytes);
        await File.WriteAllBytesAsync(Path.Combine(folder, "spool.db-wal"), original[1]);

        string name;
        using (var spool = Open(folder))
        {
            name = spool.Origin;
            Assert.NotEqual(origin, name);
            Assert.InRange(spool.Salvaged, clicks.Count - 120, clicks.Count - 1);
            Assert.InRange(spool.Unreadable, 1, 120);
            Assert.True(spool.Salvaged + spool.Unreadable <= clicks.Count);
            Assert.Equal(spool.Salvaged, spool.Waiting);
            await spool.SaveCheckpointAsync(spool.Salvaged, default);
        }

        using var again = Open(folder);
        Assert.Equal((name, 0), (again.Origin, again.Waiting));
        Assert.InRange(again.Unreadable, 1, 120);
    }

    [Theory]
    [InlineData("spool.db")]
    [InlineData("spool.db-wal")]
    public async Task A_file_that_is_gone_or_cut_short_loses_only_what_was_in_it(string part)
    {
        var (original, clicks, _) = await FilesOfAKilledEdgeAsync(new Random(9));
        var other = s_parts.Single(p => p != part);
        foreach (var rest in new[] { 0, 0.5 })
        {
            var folder = Directory.CreateDirectory(_folder.File($"cut-{part}-{rest}")).FullName;
            await File.WriteAllBytesAsync(Path.Combine(folder, other), original[Array.IndexOf(s_parts, other)]);
            if (rest > 0)
            {
                var whole = original[Array.IndexOf(s_parts, part)];
                await File.WriteAllBytesAsync(Path.Combine(folder, part), whole[..(int)(whole.Length * rest)]);
            }

            using var spool = Open(folder);
            var read = (await spool.ReadAsync(await spool.CheckpointAsync(default), int.MaxValue, default)).Events;
            Assert.NotEmpty(read);
            Assert.Empty(read.Select(e => e.ReadClick()).Except(clicks));
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task An_edge_that_is_killed_while_it_salvages_goes_on_at_its_next_start(int moment)
    {
        var (original, clicks, _) = await FilesOfAKilledEdgeAsync(new Random(11));
        var bytes = original[0].ToArray();
        bytes.AsSpan(0, 64).Clear();
        var folder = Directory.CreateDirectory(_folder.File($"killed-{moment}")).FullName;
        var finished = Directory.CreateDirectory(_folder.File($"finished-{moment}")).FullName;
        foreach (var (part, content) in s_parts.Zip([bytes, original[1]]))
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, part), content);
            await File.WriteAllBytesAsync(Path.Combine(finished, part), content);
        }

        long salvaged;
        using (var spool = Open(finished))
        {
            salvaged = spool.Salvaged;
        }

        // As a kill leaves the folder: while the new file is written; before the files are exchanged; after the first of them.
        File.Copy(Path.Combine(finished, "spool.db"), Path.Combine(folder, moment == 1 ? "spool.salvage.tmp" : "spool.salvage.db"));
        if (moment == 3)
        {
            File.Move(Path.Combine(folder, "spool.db-wal"), Directory.GetFiles(finished, "spool-damaged-*.db").Single().Replace(finished, folder, StringComparison.Ordinal) + "-wal");
        }

        using var again = Open(folder);
        Assert.Equal(salvaged, again.Salvaged);
        Assert.Equal(clicks.Count, (await again.ReadAsync(0, int.MaxValue, default)).Events.Count);
        Assert.Equal(["spool-damaged", "spool-damaged"], Directory.GetFiles(folder, "spool-damaged-*").Select(f => Path.GetFileName(f)[..13]));
        Assert.Empty(Directory.GetFiles(folder, "spool.salvage.db"));
    }

    [Fact]
    public async Task A_row_that_goes_bad_while_the_edge_runs_is_told_and_the_rest_is_salvaged_at_the_next_start()
    {
        var folder = _folder.File("bad");
        using (var spool = Open(folder))
        {
            for (var i = 0; i < 20; i++)
            {
                await AppendAsync(spool, [.. Enumerable.Range(0, 10).Select(A_click)]);
            }
        }

        using (var spool = Open(folder))
        {
            using (var connection = new SqliteConnection($"Data Source={Path.Combine(folder, "spool.db")};Pooling=False"))
            {
                connection.Open();
                using var damage = connection.CreateCommand();
                damage.CommandText = "update clicks set data = cast(replace(cast(data as text), 'acme', 'evil') as blob) where last = 100";
                Assert.Equal(1, damage.ExecuteNonQuery());
            }

            await Assert.ThrowsAsync<InvalidDataException>(async () => await spool.ReadAsync(80, 1_000, default));
            Assert.Contains("position 80", spool.ReadFault, StringComparison.Ordinal);
            Assert.True(await AppendAsync(spool, [A_click(1)]));
        }

        using var again = Open(folder);
        Assert.Equal((191, 10), (again.Salvaged, again.Unreadable));
        Assert.All((await again.ReadAsync(0, 1_000, default)).Events, e => Assert.Equal("acme", e.ReadClick().PartnerId));
    }

    [Fact]
    public async Task The_files_of_an_edge_that_was_killed_are_no_damage()
    {
        var (original, clicks, origin) = await FilesOfAKilledEdgeAsync(new Random(13));
        var folder = Directory.CreateDirectory(_folder.File("whole")).FullName;
        foreach (var (part, content) in s_parts.Zip(original))
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, part), content);
        }

        using var spool = Open(folder);
        Assert.Equal((origin, clicks.Count - HandedOn, 0), (spool.Origin, spool.Waiting, spool.Salvaged));
    }

    [Fact]
    public async Task A_spool_of_the_first_version_is_carried_over_whole()
    {
        var folder = Directory.CreateDirectory(_folder.File("first")).FullName;
        var clicks = Enumerable.Range(0, 90).Select(A_click).ToList();
        using (var connection = new SqliteConnection($"Data Source={Path.Combine(folder, "spool.db")};Pooling=False"))
        {
            connection.Open();
            using var make = connection.CreateCommand();
            make.CommandText =
                """
                pragma journal_mode = wal;
                create table clicks (last integer primary key, count integer not null, data blob not null);
                create table state (only integer primary key check (only = 1), id text not null, checkpoint integer not null);
                insert into state (only, id, checkpoint) values (1, 'abcdef01', 30);
                """;
            make.ExecuteNonQuery();
            foreach (var (some, i) in clicks.Chunk(30).Select((c, i) => (c, i)))
            {
                using var insert = connection.CreateCommand();
                insert.CommandText = "insert into clicks (last, count, data) values ($last, 30, $data)";
                insert.Parameters.AddWithValue("$last", (i + 1) * 30);
                insert.Parameters.AddWithValue("$data", some.SelectMany(c => (byte[])[.. EventTypes.Serialize(c), (byte)'\n']).ToArray());
                insert.ExecuteNonQuery();
            }
        }

        using var spool = Open(folder);
        Assert.Equal(clicks, (await spool.ReadAsync(0, 100, default)).Events.Select(e => e.ReadClick()));
        Assert.Equal((90, 0), (spool.Salvaged, spool.Unreadable));
    }

    /// <summary>The files as a kill leaves them: much in the file, the last commits in its log. Commits of 1 to 12 clicks, small ones and large.</summary>
    private async Task<(byte[][] Files, List<ClickRecorded> Clicks, string Origin)> FilesOfAKilledEdgeAsync(Random random)
    {
        var folder = _folder.File($"original-{random.Next()}");
        var clicks = new List<ClickRecorded>();
        using (var spool = Open(folder))
        {
            await AppendSomeAsync(spool, 200);
            await spool.SaveCheckpointAsync(HandedOn, default);
        }

        using (var spool = Open(folder))
        {
            await AppendSomeAsync(spool, 60);
            return ([await BytesAsync(s_parts[0]), await BytesAsync(s_parts[1])], clicks, spool.Origin);
        }

        async Task AppendSomeAsync(Spool spool, int commits)
        {
            for (var i = 0; i < commits; i++)
            {
                var some = Enumerable.Range(0, random.Next(1, MostClicks + 1)).Select(_ => A_click(random.Next(1_000)) with { UserAgent = new string('u', random.Next(300)) }).ToList();
                Assert.True(await AppendAsync(spool, some));
                clicks.AddRange(some);
            }
        }

        async Task<byte[]> BytesAsync(string part)
        {
            await using var stream = new FileStream(Path.Combine(folder, part), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            var bytes = new byte[stream.Length];
            await stream.ReadExactlyAsync(bytes);
            return bytes;
        }
    }

    private static ClickRecorded A_click(int i) => new()
    {
        EventId = Guid.NewGuid(),
        ProgramId = "main",
        OccurredAt = new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero).AddSeconds(i),
        PartnerId = "acme",
        Query = $"a={i}",
        Via = ClickVia.Redirect,
    };

    private static async Task<bool> AppendAsync(Spool spool, IReadOnlyList<ClickRecorded> clicks)
    {
        var entry = spool.Rent();
        foreach (var click in clicks)
        {
            entry.Add(click);
        }

        return await spool.AppendAsync(entry);
    }

    private static Spool Open(string folder) => new(new EdgeOptions { Data = folder, Durability = Durability.Process }, TimeProvider.System, NullLogger<Spool>.Instance);
}
