using System.Buffers.Binary;
using System.Security.Cryptography;

namespace PartnerPulse.Edge;

/// <summary>
/// Random bytes of the system's generator, asked for in blocks: a call costs about the same for 16 bytes and for a thousand.
/// No byte is given out twice.
/// </summary>
internal static class Randomness
{
    private const int BlockBytes = 1_024;

    [ThreadStatic]
    private static byte[]? t_block;

    [ThreadStatic]
    private static int t_used;

    /// <param name="bytes">Filled; at most 1024.</param>
    public static void Fill(Span<byte> bytes)
    {
        if (t_block is null || t_used + bytes.Length > BlockBytes)
        {
            t_block ??= new byte[BlockBytes];
            RandomNumberGenerator.Fill(t_block);
            t_used = 0;
        }

        t_block.AsSpan(t_used, bytes.Length).CopyTo(bytes);
        t_used += bytes.Length;
    }

    /// <summary>A UUID of version 7 (RFC 9562, section 5.7): milliseconds since 1970, then 74 random bits.</summary>
    public static Guid CreateVersion7(DateTimeOffset now)
    {
        Span<byte> bytes = stackalloc byte[16];
        Fill(bytes[6..]);
        var milliseconds = now.ToUnixTimeMilliseconds();
        BinaryPrimitives.WriteInt16BigEndian(bytes, (short)(milliseconds >> 32));
        BinaryPrimitives.WriteInt32BigEndian(bytes[2..], (int)milliseconds);
        bytes[6] = (byte)((bytes[6] & 0x0F) | 0x70);
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes, bigEndian: true);
    }
}
