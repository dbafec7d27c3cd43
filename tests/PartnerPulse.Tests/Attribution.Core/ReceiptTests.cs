using System.Text;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class ReceiptTests
{
    private static readonly Rules s_rules = new()
    {
        Name = "spring", Model = new Linear(), Commission = [new CommissionEntry { PercentBasisPoints = 2_000 }],
    };

    private static ClickRecorded Click(int number, string partner, double daysBefore) => An.Click(partner, daysBefore) with
    {
        EventId = Ids.Derive("receipt-test", $"{number}"), Link = $"{partner}-link", Campaign = new Campaign { Name = $"{partner}-spring" },
    };

    private static ConversionRecorded Order(long amountMinor)
    {
        var id = Ids.Conversion("default", "shop", "1001");
        return An.Conversion(amountMinor) with { EventId = id, ConversionId = id, OrderId = "1001" };
    }

    private static Outcome Shared()
    {
        var order = Order(5_990);
        var refund = An.Adjustment(order, -1_000) with { AdjustmentId = "r-1" };
        return Given.Events(Click(1, "acme", 20), Click(2, "bravo", 10), Click(3, "acme", 5), Click(4, "coral", 70))
            .When(order, refund).Under(s_rules);
    }

    [Fact]
    public void A_receipt_says_everything_that_was_considered()
    {
        var text = Encoding.UTF8.GetString(Receipt.ToJson(Shared().Receipt));
        Assert.Equal(Pinned("shared", text), text);
    }

    [Fact]
    public void A_partner_reads_the_same_receipt_without_the_others()
    {
        var text = Encoding.UTF8.GetString(Receipt.ToJson(Receipt.ForPartner(Shared().Receipt, "bravo")));
        Assert.Equal(Pinned("shared-for-bravo", text), text);
    }

    [Fact]
    public void The_sentence_says_who_has_what() => Assert.Equal(
        "Of sale 1001 of shop, worth 49.90 EUR, acme has 66.67 % (33.27 EUR, commission 6.65) and bravo has 33.33 % (16.63 EUR, commission 3.33), by linear over 3 clicks that count; 1 more does not.",
        Shared().Receipt.Summary);

    [Fact]
    public void The_split_can_be_followed_by_hand()
    {
        var counted = Shared().Receipt.Touches.Where(t => t.StoppedBy is null).ToList();
        Assert.Equal(["4990/3", "4990/3", "4990/3"], counted.Select(t => t.QuotaMinor));
        Assert.Equal([1L, 0L, 0L], counted.Select(t => t.RemainderMinor));
        Assert.Equal(["16.64", "16.63", "16.63"], counted.Select(t => t.Amount));
    }

    [Fact]
    public void Adjustments_show_the_net_after_each_and_whether_they_count()
    {
        var order = Order(1_000);
        var receipt = Given.Events(Click(1, "acme", 1)).When(
            order,
            An.Adjustment(order, -1_200) with { OccurredAt = An.Now.AddDays(1) },
            An.Adjustment(order, -1, currency: "USD") with { OccurredAt = An.Now.AddDays(2) },
            An.Adjustment(order, 500, AdjustmentReason.Correction) with { OccurredAt = An.Now.AddDays(3) }).Receipt;
        Assert.Equal([("-12.00", true, "0.00"), ("-0.01", false, "0.00"), ("5.00", true, "3.00")], receipt.Adjustments.Select(a => (a.Amount, a.Counted, a.Net)));
        Assert.Equal("3.00", receipt.Conversion.Net);
    }

    [Fact]
    public void A_conversion_without_credit_says_why()
    {
        Assert.Equal("Nobody is credited for sale 1001 of shop: no click belongs to it.", Given.Events().When(Order(100)).Receipt.Summary);
        Assert.Equal(
            "Nobody is credited for sale 1001 of shop: its one click does not count, because it came more than 60 days before the conversion.",
            Given.Events(Click(1, "acme", 61)).When(Order(100)).Receipt.Summary);
        Assert.Equal(
            "Nobody is credited for lead 1001 of shop: the rules do not credit a lead.",
            Given.Events(Click(1, "acme", 1)).When(Order(100) with { Kind = ConversionKind.Lead }).Under(s_rules with { Kinds = [ConversionKind.Sale] }).Receipt.Summary);
    }

    [Fact]
    public void A_partner_is_told_why_or_why_not()
    {
        string Says(Outcome outcome, string partner) => Receipt.ForPartner(outcome.Receipt, partner).Summary;
        var two = Given.Events(Click(1, "acme", 20), Click(2, "bravo", 10), Click(3, "coral", 70)).When(Order(5_990));

        Assert.Equal(
            "You are credited with the whole of sale 1001 of shop (59.90 EUR), commission 0.00 EUR: your click of 2026-05-12 12:00 UTC was the first that counts.",
            Says(two, "acme"));
        Assert.Equal(
            "You are not credited for sale 1001 of shop: the first click that counts came through another partner, at 2026-05-12 12:00 UTC; your first was at 2026-05-22 12:00 UTC.",
            Says(two, "bravo"));
        Assert.Equal(
            "You are not credited for sale 1001 of shop: your click of 2026-03-23 12:00 UTC does not count, because it came more than 60 days before the conversion.",
            Says(two, "coral"));
        Assert.Equal("You are not credited for sale 1001 of shop: no click on a link of yours belongs to it.", Says(two, "delta"));
        Assert.Equal(
            "You are not credited for sale 1001 of shop: the last click that counts came through another partner, at 2026-05-22 12:00 UTC; your last was at 2026-05-12 12:00 UTC.",
            Says(two.Under(new LastTouch()), "acme"));
        Assert.Equal(
            "You are credited with 50 % of sale 1001 of shop (29.95 EUR), commission 0.00 EUR: each of 2 clicks that count has the same part, and 1 of them is yours.",
            Says(two.Under(new Linear()), "bravo"));
        Assert.Equal(
            "You are credited with 40 % of sale 1001 of shop (23.96 EUR), commission 0.00 EUR: the part of a click goes by its place among the 2 clicks that count, and yours has place 2.",
            Says(two.Under(new PositionBased(3_000, 2_000)), "bravo"));
        Assert.Equal(
            "You are credited with 66.67 % of sale 1001 of shop (39.93 EUR), commission 0.00 EUR: the part of a click halves with every half-life of its age, and 1 of 2 clicks that count is yours, the latest at 2026-05-22 12:00 UTC.",
            Says(two.Under(new TimeDecay(10)), "bravo"));
    }

    [Fact]
    public void A_suspended_partner_is_told_that_its_part_is_kept()
    {
        var outcome = Given.Events(Click(1, "acme", 20), Click(2, "bravo", 10), An.Suspension("acme", 1))
            .When(Order(1_000)).Under(s_rules with { Suspended = SuspendedPartners.Forfeit });
        Assert.Equal(
            "Your part, 50 % of sale 1001 of shop (5.00 EUR), is kept and not paid: you were suspended at the time of the conversion.",
            Receipt.ForPartner(outcome.Receipt, "acme").Summary);
        Assert.Null(outcome.Receipt.Partners[0].By);
        Assert.True(outcome.Receipt.Touches[0].Forfeited);
    }

    [Fact]
    public void A_page_of_text_says_the_same()
    {
        var outcome = Shared();
        var receipt = outcome.Receipt with { History = ReceiptHistory.Of(Told(outcome), credited: true) };
        var (page, mine) = (ReceiptText.Of(receipt), ReceiptText.Of(Receipt.ForPartner(receipt, "bravo")));
        Assert.Equal(Pinned("shared", page, "txt"), page.TrimEnd());
        Assert.Equal(Pinned("shared-for-bravo", mine, "txt"), mine.TrimEnd());
    }

    [Fact]
    public void What_was_given_once_and_changed_is_revised_and_a_partner_reads_of_its_own_part()
    {
        var outcome = Shared();
        var told = Told(outcome);
        Assert.Equal("not-credited", ReceiptHistory.Of([], credited: false).Status);
        Assert.Equal("credited", ReceiptHistory.Of(told.Take(1), credited: true).Status);
        var history = ReceiptHistory.Of(told, credited: true);
        Assert.Equal("revised", history.Status);
        Assert.Equal(["acme", "bravo"], history.Revisions[1].Partners.Select(p => p.Partner));

        // Bravo came with the second revision and has only ever got more; what was taken is acme's alone.
        var mine = ReceiptHistory.ForPartner(history, "bravo", credited: true);
        Assert.Equal("credited", mine.Status);
        Assert.Equal(new ReceiptCause { Kind = RevisionCause.LateClick }, Assert.Single(Assert.Single(mine.Revisions).Causes!.Value));
        Assert.Equal("revised", ReceiptHistory.ForPartner(history, "acme", credited: true).Status);
        Assert.Equal("not-credited", ReceiptHistory.ForPartner(history, "coral", credited: false).Status);
    }

    [Fact]
    public void Under_a_fitted_model_a_receipt_shows_the_removal_effects_of_those_who_compete_and_of_nobody_else()
    {
        var receipt = Fitted().Receipt;
        var text = Encoding.UTF8.GetString(Receipt.ToJson(receipt));
        Assert.Equal(Pinned("fitted", text), text);
        Assert.Equal(Pinned("fitted", ReceiptText.Of(receipt), "txt"), ReceiptText.Of(receipt).TrimEnd());

        // Coral was clicked too early and delta is not in the journey, so nothing of theirs is said; who came after the fit is.
        var fit = receipt.Fit!;
        Assert.Equal((2, 3L, 1L), (fit.Order, fit.Converted, fit.NotConverted));
        Assert.Equal([("acme", (decimal?)1m, Fit.Unit), ("bravo", 0.666666666667m, 733_007_751_851), ("echo", null, 1)], fit.Effects.Select(e => (e.Partner, e.RemovalEffect, e.Weight)));

        // The shares are the weights over their sum.
        var sum = (decimal)fit.Effects.Sum(e => e.Weight);
        Assert.All(fit.Effects.Zip(receipt.Partners), pair => Assert.Equal((pair.First.Partner, decimal.Round(pair.First.Weight / sum, 15)), (pair.Second.Partner, decimal.Round(pair.Second.Share, 15))));
        Assert.Null(Shared().Receipt.Fit);
    }

    [Fact]
    public void A_partner_reads_its_own_removal_effect_and_neither_the_others_nor_how_many_journeys_there_were()
    {
        var mine = Receipt.ForPartner(Fitted().Receipt, "bravo").Fit!;
        Assert.Equal((2, null, null), (mine.Order, mine.Converted, mine.NotConverted));
        Assert.Equal(new ReceiptEffect { Partner = "bravo", RemovalEffect = 0.666666666667m, Weight = 733_007_751_851 }, Assert.Single(mine.Effects));
        var page = ReceiptText.Of(Receipt.ForPartner(Fitted().Receipt, "bravo"));
        Assert.Contains("\nRemoval effects\n  order     2\n  bravo: without it 66.6666666667 % of all conversions would be lost, weight 733007751851\n\nTouches\n", page, StringComparison.Ordinal);
        Assert.Null(Receipt.ForPartner(Fitted().Receipt, "coral").Fit);
        Assert.Null(Receipt.ForPartner(Fitted().Receipt, "stranger").Fit);
    }

    [Fact]
    public void Where_a_lead_or_a_coupon_has_the_conversion_the_removal_effects_are_those_that_gave_its_shares()
    {
        var lead = An.Conversion(0, visitor: "at-home") with { Kind = ConversionKind.Lead, CustomerKey = "customer", OccurredAt = An.Now.AddDays(-20) };
        var sale = Order(1_000) with { VisitorId = "at-work", CustomerKey = "customer" };
        var inherited = Given.Events(An.Click("bravo", 21, "at-home"), lead, An.Click("acme", 1, "at-work")).When(sale)
            .Under(s_fitted with { Inherit = new Inherit(null) }).Receipt;
        Assert.Null(inherited.Fit);
        Assert.Equal(["bravo"], inherited.InheritedFrom!.Fit!.Effects.Select(e => e.Partner));
        Assert.Equal(3, inherited.InheritedFrom.Fit.Converted);
        Assert.Null(Receipt.ForPartner(inherited, "bravo").InheritedFrom!.Fit!.Converted);
        Assert.Null(Receipt.ForPartner(inherited, "acme").InheritedFrom!.Fit);
        Assert.Contains("weight 733007751851", ReceiptText.Of(inherited), StringComparison.Ordinal);

        var coupon = Given.Events(An.Click("acme", 1), An.Coupon("bravo")).When(Order(1_000) with { Coupon = "SPRING10" })
            .Under(s_fitted with { Coupon = CouponUse.Override }).Receipt;
        Assert.Equal(("bravo", null), (coupon.Partners[0].Partner, coupon.Fit));
        Assert.Null(Given.Events(Click(1, "acme", 70)).When(Order(1_000)).Under(s_fitted).Receipt.Fit);
    }

    private static readonly Rules s_fitted = s_rules with
    {
        Name = "chain",
        Model = new Markov(2)
        {
            Fit = new Fit(order: 2, converted: 3, notConverted: 1, states: 4,
            [
                new RemovalEffect { ProgramId = "default", PartnerId = "acme", Units = Fit.Unit },
                new RemovalEffect { ProgramId = "default", PartnerId = "bravo", Units = 733_007_751_851 },
                new RemovalEffect { ProgramId = "default", PartnerId = "coral", Units = Fit.Unit / 4 },
                new RemovalEffect { ProgramId = "default", PartnerId = "delta", Units = Fit.Unit / 8 },
            ]),
        },
    };

    private static Outcome Fitted() =>
        Given.Events(Click(1, "acme", 20), Click(2, "bravo", 10), Click(3, "acme", 5), Click(4, "coral", 70), Click(5, "echo", 2)).When(Order(5_990)).Under(s_fitted);

    private static CreditsRevised[] Told(Outcome outcome)
    {
        var id = Ids.Derive("receipt-test", "told");
        CreditsRevised Told(int minute, PartnerCredit[] before, PartnerCredit[] after, RevisionCause cause) => new()
        {
            EventId = id, ProgramId = "default", OccurredAt = new DateTimeOffset(2026, 6, 1, 12, minute, 0, TimeSpan.Zero), ConversionId = outcome.ConversionId,
            Generation = 1, Currency = "EUR", Before = before, After = after, Causes = [cause],
        };
        PartnerCredit[] first = [new PartnerCredit { PartnerId = "acme", Share = 1, AmountMinor = 4_990, CommissionMinor = 998 }];
        return
        [
            Told(0, [], first, new RevisionCause { Kind = RevisionCause.Recorded, EventId = outcome.ConversionId }),
            Told(5, first, [.. outcome.Decision.Partners], new RevisionCause { Kind = RevisionCause.LateClick, EventId = Ids.Derive("receipt-test", "2") }),
        ];
    }

    /// <summary>The text of a receipt as somebody may have filed it: the same conversion must give the same bytes for ever under this engine version.</summary>
    private static string Pinned(string name, string written, string form = "json") =>
        Fixtures.Pinned(Path.Combine("Attribution.Core", "Receipts", $"{name}.{form}"), () => written);
}
