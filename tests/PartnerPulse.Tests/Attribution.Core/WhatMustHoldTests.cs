using System.Numerics;
using System.Text;
using System.Text.Json;
using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>The sections of <i>What must hold</i> that a pure function can hold by itself: 1, 2, 3 and 5.</summary>
public sealed class WhatMustHoldTests(ITestOutputHelper output)
{
    [Fact]
    public void The_engine_agrees_with_the_plain_reading_of_the_text() => Properties.Hold(output, Histories.All, 20_000, given =>
        Assert.Equal(Naive.Credits(given.Events, given.Stack), Naive.Describe(given.Decided().Select(d => d.Decision))));

    [Fact]
    public void Any_order_and_any_repetition_of_the_same_events_gives_the_same_receipts_to_the_byte() => Properties.Hold(output, Histories.All, 1_500, given =>
    {
        var once = given.Decided().ToList();
        var disturbed = given.Decided(given.Disturbed()).ToList();
        Assert.Equal(Naive.Describe(once.Select(d => d.Decision)), Naive.Describe(disturbed.Select(d => d.Decision)));
        Assert.Equal(once.Select(d => Text(given, d)), disturbed.Select(d => Text(given, d)));
        foreach (var partner in PartnersOf(given))
        {
            Assert.Equal(once.Select(d => PartnersText(given, d, partner)), disturbed.Select(d => PartnersText(given, d, partner)));
        }
    });

    [Fact]
    public void Shares_add_up_to_one_and_money_to_the_net_in_every_currency_under_every_model_after_any_refund() => Properties.Hold(output, Histories.All, 3_000, given =>
    {
        foreach (var (_, decision) in given.Decided())
        {
            Assert.InRange(decision.NetMinor, 0, decision.OriginalMinor);
            Assert.Equal(decision.Credited ? 1m : 0m, decision.Parts.Sum(t => t.Share));
            Assert.Equal(decision.Credited ? 1m : 0m, decision.Partners.Sum(p => p.Share));
            Assert.Equal(decision.Credited ? decision.NetMinor : 0, decision.Parts.Sum(t => t.AmountMinor));
            Assert.Equal(decision.Credited ? decision.NetMinor : 0, decision.Partners.Sum(p => p.AmountMinor));
            Assert.All(decision.Parts, t => Assert.True(t is { Share: >= 0, AmountMinor: >= 0, CommissionMinor: >= 0 }));
            foreach (var partner in decision.Partners)
            {
                var touches = decision.Parts.Where(t => t.PartnerId == partner.PartnerId).ToList();
                Assert.Equal(partner.Share, touches.Sum(t => t.Share));
                Assert.Equal(partner.AmountMinor, touches.Sum(t => t.AmountMinor));
                Assert.Equal(partner.CommissionMinor, touches.Sum(t => t.CommissionMinor));
                Assert.Equal(18, partner.Share.Scale);
                var paid = decision.Paid.Where(p => p.PartnerId == partner.PartnerId).ToList();
                Assert.Equal(partner.CommissionMinor, paid.Sum(p => p.CommissionMinor));
                Assert.InRange(paid.Sum(p => p.AmountMinor), 0, partner.AmountMinor);
            }
        }
    });

    [Fact]
    public void A_touch_that_is_no_candidate_changes_nothing() => Properties.Hold(output, Histories.All, 1_500, given =>
    {
        var standings = History.Fold(given.Events).Standings;
        foreach (var journey in History.Fold(given.Events).Journeys)
        {
            var decision = Crediting.Decide(journey, standings, given.Rules);
            foreach (var stopped in decision.Touches.Where(t => t.StoppedBy is not null))
            {
                var without = Crediting.Decide(journey with { Touches = journey.Touches.Remove(stopped.Touch) }, standings, given.Rules);
                Assert.Equal(decision.Partners.AsEnumerable(), without.Partners);
                Assert.Equal(decision.Touches.Where(t => t != stopped), without.Touches);
            }
        }
    });

    [Fact]
    public void Without_one_touch_of_a_partner_no_other_partner_has_less_under_linear() => Properties.Hold(output, Histories.All, 1_500, given =>
    {
        var standings = History.Fold(given.Events).Standings;
        var linear = given.Rules with { Model = new Linear() };
        foreach (var journey in History.Fold(given.Events).Journeys)
        {
            var before = Crediting.Decide(journey, standings, linear);
            foreach (var touch in journey.Touches)
            {
                var after = Crediting.Decide(journey with { Touches = journey.Touches.Remove(touch) }, standings, linear);
                foreach (var other in before.Partners.Where(p => p.PartnerId != touch.Click.PartnerId))
                {
                    Assert.True(after.Partners.Single(p => p.PartnerId == other.PartnerId).Share >= other.Share);
                }
            }
        }
    });

    [Fact]
    public void Replaying_under_the_same_rules_gives_a_difference_of_nothing() => Properties.Hold(output, Histories.All, 1_500, given =>
    {
        var again = given.Stack.Select(rules =>
        {
            using var document = JsonDocument.Parse(rules.ToCanonicalJson());
            return Assert.IsType<RulesAccepted>(Rules.Parse(document.RootElement, TestBots.Lists)).Rules;
        }).ToArray();
        Assert.Equal(given.Stack.Select(r => r.Hash), again.Select(r => r.Hash));
        var replayed = given with { Rules = again[0], Beneath = [.. again[1..]] };
        Assert.Equal(
            given.Decided().Select(d => Text(given, d)),
            replayed.Decided().Select(d => Text(replayed, d)));
    });

    [Fact]
    public void A_partner_never_sees_the_name_link_click_or_amount_of_another() => Properties.Hold(output, Histories.All, 1_500, given =>
    {
        foreach (var decided in given.Decided())
        {
            foreach (var partner in PartnersOf(given))
            {
                var text = PartnersText(given, decided, partner);
                foreach (var rival in decided.Decision.Touches.Where(t => t.Touch.Click.PartnerId != partner))
                {
                    Assert.DoesNotContain(rival.Touch.Click.PartnerId, text, StringComparison.Ordinal);
                    Assert.DoesNotContain(rival.Touch.Click.EventId.ToString(), text, StringComparison.Ordinal);
                }

                foreach (var rival in decided.Decision.Parts.Where(p => p.PartnerId != partner))
                {
                    Assert.DoesNotContain(rival.PartnerId, text, StringComparison.Ordinal);
                }

                // A code that is another's now may have been the partner's own on the lead that is inherited from.
                var lead = decided.Journey.Introductions.FirstOrDefault(i => i.Conversion.ConversionId == decided.Decision.InheritedFrom?.ConversionId);
                if (decided.Decision.Coupon is { } coupon && coupon.PartnerId != partner && lead?.CouponPartner != partner)
                {
                    Assert.DoesNotContain(CouponCode.Of(decided.Journey.Conversion.Coupon!), text, StringComparison.Ordinal);
                }

                using var json = JsonDocument.Parse(text);
                var inherited = json.RootElement.TryGetProperty("inheritedFrom", out var from) ? from.GetProperty("touches").EnumerateArray() : default;
                foreach (var touch in json.RootElement.GetProperty("touches").EnumerateArray().Concat(inherited).Where(t => t.GetProperty("partner").GetString() != partner))
                {
                    Assert.Equal("another partner", touch.GetProperty("partner").GetString());
                    Assert.False(touch.TryGetProperty("amount", out _) || touch.TryGetProperty("share", out _) || touch.TryGetProperty("commission", out _)
                        || touch.TryGetProperty("quotaMinor", out _) || touch.TryGetProperty("link", out _));
                }

                var has = decided.Decision.Partners.Any(p => p.PartnerId == partner);
                Assert.Equal(has, json.RootElement.GetProperty("conversion").TryGetProperty("amount", out _));
            }
        }
    });

    [Fact]
    public void The_rounded_weight_of_an_age_is_the_integer_nearest_to_the_exact_one()
    {
        var cases =
            from halfLife in Gen.OneOf(Gen.Choose(1, int.MaxValue).Select(x => (long)x), Gen.Choose(1, 3_650).Select(d => d * TimeSpan.TicksPerDay))
            from whole in Gen.Choose(0, 70)
            from part in Gen.Choose(0, int.MaxValue)
            from bits in Gen.Choose(30, 62)
            select (Elapsed: (whole * halfLife) + (long)((BigInteger)halfLife * part / int.MaxValue), HalfLife: halfLife, Bits: bits);
        Properties.Hold(output, Arb.From(cases), 3_000, given =>
            Assert.Equal(Naive.Halved(given.Elapsed, given.HalfLife, given.Bits), Halving.Weight(given.Elapsed, given.HalfLife, given.Bits)));
    }

    private static IEnumerable<string> PartnersOf(Case given) =>
        given.Events.OfType<ClickRecorded>().Select(c => c.PartnerId).Append("stranger").Distinct(StringComparer.Ordinal);

    private static string Text(Case given, (Journey Journey, Decision Decision) decided) =>
        Encoding.UTF8.GetString(Receipt.ToJson(ReceiptOf(given, decided)));

    private static string PartnersText(Case given, (Journey Journey, Decision Decision) decided, string partner) =>
        Encoding.UTF8.GetString(Receipt.ToJson(Receipt.ForPartner(ReceiptOf(given, decided), partner)));

    private static ConversionReceipt ReceiptOf(Case given, (Journey Journey, Decision Decision) decided) =>
        Receipt.Of(decided.Journey, decided.Decision, given.InForce);
}
