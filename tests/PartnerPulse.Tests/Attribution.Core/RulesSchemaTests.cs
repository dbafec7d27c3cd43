using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>The schema of rules is held against the reader of rules: what one takes the other takes.</summary>
public sealed partial class RulesSchemaTests(ITestOutputHelper output)
{
    private static readonly JsonNode s_schema = JsonNode.Parse(RulesSchema.Of(TestBots.Lists))!;
    private static readonly SchemaEvaluator s_evaluator = new(s_schema);

    /// <summary>What only the reader can know, as the description of the schema says.</summary>
    private static readonly string[] s_beyond = ["together are more than 100", "more decimals than", "is larger than", "is given twice", "is more than cap"];

    private static readonly string[] s_values =
    [
        "null", "true", "0", "1", "-1", "2.5", "100", "100.01", "0.00001", "3650", "3651", "1e3", "1e400", "\"\"", "\" \"", "\"x\"", "\"5.00\"", "\"-0\"", "\"5.\"", "\"1e3\"", "\"+.5\"",
        "\"EUR\"", "\"eur\"", "\"sale\"", "\"include\"", "\"exclude\"", "\"lead\"", "\"all\"", "\"require\"", "\"all-history\"", "\"touches-from\"", "\"2026-11-01T00:00:00Z\"", "\"2026-13-01T00:00:00Z\"", "\"2026-11-01\"",
        "{}", "[]", "[1]", "[\"sale\"]", "[\"head\",\"head\"]", "{\"kind\":\"markov\"}", "{\"kind\":\"shapley\"}", "{\"kind\":\"time-decay\"}", "{\"partner\":\"acme\"}", "{\"from\":\"lead\"}", "{\"exclude\":\"2026-11\"}",
        "{\"percent\":1}", "{\"flat\":\"1\"}",
    ];

    [Fact]
    public void What_the_schema_takes_the_reader_takes_and_the_other_way_round() => Properties.Hold(output, Cases(), 20_000, given =>
    {
        using var document = JsonDocument.Parse(given);
        var bySchema = s_evaluator.Accepts(document.RootElement);
        var faults = Rules.Parse(document.RootElement, TestBots.Lists) is RulesRefused refused ? refused.Faults.Select(f => f.ToString()).ToArray() : [];
        if (faults.Length == 0)
        {
            Assert.True(bySchema, $"The reader takes it, and the schema does not: {given}");
        }
        else if (bySchema)
        {
            Assert.All(faults, fault => Assert.True(s_beyond.Any(known => fault.Contains(known, StringComparison.Ordinal)), $"The schema takes it, and the reader says {fault}: {given}"));
        }
    });

    [Fact]
    public void Both_sides_of_every_bound_come_up_often_enough_to_mean_something()
    {
        var (taken, refused) = (0, 0);
        foreach (var given in Cases().Generator.Sample(2_000, new FsCheck.Rnd(3, 3), 50))
        {
            using var document = JsonDocument.Parse(given);
            _ = s_evaluator.Accepts(document.RootElement) ? taken++ : refused++;
        }

        Assert.InRange(taken, 400, 1_600);
        Assert.InRange(refused, 400, 1_600);
    }

    [Fact]
    public void Every_field_that_the_reader_knows_is_in_the_schema()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "PartnerPulse.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var words = new HashSet<string>(StringComparer.Ordinal);
        Collect(s_schema, words);
        var known = Cased().Matches(File.ReadAllText(Path.Combine(root, "services/Attribution.Core/RulesReader.cs"))).Select(m => m.Groups["field"].Value).ToHashSet(StringComparer.Ordinal);
        Assert.Superset(new HashSet<string>(["name", "model", "windowDays", "commission", "percent", "order"], StringComparer.Ordinal), known);
        Assert.Empty(known.Except(words, StringComparer.Ordinal));
    }

    [Fact]
    public void Defaults_are_those_of_the_reader_and_examples_are_taken()
    {
        using var least = JsonDocument.Parse("""{"name":"x"}""");
        var canonical = JsonNode.Parse(Assert.IsType<RulesAccepted>(Rules.Parse(least.RootElement, TestBots.Lists)).Rules.ToCanonicalJson())!;
        foreach (var (field, property) in s_schema["properties"]!.AsObject())
        {
            Assert.NotNull(property!["description"]);
            if (property["default"] is { } standard)
            {
                using var said = JsonDocument.Parse(new JsonObject { ["name"] = "x", [field] = standard.DeepClone() }.ToJsonString());
                var read = JsonNode.Parse(Assert.IsType<RulesAccepted>(Rules.Parse(said.RootElement, TestBots.Lists)).Rules.ToCanonicalJson())!;
                Assert.True(JsonNode.DeepEquals(canonical[field], read[field]), $"{field} is {canonical[field]} by default, and the schema says {standard}.");
            }
            else
            {
                Assert.False(field != "name" && canonical[field] is not null, $"{field} has a default, {canonical[field]}, that the schema does not say.");
            }

            foreach (var example in property["examples"]?.AsArray() ?? [])
            {
                Assert.True(s_evaluator.Accepts(property, JsonSerializer.SerializeToElement(example)), $"{field}: {example}");
            }
        }
    }

    [Fact]
    public void It_names_the_lists_and_currencies_that_there_are()
    {
        Assert.Equal(TestBots.Lists.All.Select(l => l.Version), s_schema["$defs"]!["botList"]!["enum"]!.AsArray().Select(v => v!.GetValue<string>()));
        Assert.Contains("KWD", s_schema["$defs"]!["currency"]!["enum"]!.AsArray().Select(v => v!.GetValue<string>()));
        using var other = JsonDocument.Parse($"{{\"name\":\"x\",\"bots\":{{\"exclude\":\"2026-11\",\"sha256\":\"{TestBots.Small.Hash}\"}}}}");
        Assert.False(s_evaluator.Accepts(other.RootElement));
    }

    /// <summary>Canonical documents of rules of every sort, as they are or with something in them changed, added, dropped or doubled.</summary>
    private static FsCheck.Arbitrary<string> Cases() => Arb.From(
        from rules in Histories.RuleSets()
        from changes in Gen.Choose(0, 3)
        from seed in Gen.Choose(0, int.MaxValue)
        select Changed(rules, changes == 0 ? 0 : changes - 1, new Random(seed)));

    private static string Changed(Rules rules, int changes, Random random)
    {
        JsonNode? document = JsonNode.Parse(rules.ToCanonicalJson());
        for (var i = 0; i < changes; i++)
        {
            var places = new List<(JsonNode Parent, string? Field, int Index)>();
            Places(document, places);
            if (places.Count == 0)
            {
                break;
            }

            var (parent, field, index) = places[random.Next(places.Count)];
            var value = JsonNode.Parse(s_values[random.Next(s_values.Length)]);
            switch (random.Next(4), parent)
            {
                case (0, JsonObject o):
                    o.Remove(field!);
                    break;
                case (1, JsonObject o):
                    var words = s_words[random.Next(s_words.Length)];
                    o[words] = value;
                    break;
                case (_, JsonObject o):
                    o[field!] = value;
                    break;
                case (0, JsonArray a):
                    a.RemoveAt(index);
                    break;
                case (1, JsonArray a):
                    a.Add(a[index]?.DeepClone());
                    break;
                case (_, JsonArray a):
                    a[index] = value;
                    break;
                default:
                    break;
            }
        }

        return document!.ToJsonString();
    }

    private static readonly string[] s_words =
    [
        "x", "first", "last", "order", "halfLifeDays", "count", "sha256", "days", "percent", "flat", "currency", "partner", "kind", "group", "product", "newCustomer", "cap", "minimum", "capPerMonth",
        "consent", "selfReferral", "scope", "effectiveFrom", "partnerWindows", "inherit", "coupon", "windowDays", "to", "applies",
    ];

    private static void Places(JsonNode? node, List<(JsonNode Parent, string? Field, int Index)> places)
    {
        if (node is JsonObject o)
        {
            foreach (var (field, value) in o)
            {
                places.Add((o, field, 0));
                Places(value, places);
            }
        }
        else if (node is JsonArray a)
        {
            for (var i = 0; i < a.Count; i++)
            {
                places.Add((a, null, i));
                Places(a[i], places);
            }
        }
    }

    /// <summary>Names of properties and words of enumerations.</summary>
    private static void Collect(JsonNode? node, HashSet<string> words)
    {
        switch (node)
        {
            case JsonObject o:
                foreach (var (field, value) in o)
                {
                    words.Add(field);
                    Collect(value, words);
                }

                break;
            case JsonArray a:
                foreach (var item in a)
                {
                    Collect(item, words);
                }

                break;
            case JsonValue v when v.TryGetValue<string>(out var word):
                words.Add(word);
                break;
            default:
                break;
        }
    }

    [GeneratedRegex("(case|field [!=]=) \"(?<field>[^\"]+)\"", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex Cased();
}
