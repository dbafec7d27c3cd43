using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Queue;

/// <summary>A CloudEvent in structured mode, as far as it matters here. Extensions are read past.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record CloudEventAsk
{
    public string? SpecVersion { get; init; }
    public string? Id { get; init; }
    public string? Source { get; init; }
    public string? Type { get; init; }
    public string? DataContentType { get; init; }
    public JsonElement? Data { get; init; }

    [JsonPropertyName("data_base64")]
    public string? DataBase64 { get; init; }
}

/// <summary>
/// A message of the queue <c>orders</c>: a <see cref="ReportAsk"/> or a list of them as JSON, by itself or in a CloudEvent 1.0, in
/// structured mode, as a batch, or in binary mode.
/// </summary>
/// <param name="Reports">Those that can be read, each with the path that names it: nothing for the only one, <c>[2].</c> within a list.</param>
/// <param name="Faults">What is wrong with the others, or with the whole.</param>
internal sealed record OrderMessage(IReadOnlyList<(string Path, ReportAsk Ask)> Reports, IReadOnlyList<FieldFault> Faults)
{
    /// <summary>Of one message; a few hundred are held at once.</summary>
    public const int MaxBytes = 1024 * 1024;

    private const string SpecVersion = "1.0";
    private const string Structured = "application/cloudevents";
    private const string Batch = "application/cloudevents-batch";

    // The AMQP binding allows both, because some libraries cannot write a colon.
    private static readonly string[] s_prefixes = ["cloudEvents:", "cloudEvents_"];

    /// <param name="body">As it came.</param>
    /// <param name="contentType">As the message says; absent means JSON.</param>
    /// <param name="contentEncoding">As the message says.</param>
    /// <param name="header">The text of a header; null where there is none.</param>
    public static OrderMessage Read(ReadOnlyMemory<byte> body, string? contentType, string? contentEncoding, Func<string, string?> header)
    {
        var reports = new List<(string Path, ReportAsk Ask)>();
        var faults = new List<FieldFault>();
        if (body.Length > MaxBytes)
        {
            faults.Add(new FieldFault("body", $"has {body.Length} bytes; at most {MaxBytes} are allowed"));
        }
        else if (!string.IsNullOrEmpty(contentEncoding) && contentEncoding is not ("utf-8" or "UTF-8" or "identity"))
        {
            faults.Add(new FieldFault("contentEncoding", $"is '{contentEncoding}'; bodies are plain JSON in UTF-8"));
        }
        else if (contentType?.StartsWith(Batch, StringComparison.OrdinalIgnoreCase) == true)
        {
            ReadElements(body, "", (element, path) => ReadCloudEvent(element, path, reports, faults), faults);
        }
        else if (contentType?.StartsWith(Structured, StringComparison.OrdinalIgnoreCase) == true)
        {
            ReadCloudEvent(body, "", reports, faults);
        }
        else
        {
            ReadBinaryMode(header, faults);
            if (faults.Count == 0)
            {
                ReadReports(body, "", reports, faults);
            }
        }

        return new OrderMessage(reports, faults);
    }

    private static void ReadReports(ReadOnlyMemory<byte> json, string path, List<(string Path, ReportAsk Ask)> reports, List<FieldFault> faults) =>
        ReadElements(json, path, (element, at) =>
        {
            var (ask, fault) = RequestBody.Parse(element.Span, ConversionsJson.Default.ReportAsk);
            if (ask is null)
            {
                faults.Add(At(at, fault!));
            }
            else
            {
                reports.Add((at, ask));
            }
        }, faults);

    /// <summary>The element itself, or each of a list.</summary>
    private static void ReadElements(ReadOnlyMemory<byte> json, string path, Action<ReadOnlyMemory<byte>, string> take, List<FieldFault> faults)
    {
        var (elements, isList, fault) = RequestBody.Elements(json, RecordConversion.MaxBatch, "orders");
        if (fault is not null)
        {
            faults.Add(At(path, fault));
            return;
        }

        for (var i = 0; i < elements.Count; i++)
        {
            take(elements[i], isList ? $"{path.TrimEnd('.')}[{i}]." : path);
        }
    }

    private static void ReadCloudEvent(ReadOnlyMemory<byte> json, string path, List<(string Path, ReportAsk Ask)> reports, List<FieldFault> faults)
    {
        if (json.Span.StartsWith("\uFEFF"u8))
        {
            json = json[3..];
        }

        var (ce, fault) = RequestBody.Parse(json.Span, ConversionsJson.Default.CloudEventAsk);
        if (ce is null)
        {
            faults.Add(At(path, fault!));
            return;
        }

        var before = faults.Count;
        CheckAttributes(name => name switch { "specversion" => ce.SpecVersion, "id" => ce.Id, "source" => ce.Source, "type" => ce.Type, _ => ce.DataContentType }, path, faults);
        var data = Array.Empty<byte>();
        if (ce is { Data: { } element, DataBase64: null })
        {
            data = JsonMarshal.GetRawUtf8Value(element).ToArray();
        }
        else if (ce is { Data: null, DataBase64: { } text })
        {
            var buffer = new byte[text.Length];
            if (Convert.TryFromBase64String(text, buffer, out var length))
            {
                data = buffer[..length];
            }
            else
            {
                faults.Add(new FieldFault($"{path}data_base64", "is not Base64"));
            }
        }
        else
        {
            faults.Add(new FieldFault($"{path}data", ce.Data is null ? "is required: the order" : "and data_base64 must not both be there"));
        }

        if (faults.Count == before)
        {
            ReadReports(data, $"{path}data.", reports, faults);
        }
    }

    private static void ReadBinaryMode(Func<string, string?> header, List<FieldFault> faults)
    {
        foreach (var prefix in s_prefixes)
        {
            if (header(prefix + "specversion") is not null)
            {
                // The content type is the message's own.
                CheckAttributes(name => name == "datacontenttype" ? null : header(prefix + name), prefix, faults);
            }
        }
    }

    private static void CheckAttributes(Func<string, string?> attribute, string path, List<FieldFault> faults)
    {
        if (attribute("specversion") is not SpecVersion)
        {
            faults.Add(new FieldFault($"{path}specversion", $"is '{attribute("specversion")}'; it must be '{SpecVersion}'"));
        }

        foreach (var name in (ReadOnlySpan<string>)["id", "source", "type"])
        {
            if (string.IsNullOrEmpty(attribute(name)))
            {
                faults.Add(new FieldFault($"{path}{name}", "is required of a CloudEvent"));
            }
        }

        if (attribute("datacontenttype") is { } type && !type.Contains("json", StringComparison.OrdinalIgnoreCase))
        {
            faults.Add(new FieldFault($"{path}datacontenttype", $"is '{type}'; it must be 'application/json'"));
        }
    }

    /// <summary>Of the whole the serializer says body; within something else that is the thing itself.</summary>
    private static FieldFault At(string path, FieldFault fault) =>
        fault.Field == "body" ? fault with { Field = path.Length == 0 ? "body" : path.TrimEnd('.') } : fault with { Field = path + fault.Field };

    /// <summary>The text of a header, which the broker hands over as bytes.</summary>
    public static string? Text(object? header) => header switch
    {
        null => null,
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        var other => other.ToString(),
    };
}
