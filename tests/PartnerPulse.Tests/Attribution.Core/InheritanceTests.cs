using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class InheritanceTests
{
    private static readonly Rules s_inherit = TestBots.Default with { Inherit = new Inherit(null) };

    private static ConversionRecorded Lead(double daysBefore, string visitor = "at-home", ConversionKind kind = ConversionKind.Lead) =>
        An.Conversion(0, visitor: visitor) with { Kind = kind, CustomerKey = "customer", OccurredAt = An.Now.AddDays(-daysBefore) };

    private static ConversionRecorded Sale(long amountMinor = 1_000, ConversionKind kind = ConversionKind.Sale) =>
        An.Conversion(amountMinor, visitor: "at-work") with { Kind = kind, CustomerKey = "customer" };

    [Theory]
    [InlineData(ConversionKind.Lead, ConversionKind.Sale)]
    [InlineData(ConversionKind.Signup, ConversionKind.Renewal)]
    public void The_partner_that_introduced_the_customer_has_what_follows_before_any_touch_competes(ConversionKind first, ConversionKind then)
    {
        var lead = Lead(300, kind: first);
        var outcome = Given.Events(An.Click("acme", 301, "at-home"), lead, An.Click("bravo", 1, "at-work")).When(Sale(kind: then)).Under(s_inherit);
        outcome.Then(An.Credit("acme", 1_000)).ThenStopped(StopReason.Inherited, StopReason.Inherited);
        Assert.Equal(lead.ConversionId, outcome.Decision.InheritedFrom!.ConversionId);
        outcome.Under(TestBots.Default).Then(An.Credit("bravo", 1_000));
    }

    [Fact]
    public void The_shares_are_those_of_the_lead_and_the_money_is_split_anew()
    {
        var outcome = Given.Events(An.Click("acme", 22, "at-home"), An.Click("bravo", 21, "at-home"), An.Click("acme", 20.5, "at-home"), Lead(20)).When(Sale(100))
            .Under(s_inherit with { Model = new Linear() });
        outcome.Then(An.Credit("acme", 67), An.Credit("bravo", 33));
        Assert.Equal([34L, 33, 33], outcome.Decision.Parts.Select(p => p.AmountMinor));
    }

    [Fact]
    public void It_holds_for_so_many_days_the_last_instant_inside()
    {
        var within = Given.Events(An.Click("acme", 31, "at-home"), Lead(30)).When(Sale());
        within.Under(s_inherit with { Inherit = new Inherit(30), Evidence = [Evidence.ClickId, Evidence.VisitorCookie] }).Then(An.Credit("acme", 1_000));
        within.Under(s_inherit with { Inherit = new Inherit(29), Evidence = [Evidence.ClickId, Evidence.VisitorCookie] }).ThenNobody("evidence-not-counted");
    }

    [Fact]
    public void Of_several_the_earliest_that_was_credited_and_is_near_enough_decides()
    {
        var outcome = Given.Events(
            Lead(100, "nobody"),
            An.Click("acme", 81, "first"), Lead(80, "first"),
            An.Click("bravo", 51, "second"), Lead(50, "second", ConversionKind.Signup)).When(Sale())
            .Under(s_inherit with { WindowDays = 2 });
        outcome.Then(An.Credit("acme", 1_000));
        outcome.Under(s_inherit with { WindowDays = 2, Inherit = new Inherit(60) }).Then(An.Credit("bravo", 1_000));
    }

    [Fact]
    public void A_lead_that_came_later_or_is_a_test_or_another_customers_introduces_nobody()
    {
        var click = An.Click("acme", 81, "at-home");
        Given.Events(click, Lead(-1)).When(Sale()).Under(s_inherit with { WindowDays = 90, Evidence = [Evidence.VisitorCookie] }).ThenNobody("evidence-not-counted");
        Given.Events(click, click with { EventId = An.NextId(), Test = true }, Lead(80) with { Test = true }).When(Sale())
            .Under(s_inherit with { Evidence = [Evidence.VisitorCookie] }).ThenNobody("evidence-not-counted");
        Given.Events(click, Lead(80) with { CustomerKey = "other" }).When(Sale()).Under(s_inherit).ThenNobody("no-touches");
    }

    [Fact]
    public void A_lead_or_signup_inherits_nothing_itself()
    {
        var signup = Lead(0, "at-work", ConversionKind.Signup);
        Given.Events(An.Click("acme", 81, "at-home"), Lead(80), An.Click("bravo", 1, "at-work")).When(signup).Under(s_inherit).Then(An.Credit("bravo", 0));
    }

    [Fact]
    public void A_lead_that_is_not_credited_by_its_kind_passes_nothing_on() =>
        Given.Events(An.Click("acme", 81, "at-home"), Lead(80), An.Click("bravo", 1, "at-work")).When(Sale())
            .Under(s_inherit with { Kinds = [ConversionKind.Sale] }).Then(An.Credit("bravo", 1_000));

    [Fact]
    public void What_a_coupon_earned_of_the_lead_is_inherited_and_a_coupon_that_overrides_comes_first()
    {
        var outcome = Given.Events(An.Coupon("acme", fromDaysBefore: 200), Lead(100, "nobody") with { Coupon = "spring10" }).When(Sale()).Under(s_inherit);
        outcome.Then(An.Credit("acme", 1_000));
        Assert.Equal(("SPRING10", "10.00"), (outcome.Receipt.InheritedFrom!.Coupon!.Code, outcome.Receipt.InheritedFrom.Coupon.Amount));

        var rival = Given.Events(An.Click("acme", 101, "at-home"), Lead(100), An.Coupon("bravo")).When(Sale() with { Coupon = "SPRING10" });
        rival.Under(s_inherit).Then(An.Credit("acme", 1_000));
        rival.Under(s_inherit with { Coupon = CouponUse.Override }).Then(An.Credit("bravo", 1_000));
    }

    [Fact]
    public void Who_is_suspended_when_the_renewal_comes_passes_its_part_on_or_keeps_it_unpaid()
    {
        IEvent[] facts = [An.Click("acme", 102, "at-home"), An.Click("bravo", 101, "at-home"), Lead(100), An.Suspension("acme", 5)];
        var outcome = Given.Events([.. facts]).When(Sale(kind: ConversionKind.Renewal)).Under(s_inherit with { Model = new Linear() });
        outcome.Then(An.Credit("bravo", 1_000));
        outcome.Under(s_inherit with { Model = new Linear(), Suspended = SuspendedPartners.Forfeit, Commission = [new CommissionEntry { PercentBasisPoints = 1_000 }] })
            .Then(An.Credit("acme", 500, commissionMinor: 0), An.Credit("bravo", 500, commissionMinor: 50));

        // Nobody is left of a lead that was all theirs: the touches compete.
        outcome.Under(s_inherit with { WindowDays = 30 }).ThenNobody("outside-window");
    }

    [Fact]
    public void Only_the_first_sixteen_leads_of_a_customer_introduce_it()
    {
        var leads = Enumerable.Range(0, 17).Select(i => Lead(100 - i, $"visitor-{i}")).ToArray();
        var rules = s_inherit with { WindowDays = 1, Evidence = [Evidence.VisitorCookie] };
        Given.Events([.. leads, An.Click("acme", 85.5, "visitor-15")]).When(Sale()).Under(rules).Then(An.Credit("acme", 1_000));
        Given.Events([.. leads, An.Click("acme", 84.5, "visitor-16")]).When(Sale()).Under(rules).ThenNobody("evidence-not-counted");
    }

    [Fact]
    public void Receipts_name_the_lead_to_who_has_a_part_and_its_kind_to_the_others()
    {
        var lead = Lead(300) with { OrderId = "L-1", Source = "crm" };
        var outcome = Given.Events(An.Click("acme", 301, "at-home"), lead, An.Click("bravo", 1, "at-work")).When(Sale()).Under(s_inherit);
        var order = outcome.Receipt.Conversion.OrderId;
        Assert.Equal($"Of sale {order} of shop, worth 10.00 EUR, acme has the whole (10.00 EUR, commission 0.00), inherited from lead L-1 of crm.", outcome.Receipt.Summary);
        Assert.Equal([("acme", 1m, "10.00")], outcome.Receipt.InheritedFrom!.Touches.Select(t => (t.Partner, t.Share!.Value, t.Amount!)));
        Assert.Equal(
            $"You are credited with the whole of sale {order} of shop (10.00 EUR), commission 0.00 EUR: inherited from lead L-1 of crm.",
            Receipt.ForPartner(outcome.Receipt, "acme").Summary);
        var rival = Receipt.ForPartner(outcome.Receipt, "bravo");
        Assert.Equal(
            $"You are not credited for sale {order} of shop: the lead of 2025-08-05 12:00 UTC introduced the customer, whose shares it takes, and you have no part of that.",
            rival.Summary);
        Assert.Equal(("lead", null, "another partner", null), (rival.InheritedFrom!.Kind, rival.InheritedFrom.OrderId, rival.InheritedFrom.Touches[0].Partner, rival.InheritedFrom.Touches[0].Amount));
    }
}
