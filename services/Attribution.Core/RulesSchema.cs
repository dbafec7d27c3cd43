using System.Text.Json;
using System.Text.Json.Nodes;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// The JSON Schema (2020-12) of a rule document: what <see cref="Rules.Parse"/> takes, for editors and forms. The file
/// <c>rules.schema.json</c> has all but the names that are looked up: bot lists and currencies.
/// </summary>
public static class RulesSchema
{
    private static readonly JsonSerializerOptions s_indented = new(JsonSerializerDefaults.General) { WriteIndented = true };

    /// <param name="lists">That rules can name.</param>
    /// <returns>UTF-8, indented.</returns>
    public static byte[] Of(BotLists lists)
    {
        using var file = typeof(RulesSchema).Assembly.GetManifestResourceStream("PartnerPulse.Attribution.Core.rules.schema.json")
            ?? throw new InvalidOperationException("rules.schema.json is not in the assembly.");
        var schema = JsonNode.Parse(file)!;
        var defs = schema["$defs"]!;
        defs["currency"]!["enum"] = Words(Currency.Codes.Order(StringComparer.Ordinal));
        defs["botList"]!["enum"] = Words(lists.All.Select(list => list.Version));
        defs["knownList"]!["oneOf"] = new JsonArray([.. lists.All.Select(list => (JsonNode)new JsonObject
        {
            ["properties"] = new JsonObject
            {
                ["exclude"] = new JsonObject { ["const"] = list.Version },
                ["sha256"] = new JsonObject { ["const"] = list.Hash },
            },
        })]);
        return JsonSerializer.SerializeToUtf8Bytes(schema, s_indented);
    }

    private static JsonArray Words(IEnumerable<string> words) => new([.. words.Select(word => (JsonNode)JsonValue.Create(word))]);
}
