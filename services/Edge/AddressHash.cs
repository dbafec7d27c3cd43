using System.Buffers.Text;
using System.Security.Cryptography;

namespace PartnerPulse.Edge;

/// <summary>
/// A keyed hash of a truncated address (/24 of IPv4, /48 of IPv6): clicks of one network on one day have the same one, and
/// nothing can be told from it on another day. 128 bits of HMAC-SHA256 as base64url.
/// </summary>
internal sealed class AddressHash(SigningKey key)
{
    private const int HashBytes = 16;

    // One slot for each low part of a network's bits: bounded by construction, and a lost race costs a hash, no more.
    private readonly Entry?[] _recent = new Entry?[4_096];
    private volatile DayKey? _day;

    public string? Of(ClientNetwork? network, DateTimeOffset now) => network is { } known ? Of(known, now) : null;

    private string Of(ClientNetwork network, DateTimeOffset now)
    {
        var day = DateOnly.FromDateTime(now.UtcDateTime);
        var slot = (int)((network.Bits * 0x9E37_79B9_7F4A_7C15) >> 52);
        if (_recent[slot] is { } hit && hit.Network == network && hit.Day == day)
        {
            return hit.Hash;
        }

        Span<byte> bytes = stackalloc byte[ClientNetwork.MaxBytes];
        Span<byte> hash = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(KeyOf(day), bytes[..network.Write(bytes)], hash);
        var text = Base64Url.EncodeToString(hash[..HashBytes]);
        _recent[slot] = new Entry(network, day, text);
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

    private sealed record Entry(ClientNetwork Network, DateOnly Day, string Hash);

    private sealed record DayKey(DateOnly Day, byte[] Key);
}
