using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>
/// A part of a delivery's payload with its path, so that a fault names the field as the shop wrote it. Payloads are read by hand
/// and not by a serializer: shops add fields with every version, send numbers as text and the other way round, and of their
/// hundreds of fields we read twenty.
/// </summary>
internal readonly record struct Node(JsonElement Json, string Path, List<FieldFault> Faults)
{
    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 64 };

    /// <summary>The payload as a whole, or why it cannot be read.</summary>
    public static (JsonDocument? Document, FieldFault? Fault) Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            if (!Utf8.IsValid(body.Span))
            {
                return (null, new FieldFault("body", "is not UTF-8"));
            }

            // Half a surrogate pair is found only where the text is asked for; it is asked for once, here.
            var reader = new Utf8JsonReader(body.Span, new JsonReaderOptions { MaxDepth = s_options.MaxDepth });
            while (reader.Read())
            {
                if (reader.ValueIsEscaped)
                {
                    _ = reader.GetString();
                }
            }

            var document = JsonDocument.Parse(body, s_options);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return (document, null);
            }

            document.Dispose();
            return (null, new FieldFault("body", "is not an object of JSON"));
        }
        catch (JsonException e)
        {
            return (null, RequestBody.Fault(e));
        }
        catch (InvalidOperationException)
        {
            // What the reader throws for an escape that is no character.
            return (null, new FieldFault("body", "holds an escape such as \\ud800 that is no character"));
        }
    }

    public static Node Root(JsonDocument document) => new(document.RootElement, "", []);

    public void Fault(string name, string reason) => Faults.Add(new FieldFault(At(name), reason));

    public string At(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    /// <summary>The member; null where it is absent or null.</summary>
    public Node? Member(string name) =>
        Json.ValueKind == JsonValueKind.Object && Json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null
            ? new Node(value, At(name), Faults)
            : null;

    /// <summary>An object, or null where there is none.</summary>
    public Node? Object(string name) => Member(name) is { Json.ValueKind: JsonValueKind.Object } value ? value : null;

    /// <summary>An object that must be there.</summary>
    public Node? Required(string name)
    {
        var value = Object(name);
        if (value is null)
        {
            Fault(name, Member(name) is null ? "is required" : "is not an object");
        }

        return value;
    }

    /// <summary>The objects of a list; other elements are passed over.</summary>
    public IEnumerable<Node> List(string name)
    {
        if (Member(name) is not { Json.ValueKind: JsonValueKind.Array } list)
        {
            yield break;
        }

        var i = 0;
        foreach (var element in list.Json.EnumerateArray())
        {
            if (element.ValueKind == JsonValueKind.Object)
            {
                yield return new Node(element, $"{list.Path}[{i}]", Faults);
            }

            i++;
        }
    }

    /// <summary>A text or a number as text; null where there is neither, or nothing in it.</summary>
    public string? Word(string name) => Member(name) switch
    {
        { Json.ValueKind: JsonValueKind.String } text => text.Json.GetString() is { Length: > 0 } word ? word : null,
        { Json.ValueKind: JsonValueKind.Number } number => number.Json.GetRawText(),
        _ => null,
    };

    public string? RequiredWord(string name)
    {
        var word = Word(name);
        if (word is null)
        {
            Fault(name, Member(name) is null or { Json.ValueKind: JsonValueKind.String } ? "is required" : "is neither a text nor a number");
        }

        return word;
    }

    public bool Flag(string name) => Member(name) is { Json.ValueKind: JsonValueKind.True };

    /// <summary>The id of another object, which may stand there whole.</summary>
    public string? IdOf(string name) => Member(name) is { Json.ValueKind: JsonValueKind.Object } whole ? whole.Word("id") : Word(name);

    /// <summary>A whole number that must be there.</summary>
    public long? RequiredWhole(string name)
    {
        var value = Whole(name);
        if (value is null)
        {
            Fault(name, Member(name) is null ? "is required" : "is not a whole number");
        }

        return value;
    }

    public long? Whole(string name) =>
        Member(name) is { Json.ValueKind: JsonValueKind.Number } number && number.Json.TryGetInt64(out var value) ? value : null;

    /// <summary>Seconds since 1970; null where absent.</summary>
    public DateTimeOffset? UnixTime(string name)
    {
        if (Member(name) is null)
        {
            return null;
        }

        if (Whole(name) is { } seconds and >= 0 && seconds <= s_maxUnix)
        {
            return DateTimeOffset.FromUnixTimeSeconds(seconds);
        }

        Fault(name, "is not a time in seconds since 1970");
        return null;
    }

    /// <summary>A time with its offset; null where absent.</summary>
    public DateTimeOffset? Time(string name)
    {
        if (Word(name) is not { } text)
        {
            return null;
        }

        if (Member(name)!.Value.Json is { ValueKind: JsonValueKind.String } json
            && json.TryGetDateTimeOffset(out var time)
            && json.TryGetDateTime(out var plain)
            && plain.Kind != DateTimeKind.Unspecified)
        {
            return time.ToUniversalTime();
        }

        Fault(name, $"'{Short(text)}' is not a time with its offset");
        return null;
    }

    /// <summary>A time in UTC that does not say so, as WooCommerce writes it; null where absent.</summary>
    public DateTimeOffset? UtcTime(string name)
    {
        if (Word(name) is not { } text)
        {
            return null;
        }

        if (DateTime.TryParseExact(
            text.TrimEnd('Z'), "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time))
        {
            return new DateTimeOffset(time, TimeSpan.Zero);
        }

        Fault(name, $"'{Short(text)}' is not a time such as 2026-11-22T08:30:00");
        return null;
    }

    private static string Short(string text) => text.Length <= 40 ? text : $"{text[..40]}…";

    private static readonly long s_maxUnix = DateTimeOffset.MaxValue.ToUnixTimeSeconds();
}
