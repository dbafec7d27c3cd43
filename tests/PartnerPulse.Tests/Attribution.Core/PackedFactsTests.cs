using PartnerPulse.Attribution.Core;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>Journeys laid end to end as numbers are judged as each is by itself.</summary>
public sealed class PackedFactsTests(ITestOutputHelper output)
{
    [Fact]
    public void A_reason_has_its_number_by_its_place_and_its_name_by_its_word()
    {
        Assert.Null(StopReason.Of(Stop.None));
        Assert.Equal(
            StopReason.InOrder,
            Enum.GetValues<Stop>().Except([Stop.None, Stop.NotAsked]).Select(stop => System.Text.Json.JsonNamingPolicy.KebabCaseLower.ConvertName(stop.ToString())));
        Assert.All(StopReason.InOrder, reason => Assert.Equal(reason, StopReason.Of(StopReason.Of(reason))));
    }

    [Fact]
    public void One_judge_over_all_journeys_gives_what_each_is_given_alone() =>
        Properties.Hold(output, Histories.All, 20_000, given =>
        {
            var history = History.Fold(given.Events);
            var (names, conversions, touches) = (new FactNames(), new List<ConversionFacts>(), new List<TouchFacts>());
            var packed = new List<(Range Conversions, Range Touches)>();
            foreach (var journey in history.Journeys)
            {
                var (firstConversion, firstTouch) = (conversions.Count, touches.Count);
                JourneyFacts.Write(journey, names, conversions, touches);
                packed.Add((firstConversion..conversions.Count, firstTouch..touches.Count));
            }

            var judge = new Judge(names, history.Standings, given.InForce);
            var (allConversions, allTouches) = (conversions.ToArray(), touches.ToArray());
            foreach (var (journey, (ofConversions, ofTouches)) in history.Journeys.Zip(packed))
            {
                var credited = judge.Credits(new JourneyFacts(allConversions.AsSpan(ofConversions), allTouches.AsSpan(ofTouches)));

                var decision = Crediting.Decide(journey, history.Standings, given.InForce);
                Assert.Equal(decision.Credited, credited);
                Assert.Equal(
                    decision.Partners.Select(p => (p.PartnerId, p.Share, p.AmountMinor, p.CommissionMinor)),
                    credited ? PartnersOf(judge) : []);
            }
        });

    private static IEnumerable<(string PartnerId, decimal Share, long AmountMinor, long CommissionMinor)> PartnersOf(Judge judge)
    {
        var partners = new List<(string PartnerId, decimal Share, long AmountMinor, long CommissionMinor)>();
        for (var i = 0; i < judge.Partners.Length; i++)
        {
            partners.Add((judge.Names.PartnerId(judge.Partners[i]), Split.ToShare(judge.Shares[i]), judge.AmountsMinor[i], judge.CommissionsMinor[i]));
        }

        return partners.Where(p => (p.Share, p.AmountMinor, p.CommissionMinor) != (0, 0, 0)).OrderBy(p => p.PartnerId, StringComparer.Ordinal);
    }
}
