using System.Buffers.Binary;
using System.Security.Cryptography;

namespace PartnerPulse.Attribution.Seals;

/// <summary>A page of the log in the chain. What it says never changes once it is there.</summary>
/// <param name="Number">1, 2, 3…</param>
/// <param name="From">Position after which it begins: where the page before ends, 0 for the first.</param>
/// <param name="To">Position of its last event.</param>
/// <param name="Events">How many events lie in it, at most <see cref="MaxEvents"/>. Positions have gaps.</param>
/// <param name="Root">Root of the tree over their leaves.</param>
/// <param name="Entry">Entry of the chain: a hash over the entry before, and all of the above.</param>
internal sealed record SealPage(long Number, long From, long To, int Events, byte[] Root, byte[] Entry)
{
    public const int MaxEvents = 4_096;

    /// <summary>The entry before the first page.</summary>
    public static byte[] Genesis { get; } = new byte[MerkleTree.HashLength];

    /// <summary>SHA-256("pulse-page-v1\n" ‖ entry before ‖ number ‖ from ‖ to ‖ events ‖ root); numbers of eight bytes, big-endian.</summary>
    public static byte[] EntryOf(ReadOnlySpan<byte> previous, long number, long from, long to, int events, ReadOnlySpan<byte> root)
    {
        var prefix = "pulse-page-v1\n"u8;
        Span<byte> text = stackalloc byte[prefix.Length + (2 * MerkleTree.HashLength) + (4 * sizeof(long))];
        prefix.CopyTo(text);
        var rest = text[prefix.Length..];
        previous[..MerkleTree.HashLength].CopyTo(rest);
        rest = rest[MerkleTree.HashLength..];
        foreach (var word in (ReadOnlySpan<long>)[number, from, to, events])
        {
            BinaryPrimitives.WriteInt64BigEndian(rest, word);
            rest = rest[sizeof(long)..];
        }

        root[..MerkleTree.HashLength].CopyTo(rest);
        return SHA256.HashData(text);
    }

    /// <summary>The page that comes after <paramref name="previous"/>.</summary>
    public static SealPage After(SealPage? previous, long to, int events, byte[] root)
    {
        var (number, from) = ((previous?.Number ?? 0) + 1, previous?.To ?? 0);
        return new SealPage(number, from, to, events, root, EntryOf(previous?.Entry ?? Genesis, number, from, to, events, root));
    }
}

/// <summary>
/// The leaves of a page as they are kept beside it: per event four bytes of position after the page's beginning, the leaf, and eight
/// bytes of the document's digest. The root vouches for the leaves; the rest only helps to say what was altered.
/// </summary>
internal static class SealedLeaves
{
    public const int RowLength = sizeof(uint) + MerkleTree.HashLength + DigestLength;
    public const int DigestLength = 8;

    public static byte[] Pack(long from, ReadOnlySpan<long> positions, ReadOnlySpan<Leaf> leaves)
    {
        var packed = new byte[leaves.Length * RowLength];
        for (var i = 0; i < leaves.Length; i++)
        {
            var row = packed.AsSpan(i * RowLength, RowLength);
            BinaryPrimitives.WriteUInt32BigEndian(row, checked((uint)(positions[i] - from)));
            leaves[i].Hash.CopyTo(row[sizeof(uint)..]);
            leaves[i].Digest.AsSpan(0, DigestLength).CopyTo(row[(sizeof(uint) + MerkleTree.HashLength)..]);
        }

        return packed;
    }

    public static (long Position, byte[] Hash, byte[] Digest)[] Unpack(long from, ReadOnlySpan<byte> packed)
    {
        var rows = new (long, byte[], byte[])[packed.Length / RowLength];
        for (var i = 0; i < rows.Length; i++)
        {
            var row = packed.Slice(i * RowLength, RowLength);
            rows[i] = (
                from + BinaryPrimitives.ReadUInt32BigEndian(row), row.Slice(sizeof(uint), MerkleTree.HashLength).ToArray(), row[(sizeof(uint) + MerkleTree.HashLength)..].ToArray());
        }

        return rows;
    }
}
