using System.Net;

namespace PartnerPulse.Edge;

/// <summary>A truncated address: /24 of IPv4, /48 of IPv6. All that the edge ever keeps of an address, and keeps only hashed or counted.</summary>
/// <param name="Bits">The number of bytes in the highest one, the bytes themselves at the low end. Never 0.</param>
internal readonly record struct ClientNetwork(ulong Bits)
{
    /// <summary>Bytes that <see cref="Write"/> fills at most.</summary>
    public const int MaxBytes = 6;

    private const int Ipv4Kept = 3;

    /// <summary>Whether addresses of the Internet lie in it; false for loopback, link-local, private and carrier-shared ones.</summary>
    public bool IsPublic
    {
        get
        {
            Span<byte> bytes = stackalloc byte[MaxBytes];
            return Write(bytes) == Ipv4Kept
                ? bytes[0] switch
                {
                    0 or 10 or 127 => false,
                    100 => bytes[1] is < 64 or > 127,
                    169 => bytes[1] != 254,
                    172 => bytes[1] is < 16 or > 31,
                    192 => bytes[1] != 168,
                    _ => true,
                }
                : bytes.IndexOfAnyExcept((byte)0) >= 0 && (bytes[0] & 0xFE) != 0xFC && !(bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80);
        }
    }

    /// <summary>Null where there is no address: the connection came by a socket of the machine itself.</summary>
    public static ClientNetwork? Of(IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (address is null || !address.TryWriteBytes(bytes, out var length))
        {
            return null;
        }

        ReadOnlySpan<byte> network = length == 4 ? bytes[..Ipv4Kept]
            : address.IsIPv4MappedToIPv6 ? bytes.Slice(12, Ipv4Kept)
            : bytes[..MaxBytes];
        var bits = 0UL;
        foreach (var b in network)
        {
            bits = (bits << 8) | b;
        }

        return new ClientNetwork(((ulong)network.Length << 56) | bits);
    }

    /// <summary>Writes the bytes that are kept.</summary>
    /// <returns>Their number.</returns>
    public int Write(Span<byte> bytes)
    {
        var length = (int)(Bits >> 56);
        for (var i = 0; i < length; i++)
        {
            bytes[i] = (byte)(Bits >> (8 * (length - 1 - i)));
        }

        return length;
    }
}
