using System.Security.Cryptography;

namespace PartnerPulse.Attribution.Seals;

/// <summary>The Merkle tree of RFC 6962, section 2.1 (unchanged in RFC 9162): SHA-256, leaves and nodes told apart by their first byte.</summary>
internal static class MerkleTree
{
    public const int HashLength = 32;

    /// <summary>Hash of a leaf: SHA-256(0x00 ‖ entry).</summary>
    public static byte[] Leaf(ReadOnlySpan<byte> entry)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData([0x00]);
        hash.AppendData(entry);
        return hash.GetHashAndReset();
    }

    /// <summary>Root over hashes of leaves, in order. That of no leaves is the hash of nothing.</summary>
    public static byte[] Root(ReadOnlySpan<byte[]> leaves) => leaves.Length switch
    {
        0 => SHA256.HashData([]),
        1 => leaves[0],
        _ => Node(Root(leaves[..Split(leaves.Length)]), Root(leaves[Split(leaves.Length)..])),
    };

    /// <summary>The hashes by which the leaf at <paramref name="index"/> leads to the root, from the leaf upwards.</summary>
    public static IReadOnlyList<byte[]> Proof(ReadOnlySpan<byte[]> leaves, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, leaves.Length);
        var path = new List<byte[]>();
        AddPath(leaves, index, path);
        return path;
    }

    /// <summary>The root to which a leaf and its proof lead in a tree of <paramref name="count"/> leaves (RFC 9162, 2.1.3.2); null where the proof has another length.</summary>
    public static byte[]? RootOf(byte[] leaf, long index, long count, IReadOnlyList<byte[]> proof)
    {
        if (index < 0 || index >= count)
        {
            return null;
        }

        var (fn, sn, root) = (index, count - 1, leaf);
        foreach (var hash in proof)
        {
            if (sn == 0)
            {
                return null;
            }

            if ((fn & 1) == 1 || fn == sn)
            {
                root = Node(hash, root);
                while ((fn & 1) == 0 && fn != 0)
                {
                    (fn, sn) = (fn >> 1, sn >> 1);
                }
            }
            else
            {
                root = Node(root, hash);
            }

            (fn, sn) = (fn >> 1, sn >> 1);
        }

        return sn == 0 ? root : null;
    }

    private static void AddPath(ReadOnlySpan<byte[]> leaves, int index, List<byte[]> path)
    {
        if (leaves.Length == 1)
        {
            return;
        }

        var split = Split(leaves.Length);
        if (index < split)
        {
            AddPath(leaves[..split], index, path);
            path.Add(Root(leaves[split..]));
        }
        else
        {
            AddPath(leaves[split..], index - split, path);
            path.Add(Root(leaves[..split]));
        }
    }

    /// <summary>The largest power of two below <paramref name="count"/>.</summary>
    private static int Split(int count) => 1 << (31 - int.LeadingZeroCount(count - 1));

    private static byte[] Node(byte[] left, byte[] right)
    {
        Span<byte> node = stackalloc byte[1 + (2 * HashLength)];
        node[0] = 0x01;
        left.CopyTo(node[1..]);
        right.CopyTo(node[(1 + HashLength)..]);
        return SHA256.HashData(node);
    }
}
