using System.Buffers.Binary;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>One field of a message in protobuf's wire format: its number, and the bytes or the number it holds.</summary>
internal readonly record struct ProtobufField(int Number, ReadOnlyMemory<byte> Bytes, ulong Value)
{
    public string Text => System.Text.Encoding.UTF8.GetString(Bytes.Span);

    public IEnumerable<ProtobufField> Fields => In(Bytes);

    /// <summary>Takes a message apart by the wire format alone (https://protobuf.dev/programming-guides/encoding).</summary>
    public static IEnumerable<ProtobufField> In(ReadOnlyMemory<byte> message)
    {
        for (var at = 0; at < message.Length;)
        {
            var key = Varint(message.Span, ref at);
            var number = (int)(key >> 3);
            switch (key & 7)
            {
                case 0:
                    yield return new ProtobufField(number, default, Varint(message.Span, ref at));
                    break;
                case 1:
                    yield return new ProtobufField(number, default, BinaryPrimitives.ReadUInt64LittleEndian(message.Span[at..]));
                    at += sizeof(ulong);
                    break;
                case 2:
                    var length = (int)Varint(message.Span, ref at);
                    yield return new ProtobufField(number, message.Slice(at, length), 0);
                    at += length;
                    break;
                case 5:
                    yield return new ProtobufField(number, default, BinaryPrimitives.ReadUInt32LittleEndian(message.Span[at..]));
                    at += sizeof(uint);
                    break;
                default:
                    throw new InvalidDataException($"Field {number} is of no kind that protobuf has.");
            }
        }
    }

    private static ulong Varint(ReadOnlySpan<byte> bytes, ref int at)
    {
        var value = 0ul;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[at++];
            value |= (ulong)(next & 0x7F) << shift;
            if ((next & 0x80) == 0)
            {
                return value;
            }
        }
    }
}
