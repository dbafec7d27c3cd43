using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// The touches of a journey and of its introductions in a few bytes each: a replay reads every touch of everybody who converted, and
/// as JSON they would cost more than all else it does. Kept is what rules and receipts ask of a click; where it led, its query, referrer
/// and visitor are in the log. A name or a request that the journey had before is a number.
/// </summary>
internal static class PackedTouches
{
    private const int FixedBytes = 16 + 8 + 1;

    /// <summary>Most requests are those of a few browsers; who sends something else each time does not fill the memory.</summary>
    private const int MostRequests = 20_000;

    private static readonly ConcurrentDictionary<byte[], ClickRecorded> s_requests = new(BytesComparer.Instance);
    private static int s_requestsKnown;

    [ThreadStatic]
    private static Writer? s_writer;

    /// <summary>The touches of a journey, then those of each of its introductions.</summary>
    public static byte[] Pack(Journey journey)
    {
        var writer = s_writer ??= new Writer();
        writer.Begin();
        writer.Write(journey.Touches);
        foreach (var lead in journey.Introductions)
        {
            writer.Write(lead.Touches);
        }

        return writer.ToArray();
    }

    /// <summary>The journey with the touches that were packed.</summary>
    /// <exception cref="InvalidDataException">These are not the touches of the journey.</exception>
    public static Journey Unpack(Journey bare, ReadOnlySpan<byte> packed)
    {
        var reader = new Reader(packed);
        var touches = reader.Read();
        var journey = bare with
        {
            Touches = touches,
            Introductions = bare.Introductions.IsDefaultOrEmpty ? [] : WithTouches(bare.Introductions, ref reader),
        };
        return reader.AtEnd ? journey : throw new InvalidDataException($"The touches of conversion {bare.Conversion.ConversionId} have bytes left over.");
    }

    private static ImmutableArray<Journey> WithTouches(ImmutableArray<Journey> leads, ref Reader reader)
    {
        var full = new Journey[leads.Length];
        for (var i = 0; i < full.Length; i++)
        {
            full[i] = leads[i] with { Touches = reader.Read() };
        }

        return ImmutableCollectionsMarshal.AsImmutableArray(full);
    }

    /// <summary>The click with all that is not its own alone: equal for everybody who comes with the same browser in the same way.</summary>
    private static ClickRecorded RequestOf(ClickRecorded click) => click with
    {
        EventId = Guid.Empty,
        OccurredAt = default,
        PartnerId = "",
        Link = null,
        VisitorId = null,
        Destination = null,
        Campaign = null,
        SubIds = null,
        Query = null,
        ReferrerHost = null,
        AddressHash = null,
    };

    private static ClickRecorded Request(ReadOnlySpan<byte> bytes)
    {
        if (s_requests.GetAlternateLookup<ReadOnlySpan<byte>>().TryGetValue(bytes, out var known))
        {
            return known;
        }

        if (Interlocked.Increment(ref s_requestsKnown) > MostRequests)
        {
            s_requests.Clear();
            Interlocked.Exchange(ref s_requestsKnown, 0);
        }

        return s_requests.GetOrAdd(
            bytes.ToArray(), static data => JsonSerializer.Deserialize(data, ContractsJson.Default.ClickRecorded) ?? throw new InvalidDataException("A packed request is null."));
    }

    private sealed class Writer
    {
        private readonly ArrayBufferWriter<byte> _to = new(256);
        private readonly Dictionary<string, int> _texts = new(StringComparer.Ordinal);
        private readonly Dictionary<ClickRecorded, int> _requests = new(RequestComparer.Instance);

        /// <summary>Forgets what was written before, also where that was not finished.</summary>
        public void Begin()
        {
            _to.ResetWrittenCount();
            _texts.Clear();
            _requests.Clear();
        }

        public byte[] ToArray() => _to.WrittenSpan.ToArray();

        public void Write(ImmutableArray<Touch> touches)
        {
            Number(touches.Length);
            foreach (var touch in touches)
            {
                var click = touch.Click;
                var span = _to.GetSpan(FixedBytes);
                click.EventId.TryWriteBytes(span, bigEndian: true, out _);
                BinaryPrimitives.WriteInt64LittleEndian(span[16..], click.OccurredAt.UtcTicks);
                span[24] = (byte)touch.Evidence;
                _to.Advance(FixedBytes);
                Text(click.PartnerId);
                Text(click.Link);
                Text(click.Campaign?.Name);
                if (_requests.TryGetValue(click, out var seen))
                {
                    Number(seen);
                    continue;
                }

                _requests.Add(click, _requests.Count + 1);
                Number(0);
                Bytes(JsonSerializer.SerializeToUtf8Bytes(RequestOf(click), ContractsJson.Default.ClickRecorded));
            }
        }

        /// <summary>0: nothing; 1: a new one follows; n: the one that was the (n − 2)th new one.</summary>
        private void Text(string? text)
        {
            if (text is null)
            {
                Number(0);
            }
            else if (_texts.TryGetValue(text, out var seen))
            {
                Number(seen);
            }
            else
            {
                _texts.Add(text, _texts.Count + 2);
                Number(1);
                Bytes(Encoding.UTF8.GetBytes(text));
            }
        }

        private void Bytes(ReadOnlySpan<byte> bytes)
        {
            Number(bytes.Length);
            _to.Write(bytes);
        }

        private void Number(int number)
        {
            var span = _to.GetSpan(5);
            var length = 0;
            for (var rest = (uint)number; ; rest >>= 7)
            {
                span[length++] = (byte)(rest < 0x80 ? rest : rest | 0x80);
                if (rest < 0x80)
                {
                    break;
                }
            }

            _to.Advance(length);
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private ref struct Reader(ReadOnlySpan<byte> from)
    {
        private readonly List<string> _texts = [];
        private readonly List<ClickRecorded> _requests = [];
        private ReadOnlySpan<byte> _rest = from;

        public readonly bool AtEnd => _rest.IsEmpty;

        public ImmutableArray<Touch> Read()
        {
            var touches = new Touch[Number()];
            for (var i = 0; i < touches.Length; i++)
            {
                var @fixed = Take(FixedBytes);
                var (partner, link, campaign) = (Text(), Text(), Text());
                touches[i] = new Touch(
                    Request() with
                    {
                        EventId = new Guid(@fixed[..16], bigEndian: true),
                        OccurredAt = new DateTimeOffset(BinaryPrimitives.ReadInt64LittleEndian(@fixed[16..]), TimeSpan.Zero),
                        PartnerId = partner ?? throw new InvalidDataException("A packed touch has no partner."),
                        Link = link,
                        Campaign = campaign is null ? null : new Campaign { Name = campaign },
                    },
                    (Evidence)@fixed[24]);
            }

            return ImmutableCollectionsMarshal.AsImmutableArray(touches);
        }

        private string? Text()
        {
            switch (Number())
            {
                case 0:
                    return null;
                case 1:
                    _texts.Add(Encoding.UTF8.GetString(Take(Number())));
                    return _texts[^1];
                case var seen:
                    return _texts[seen - 2];
            }
        }

        private ClickRecorded Request()
        {
            var seen = Number();
            if (seen > 0)
            {
                return _requests[seen - 1];
            }

            _requests.Add(PackedTouches.Request(Take(Number())));
            return _requests[^1];
        }

        private int Number()
        {
            var (number, shift) = (0u, 0);
            while (true)
            {
                var next = Take(1)[0];
                number |= (uint)(next & 0x7F) << shift;
                if (next < 0x80)
                {
                    return (int)number;
                }

                shift += 7;
            }
        }

        private ReadOnlySpan<byte> Take(int length)
        {
            if ((uint)length > (uint)_rest.Length)
            {
                throw new InvalidDataException("Packed touches end too early.");
            }

            var taken = _rest[..length];
            _rest = _rest[length..];
            return taken;
        }
    }

    /// <summary>Clicks with the same <see cref="RequestOf"/>, which it does not make.</summary>
    internal sealed class RequestComparer : IEqualityComparer<ClickRecorded>
    {
        public static RequestComparer Instance { get; } = new();

        public bool Equals(ClickRecorded? x, ClickRecorded? y) =>
            ReferenceEquals(x, y)
            || (x is not null && y is not null && x.Via == y.Via && x.Test == y.Test && x.ProgramId == y.ProgramId && x.UserAgent == y.UserAgent && x.Signals == y.Signals);

        public int GetHashCode([DisallowNull] ClickRecorded obj) => HashCode.Combine(obj.UserAgent, obj.Signals);
    }

    private sealed class BytesComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static BytesComparer Instance { get; } = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = default(HashCode);
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
