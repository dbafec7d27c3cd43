using System.Numerics;
using System.Text.Json;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>Small exact cases of an independent implementation (eeghor/mta), and the transitions that the fitted model counts.</summary>
public sealed class MultiTouchFixtureTests
{
    private const string Cases = "mta/expected_from_tests.json";

    /// <summary>Transformed paths of an implementation in SQL (snowplow/dbt-snowplow-fractribution).</summary>
    private const string Paths = "snowplow-fractribution/path_transformations_expected.csv";

    // One conversion is worth this many minor units, which every expected fraction divides.
    private const int Unit = 600;

    private static readonly Dictionary<string, Model> s_models = new(StringComparer.Ordinal)
    {
        ["first"] = new FirstTouch(),
        ["last"] = new LastTouch(),
        ["linear"] = new Linear(),
        ["shapley"] = new Shapley(),
        ["linear_by_touch"] = new Linear(),
        ["position_40_20_40"] = new PositionBased(4_000, 4_000),
        ["position_30_0_70_two_touch"] = new PositionBased(3_000, 7_000),
    };

    [FixtureFact(Cases)]
    public void Every_case_comes_out_exactly()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Find(Cases)));
        var compared = 0;
        foreach (var given in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            foreach (var (name, model) in s_models)
            {
                if (!given.TryGetProperty(name, out var expected))
                {
                    continue;
                }

                var credited = Credited(given.GetProperty("data"), model);
                Assert.Equal(
                    expected.EnumerateObject().ToDictionary(p => p.Name, p => Minor(p.Value), StringComparer.Ordinal),
                    credited);
                compared++;
            }
        }

        Assert.Equal(12, compared);
    }

    [FixtureFact(Cases)]
    public void Transitions_of_a_chain_of_first_order_come_out_exactly()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(Fixtures.Find(Cases)));
        var given = document.RootElement.GetProperty("cases").EnumerateArray().Single(c => c.TryGetProperty("transitions", out _));
        var names = new FactNames();
        var transitions = new Transitions(names, order: 1);
        foreach (var path in given.GetProperty("data").EnumerateArray())
        {
            int[] channels = [.. path[0].GetString()!.Split('>', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(id => names.Partner("default", id))];
            transitions.Add(channels, converted: true, path[1].GetInt32());
            transitions.Add(channels, converted: false, path[2].GetInt32());
        }

        Assert.Equal(
            given.GetProperty("transitions").EnumerateObject().ToDictionary(p => p.Name, p => Minor(p.Value), StringComparer.Ordinal),
            transitions.Probabilities().ToDictionary(p => $"{p.From}>{p.To}", p => (long)Math.Round(p.Probability * Unit), StringComparer.Ordinal));
    }

    [FixtureFact(Paths)]
    public void Partners_of_a_path_count_once_under_shapley_and_each_touch_under_linear()
    {
        var rows = File.ReadAllLines(Fixtures.Find(Paths)).Select(line => line.Split(',')).ToArray();
        var (once, often) = (Array.IndexOf(rows[0], "first_path"), Array.IndexOf(rows[0], "frequency_path"));
        var compared = 0;
        foreach (var row in rows[1..])
        {
            var channels = row[0].Split(" > ");
            if (channels.Any(string.IsNullOrWhiteSpace))
            {
                continue; // A partner has a name.
            }

            IEvent[] clicks = [.. channels.Select((channel, i) => An.Click(channel, daysBefore: channels.Length - i))];
            var given = Given.Events([.. clicks]).When(An.Conversion(channels.Length * Unit));
            Assert.Equal(row[once], string.Join(" > ", given.Under(new Shapley()).Decision.Touches.Where(t => t.Share > 0).Select(t => t.Touch.Click.PartnerId)));
            var linear = given.Under(new Linear()).Decision.Partners.ToDictionary(p => p.PartnerId, p => p.AmountMinor / Unit, StringComparer.Ordinal);
            Assert.Equal(row[often], string.Join(" > ", channels.Distinct(StringComparer.Ordinal).Select(c => $"{c}({linear[c]})")));
            compared++;
        }

        Assert.Equal(5, compared);
    }

    /// <summary>Minor units by channel; a channel is a partner, a path a visitor's clicks a day apart.</summary>
    private static Dictionary<string, long> Credited(JsonElement paths, Model model)
    {
        var rules = TestBots.Default with { Model = model, RepeatMinutes = 0 };
        var credited = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var path in paths.EnumerateArray())
        {
            var channels = path[0].GetString()!.Split('>', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            var conversions = path[1].GetInt32();
            if (conversions == 0)
            {
                continue;
            }

            IEvent[] clicks = [.. channels.Select((channel, i) => An.Click(channel, daysBefore: channels.Length - i))];
            foreach (var partner in Given.Events([.. clicks]).When(An.Conversion(conversions * Unit)).Under(rules).Decision.Partners)
            {
                credited[partner.PartnerId] = credited.GetValueOrDefault(partner.PartnerId) + partner.AmountMinor;
            }
        }

        return credited;
    }

    /// <summary>A number, or a fraction such as <c>19/6</c>.</summary>
    private static long Minor(JsonElement expected)
    {
        if (expected.ValueKind == JsonValueKind.Number)
        {
            return (long)(expected.GetDecimal() * Unit);
        }

        var parts = expected.GetString()!.Split('/').Select(BigInteger.Parse).ToArray();
        return (long)(parts[0] * Unit / parts[1]);
    }
}
