using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;

namespace PartnerPulse.Edge;

/// <summary>
/// A keyed hash of a truncated address (/24 of IPv4, /48 of IPv6): clicks of one network on one day have the same one, and
/// nothing can be told from it on another day. 128 bits of HMAC-SHA256 as base64url.
/// </summary>
internal sealed class AddressHash(SigningKey key)
{
    private const int HashBytes = 16;
    private const int Ipv4Kept = 3;
    private const int Ipv6Kept = 6;

    // One slot for each low part of a network's bits: bounded by construction, and a lost race costs a hash, no more.
    private readonly Entry?[] _recent = new Entry?[4_096];
    private volatile DayKey? _day;

    public string? Of(IPAddress? address, DateTimeOffset now)
    {
        if (address is null)
        {
            return null;
        }

        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out var length))
        {
            return null;
        }

        ReadOnlySpan<byte> network = length == 4 ? bytes[..Ipv4Kept]
            : address.IsIPv4MappedToIPv6 ? bytes.Slice(12, Ipv4Kept)
            : bytes[..Ipv6Kept];
        var packed = (ulong)network.Length << 56;
        foreach (var b in network)
        {
            packed = (packed & 0xFF00_0000_0000_0000) | ((packed << 8) & 0x00FF_FFFF_FFFF_FFFF) | b;
        }

        var day = DateOnly.FromDateTime(now.UtcDateTime);
        var slot = (int)((packed * 0x9E37_79B9_7F4A_7C15) >> 52);
        if (_recent[slot] is { } hit && hit.Network == packed && hit.Day == day)
        {
            return hit.Hash;
        }

        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(KeyOf(day), network, hash);
        var text = Base64Url.EncodeToString(hash[..HashBytes]);
        _recent[slot] = new Entry(packed, day, text);
        return text;
    }

    private byte[] KeyOf(DateOnly day)
    {
        if (_day is { } today && today.Day == day)
        {
            return today.Key;
        }

        var made = new DayKey(day, key.For($"address {day:yyyy-MM-dd}"));
        _day = made;
        return made.Key;
    }

    private sealed record Entry(ulong Network, DateOnly Day, string Hash);

    private sealed record DayKey(DateOnly Day, byte[] Key);
}
