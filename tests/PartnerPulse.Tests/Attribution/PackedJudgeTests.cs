using FsCheck;
using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;
using PartnerPulse.Tests.AttributionCore;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Attribution;

/// <summary>The rows that a generation gets from packed journeys are those that the decisions of the same journeys give it.</summary>
public sealed class PackedJudgeTests(ITestOutputHelper output)
{
    [Fact]
    public void Rows_from_the_pack_are_rows_of_the_decisions_in_whatever_steps_they_are_taken() => Properties.Hold(output, Histories.All, 1_500, given =>
    {
        var history = History.Fold(given.Events);
        var pack = new JourneyPack();
        var random = new Random(given.Disorder);
        Put(pack, history.Journeys.Select(j => j with { Touches = [], CouponPartner = null }), changedAt: 1);
        Put(pack, history.Journeys, changedAt: 2);
        var later = history.Journeys.Where(_ => random.Next(3) == 0).ToArray();
        Put(pack, later, changedAt: 7);

        var judge = new PackedJudge(pack, history.Standings, given.InForce);
        var (taken, at) = (new JudgedRows(16), default(JourneyKey));
        for (var position = 6; position <= 7; position++)
        {
            while (judge.Next(at, position, random.Next(1, 4)) is { Rows.Conversions.Count: > 0 } next)
            {
                Assert.True(next.Last.IsAfter(at));
                Assert.True(next.Last.ChangedAt <= position);
                taken.Conversions.AddRange(next.Rows.Conversions);
                taken.Credits.AddRange(next.Rows.Credits);
                taken.Uncredited.AddRange(next.Rows.Uncredited);
                at = next.Last;
            }

            if (position == 6)
            {
                Assert.Equal(history.Journeys.Length - later.Length, taken.Conversions.Count);
            }
        }

        var expected = JudgedRows.Of([.. history.Journeys.Select(j => Crediting.Decide(j, history.Standings, given.InForce))]);
        Assert.Equal(expected.Conversions.Order(), taken.Conversions.Order());
        Assert.Equal(Lines(expected), Lines(taken));
    });

    [Fact]
    public void A_judge_of_the_pack_goes_on_with_what_is_packed_after_it_began()
    {
        var rules = RulesInForce.Only(TestBots.Default);
        var history = Histories.All.Generator.Sample(200, new Rnd(3, 3), 100).Select(given => History.Fold(given.Events))
            .MaxBy(h => h.Journeys.Count(j => Crediting.Decide(j, h.Standings, rules).Credited))!;
        var pack = new JourneyPack();
        var judge = new PackedJudge(pack, history.Standings, rules);
        var (taken, at) = (new JudgedRows(16), default(JourneyKey));
        for (var i = 0; i < history.Journeys.Length; i++)
        {
            Put(pack, [history.Journeys[i]], changedAt: i + 1);
            var (rows, last) = judge.Next(at, i + 1, max: 10);
            Assert.Equal([history.Journeys[i].Conversion.ConversionId], rows.Conversions);
            taken.Credits.AddRange(rows.Credits);
            taken.Uncredited.AddRange(rows.Uncredited);
            at = last;
        }

        Assert.Equal(Lines(JudgedRows.Of([.. history.Journeys.Select(j => Crediting.Decide(j, history.Standings, rules))])), Lines(taken));
        Assert.NotEmpty(taken.Credits);
        Assert.Empty(judge.Next(at, long.MaxValue, max: 10).Rows.Conversions);
    }

    /// <summary>In the order in which a page of changes is read.</summary>
    private static void Put(JourneyPack pack, IEnumerable<Journey> journeys, long changedAt)
    {
        foreach (var journey in journeys.Order(Comparer<Journey>.Create((a, b) => Ids.CompareBytes(a.Conversion.ConversionId, b.Conversion.ConversionId))))
        {
            pack.Put(journey, changedAt);
        }
    }

    private static IEnumerable<string> Lines(JudgedRows rows) =>
        rows.Credits.Select(c => c.ToString()).Concat(rows.Uncredited.Select(u => u.ToString())).Order(StringComparer.Ordinal);
}
