using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Attribution.Seals;

/// <summary>What the seal of an event attests.</summary>
/// <param name="Hash">The leaf of the page's tree.</param>
/// <param name="Digest">SHA-256 of the event's document: which half was altered where the leaf differs.</param>
/// <param name="Commitment">What stands in the document for a customer's key; null where the event has none.</param>
internal readonly record struct Leaf(byte[] Hash, byte[] Digest, byte[]? Commitment);

/// <summary>
/// An event as it is hashed. The <b>document</b> is the event's canonical JSON, in which a customer's key and what is derived from it are
/// replaced by a salted commitment, and of a click what concerns the visitor by a digest; the <b>envelope</b> is what the log says of the
/// event, and the document's digest. The leaf is the envelope's. The README of this folder gives an example of each.
/// One instance serves one thread.
/// </summary>
internal sealed class SealedEvent
{
    public const int SaltLength = 16;

    private const string CustomerKey = "customerKey";
    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;
    private static readonly string s_conversion = EventTypes.Of<ConversionRecorded>().Name;

    /// <summary>What of a click its partner may see; everything else concerns the visitor, or may one day.</summary>
    private static readonly byte[][] s_open =
        [.. new[] { "campaign", "destination", "eventId", "link", "occurredAt", "partnerId", "programId", "subIds", "test", "via" }.Select(Encoding.UTF8.GetBytes)];

    private readonly CanonicalJson _json = new();
    private readonly ArrayBufferWriter<byte> _document = new(1024);
    private readonly ArrayBufferWriter<byte> _part = new(1024);
    private readonly ArrayBufferWriter<byte> _envelope = new(512);

    /// <param name="e">The event as the log holds it.</param>
    /// <param name="salt">Of the event; asked for where it names a customer.</param>
    /// <param name="kept">The commitment where the salt is gone: the customer was erased.</param>
    public Leaf Of(in StoredEvent e, Func<long, byte[]?> salt, Func<long, byte[]?> kept)
    {
        _document.ResetWrittenCount();
        byte[]? commitment = null;
        var (id, stream) = ((Guid?)e.Id, (Guid?)e.StreamId);
        if (e.Type == s_click)
        {
            WriteClick(e);
            stream = null;
        }
        else if (CustomerOf(e.Data) is { } key)
        {
            if (e.Type == s_conversion)
            {
                commitment = salt(e.Position) is { } grain ? Commit(grain, Encoding.UTF8.GetBytes(key)) : kept(e.Position);
                WriteWithCommitment(e.Data, commitment);
            }
            else
            {
                commitment = salt(e.Position) is { } grain ? Commit(grain, Whole(e)) : kept(e.Position);
                WriteClosed(commitment);
                (id, stream) = (null, null);
            }
        }
        else
        {
            _json.Write(e.Data, _document);
        }

        var digest = SHA256.HashData(_document.WrittenSpan);
        return new Leaf(Envelope(digest, e.Position, e.Type, e.RecordedAt, id, stream, e.Version), digest, commitment);
    }

    /// <summary>The customer's key in the event's data; null where it has none.</summary>
    public static string? CustomerOf(ReadOnlyMemory<byte> data)
    {
        // Almost no event has one, and looking for the letters is much cheaper than reading the JSON.
        if (data.Span.IndexOf("\"customerKey\""u8) < 0)
        {
            return null;
        }

        var reader = new System.Text.Json.Utf8JsonReader(data.Span);
        if (!reader.Read() || reader.TokenType != System.Text.Json.JsonTokenType.StartObject)
        {
            return null;
        }

        while (reader.Read() && reader.TokenType == System.Text.Json.JsonTokenType.PropertyName)
        {
            var isKey = reader.ValueTextEquals(CustomerKey);
            reader.Read();
            if (isKey)
            {
                return reader.TokenType == System.Text.Json.JsonTokenType.String ? reader.GetString() : null;
            }

            reader.Skip();
        }

        return null;
    }

    /// <summary>The leaf of a tie that an erasure took out of the log, from what is kept of it.</summary>
    public byte[] OfRemoved(long position, string type, DateTimeOffset recordedAt, byte[] commitment)
    {
        _document.ResetWrittenCount();
        WriteClosed(commitment);
        return Envelope(SHA256.HashData(_document.WrittenSpan), position, type, recordedAt, id: null, stream: null, version: 0);
    }

    /// <summary>The leaf of a click from what its partner is shown.</summary>
    public byte[] OfClick(long position, Guid id, DateTimeOffset recordedAt, ReadOnlyMemory<byte> open, string closed)
    {
        _document.ResetWrittenCount();
        WriteClickDocument(closed, open);
        return Envelope(SHA256.HashData(_document.WrittenSpan), position, s_click, recordedAt, id, stream: null, version: 0);
    }

    /// <summary>The two parts of a click: what its partner may see, as canonical JSON, and the digest of the rest.</summary>
    public (byte[] Open, string Closed) PartsOf(in StoredEvent click) => (Parts(click.Data, open: true), ClosedDigest(click));

    private void WriteClick(in StoredEvent e) => WriteClickDocument(ClosedDigest(e), Parts(e.Data, open: true));

    private void WriteClickDocument(string closed, ReadOnlyMemory<byte> open)
    {
        _document.Write("{\"closed\":\""u8);
        WriteAscii(_document, closed);
        _document.Write("\",\"open\":"u8);
        _json.Write(open, _document);
        _document.Write("}"u8);
    }

    private string ClosedDigest(in StoredEvent e)
    {
        var rest = Parts(e.Data, open: false);
        _part.ResetWrittenCount();
        _part.Write("{\"data\":"u8);
        _part.Write(rest);
        _part.Write(",\"stream\":\""u8);
        WriteId(_part, e.StreamId);
        _part.Write("\",\"version\":"u8);
        WriteWhole(_part, e.Version);
        _part.Write("}"u8);
        return Convert.ToHexStringLower(SHA256.HashData(_part.WrittenSpan));
    }

    private byte[] Parts(ReadOnlyMemory<byte> data, bool open)
    {
        _part.ResetWrittenCount();
        var members = _json.Members(data);
        _part.Write("{"u8);
        var first = true;
        foreach (var member in members)
        {
            if (IsOpen(data.Span[member.NameStart..member.NameEnd]) == open)
            {
                WriteMember(data, member, ref first);
            }
        }

        _part.Write("}"u8);
        _json.Return(members);
        return _part.WrittenSpan.ToArray();
    }

    private static bool IsOpen(ReadOnlySpan<byte> name)
    {
        foreach (var open in s_open)
        {
            if (name.SequenceEqual(open))
            {
                return true;
            }
        }

        return false;
    }

    private void WriteMember(ReadOnlyMemory<byte> data, CanonicalJson.Member member, ref bool first)
    {
        if (!first)
        {
            _part.Write(","u8);
        }

        first = false;
        CanonicalJson.WriteName(data.Span, member, _part);
        _json.Write(data[member.Start..member.End], _part);
    }

    private void WriteWithCommitment(ReadOnlyMemory<byte> data, byte[]? commitment)
    {
        var members = _json.Members(data);
        _document.Write("{"u8);
        for (var i = 0; i < members.Count; i++)
        {
            if (i > 0)
            {
                _document.Write(","u8);
            }

            var member = members[i];
            CanonicalJson.WriteName(data.Span, member, _document);
            if (data.Span[member.NameStart..member.NameEnd].SequenceEqual("customerKey"u8))
            {
                _document.Write("{\"sealed\":\""u8);
                WriteAscii(_document, Convert.ToHexStringLower(commitment ?? []));
                _document.Write("\"}"u8);
            }
            else
            {
                _json.Write(data[member.Start..member.End], _document);
            }
        }

        _document.Write("}"u8);
        _json.Return(members);
    }

    private void WriteClosed(byte[]? commitment)
    {
        _document.Write("{\"closed\":\""u8);
        WriteAscii(_document, Convert.ToHexStringLower(commitment ?? []));
        _document.Write("\"}"u8);
    }

    private byte[] Whole(in StoredEvent e)
    {
        _part.ResetWrittenCount();
        _part.Write("{\"data\":"u8);
        _json.Write(e.Data, _part);
        _part.Write(",\"id\":\""u8);
        WriteId(_part, e.Id);
        _part.Write("\",\"stream\":\""u8);
        WriteId(_part, e.StreamId);
        _part.Write("\",\"version\":"u8);
        WriteWhole(_part, e.Version);
        _part.Write("}"u8);
        return _part.WrittenSpan.ToArray();
    }

    private byte[] Envelope(byte[] digest, long position, string type, DateTimeOffset recordedAt, Guid? id, Guid? stream, long version)
    {
        _envelope.ResetWrittenCount();
        _envelope.Write("{\"data\":\""u8);
        WriteAscii(_envelope, Convert.ToHexStringLower(digest));
        if (id is { } known)
        {
            _envelope.Write("\",\"id\":\""u8);
            WriteId(_envelope, known);
        }

        _envelope.Write("\",\"position\":"u8);
        WriteWhole(_envelope, position);
        _envelope.Write(",\"recordedAt\":\""u8);
        WriteAscii(_envelope, TimeText(recordedAt));
        if (stream is { } place)
        {
            _envelope.Write("\",\"stream\":\""u8);
            WriteId(_envelope, place);
        }

        _envelope.Write("\",\"type\":"u8);
        CanonicalJson.WriteString(type, _envelope);
        _envelope.Write(",\"v\":1"u8);
        if (stream is not null)
        {
            _envelope.Write(",\"version\":"u8);
            WriteWhole(_envelope, version);
        }

        _envelope.Write("}"u8);
        return MerkleTree.Leaf(_envelope.WrittenSpan);
    }

    /// <summary>A time as it is attested: UTC, microseconds, as PostgreSQL keeps it.</summary>
    public static string TimeText(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    /// <summary>SHA-256 over salt and content: without the salt nobody can try contents against it.</summary>
    private static byte[] Commit(byte[] salt, ReadOnlySpan<byte> content)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(salt);
        hash.AppendData(content);
        return hash.GetHashAndReset();
    }

    private static void WriteAscii(ArrayBufferWriter<byte> to, string text) => to.Advance(Encoding.ASCII.GetBytes(text, to.GetSpan(text.Length)));

    private static void WriteId(ArrayBufferWriter<byte> to, Guid id)
    {
        id.TryFormat(to.GetSpan(36), out var written);
        to.Advance(written);
    }

    private static void WriteWhole(ArrayBufferWriter<byte> to, long number)
    {
        number.TryFormat(to.GetSpan(20), out var written, default, CultureInfo.InvariantCulture);
        to.Advance(written);
    }
}
