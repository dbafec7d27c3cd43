using System.Buffers;
using System.Net.Mime;
using System.Text;
using System.Text.Json;
using MassTransit;
using MassTransit.Serialization;
using PartnerPulse.Contracts;

namespace PartnerPulse.Hosting.Bus;

/// <summary>
/// Clicks and facts on the wire: a line of JSON each, without an envelope, as the sender's log holds them. MassTransit's own
/// serializer reads a message twice, and what it reads would only be written again into the log.
/// </summary>
internal sealed class LinesSerializer : ISerializerFactory, IMessageSerializer, IMessageDeserializer
{
    public static readonly LinesSerializer Instance = new();

    private static readonly string[] s_types = [MessageUrn.ForTypeString<ClicksRecorded>(), MessageUrn.ForTypeString<FactsRecorded>()];
    private static readonly JsonElement s_nothing = JsonSerializer.SerializeToElement(new object());

    public ContentType ContentType { get; } = new("application/x-ndjson");

    public IMessageSerializer CreateSerializer() => this;

    public IMessageDeserializer CreateDeserializer() => this;

    public void Probe(ProbeContext context) => context.CreateScope("lines").Add("contentType", ContentType.MediaType);

    public MessageBody GetMessageBody<T>(SendContext<T> context)
        where T : class
    {
        var body = new ArrayBufferWriter<byte>(64 * 1024);
        switch (context.Message)
        {
            case ClicksRecorded clicks:
                foreach (var click in clicks.Clicks)
                {
                    body.Write(click.Span);
                    body.Write("\n"u8);
                }

                break;
            case FactsRecorded facts:
                foreach (var fact in facts.Facts)
                {
                    // A published name needs no escapes.
                    body.Write("{\"type\":\""u8);
                    _ = Encoding.UTF8.GetBytes(fact.Type.AsSpan(), body);
                    if (fact.TraceParent is { } traceParent)
                    {
                        body.Write("\",\"traceparent\":\""u8);
                        _ = Encoding.ASCII.GetBytes(traceParent, body);
                    }

                    body.Write("\",\"data\":"u8);
                    body.Write(fact.Data.Span);
                    body.Write("}\n"u8);
                }

                break;
            default:
                throw new ArgumentException($"{typeof(T).Name} does not travel as lines.", nameof(context));
        }

        return new BytesMessageBody(body.WrittenSpan.ToArray());
    }

    public MessageBody GetMessageBody(string text) => new StringMessageBody(text);

    public ConsumeContext Deserialize(ReceiveContext receiveContext) => new BodyConsumeContext(
        receiveContext, Deserialize(receiveContext.Body, receiveContext.TransportHeaders, receiveContext.InputAddress));

    public SerializerContext Deserialize(MessageBody body, Headers headers, Uri? destinationAddress = null) => new LinesContext(
        body.GetBytes(), new RawMessageContext(headers, destinationAddress, RawSerializerOptions.Default));

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

    /// <summary>Takes a line apart without reading its data. A line that is none is a fact without a name, for whoever sets it aside.</summary>
    private static RecordedFact Fact(ReadOnlyMemory<byte> line)
    {
        var (type, data) = ("", line);
        string? traceParent = null;
        try
        {
            var json = new Utf8JsonReader(line.Span);
            json.Read();
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                if (json.ValueTextEquals("type"u8))
                {
                    json.Read();
                    type = json.GetString() ?? "";
                }
                else if (json.ValueTextEquals("traceparent"u8))
                {
                    json.Read();
                    traceParent = json.GetString();
                }
                else if (json.ValueTextEquals("data"u8))
                {
                    json.Read();
                    var start = (int)json.TokenStartIndex;
                    json.Skip();
                    data = line[start..(int)json.BytesConsumed];
                }
                else
                {
                    json.Skip();
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return new RecordedFact("", line);
        }

        return new RecordedFact(type, data, traceParent);
    }

    private sealed class LinesContext(byte[] body, MessageContext message)
        : SystemTextJsonRawSerializerContext(
            SystemTextJsonMessageSerializer.Instance, SystemTextJsonMessageSerializer.Options, Instance.ContentType, message, s_types,
            RawSerializerOptions.Default, s_nothing)
    {
        public override bool TryGetMessage<T>(out T? message)
            where T : class
        {
            object? read = typeof(T) == typeof(ClicksRecorded) ? new ClicksRecorded { Clicks = Split(body) }
                : typeof(T) == typeof(FactsRecorded) ? new FactsRecorded { Facts = [.. Split(body).Select(Fact)] }
                : null;
            message = (T?)read;
            return message is not null;
        }
    }
}
