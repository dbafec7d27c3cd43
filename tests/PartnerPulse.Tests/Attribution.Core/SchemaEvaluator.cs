using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>
/// As much of JSON Schema 2020-12 as the schema of rules uses. A keyword that it does not know is an error and not passed over, so the
/// schema cannot say what is not tried here.
/// </summary>
internal sealed class SchemaEvaluator(JsonNode root)
{
    private static readonly string[] s_annotations = ["$schema", "$defs", "title", "description", "default", "examples", "then", "else"];

    public bool Accepts(JsonElement value) => Accepts(root, value);

    public bool Accepts(JsonNode schema, JsonElement value)
    {
        var accepted = true;
        foreach (var (keyword, of) in schema.AsObject())
        {
            accepted &= s_annotations.Contains(keyword, StringComparer.Ordinal) || Holds(schema.AsObject(), keyword, of!, value);
        }

        return accepted;
    }

    private bool Holds(JsonObject schema, string keyword, JsonNode of, JsonElement value) => keyword switch
    {
        "$ref" => Accepts(Find(of.GetValue<string>()), value),
        "type" => IsOf(of.GetValue<string>(), value),
        "const" => Same(of, value),
        "enum" => of.AsArray().Any(item => Same(item!, value)),
        "oneOf" => of.AsArray().Count(one => Accepts(one!, value)) == 1,
        "if" => Accepts(of, value) ? schema["then"] is not { } then || Accepts(then, value) : schema["else"] is not { } otherwise || Accepts(otherwise, value),
        "properties" => !IsObject(value) || value.EnumerateObject().All(p => of[p.Name] is not { } property || Accepts(property, p.Value)),
        "required" => !IsObject(value) || of.AsArray().All(name => value.TryGetProperty(name!.GetValue<string>(), out _)),
        "dependentRequired" => !IsObject(value) || of.AsObject().All(d => !value.TryGetProperty(d.Key, out _) || d.Value!.AsArray().All(name => value.TryGetProperty(name!.GetValue<string>(), out _))),
        "additionalProperties" => !IsObject(value) || value.EnumerateObject().All(p =>
            schema["properties"]?[p.Name] is not null || (of is JsonObject ? Accepts(of, p.Value) : of.GetValue<bool>())),
        "propertyNames" => !IsObject(value) || value.EnumerateObject().All(p => Accepts(of, JsonSerializer.SerializeToElement(p.Name))),
        "maxProperties" => !IsObject(value) || value.EnumerateObject().Count() <= of.GetValue<int>(),
        "items" => !IsArray(value) || value.EnumerateArray().All(item => Accepts(of, item)),
        "minItems" => !IsArray(value) || value.GetArrayLength() >= of.GetValue<int>(),
        "maxItems" => !IsArray(value) || value.GetArrayLength() <= of.GetValue<int>(),
        "uniqueItems" => !IsArray(value) || value.EnumerateArray().Select(item => item.GetRawText()).Distinct(StringComparer.Ordinal).Count() == value.GetArrayLength(),
        "minLength" => !IsString(value) || new StringInfo(value.GetString()!).LengthInTextElements >= of.GetValue<int>(),
        "maxLength" => !IsString(value) || value.GetString()!.Length <= of.GetValue<int>(),
        "pattern" => !IsString(value) || Regex.IsMatch(value.GetString()!, of.GetValue<string>(), RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)),
        "format" => !IsString(value) || (of.GetValue<string>() == "date-time" && DateTimeOffset.TryParse(value.GetString(), CultureInfo.InvariantCulture, out _)),
        "minimum" => Number(value) is not { } n || n >= of.GetValue<decimal>(),
        "maximum" => Number(value) is not { } n || n <= of.GetValue<decimal>(),
        "exclusiveMinimum" => Number(value) is not { } n || n > of.GetValue<decimal>(),
        "multipleOf" => Number(value) is not { } n || n % of.GetValue<decimal>() == 0,
        _ => throw new NotSupportedException($"The schema says '{keyword}', which is not tried."),
    };

    private JsonNode Find(string reference) =>
        reference.Split('/')[1..].Aggregate(root, (node, name) => node[name] ?? throw new InvalidOperationException($"{reference} leads nowhere."));

    private static bool IsOf(string type, JsonElement value) => type switch
    {
        "object" => IsObject(value),
        "array" => IsArray(value),
        "string" => IsString(value),
        "boolean" => value.ValueKind is JsonValueKind.True or JsonValueKind.False,
        "number" => Number(value) is not null,
        "integer" => Number(value) is { } n && n == decimal.Truncate(n),
        _ => throw new NotSupportedException($"The schema says type '{type}', which is not tried."),
    };

    /// <summary>What no decimal holds is out of every range that the schema has.</summary>
    private static decimal? Number(JsonElement value) =>
        value.ValueKind == JsonValueKind.Number ? (value.TryGetDecimal(out var number) ? number : decimal.MaxValue - 0.5m) : null;

    private static bool Same(JsonNode one, JsonElement other) => JsonNode.DeepEquals(one, JsonNode.Parse(other.GetRawText()));

    private static bool IsObject(JsonElement value) => value.ValueKind == JsonValueKind.Object;

    private static bool IsArray(JsonElement value) => value.ValueKind == JsonValueKind.Array;

    private static bool IsString(JsonElement value) => value.ValueKind == JsonValueKind.String;
}
