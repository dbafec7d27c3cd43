using FsCheck;
using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Credits;
using PartnerPulse.Attribution.Replays;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Tests.AttributionCore;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Attribution;

/// <summary>What is summed over packed journeys is what the decisions of the same journeys say.</summary>
public sealed class RuleSetSumsTests(ITestOutputHelper output)
{
    private sealed record Pair(Case Given, Rules Other)
    {
        public override string ToString() => $"{Given}\nother: {System.Text.Encoding.UTF8.GetString(Other.ToCanonicalJson())}";
    }

    private static readonly Arbitrary<Pair> s_pairs = Arb.From(
        from given in Histories.All.Generator
        from other in Histories.RuleSets()
        select new Pair(given, other));

    [Fact]
    public void Sums_over_the_pack_are_sums_of_the_decisions_and_add_up() => Properties.Hold(output, s_pairs, 1_500, pair =>
    {
        var history = History.Fold(pair.Given.Events);
        var (pack, position) = (new JourneyPack(), 0L);

        // Journeys change: each is there without its touches first, and all of them come again.
        var random = new Random(pair.Given.Disorder);
        foreach (var journey in history.Journeys.Select(j => j with { Touches = [], CouponPartner = null }).Concat(history.Journeys).Concat(history.Journeys.Where(_ => random.Next(2) == 0)))
        {
            pack.Put(journey, ++position);
        }

        RulesInForce[] ruleSets = [pair.Given.InForce, RulesInForce.Only(pair.Other)];
        var sums = RuleSetSums.Of(pack, history.Standings, ruleSets, DateTimeOffset.MinValue, DateTimeOffset.MaxValue, CancellationToken.None);

        var journeys = history.Journeys.Where(j => !j.Conversion.Test).ToArray();
        var decided = ruleSets.Select(rules => journeys.Select(j => Crediting.Decide(j, history.Standings, rules)).ToArray()).ToArray();
        Assert.Equal((journeys.Length, (long)journeys.Length), (pack.Conversions, sums.Conversions));
        for (var set = 0; set < ruleSets.Length; set++)
        {
            Assert.Equal(Expected(decided[set]), Flat(sums.Groups(set)));
            var nobody = decided[set].Where(d => !d.Credited).ToArray();
            Assert.Equal(nobody.Length, sums.Unattributed(set).Conversions);
            Assert.Equal(
                nobody.GroupBy(d => d.Currency, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal)
                    .Select(g => new UnattributedAmount(g.Key, PartnerPulse.Contracts.Currency.Format(g.Sum(d => d.NetMinor), g.Key))),
                sums.Unattributed(set).Amounts);
        }

        var changes = decided[0].Zip(decided[1]).Where(d => !d.First.Partners.SequenceEqual(d.Second.Partners)).ToArray();
        Assert.Equal(changes.Length, sums.ConversionsChanged);
        foreach (var currency in journeys.Select(j => j.Conversion.Currency).Distinct(StringComparer.Ordinal))
        {
            var of = changes.Where(d => d.First.Currency == currency).ToArray();
            var exchange = sums.Exchanged[currency];
            Assert.Equal(of.Where(d => !d.First.Credited).Sum(d => d.Second.NetMinor), exchange.EnteredMinor);
            Assert.Equal(of.Where(d => !d.Second.Credited).Sum(d => d.First.NetMinor), exchange.LeftMinor);
            Assert.Equal(of.Where(d => d is { First.Credited: true, Second.Credited: true }).Sum(d => Gained(d.First, d.Second)), exchange.MovedMinor);
            Assert.Equal(AmountOf(sums.Groups(1), currency) - AmountOf(sums.Groups(0), currency), exchange.EnteredMinor - exchange.LeftMinor);
        }
    });

    [Fact]
    public void Only_conversions_of_the_asked_time_are_summed_the_start_inclusive_the_end_exclusive()
    {
        var history = History.Fold(Histories.All.Generator.Sample(200, new Rnd(11, 11), 100).MaxBy(given => given.Events.Length)!.Events);
        var pack = new JourneyPack();
        foreach (var journey in history.Journeys)
        {
            pack.Put(journey, changedAt: 1);
        }

        var times = history.Journeys.Where(j => !j.Conversion.Test).Select(j => j.Conversion.OccurredAt).Order().ToArray();
        var rules = TestBots.Default;
        foreach (var (from, to) in times.Zip(times.Skip(1)))
        {
            Assert.Equal(
                times.Count(t => t >= from && t < to),
                RuleSetSums.Of(pack, history.Standings, [RulesInForce.Only(rules)], from, to, CancellationToken.None).Conversions);
        }

        Assert.True(times.Length > 2);
    }

    [Fact]
    public void A_pack_whose_journeys_change_again_and_again_does_not_grow()
    {
        var journey = History.Fold(Histories.All.Generator.Sample(100, new Rnd(5, 5), 100).SelectMany(given => given.Events).DistinctBy(e => e.EventId)).Journeys
            .Where(j => !j.Conversion.Test).MaxBy(j => j.Touches.Length)!;
        var pack = new JourneyPack();
        var ids = Enumerable.Range(0, 3 * JourneyPack.ChunkSize).Select(_ => Guid.NewGuid()).ToArray();
        var (bytes, position) = (new List<long>(), 0L);
        for (var round = 0; round < 6; round++)
        {
            foreach (var id in ids)
            {
                pack.Put(journey with { Conversion = journey.Conversion with { ConversionId = id } }, ++position);
            }

            bytes.Add(pack.Bytes);
        }

        Assert.Equal(ids.Length, pack.Conversions);
        Assert.Equal(ids.Length, RuleSetSums.Of(pack, PartnerStandings.Empty, [RulesInForce.Only(TestBots.Default)], DateTimeOffset.MinValue, DateTimeOffset.MaxValue, CancellationToken.None).Conversions);
        Assert.True(bytes[^1] < 3 * bytes[0], $"{string.Join(", ", bytes)} bytes");
    }

    [Fact]
    public void The_largest_movers_come_first_and_each_says_whether_it_wins_or_loses()
    {
        Group[] before = [Of("down", 500), Of("same", 70), Of("gone", 10)];
        Group[] after = [Of("down", 100), Of("same", 70), Of("fresh", 300)];
        Assert.Equal(
            [("down", "loses"), ("fresh", "wins"), ("gone", "loses"), ("same", "even")],
            DiffReplay.Rows(before, after).Select(r => (r.Partner, r.Outcome)));

        Group[] twice = [new Group("mixed", 1, 1, [new GroupMoney("EUR", 1, 1, 5, 0)])];
        Group[] other = [new Group("mixed", 1, 1, [new GroupMoney("USD", 1, 1, 5, 0)])];
        Assert.Equal("mixed", Assert.Single(DiffReplay.Rows(twice, other)).Outcome);

        var total = Assert.Single(DiffReplay.Totals(before, after, new Dictionary<string, Exchange>(StringComparer.Ordinal) { ["EUR"] = new(2, 300, 1, 410, 0) }));
        Assert.Equal(("5.80", "4.70", "-1.10", "3.00", "4.10"), (total.Before.Amount, total.After.Amount, total.Difference.Amount, total.Entered.Amount, total.Left.Amount));
    }

    private static Group Of(string partner, long minor) => new(partner, 1, 1, [new GroupMoney("EUR", 1, 1, minor, 0)]);

    private static long AmountOf(IReadOnlyList<Group> groups, string currency) => groups.SelectMany(g => g.Money).Where(m => m.Currency == currency).Sum(m => m.AmountMinor);

    private static long Gained(Decision before, Decision after) =>
        after.Partners.Sum(p => Math.Max(0, p.AmountMinor - (before.Partners.FirstOrDefault(b => b.PartnerId == p.PartnerId)?.AmountMinor ?? 0)));

    private static IEnumerable<(string, string, long, decimal, long, long)> Expected(IEnumerable<Decision> decisions) =>
        decisions.SelectMany(d => d.Partners.Where(p => p.Share != 0).Select(p => (d.Currency, Credit: p)))
            .GroupBy(p => (p.Credit.PartnerId, p.Currency))
            .OrderBy(g => g.Key.PartnerId, StringComparer.Ordinal).ThenBy(g => g.Key.Currency, StringComparer.Ordinal)
            .Select(g => (g.Key.PartnerId, g.Key.Currency, (long)g.Count(), g.Sum(p => p.Credit.Share), g.Sum(p => p.Credit.AmountMinor), g.Sum(p => p.Credit.CommissionMinor)));

    private static IEnumerable<(string, string, long, decimal, long, long)> Flat(IReadOnlyList<Group> groups) =>
        groups.SelectMany(g => g.Money.Select(m => (g.Key, m.Currency, m.Conversions, m.Shares, m.AmountMinor, m.CommissionMinor)));
}
