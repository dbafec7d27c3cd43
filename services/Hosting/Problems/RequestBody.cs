using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.OpenApi;

namespace PartnerPulse.Hosting.Problems;

/// <summary>Reading of JSON with faults that name the field.</summary>
public static partial class RequestBody
{
    /// <summary>
    /// Describes the body. Any content type is taken: what matters is whether it reads as JSON, and <c>curl -d</c> sends a form's.
    /// </summary>
    /// <param name="endpoint">Whose body it is.</param>
    /// <param name="example">One that is taken as it stands, for <c>/openapi.json</c>.</param>
    /// <param name="isOptional">The body may be absent.</param>
    public static RouteHandlerBuilder TakesJson<T>(
        this RouteHandlerBuilder endpoint, [StringSyntax(StringSyntaxAttribute.Json)] string example, bool isOptional = false)
        where T : notnull
    {
        var parsed = JsonNode.Parse(example);
        return endpoint.Accepts<T>(isOptional, "application/json", "*/*").AddOpenApiOperationTransformer((operation, _, _) =>
        {
            if (operation.RequestBody?.Content?.TryGetValue("application/json", out var body) == true && body is OpenApiMediaType media)
            {
                media.Example = parsed!.DeepClone();
            }

            return Task.CompletedTask;
        });
    }

    /// <summary>Whether the sender sent a body at all.</summary>
    public static bool HasBody(this HttpRequest request) =>
        request.ContentLength is > 0 || (request.ContentLength is null && request.Headers.TransferEncoding.Count > 0);

    /// <summary>The body as JSON, or what is wrong with it.</summary>
    public static async ValueTask<(T? Value, FieldFault? Fault)> ReadJsonAsync<T>(
        this HttpRequest request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        try
        {
            var value = await JsonSerializer.DeserializeAsync(request.Body, type, cancellationToken);
            return value is null ? (default, new FieldFault("body", "is null")) : (value, null);
        }
        catch (JsonException e)
        {
            return (default, Fault(e));
        }
    }

    /// <summary>The body as it came. How long it may be is the endpoint's request size limit.</summary>
    public static async ValueTask<ReadOnlyMemory<byte>> ReadBytesAsync(this HttpRequest request, CancellationToken cancellationToken)
    {
        using var buffer = new MemoryStream();
        await request.Body.CopyToAsync(buffer, cancellationToken);
        return buffer.GetBuffer().AsMemory(0, (int)buffer.Length);
    }

    /// <summary>Cuts a list into its elements without reading them, so that one that cannot be read leaves the others alone.</summary>
    /// <param name="body">A list, or one element by itself.</param>
    /// <param name="most">How many elements a list may have.</param>
    /// <param name="what">What they are, in the plural.</param>
    public static (IReadOnlyList<ReadOnlyMemory<byte>> Elements, bool IsList, FieldFault? Fault) Elements(ReadOnlyMemory<byte> body, int most, string what)
    {
        var elements = new List<ReadOnlyMemory<byte>>();
        if (body.Span.StartsWith("\uFEFF"u8))
        {
            body = body[3..];
        }

        try
        {
            var json = new Utf8JsonReader(body.Span);
            if (!json.Read() || json.TokenType != JsonTokenType.StartArray)
            {
                return ([body], false, null);
            }

            while (json.Read() && json.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)json.TokenStartIndex;
                json.Skip();
                elements.Add(body[start..(int)json.BytesConsumed]);
            }

            // Anything after the list is a fault of the whole.
            json.Read();
        }
        catch (JsonException e)
        {
            return (elements, true, Fault(e));
        }

        return elements.Count <= most
            ? (elements, true, null)
            : (elements, true, new FieldFault("body", $"holds {elements.Count} {what}; at most {most} are allowed"));
    }

    /// <summary>One element as JSON, checked, or everything that is wrong with it.</summary>
    /// <param name="json">The element.</param>
    /// <param name="type">What it is read as.</param>
    /// <param name="checks">Where <paramref name="read"/> says what is wrong.</param>
    /// <param name="read">Null where something is.</param>
    public static (T? Value, IReadOnlyList<FieldFault> Faults) Read<TAsk, T>(ReadOnlySpan<byte> json, JsonTypeInfo<TAsk> type, Checks checks, Func<TAsk, Checks, T?> read)
        where T : class
    {
        var (ask, fault) = Parse(json, type);
        return ask is null ? (null, [fault!]) : (read(ask, checks), checks.Faults);
    }

    /// <summary>One line or one element of a list as JSON, or what is wrong with it.</summary>
    public static (T? Value, FieldFault? Fault) Parse<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        try
        {
            var value = JsonSerializer.Deserialize(json, type);
            return value is null ? (default, new FieldFault("body", "is null")) : (value, null);
        }
        catch (JsonException e)
        {
            return (default, Fault(e));
        }
    }

    /// <summary>What the serializer found wrong, in words for the sender.</summary>
    public static FieldFault Fault(JsonException e)
    {
        if (e is FieldFormatException)
        {
            return new FieldFault(e.Path is { Length: > 2 } at ? at[2..] : "body", e.Message);
        }

        // "$." is a field without a name.
        var path = e.Path is null or "" or "$" or "$." ? "body" : e.Path.StartsWith("$.", StringComparison.Ordinal) ? e.Path[2..] : e.Path[1..];
        var reason = e.InnerException?.Message ?? e.Message;
        var end = reason.IndexOf(" Path: ", StringComparison.Ordinal);
        reason = end >= 0 ? reason[..end] : reason;
        if (UnknownMember().Match(reason) is { Success: true } unknown)
        {
            var name = path == "body" ? unknown.Groups["name"].Value : path;
            return name.Length == 0 ? new FieldFault("body", "has a field without a name") : new FieldFault(name, "is not a field that is known here");
        }

        return new FieldFault(path, InWords(reason));
    }

    // The serializer speaks to programmers; these are its sentences that a sender meets.
    private static string InWords(string reason) =>
        WrongToken().Match(reason) is { Success: true } token ? $"is a {token.Groups["is"].Value.ToLowerInvariant()} where a {token.Groups["wanted"].Value} is expected"
        : reason.Contains("could not be converted", StringComparison.Ordinal) ? "is not of the right type"
        : reason.StartsWith("Duplicate property", StringComparison.Ordinal) ? "is given twice"
        : reason.Contains("does not contain any JSON tokens", StringComparison.Ordinal) ? "is empty"
        : $"is not valid JSON: {reason}";

    [GeneratedRegex("token type '(?<is>[^']*)' as a (?<wanted>[a-z]+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex WrongToken();

    [GeneratedRegex("^The JSON property '(?<name>[^']*)' could not be mapped", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UnknownMember();
}

/// <summary>A value of JSON that is not what its field takes; the message completes the sentence that begins with the field.</summary>
internal sealed class FieldFormatException(string reason) : JsonException(reason);

/// <summary>
/// A time with its offset. Without one the framework would take the clock of this machine, and the same order would happen at
/// another time on another server.
/// </summary>
public sealed class TimeWithOffset : JsonConverter<DateTimeOffset>
{
    public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType == JsonTokenType.String
            && reader.TryGetDateTimeOffset(out var time)
            && reader.TryGetDateTime(out var plain)
            && plain.Kind != DateTimeKind.Unspecified)
        {
            return time;
        }

        throw new FieldFormatException("is not a time with its offset such as \"2026-11-22T08:30:00+01:00\"");
    }

    public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) => writer.WriteStringValue(value);
}
