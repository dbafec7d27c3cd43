using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Reconciliations;
using PartnerPulse.Contracts;
using PartnerPulse.Tests.AttributionCore;

namespace PartnerPulse.Tests.Attribution;

/// <summary>What becomes of a claim of an order that is known, for every thing that the rules can have made of it.</summary>
public sealed class VerdictTests
{
    private static readonly Rules s_rules = TestBots.Default with { RepeatMinutes = 30, Commission = [new CommissionEntry { PercentBasisPoints = 2_000 }] };

    [Fact]
    public void Who_is_credited_is_matched_whether_it_claims_the_order_its_part_its_commission_or_nothing_more()
    {
        var shared = Given.Events(An.Click("acme", 2), An.Click("bravo", 1)).When(An.Conversion(1_000)).Under(s_rules with { Model = new Linear() });
        Assert.Equal(Verdict.Matched, Says(shared, "acme"));
        Assert.Equal(Verdict.Matched, Says(shared, "acme", amountMinor: 1_000, currency: "EUR"));
        Assert.Equal(Verdict.Matched, Says(shared, "acme", amountMinor: 500, commissionMinor: 100, currency: "EUR"));
        Assert.Equal(Verdict.Matched, Says(shared, "bravo", commissionMinor: 100));
    }

    [Fact]
    public void Another_amount_commission_or_currency_differs()
    {
        var order = Given.Events(An.Click("acme")).When(An.Conversion(1_000)).Under(s_rules);
        Assert.Equal(Verdict.AmountDiffers, Says(order, "acme", amountMinor: 999, currency: "EUR"));
        Assert.Equal(Verdict.AmountDiffers, Says(order, "acme", amountMinor: 1_000, commissionMinor: 201, currency: "EUR"));
        Assert.Equal(Verdict.AmountDiffers, Says(order, "acme", amountMinor: 1_000, currency: "USD"));
        Assert.Equal(Verdict.AmountDiffers, Says(order, "acme", commissionMinor: 200, currency: "USD"));

        // A currency without a sum claims nothing that could differ.
        Assert.Equal(Verdict.Matched, Says(order, "acme", currency: "USD"));
    }

    [Fact]
    public void Refunded_is_the_claim_of_what_it_was_before_the_money_went_back()
    {
        var sale = An.Conversion(1_000);
        var half = Given.Events(An.Click("acme")).When(sale, An.Adjustment(sale, -500)).Under(s_rules);
        Assert.Equal(Verdict.Refunded, Says(half, "acme", amountMinor: 1_000, currency: "EUR"));
        Assert.Equal(Verdict.Matched, Says(half, "acme", amountMinor: 500, currency: "EUR"));
        Assert.Equal(Verdict.AmountDiffers, Says(half, "acme", amountMinor: 700, currency: "EUR"));
        Assert.Equal(Verdict.Matched, Says(half, "acme"));

        var whole = Given.Events(An.Click("acme", 2), An.Click("bravo", 1)).When(sale, An.Adjustment(sale, -1_000)).Under(s_rules);
        Assert.Equal(Verdict.Refunded, Says(whole, "acme"));
        Assert.Equal(Verdict.Refunded, Says(whole, "acme", amountMinor: 1_000, currency: "EUR"));

        // Under first-touch bravo had nothing of it before the refund either.
        Assert.Equal(Verdict.OtherPartner, Says(whole, "bravo"));
    }

    [Fact]
    public void A_click_or_coupon_that_counts_or_could_and_does_not_have_the_order_is_another_partners()
    {
        var lost = Given.Events(An.Click("acme", 2), An.Click("bravo", 1)).When(An.Conversion(1_000)).Under(s_rules);
        Assert.Equal(Verdict.OtherPartner, Says(lost, "bravo"));

        var fallback = Given.Events(An.Click("acme"), An.Coupon("bravo")).When(An.Conversion(1_000) with { Coupon = "SPRING10" });
        Assert.Equal(Verdict.OtherPartner, Says(fallback.Under(s_rules with { Coupon = CouponUse.Fallback }), "bravo"));
        Assert.Equal(Verdict.OtherPartner, Says(fallback.Under(s_rules with { Coupon = CouponUse.Ignore }), "bravo"));
        Assert.Equal(Verdict.OtherPartner, Says(fallback.Under(s_rules with { Coupon = CouponUse.Override }), "acme"));

        var lead = An.Conversion(0, visitor: "at-home") with { Kind = ConversionKind.Lead, CustomerKey = "customer", OccurredAt = An.Now.AddDays(-20) };
        var inherited = Given.Events(An.Click("acme", 21, "at-home"), lead, An.Click("bravo", 1, "at-work"))
            .When(An.Conversion(1_000, visitor: "at-work") with { CustomerKey = "customer" }).Under(s_rules with { Inherit = new Inherit(null) });
        Assert.Equal((Verdict.Matched, Verdict.OtherPartner), (Says(inherited, "acme"), Says(inherited, "bravo")));
    }

    [Fact]
    public void Clicks_too_early_or_after_the_order_are_outside_the_window()
    {
        var order = Given.Events(An.Click("acme", 61), An.Click("bravo", -1)).When(An.Conversion(1_000)).Under(s_rules);
        Assert.Equal((Verdict.OutsideWindow, Verdict.OutsideWindow), (Says(order, "acme"), Says(order, "bravo")));
    }

    [Fact]
    public void What_stopped_a_click_otherwise_filtered_it()
    {
        var fetched = An.Click("acme") with { Signals = new ClickSignals { Purpose = "prefetch" } };
        Assert.Equal(Verdict.FilteredClick, Says(Given.Events(fetched).When(An.Conversion(1_000)).Under(s_rules), "acme"));
        Assert.Equal(Verdict.FilteredClick, Says(Given.Events(An.Click("acme") with { Test = true }).When(An.Conversion(1_000)).Under(s_rules), "acme"));

        var suspended = Given.Events(An.Click("acme"), An.Click("bravo", 0.5), An.Suspension("acme", 1)).When(An.Conversion(1_000)).Under(s_rules with { Suspended = SuspendedPartners.PassOn });
        Assert.Equal((Verdict.FilteredClick, Verdict.Matched), (Says(suspended, "acme"), Says(suspended, "bravo")));

        // The click that came furthest says it: one of the two was only too early.
        Assert.Equal(Verdict.FilteredClick, Says(Given.Events(An.Click("acme", 70), fetched).When(An.Conversion(1_000)).Under(s_rules), "acme"));

        // Nobody has the order, and all that the partner shows is a coupon that counts for nothing.
        var ignored = Given.Events(An.Coupon("acme")).When(An.Conversion(1_000) with { Coupon = "SPRING10" }).Under(s_rules with { Coupon = CouponUse.Ignore });
        Assert.Equal(Verdict.FilteredClick, Says(ignored, "acme"));
    }

    [Fact]
    public void Whoever_no_click_of_belongs_to_the_order_was_not_seen()
    {
        var order = Given.Events(An.Click("acme")).When(An.Conversion(1_000)).Under(s_rules);
        Assert.Equal(Verdict.NoClickSeen, Says(order, "bravo"));
        Assert.Equal(Verdict.NoClickSeen, Says(Given.Events().When(An.Conversion(1_000)).Under(s_rules), "acme"));
    }

    [Fact]
    public void An_order_of_a_kind_that_the_rules_do_not_credit_is_nobodys_and_says_so()
    {
        var lead = Given.Events(An.Click("acme"), An.Coupon("bravo")).When(An.Conversion(1_000) with { Kind = ConversionKind.Lead, Coupon = "SPRING10" });
        var sales = s_rules with { Kinds = [ConversionKind.Sale], Coupon = CouponUse.Fallback };
        Assert.All(["acme", "bravo", "stranger"], partner => Assert.Equal(Verdict.KindNotCredited, Says(lead.Under(sales), partner)));
        Assert.Equal(Verdict.Matched, Says(lead.Under(sales with { Kinds = [ConversionKind.Lead] }), "acme"));
    }

    [Fact]
    public void An_order_that_is_the_same_sale_as_another_is_a_duplicate()
    {
        var (kept, aside) = (An.Conversion(1_000), An.Conversion(1_000) with { Source = "network" });
        var merged = new ConversionMerged
        {
            EventId = Ids.Merge(aside.ConversionId, kept.ConversionId), ProgramId = "default", OccurredAt = An.Now, ConversionId = aside.ConversionId, Source = aside.Source, OrderId = aside.OrderId,
            Into = kept.ConversionId, IntoSource = kept.Source, IntoOrderId = kept.OrderId, IntoOccurredAt = kept.OccurredAt,
            Rule = new OrderIdentity { Sources = ["shop", "network"], Fields = [OrderField.ClickId], WithinHours = 72 },
        };
        var facts = Given.Events(An.Click("acme"), kept, merged);
        Assert.Equal(Verdict.Duplicate, Says(facts.When(aside).Under(s_rules), "acme"));
        Assert.Equal(Verdict.Duplicate, Says(facts.When(aside).Under(s_rules), "stranger"));
    }

    private static string Says(Outcome order, string partner, long? amountMinor = null, long? commissionMinor = null, string? currency = null) => Verdict.Of(
        new ClaimLine(1, "shop", order.Journey.Conversion.OrderId, ClickId: null, OccurredAt: null, IsDay: false, amountMinor, commissionMinor, currency, CustomerKey: null),
        order.Journey, order.Decision, partner);
}
