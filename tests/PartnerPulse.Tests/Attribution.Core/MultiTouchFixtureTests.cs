using System.Numerics;
using System.Text.Json;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>Small exact cases of an independent implementation (eeghor/mta), for the models that are not fitted.</summary>
public sealed class MultiTouchFixtureTests
{
    private const string Cases = "mta/expected_from_tests.json";

    // One conversion is worth this many minor units, which every expected fraction divides.
    private const int Unit = 600;

    private static readonly Dictionary<string, Model> s_models = new(StringComparer.Ordinal)
    {
        ["first"] = new FirstTouch(),
        ["last"] = new LastTouch(),
        ["linear"] = new Linear(),
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

        Assert.Equal(9, compared);
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
