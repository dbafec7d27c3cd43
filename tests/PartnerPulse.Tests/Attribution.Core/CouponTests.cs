using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class CouponTests
{
    private static readonly Rules s_override = TestBots.Default with { Coupon = CouponUse.Override };

    private static ConversionRecorded Order(string coupon = "SPRING10") => An.Conversion(1_000) with { Coupon = coupon };

    [Fact]
    public void A_coupon_counts_where_no_touch_does()
    {
        var outcome = Given.Events(An.Coupon("acme")).When(Order()).Then(An.Credit("acme", 1_000));
        Assert.Equal(new CouponVerdict("acme", null), outcome.Decision.Coupon);
        Assert.Equal(
            ("acme", "SPRING10", "coupon", "fallback", 1m, "10.00"),
            (outcome.Receipt.Coupon!.Partner, outcome.Receipt.Coupon.Code, outcome.Receipt.Coupon.Evidence, outcome.Receipt.Coupon.Rule,
                outcome.Receipt.Coupon.Share, outcome.Receipt.Coupon.Amount));
    }

    [Fact]
    public void A_touch_that_counts_comes_before_the_coupon_unless_the_rules_say_override()
    {
        var outcome = Given.Events(An.Click("bravo"), An.Coupon("acme")).When(Order());
        outcome.Then(An.Credit("bravo", 1_000));
        Assert.Equal(StopReason.CouponFallback, outcome.Decision.Coupon!.StoppedBy);
        outcome.Under(s_override).Then(An.Credit("acme", 1_000)).ThenStopped(StopReason.CouponOverride);
        outcome.Under(TestBots.Default with { Coupon = CouponUse.Ignore }).Then(An.Credit("bravo", 1_000));
    }

    [Fact]
    public void Ignored_coupons_credit_nobody() =>
        Given.Events(An.Coupon("acme")).When(Order()).Under(TestBots.Default with { Coupon = CouponUse.Ignore }).ThenNobody("no-touches");

    [Theory]
    [InlineData("spring10")]
    [InlineData(" Spring10\t")]
    public void Codes_are_compared_without_case_and_blanks(string coupon) =>
        Given.Events(An.Coupon("acme")).When(Order(coupon)).Then(An.Credit("acme", 1_000));

    [Fact]
    public void The_partner_is_the_one_that_held_it_at_the_time_of_the_conversion()
    {
        var first = An.Coupon("acme", fromDaysBefore: 10, untilDaysBefore: 5);
        var second = An.Coupon("bravo", fromDaysBefore: 5);
        IEvent[] facts = [second, An.Withdrawal(second, daysBefore: 1), first];
        foreach (var (daysBefore, partner) in new (double, string?)[] { (11, null), (10, "acme"), (5.001, "acme"), (5, "bravo"), (1.001, "bravo"), (1, null), (0, null) })
        {
            var outcome = Given.Events([.. facts]).When(Order() with { OccurredAt = An.Now.AddDays(-daysBefore) });
            Assert.Equal(partner, outcome.Journey.CouponPartner);
        }
    }

    [Fact]
    public void Of_assignments_that_overlap_the_later_start_holds_whatever_came_first()
    {
        var early = An.Coupon("acme", fromDaysBefore: 10);
        var late = An.Coupon("bravo", fromDaysBefore: 5);
        Given.Events(late, early).When(Order()).Then(An.Credit("bravo", 1_000));
        Given.Events(early, late).When(Order()).Then(An.Credit("bravo", 1_000));
        Given.Events(early, late, An.Withdrawal(late, daysBefore: 1)).When(Order()).Then(An.Credit("acme", 1_000));
    }

    [Fact]
    public void A_coupon_of_another_program_or_another_code_is_none()
    {
        Given.Events(An.Coupon("acme") with { ProgramId = "other" }).When(Order()).ThenNobody("no-touches");
        Given.Events(An.Coupon("acme")).When(Order("SPRING11")).ThenNobody("no-touches");
    }

    [Fact]
    public void A_suspended_partner_has_nothing_by_its_coupon_or_keeps_it_unpaid()
    {
        var outcome = Given.Events(An.Coupon("acme"), An.Suspension("acme", 1)).When(Order());
        outcome.ThenNobody("suspended-partner");
        Assert.Equal(
            $"Nobody is credited for sale {outcome.Receipt.Conversion.OrderId} of shop: the partner of its coupon was suspended at the time of the conversion.",
            outcome.Receipt.Summary);
        var forfeit = outcome.Under(TestBots.Default with { Suspended = SuspendedPartners.Forfeit, Commission = [new CommissionEntry { PercentBasisPoints = 1_000 }] });
        forfeit.Then(An.Credit("acme", 1_000, commissionMinor: 0));
        Assert.True(forfeit.Receipt.Coupon!.Forfeited);
    }

    [Fact]
    public void Kinds_that_are_not_credited_are_not_credited_by_a_coupon_either()
    {
        var outcome = Given.Events(An.Coupon("acme")).When(Order()).Under(s_override with { Kinds = [ConversionKind.Lead] });
        outcome.ThenNobody("kind-not-credited");
        Assert.Equal("kind-not-credited", outcome.Decision.Coupon!.StoppedBy);
    }

    [Fact]
    public void Receipts_say_it_to_the_operator_to_the_partner_and_to_its_rivals()
    {
        var outcome = Given.Events(An.Click("bravo", daysBefore: 90), An.Coupon("acme")).When(Order());
        var order = outcome.Receipt.Conversion.OrderId;
        Assert.Equal(
            $"Of sale {order} of shop, worth 10.00 EUR, acme has the whole (10.00 EUR, commission 0.00), by the coupon SPRING10, because no click counts.",
            outcome.Receipt.Summary);
        Assert.Equal(
            $"You are credited with the whole of sale {order} of shop (10.00 EUR), commission 0.00 EUR: it carries your coupon SPRING10, because no click counts.",
            Receipt.ForPartner(outcome.Receipt, "acme").Summary);
        var rival = Receipt.ForPartner(outcome.Receipt, "bravo");
        Assert.Equal(("another partner", null, null), (rival.Coupon!.Partner, rival.Coupon.Code, rival.Coupon.Amount));

        var touched = Given.Events(An.Click("bravo"), An.Coupon("acme")).When(Order());
        Assert.EndsWith(
            "your coupon SPRING10 does not count, because a coupon counts only where no click does, and one does.",
            Receipt.ForPartner(touched.Receipt, "acme").Summary, StringComparison.Ordinal);
        Assert.EndsWith(
            "does not count, because the rules put the coupon of another partner before clicks.",
            Receipt.ForPartner(touched.Under(s_override).Receipt, "bravo").Summary, StringComparison.Ordinal);
    }
}
