using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Conversions.Webhooks;
using PartnerPulse.Hosting.Bus;
using YamlDotNet.Serialization;

namespace PartnerPulse.Tests.ContractsPinned;

/// <summary>
/// <c>contracts/asyncapi.yaml</c> is written by hand, for people; here it is held against what the serializers and the topology say.
/// A failure prints what belongs there.
/// </summary>
public sealed class AsyncApiTests
{
    private const string ErrorQueueSchema = "RefusedHeaders";

    private static readonly JsonObject s_document = Read();

    /// <summary>Every record that a message is made of, by the name of its schema.</summary>
    private static readonly SortedDictionary<string, JsonTypeInfo> s_types = Types();

    public static TheoryData<string> Schemas => [.. s_types.Keys];

    public static TheoryData<string> Events => [.. EventTypes.All.Select(type => type.Name)];

    [Fact]
    public void It_is_of_version_3_and_says_what_it_describes()
    {
        Assert.Equal("3.0.0", s_document["asyncapi"]!.GetValue<string>());
        Assert.All((string[])["title", "version", "description"], name => Assert.NotEmpty(s_document["info"]![name]!.GetValue<string>()));
    }

    [Theory]
    [MemberData(nameof(Schemas))]
    public void A_schema_has_the_fields_that_the_serializer_writes(string name)
    {
        var expected = Schema(s_types[name]);
        var written = At("components", "schemas", name);
        Assert.True(written is JsonObject, $"components.schemas.{name} is missing:\n{Yaml(name, expected)}");
        Assert.True(
            JsonNode.DeepEquals(Sorted(expected), Sorted(WithoutWords(written!))), $"components.schemas.{name} should be:\n{Yaml(name, expected)}");
    }

    [Theory]
    [MemberData(nameof(Events))]
    public void An_event_has_a_message_that_carries_it(string name)
    {
        var message = At("components", "messages", name);
        Assert.True(message is JsonObject, $"components.messages.{name} is missing:\n{MessageYaml(EventTypes.Find(name)!)}");
        Assert.Equal(name, message!["name"]!.GetValue<string>());
        Assert.NotEmpty(message["summary"]!.GetValue<string>());
        Assert.Contains(EventTypes.Find(name)!.ClrType.Name, References(message).Select(Last));
    }

    [Fact]
    public void Its_channels_are_the_queues_that_there_are()
    {
        var channels = s_document["channels"]!.AsObject().ToDictionary(c => c.Value!["address"]!.GetValue<string>(), c => c.Value!, StringComparer.Ordinal);
        var missing = Topology.Queues.Where(queue => !channels.ContainsKey(queue.Name)).Select(ChannelYaml).ToArray();
        Assert.True(missing.Length == 0, $"Channels and operations are missing:\n{string.Concat(missing)}");
        Assert.Equal(
            Topology.Queues.Select(q => q.Name).Concat([OrdersBroker.Orders, OrdersBroker.Errors, "PartnerPulse.Contracts:CreditsRevised"]).Order(StringComparer.Ordinal),
            channels.Keys.Order(StringComparer.Ordinal));
        foreach (var queue in Topology.Queues)
        {
            Assert.Equal([MessageOf(queue)], References(channels[queue.Name]["messages"]!).Select(Last));
        }

        // Each is sent or received by somebody.
        Assert.Equal(
            s_document["channels"]!.AsObject().Select(c => c.Key).Order(StringComparer.Ordinal),
            s_document["operations"]!.AsObject().Select(o => Last(o.Value!["channel"]!["$ref"]!.GetValue<string>())).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Clicks_and_facts_travel_as_lines_and_what_is_announced_in_an_envelope()
    {
        Assert.All(Topology.Queues, queue => Assert.Equal("application/x-ndjson", At("components", "messages", MessageOf(queue))!["contentType"]!.GetValue<string>()));

        // What Attribution itself writes into its log travels nowhere.
        string[] own = ["rules_published", "replay_requested", "model_fitted", "replay_completed", "replay_promoted", "replay_discarded", "statement_closed"];
        var facts = EventTypes.All.Where(type => type.ClrType != typeof(ClickRecorded) && !Topology.Announcements.Contains(type.Name) && !own.Contains(type.Name)).ToArray();
        var line = At("components", "messages", "facts_recorded")!["payload"]!["properties"]!;
        Assert.Equal(facts.Select(type => type.Name).Order(StringComparer.Ordinal), line["type"]!["enum"]!.AsArray().Select(name => name!.GetValue<string>()).Order(StringComparer.Ordinal));
        Assert.Equal(facts.Select(type => type.ClrType.Name).Order(StringComparer.Ordinal), References(line["data"]!).Select(Last).Order(StringComparer.Ordinal));
        foreach (var type in EventTypes.All.Where(type => Topology.Announcements.Contains(type.Name)))
        {
            Assert.Equal("application/vnd.masstransit+json", At("components", "messages", type.Name)!["contentType"]!.GetValue<string>());
            Assert.Equal(
                $"urn:message:PartnerPulse.Contracts:{type.ClrType.Name}",
                At("components", "messages", type.Name)!["payload"]!["allOf"]![1]!["properties"]!["messageType"]!["contains"]!["const"]!.GetValue<string>());
        }
    }

    [Fact]
    public void Its_headers_are_those_that_are_set()
    {
        Assert.Equal(Handover.Headers.Order(StringComparer.Ordinal), At("components", "schemas", "HandoverHeaders")!["properties"]!.AsObject().Select(p => p.Key).Order(StringComparer.Ordinal));
        Assert.Equal(OrdersBroker.Headers.Order(StringComparer.Ordinal), At("components", "schemas", ErrorQueueSchema)!["properties"]!.AsObject().Select(p => p.Key).Order(StringComparer.Ordinal));
        Assert.All(
            Topology.Queues.Select(MessageOf),
            name => Assert.Equal("#/components/schemas/HandoverHeaders", At("components", "messages", name)!["headers"]!["$ref"]!.GetValue<string>()));
    }

    [Fact]
    public void The_words_of_an_order_are_those_that_are_taken()
    {
        var report = At("components", "schemas", nameof(ReportAsk))!["properties"]!;
        Assert.Equal(Words(typeof(ConversionKind), ContractsJson.Default.Options), report["kind"]!["enum"]!.AsArray().Select(w => w!.GetValue<string>()));
        Assert.Equal(Words(typeof(AdjustmentReason), ContractsJson.Default.Options), report["reason"]!["enum"]!.AsArray().Select(w => w!.GetValue<string>()));
    }

    [Fact]
    public void Whatever_it_refers_to_is_there()
    {
        Assert.NotEmpty(References(s_document));
        Assert.All(References(s_document), reference =>
        {
            JsonNode? at = s_document;
            foreach (var part in reference[2..].Split('/'))
            {
                at = at?[part];
            }

            Assert.True(at is not null, $"{reference} leads nowhere.");
        });
    }

    [Fact]
    public void What_it_gives_as_examples_of_orders_is_taken()
    {
        var reader = new ReportReader(new ConversionReader(new CustomerKeys(new byte[32]), "main", "EUR"), "main");
        var examples = At("components", "messages", "order")!["examples"]!.AsArray();
        Assert.True(examples.Count >= 3);
        foreach (var example in examples)
        {
            var message = OrderMessage.Read(
                JsonSerializer.SerializeToUtf8Bytes(example!["payload"]), example["headers"]?["contentType"]?.GetValue<string>(), contentEncoding: null, _ => null);
            Assert.Empty(message.Faults);
            Assert.NotEmpty(message.Reports);
            foreach (var (_, ask) in message.Reports)
            {
                var checks = new PartnerPulse.Hosting.Problems.Checks(TimeProvider.System);
                Assert.True(reader.Read(ask, checks) is not null, string.Join("; ", checks.Faults));
            }
        }
    }

    private static string MessageOf(Queue queue) => queue.Message == typeof(ClicksRecorded) ? "clicks_recorded" : "facts_recorded";

    private static SortedDictionary<string, JsonTypeInfo> Types()
    {
        var types = new SortedDictionary<string, JsonTypeInfo>(StringComparer.Ordinal);
        foreach (var type in EventTypes.All)
        {
            Add(type.Json);
        }

        Add(ConversionsJson.Default.ReportAsk);
        return types;

        void Add(JsonTypeInfo type)
        {
            if (types.TryAdd(type.Type.Name, type))
            {
                foreach (var property in type.Properties)
                {
                    var inner = type.Options.GetTypeInfo(property.PropertyType);
                    var element = inner.Kind == JsonTypeInfoKind.Enumerable ? type.Options.GetTypeInfo(inner.ElementType!) : inner;
                    if (element.Kind == JsonTypeInfoKind.Object)
                    {
                        Add(element);
                    }
                }
            }
        }
    }

    private static JsonObject Schema(JsonTypeInfo type)
    {
        var properties = new JsonObject();
        foreach (var property in type.Properties)
        {
            properties[property.Name] = Of(type.Options.GetTypeInfo(property.PropertyType));
        }

        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties };
        var required = type.Properties.Where(p => p.IsRequired).Select(p => p.Name).ToArray();
        if (required.Length > 0)
        {
            schema["required"] = new JsonArray([.. required.Select(name => (JsonNode)name)]);
        }

        return schema;
    }

    private static JsonObject Of(JsonTypeInfo type)
    {
        var clr = Nullable.GetUnderlyingType(type.Type) ?? type.Type;
        return clr switch
        {
            _ when clr == typeof(Guid) => new JsonObject { ["type"] = "string", ["format"] = "uuid" },
            _ when clr == typeof(string) => new JsonObject { ["type"] = "string" },
            _ when clr == typeof(DateTimeOffset) => new JsonObject { ["type"] = "string", ["format"] = "date-time" },
            _ when clr == typeof(long) => new JsonObject { ["type"] = "integer", ["format"] = "int64" },
            _ when clr == typeof(int) => new JsonObject { ["type"] = "integer", ["format"] = "int32" },
            _ when clr == typeof(decimal) => new JsonObject { ["type"] = "number" },
            _ when clr == typeof(bool) => new JsonObject { ["type"] = "boolean" },
            _ when clr == typeof(JsonElement) => new JsonObject { ["type"] = "object" },
            _ when clr.IsEnum => new JsonObject { ["type"] = "string", ["enum"] = new JsonArray([.. Words(clr, type.Options).Select(word => (JsonNode)word)]) },
            _ when type.Kind == JsonTypeInfoKind.Dictionary => new JsonObject { ["type"] = "object", ["additionalProperties"] = Of(type.Options.GetTypeInfo(type.ElementType!)) },
            _ when type.Kind == JsonTypeInfoKind.Enumerable => new JsonObject { ["type"] = "array", ["items"] = Of(type.Options.GetTypeInfo(type.ElementType!)) },
            _ when type.Kind == JsonTypeInfoKind.Object => new JsonObject { ["$ref"] = $"#/components/schemas/{clr.Name}" },
            _ => throw new NotSupportedException($"{clr} has no schema yet."),
        };
    }

    private static IEnumerable<string> Words(Type type, JsonSerializerOptions options) =>
        Enum.GetValues(type).Cast<object>().Select(value => JsonSerializer.SerializeToElement(value, options.GetTypeInfo(type)).GetString()!);

    /// <summary>Of a schema what a serializer knows: without descriptions, examples and bounds, and without the words of what is text in an order.</summary>
    private static JsonNode WithoutWords(JsonNode node, string? name = null)
    {
        switch (node)
        {
            case JsonObject { } o:
                var kept = new JsonObject();
                foreach (var (key, value) in o)
                {
                    var isName = name == "properties";
                    if (isName || key is not ("description" or "examples" or "minimum" or "maximum" or "maxLength" or "maxItems" or "minItems" or "contains"))
                    {
                        kept[key] = WithoutWords(value!, isName ? null : key);
                    }
                }

                return kept;
            case JsonArray a:
                return new JsonArray([.. a.Select(item => WithoutWords(item!))]);
            default:
                return node.DeepClone();
        }
    }

    /// <summary>Fields and required names in any order; the words of an order's texts are compared elsewhere.</summary>
    private static JsonNode Sorted(JsonNode node)
    {
        var schema = node.DeepClone().AsObject();
        if (schema["required"] is JsonArray required)
        {
            schema["required"] = new JsonArray([.. required.Select(r => r!.GetValue<string>()).Order(StringComparer.Ordinal).Select(r => (JsonNode)r)]);
        }

        foreach (var (name, property) in schema["properties"]!.AsObject().ToArray())
        {
            if (name is "kind" or "reason" && property is JsonObject text && !schema["properties"]!.AsObject().ContainsKey("eventId"))
            {
                text.Remove("enum");
            }
        }

        return schema;
    }

    private static string Yaml(string name, JsonObject schema)
    {
        var plain = Plain(new JsonObject { [name] = schema.DeepClone() });
        return string.Concat(new SerializerBuilder().WithIndentedSequences().Build().Serialize(plain!).Split('\n').Select(line => $"    {line}\n"));
    }

    private static string MessageYaml(EventType type) => Topology.HasQueue(type.ClrType)
        ? $"""
              {type.Name}:
                name: {type.Name}
                summary: …
                contentType: application/vnd.masstransit+json
                headers:
                  $ref: '#/components/schemas/HandoverHeaders'
                payload:
                  allOf:
                    - $ref: '#/components/schemas/Envelope'
                    - type: object
                      properties:
                        messageType:
                          contains:
                            const: urn:message:PartnerPulse.Contracts:{type.ClrType.Name}
                        message:
                          $ref: '#/components/schemas/{type.ClrType.Name}'

          """
        : $"""
              {type.Name}:
                name: {type.Name}
                summary: …
                contentType: application/json
                payload:
                  $ref: '#/components/schemas/{type.ClrType.Name}'

          """;

    private static string ChannelYaml(Queue queue) =>
        $"""
          {queue.Name}:
            address: {queue.Name}
            description: Quorum queue, bound to the exchange `PartnerPulse.Contracts:{queue.Message.Name}`.
            messages:
              {EventTypes.All.Single(t => t.ClrType == queue.Message).Name}:
                $ref: '#/components/messages/{EventTypes.All.Single(t => t.ClrType == queue.Message).Name}'
            bindings:
              amqp:
                is: queue
                queue:
                  name: {queue.Name}
                  durable: true
                  exclusive: false
                  autoDelete: false
        operations:
          send{queue.Message.Name}:
            action: send
            channel:
              $ref: '#/channels/{queue.Name}'
          receive{queue.Message.Name}:
            action: receive
            channel:
              $ref: '#/channels/{queue.Name}'

        """;

    private static object? Plain(JsonNode? node) => node switch
    {
        JsonObject o => o.ToDictionary(p => p.Key, p => Plain(p.Value), StringComparer.Ordinal),
        JsonArray a => a.Select(Plain).ToList(),
        null => null,
        var value => value.GetValue<object>().ToString(),
    };

    private static JsonNode? At(params string[] path) => path.Aggregate((JsonNode?)s_document, (node, part) => node?[part]);

    private static string Last(string reference) => reference[(reference.LastIndexOf('/') + 1)..];

    private static IEnumerable<string> References(JsonNode node) => node switch
    {
        JsonObject o => o.SelectMany(p => p.Key == "$ref" ? [p.Value!.GetValue<string>()] : p.Value is null ? [] : References(p.Value)),
        JsonArray a => a.SelectMany(item => item is null ? [] : References(item)),
        _ => [],
    };

    private static JsonObject Read()
    {
        var yaml = File.ReadAllText(Path.Combine(Fixtures.Checkout, "contracts", "asyncapi.yaml"));
        var graph = new DeserializerBuilder().WithAttemptingUnquotedStringTypeDeserialization().Build().Deserialize<object>(yaml);
        return Node(graph)!.AsObject();
    }

    private static JsonNode? Node(object? value) => value switch
    {
        null => null,
        IDictionary<object, object> map => new JsonObject(map.Select(p => KeyValuePair.Create((string)p.Key, Node(p.Value)))),
        IEnumerable<object> list => new JsonArray([.. list.Select(Node)]),
        string text => JsonValue.Create(text),
        bool flag => JsonValue.Create(flag),
        byte or short or int or long => JsonValue.Create(Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture)),
        var other => JsonValue.Create(Convert.ToString(other, System.Globalization.CultureInfo.InvariantCulture)),
    };
}
