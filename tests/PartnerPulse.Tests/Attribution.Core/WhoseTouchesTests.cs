using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class WhoseTouchesTests
{
    [Fact]
    public void The_click_id_on_the_order_finds_its_click_without_any_visitor()
    {
        var click = An.Click("acme", visitor: null);
        var outcome = Given.Events(click).When(An.Conversion(100, visitor: null) with { ClickId = click.EventId });
        outcome.Then(An.Credit("acme", 100));
        Assert.Equal([Evidence.ClickId], outcome.Journey.Touches.Select(t => t.Evidence));
    }

    [Fact]
    public void The_visitor_of_the_click_on_the_order_brings_its_other_clicks_along()
    {
        var click = An.Click("bravo", daysBefore: 1);
        var outcome = Given.Events(An.Click("acme", daysBefore: 3), click).When(An.Conversion(100, visitor: null) with { ClickId = click.EventId });
        outcome.Then(An.Credit("acme", 100));
        Assert.Equal([Evidence.VisitorCookie, Evidence.ClickId], outcome.Journey.Touches.Select(t => t.Evidence));
    }

    [Fact]
    public void An_earlier_order_of_the_customer_ties_its_visitor_to_the_customer()
    {
        var onPhone = An.Click("acme", daysBefore: 5, visitor: "phone");
        var fromPhone = An.Conversion(1, visitor: "phone") with { CustomerKey = "customer", OccurredAt = An.Now.AddDays(-4) };
        var outcome = Given.Events(onPhone, fromPhone).When(An.Conversion(100, visitor: "laptop") with { CustomerKey = "customer" });
        outcome.Then(An.Credit("acme", 100));
        Assert.Equal([Evidence.Customer], outcome.Journey.Touches.Select(t => t.Evidence));
    }

    [Fact]
    public void The_tie_holds_whenever_it_became_known()
    {
        var onPhone = An.Click("acme", daysBefore: 5, visitor: "phone");
        var muchLater = An.Conversion(1, visitor: "phone") with { CustomerKey = "customer", OccurredAt = An.Now.AddDays(200) };
        Given.Events(onPhone, muchLater).When(An.Conversion(100, visitor: "laptop") with { CustomerKey = "customer" }).Then(An.Credit("acme", 100));
    }

    [Fact]
    public void The_click_on_another_order_of_the_customer_ties_its_visitor_too()
    {
        var named = An.Click("bravo", daysBefore: 5, visitor: "phone");
        var other = An.Conversion(1, visitor: null) with { CustomerKey = "customer", ClickId = named.EventId };
        Given.Events(An.Click("acme", daysBefore: 6, visitor: "phone"), named, other)
            .When(An.Conversion(100, visitor: null) with { CustomerKey = "customer" }).Then(An.Credit("acme", 100));
    }

    [Fact]
    public void Two_customers_on_one_device_stay_two_people()
    {
        // Ties are not transitive: the shared tablet is tied to both, the first customer's phone to the first alone.
        var onPhone = An.Click("acme", daysBefore: 5, visitor: "phone");
        var firstOnPhone = An.Conversion(1, visitor: "phone") with { CustomerKey = "first" };
        var firstOnTablet = An.Conversion(1, visitor: "tablet") with { CustomerKey = "first" };
        Given.Events(onPhone, firstOnPhone, firstOnTablet)
            .When(An.Conversion(100, visitor: "tablet") with { CustomerKey = "second" }).ThenNobody("no-touches");
    }

    [Fact]
    public void Who_logs_in_is_the_customer_whenever_the_shop_says_so()
    {
        var outcome = Given.Events(An.Click("acme", daysBefore: 5, visitor: "phone"), An.Identity("customer", "phone"))
            .When(An.Conversion(100, visitor: null) with { CustomerKey = "customer" });
        outcome.Then(An.Credit("acme", 100));
        Assert.Equal([Evidence.Customer], outcome.Journey.Touches.Select(t => t.Evidence));
    }

    [Fact]
    public void An_identified_click_ties_its_visitor_and_one_without_a_visitor_ties_nobody()
    {
        var (seen, unseen) = (An.Click("acme", visitor: "phone"), An.Click("bravo", visitor: null));
        Given.Events(An.Click("coral", daysBefore: 3, visitor: "phone"), seen, unseen, An.Identity("customer", null, seen.EventId), An.Identity("customer", null, unseen.EventId))
            .When(An.Conversion(100, visitor: null) with { CustomerKey = "customer" }).Under(new Linear()).Then(An.Credit("acme", 50), An.Credit("coral", 50));
    }

    [Fact]
    public void A_key_that_is_tied_to_more_than_one_person_can_have_ties_nobody()
    {
        var order = An.Conversion(100, visitor: "own") with { CustomerKey = "guest" };
        IEvent[] most = [.. Enumerable.Range(1, CustomerTies.Most - 1).Select(i => An.Identity("guest", $"visitor-{i}")), An.Click("acme", visitor: "visitor-7")];
        Given.Events([.. most]).When(order).Then(An.Credit("acme", 100));
        Given.Events([.. most, An.Identity("guest", "one-more")]).When(order).ThenNobody("no-touches");
        Given.Events([.. most, An.Identity("guest", "one-more"), An.Click("bravo", visitor: "own")]).When(order).Then(An.Credit("bravo", 100));
    }

    [Fact]
    public void The_same_customer_number_in_another_program_is_somebody_else()
    {
        var elsewhere = An.Conversion(1, visitor: "phone") with { CustomerKey = "42", ProgramId = "other" };
        Given.Events(An.Click("acme", visitor: "phone"), elsewhere)
            .When(An.Conversion(100, visitor: null) with { CustomerKey = "42" }).ThenNobody("no-touches");
    }

    [Fact]
    public void The_same_visitor_id_in_another_program_is_somebody_else() =>
        Given.Events(An.Click("acme") with { ProgramId = "other" }).When(An.Conversion(100)).ThenNobody("no-touches");

    [Fact]
    public void A_touch_found_in_several_ways_has_the_strongest_evidence_and_counts_once()
    {
        var click = An.Click("acme");
        var outcome = Given.Events(click, An.Conversion(1) with { CustomerKey = "customer" })
            .When(An.Conversion(100) with { ClickId = click.EventId, CustomerKey = "customer" });
        Assert.Equal([Evidence.ClickId], outcome.Journey.Touches.Select(t => t.Evidence));
    }

    [Fact]
    public void At_equal_times_the_bytes_of_the_event_id_decide_who_was_first()
    {
        // .NET orders the first groups of a Guid otherwise than their bytes in the network; the order must not depend on that.
        var low = An.Click("acme") with { EventId = new Guid("01000000-0000-0000-0000-000000000002") };
        var high = An.Click("bravo") with { EventId = new Guid("0100ff00-0000-0000-0000-000000000001") };
        Given.Events(high, low).When(An.Conversion(100)).Then(An.Credit("acme", 100));
    }

    [Fact]
    public void Assemble_picks_its_own_from_more_than_it_needs()
    {
        var conversion = An.Conversion(100) with { CustomerKey = "customer" };
        var mine = An.Click("acme");
        var ties = new CustomerTies();
        ties.Add("visitor-1", clickId: null);
        var journey = Journey.Assemble(
            conversion,
            ties,
            [An.Click("bravo", visitor: "stranger"), mine, mine, An.Click("coral", visitor: null)],
            [An.Adjustment(An.Conversion(7), -1)],
            coupons: [],
            [conversion, An.Conversion(5, visitor: "stranger") with { CustomerKey = "someone", Kind = ConversionKind.Lead, OccurredAt = An.Now.AddDays(-1) }]);
        Assert.Empty(journey.Introductions);
        Assert.Equal([mine], journey.Touches.Select(t => t.Click));
        Assert.Empty(journey.Adjustments);
    }
}
