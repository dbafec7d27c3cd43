using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Attribution.Seals;

/// <summary>Something that is not as it was sealed.</summary>
/// <param name="Kind">One of the words below.</param>
/// <param name="Page">Of the chain; null where it concerns none.</param>
/// <param name="Position">In the log; null where it concerns a page or the file.</param>
/// <param name="EventId">The event that stands there now; null where there is none.</param>
/// <param name="Said">What it is, for the person who looks into it.</param>
public sealed record SealFinding(string Kind, long? Page, long? Position, Guid? EventId, string Said)
{
    public const string AlteredData = "altered-data";
    public const string AlteredTime = "altered-time";
    public const string AlteredRecord = "altered-record";
    public const string DeletedEvent = "deleted-event";
    public const string InsertedEvent = "inserted-event";
    public const string MovedEvent = "moved-event";
    public const string AlteredPage = "altered-page";
    public const string MissingPage = "missing-page";
    public const string BrokenChain = "broken-chain";
    public const string TruncatedLog = "truncated-log";
    public const string ForgedCheckpoint = "forged-checkpoint";
    public const string ShortenedFile = "shortened-file";
    public const string MissingFile = "missing-file";
    public const string Unsigned = "unsigned-pages";
}

/// <summary>Says which events of a page are not what was sealed, and what was done to them, by the leaves that are kept beside it.</summary>
internal static class Diagnosis
{
    private const int MaxVersion = 64;

    /// <param name="seal">The page.</param>
    /// <param name="packed">Its leaves as they are kept.</param>
    /// <param name="events">What stands in the log now.</param>
    /// <param name="leaves">The leaves of that, in order.</param>
    /// <param name="leafOf">Leaf of an event that is tried.</param>
    /// <param name="maxComparisons">Events tried in each other's places at most.</param>
    public static IReadOnlyList<SealFinding> Of(
        SealPage seal, byte[] packed, IReadOnlyList<StoredEvent> events, IReadOnlyList<(long Position, byte[] Hash)> leaves, Func<StoredEvent, Leaf> leafOf, int maxComparisons)
    {
        var kept = SealedLeaves.Unpack(seal.From, packed);
        if (kept.Length != seal.Events || !MerkleTree.Root([.. kept.Select(leaf => leaf.Hash)]).AsSpan().SequenceEqual(seal.Root))
        {
            return [new SealFinding(SealFinding.AlteredPage, seal.Number, null, null, $"the page of positions {seal.From + 1} to {seal.To} and its leaves in the database do not fit together, and the log fits neither")];
        }

        var was = kept.ToDictionary(leaf => leaf.Position, leaf => (leaf.Hash, leaf.Digest));
        var now = leaves.ToDictionary(leaf => leaf.Position, leaf => leaf.Hash);
        var gone = was.Where(leaf => !now.TryGetValue(leaf.Key, out var hash) || !hash.AsSpan().SequenceEqual(leaf.Value.Hash)).Select(leaf => leaf.Key).Order().ToList();
        var strange = events.Where(e => !was.TryGetValue(e.Position, out var leaf) || !leaf.Hash.AsSpan().SequenceEqual(now[e.Position])).ToList();
        var findings = new List<SealFinding>();
        if ((long)gone.Count * strange.Count <= maxComparisons)
        {
            TakeMoved(seal, was, gone, strange, leafOf, findings);
        }

        foreach (var e in strange)
        {
            findings.Add(gone.Remove(e.Position)
                ? Altered(seal, e, was[e.Position], leafOf, events)
                : new SealFinding(SealFinding.InsertedEvent, seal.Number, e.Position, e.Id, "no event was sealed at this position"));
        }

        findings.AddRange(gone.Select(position => new SealFinding(SealFinding.DeletedEvent, seal.Number, position, null, "the event that was sealed at this position is gone")));
        return [.. findings.OrderBy(finding => finding.Position)];
    }

    private static void TakeMoved(
        SealPage seal, Dictionary<long, (byte[] Hash, byte[] Digest)> was, List<long> gone, List<StoredEvent> strange, Func<StoredEvent, Leaf> leafOf, List<SealFinding> findings)
    {
        foreach (var e in strange.ToArray())
        {
            foreach (var position in gone.Where(position => position != e.Position).ToArray())
            {
                if (leafOf(e with { Position = position }).Hash.AsSpan().SequenceEqual(was[position].Hash))
                {
                    findings.Add(new SealFinding(SealFinding.MovedEvent, seal.Number, e.Position, e.Id, $"it was sealed at position {position}"));
                    gone.Remove(position);
                    strange.Remove(e);
                    break;
                }
            }
        }
    }

    private static SealFinding Altered(
        SealPage seal, StoredEvent e, (byte[] Hash, byte[] Digest) was, Func<StoredEvent, Leaf> leafOf, IReadOnlyList<StoredEvent> events)
    {
        bool Was(StoredEvent tried) => leafOf(tried).Hash.AsSpan().SequenceEqual(was.Hash);

        if (EventTypes.All.FirstOrDefault(type => type.Name != e.Type && Was(e with { Type = type.Name })) is { } other)
        {
            return new SealFinding(SealFinding.AlteredRecord, seal.Number, e.Position, e.Id, $"it was sealed as {other.Name} and is {e.Type} now");
        }

        // Where the envelope alone differs the document's digest is what it was. An event's id also stands in its document.
        var time = SealedEvent.TimeText(e.RecordedAt);
        if (Enumerable.Range(1, MaxVersion).Any(version => version != e.Version && Was(e with { Version = version })))
        {
            return new SealFinding(SealFinding.AlteredRecord, seal.Number, e.Position, e.Id, $"its version in its stream was another than {e.Version}");
        }

        if (IdInside(e) is { } inside && inside != e.Id)
        {
            return new SealFinding(SealFinding.AlteredRecord, seal.Number, e.Position, e.Id, $"its id was {inside}");
        }

        if (events.FirstOrDefault(near => near.RecordedAt != e.RecordedAt && Was(e with { RecordedAt = near.RecordedAt })) is { Data.IsEmpty: false } twin)
        {
            return new SealFinding(SealFinding.AlteredTime, seal.Number, e.Position, e.Id, $"it was recorded at {SealedEvent.TimeText(twin.RecordedAt)}, and says {time} now");
        }

        return leafOf(e).Digest.AsSpan(0, SealedLeaves.DigestLength).SequenceEqual(was.Digest)
            ? new SealFinding(SealFinding.AlteredTime, seal.Number, e.Position, e.Id, $"its content is what was sealed; the time at which it was recorded, {time}, is not")
            : new SealFinding(SealFinding.AlteredData, seal.Number, e.Position, e.Id, "its content is not what was sealed");
    }

    private static Guid? IdInside(StoredEvent e)
    {
        using var document = JsonDocument.Parse(e.Data);
        return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("eventId", out var id) && id.TryGetGuid(out var inside) ? inside : null;
    }
}
