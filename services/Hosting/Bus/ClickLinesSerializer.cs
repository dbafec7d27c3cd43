using System.Net.Mime;
using System.Text.Json;
using MassTransit;
using MassTransit.Serialization;
using PartnerPulse.Contracts;

namespace PartnerPulse.Hosting.Bus;

/// <summary>
/// Clicks on the wire: a line of JSON each, without an envelope. MassTransit's own serializer reads a message twice, and what it
/// reads would only be written again into the log; of all messages this is the one where that is felt.
/// </summary>
internal sealed class ClickLinesSerializer : ISerializerFactory, IMessageSerializer, IMessageDeserializer
{
    public static readonly ClickLinesSerializer Instance = new();

    private static readonly string[] s_types = [MessageUrn.ForTypeString<ClicksRecorded>()];
    private static readonly JsonElement s_nothing = JsonSerializer.SerializeToElement(new object());

    public ContentType ContentType { get; } = new("application/x-ndjson");

    public IMessageSerializer CreateSerializer() => this;

    public IMessageDeserializer CreateDeserializer() => this;

    public void Probe(ProbeContext context) => context.CreateScope("clicks").Add("contentType", ContentType.MediaType);

    public MessageBody GetMessageBody<T>(SendContext<T> context)
        where T : class =>
        context.Message is ClicksRecorded clicks
            ? new BytesMessageBody(Join(clicks.Clicks))
            : throw new ArgumentException($"{typeof(T).Name} does not travel as lines.", nameof(context));

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public ConsumeContext Deserialize(ReceiveContext receiveContext) => new BodyConsumeContext(
        receiveContext, Deserialize(receiveContext.Body, receiveContext.TransportHeaders, receiveContext.InputAddress));

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) => new LinesContext(
        body.GetBytes(), new RawMessageContext(headers, destinationAddress, RawSerializerOptions.Default));

    private static byte[] Join(IReadOnlyList<ReadOnlyMemory<byte>> lines)
    {
        var length = 0;
        for (var i = 0; i < lines.Count; i++)
        {
            length += lines[i].Length + 1;
        }

        var body = new byte[length];
        var at = 0;
        for (var i = 0; i < lines.Count; i++)
        {
            lines[i].Span.CopyTo(body.AsSpan(at));
            at += lines[i].Length;
            body[at++] = (byte)'\n';
        }

        return body;
    }

    private static List<ReadOnlyMemory<byte>> Split(ReadOnlyMemory<byte> body)
    {
        var lines = new List<ReadOnlyMemory<byte>>();
        while (!body.IsEmpty)
        {
            var end = body.Span.IndexOf((byte)'\n');
            if (end != 0)
            {
                lines.Add(end < 0 ? body : body[..end]);
            }

            body = end < 0 ? default : body[(end + 1)..];
        }

        return lines;
    }

    private sealed class LinesContext(byte[] body, MessageContext message)
        : SystemTextJsonRawSerializerContext(
            SystemTextJsonMessageSerializer.Instance, SystemTextJsonMessageSerializer.Options, Instance.ContentType, message, s_types,
            RawSerializerOptions.Default, s_nothing)
    {
        public override bool TryGetMessage<T>(out T? message)
            where T : class
        {
            message = typeof(T) == typeof(ClicksRecorded) ? (T)(object)new ClicksRecorded { Clicks = Split(body) } : null;
            return message is not null;
        }
    }
}
