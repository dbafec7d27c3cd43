using System.Text.Json;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using static PartnerPulse.EventStore.Db;

namespace PartnerPulse.Attribution.Seals;

/// <summary>A page of the chain held against the log.</summary>
/// <param name="Seal">As the database has it.</param>
/// <param name="Erased">How many of its events an erasure changed or took out, and its seal stays right.</param>
/// <param name="Findings">What is not as it was sealed; empty where all is.</param>
internal sealed record CheckedPage(SealPage Seal, int Erased, IReadOnlyList<SealFinding> Findings);

/// <summary>Reads the chain's pages in order and computes each anew from the log. Hashing runs beside the reading.</summary>
internal sealed class LogPages(NpgsqlConnection connection, string schema)
{
    private const int PagesAtOnce = 16;
    private const int MaxComparisons = 200_000;

    private Dictionary<long, string>? _rewritten;
    private HashSet<long>? _removed;

    /// <summary>What is kept beside a sealed event that names a customer.</summary>
    private sealed record Kept(byte[]? Salt, byte[] Commitment, string? Type, DateTimeOffset? RecordedAt);

    private sealed record Hashed(SealPage Seal, IReadOnlyList<StoredEvent> Events, (long Position, byte[] Hash)[] Leaves, bool Matches);

    /// <summary>The columns of an event in the order in which <see cref="ReadEvent"/> takes them.</summary>
    public const string EventColumns = "seq_id, id, stream_id, version, type, timestamp, data";

    public static StoredEvent ReadEvent(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetGuid(1), reader.GetGuid(2), reader.GetInt64(3), reader.GetString(4), new DateTimeOffset(reader.GetDateTime(5)),
        reader.GetFieldValue<byte[]>(6));

    /// <summary>Columns of a page without its leaves.</summary>
    public const string PageColumns = "page, from_position, to_position, events, root, entry";

    public static SealPage ReadPage(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt32(3), reader.GetFieldValue<byte[]>(4), reader.GetFieldValue<byte[]>(5));

    /// <summary>The pages after <paramref name="after"/>.</summary>
    public async IAsyncEnumerable<CheckedPage> ReadAsync(
        long after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (true)
        {
            var seals = await SealsAsync(after, cancellationToken);
            if (seals.Count == 0)
            {
                yield break;
            }

            var (from, to) = (seals[0].From, seals.Max(seal => seal.To));
            var kept = await KeptAsync(from, to, cancellationToken);
            foreach (var page in await HashAsync(seals, from, to, kept, cancellationToken))
            {
                yield return await JudgeAsync(page, kept, cancellationToken);
            }

            after = seals[^1].Number;
        }
    }

    private async Task<List<SealPage>> SealsAsync(long after, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select {PageColumns} from {schema}.seals where page > $1 order by page limit $2", P(after), P(PagesAtOnce));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var seals = new List<SealPage>();
        while (await reader.ReadAsync(cancellationToken))
        {
            seals.Add(ReadPage(reader));
        }

        return seals;
    }

    private async Task<Dictionary<long, Kept>> KeptAsync(long from, long to, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select position, salt, commitment, type, recorded_at from {schema}.seal_salts where position > $1 and position <= $2", P(from), P(to));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var kept = new Dictionary<long, Kept>();
        while (await reader.ReadAsync(cancellationToken))
        {
            kept.Add(reader.GetInt64(0), new Kept(
                reader.OrDefault<byte[]>(1), reader.GetFieldValue<byte[]>(2), reader.GetTextOrNull(3),
                reader.IsDBNull(4) ? null : reader.GetFieldValue<DateTimeOffset>(4)));
        }

        return kept;
    }

    private async Task<IReadOnlyList<Hashed>> HashAsync(
        List<SealPage> seals, long from, long to, IReadOnlyDictionary<long, Kept> kept, CancellationToken cancellationToken)
    {
        var hashing = new List<Task<Hashed>>(seals.Count);
        var events = new List<StoredEvent>(SealPage.MaxEvents);
        await using (var command = connection.Sql($"select {EventColumns} from {schema}.mt_events where seq_id > $1 and seq_id <= $2 order by seq_id", P(from), P(to)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                var e = ReadEvent(reader);
                while (hashing.Count < seals.Count - 1 && e.Position > seals[hashing.Count].To)
                {
                    Start();
                }

                events.Add(e);
            }
        }

        while (hashing.Count < seals.Count)
        {
            Start();
        }

        return await Task.WhenAll(hashing);

        void Start()
        {
            var (seal, page) = (seals[hashing.Count], events);
            hashing.Add(Task.Run(() => Hash(seal, page, kept), cancellationToken));
            events = new List<StoredEvent>(SealPage.MaxEvents);
        }
    }

    private static Hashed Hash(SealPage seal, List<StoredEvent> events, IReadOnlyDictionary<long, Kept> kept)
    {
        var hasher = new SealedEvent();
        var leaves = new List<(long Position, byte[] Hash)>(events.Count);
        foreach (var e in events)
        {
            leaves.Add((e.Position, LeafOf(hasher, e, kept).Hash));
        }

        leaves.AddRange(kept.Where(row => row.Value is { Type: not null, RecordedAt: not null } && row.Key > seal.From && row.Key <= seal.To)
            .Select(row => (row.Key, hasher.OfRemoved(row.Key, row.Value.Type!, row.Value.RecordedAt!.Value, row.Value.Commitment))));
        leaves.Sort((a, b) => a.Position.CompareTo(b.Position));
        var matches = leaves.Count == seal.Events && MerkleTree.Root([.. leaves.Select(leaf => leaf.Hash)]).AsSpan().SequenceEqual(seal.Root);

        // Of a page that is as it was only what names an erased customer is looked at again.
        return new Hashed(seal, matches ? [.. events.Where(e => kept.TryGetValue(e.Position, out var row) && row.Salt is null)] : events, [.. leaves], matches);
    }

    private static Leaf LeafOf(SealedEvent hasher, StoredEvent e, IReadOnlyDictionary<long, Kept> kept) =>
        hasher.Of(e, position => kept.GetValueOrDefault(position)?.Salt, position => kept.GetValueOrDefault(position)?.Commitment);

    private async Task<CheckedPage> JudgeAsync(Hashed page, Dictionary<long, Kept> kept, CancellationToken cancellationToken)
    {
        var findings = new List<SealFinding>();
        if (!page.Matches)
        {
            var hasher = new SealedEvent();
            findings.AddRange(Diagnosis.Of(page.Seal, await StoredLeavesAsync(page.Seal, cancellationToken), page.Events, page.Leaves, e => LeafOf(hasher, e, kept), MaxComparisons));
        }

        var erased = 0;
        foreach (var (position, row) in kept.Where(row => row.Value.Salt is null && row.Key > page.Seal.From && row.Key <= page.Seal.To))
        {
            await ReadErasuresAsync(cancellationToken);
            if (row.Type is not null ? _removed!.Contains(position)
                : page.Events.FirstOrDefault(e => e.Position == position) is { Data.IsEmpty: false } e && SealedEvent.CustomerOf(e.Data) is { } key
                    && _rewritten!.GetValueOrDefault(position) == key)
            {
                erased++;
            }
            else
            {
                findings.Add(new SealFinding(
                    row.Type is null ? SealFinding.AlteredData : SealFinding.DeletedEvent, page.Seal.Number, position, null,
                    row.Type is null ? "its customer's key was replaced, and no erasure in the log says so" : "the event is gone, and no erasure in the log says so"));
            }
        }

        return new CheckedPage(page.Seal, erased, findings);
    }

    private async Task<byte[]> StoredLeavesAsync(SealPage seal, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql($"select leaves from {schema}.seals where page = $1", P(seal.Number));
        return (byte[])(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>What erasures said that they changed. They lie in the log, under seals of their own.</summary>
    private async Task ReadErasuresAsync(CancellationToken cancellationToken)
    {
        if (_rewritten is not null)
        {
            return;
        }

        (_rewritten, _removed) = ([], []);
        var erased = EventTypes.Of<CustomerErased>();
        await using var command = connection.Sql($"select data from {schema}.mt_events where type = $1 order by seq_id", P(erased.Name));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            try
            {
                var erasure = (CustomerErased)EventTypes.Deserialize(erased, reader.GetFieldValue<byte[]>(0));
                foreach (var position in erasure.Rewritten ?? [])
                {
                    _rewritten[position] = erasure.Token;
                }

                _removed!.UnionWith(erasure.Removed ?? []);
            }
            catch (JsonException)
            {
                // An erasure that cannot be read excuses nothing.
            }
        }
    }
}
