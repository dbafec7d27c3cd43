using System.Text.Json;

namespace PartnerPulse.Attribution.RuleSets;

/// <summary>What two canonical rule documents say differently, field by field.</summary>
internal static class RulesDifference
{
    /// <param name="Field">Path such as <c>model.kind</c> or <c>commission[0].percent</c>.</param>
    /// <param name="Before">As the document has it; null where it said nothing of it.</param>
    /// <param name="After">The same of the later one.</param>
    /// <param name="Words">In one line: <c>windowDays: 60 → 30</c>.</param>
    internal sealed record Change(string Field, string? Before, string? After, string Words);

    /// <summary>In the order of the later document, then what it no longer says.</summary>
    public static IReadOnlyList<Change> Of(JsonElement before, JsonElement after)
    {
        var (was, now) = (new List<(string Field, string Text)>(), new List<(string Field, string Text)>());
        Flatten("", before, was);
        Flatten("", after, now);

        // What an empty list gains or what empties it is told item by item; that it was empty says nothing more.
        was.RemoveAll(field => IsListIn(now, field.Field));
        now.RemoveAll(field => IsListIn(was, field.Field));
        var (earlier, later) = (was.ToDictionary(StringComparer.Ordinal), now.ToDictionary(StringComparer.Ordinal));
        return now.Select(field => field.Field).Concat(was.Select(field => field.Field).Where(field => !later.ContainsKey(field)))
            .Select(field => (Field: field, Before: earlier.GetValueOrDefault(field), After: later.GetValueOrDefault(field)))
            .Where(change => change.Before != change.After)
            .Select(change => new Change(change.Field, change.Before, change.After, $"{change.Field}: {change.Before ?? "nothing"} → {change.After ?? "nothing"}"))
            .ToArray();
    }

    private static bool IsListIn(List<(string Field, string Text)> fields, string path) =>
        fields.Exists(field => field.Field.Length > path.Length && field.Field.StartsWith(path, StringComparison.Ordinal) && field.Field[path.Length] == '[');

    private static Dictionary<string, string> ToDictionary(this List<(string Field, string Text)> fields, StringComparer comparer) =>
        fields.ToDictionary(field => field.Field, field => field.Text, comparer);

    private static void Flatten(string path, JsonElement value, List<(string Field, string Text)> fields)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                {
                    Flatten(path.Length == 0 ? property.Name : $"{path}.{property.Name}", property.Value, fields);
                }

                break;
            case JsonValueKind.Array when value.EnumerateArray().Any(item => item.ValueKind is JsonValueKind.Object):
                var index = 0;
                foreach (var item in value.EnumerateArray())
                {
                    Flatten($"{path}[{index++}]", item, fields);
                }

                break;
            case JsonValueKind.Array:
                // A set of words is one thing: what is added to it is not a field of its own.
                fields.Add((path, value.GetArrayLength() == 0 ? "none" : string.Join(", ", value.EnumerateArray().Select(Text))));
                break;
            default:
                fields.Add((path, Text(value)));
                break;
        }
    }

    private static string Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText();
}
