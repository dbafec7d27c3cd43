using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class CandidateTests
{
    private const double OneMinute = 1 / 1440d;

    [Fact]
    public void One_click_and_one_order_credit_the_partner_with_all_of_it() =>
        Given.Events(An.Click("acme")).When(An.Conversion(100)).Then(An.Credit("acme", 100));

    [Fact]
    public void The_same_click_delivered_twice_counts_once()
    {
        var click = An.Click("acme", daysBefore: 2);
        Given.Events(click, An.Click("bravo"), click).When(An.Conversion(100)).Under(new Linear())
            .Then(An.Credit("acme", 50), An.Credit("bravo", 50));
    }

    [Fact]
    public void An_order_without_a_click_credits_nobody() =>
        Given.Events(An.Click("acme", visitor: "somebody-else")).When(An.Conversion(100)).ThenNobody("no-touches");

    [Fact]
    public void Test_traffic_credits_test_conversions_only()
    {
        var click = An.Click("acme") with { Test = true };
        Given.Events(click).When(An.Conversion(100)).ThenNobody("test");
        Given.Events(click).When(An.Conversion(100) with { Test = true }).Then(An.Credit("acme", 100));
        Given.Events(An.Click("acme")).When(An.Conversion(100) with { Test = true }).ThenNobody("test");
    }

    [Fact]
    public void A_click_in_another_program_is_considered_and_stopped()
    {
        var elsewhere = An.Click("acme") with { ProgramId = "other" };
        Given.Events(elsewhere, An.Click("bravo", daysBefore: 2) with { ProgramId = "other" })
            .When(An.Conversion(100, visitor: null) with { ClickId = elsewhere.EventId })
            .ThenNobody("wrong-program").ThenStopped("wrong-program", "wrong-program");
    }

    [Fact]
    public void A_click_at_the_very_time_of_the_order_counts_and_one_tick_later_does_not()
    {
        var click = An.Click("acme", daysBefore: 0);
        Given.Events(click).When(An.Conversion(100)).Then(An.Credit("acme", 100));
        Given.Events(click with { OccurredAt = click.OccurredAt.AddTicks(1) }).When(An.Conversion(100)).ThenNobody("after-conversion");
    }

    [Fact]
    public void The_boundary_of_the_window_is_inside_and_one_tick_before_it_is_not()
    {
        var click = An.Click("acme", daysBefore: 60);
        Given.Events(click).When(An.Conversion(100)).Then(An.Credit("acme", 100));
        Given.Events(click with { OccurredAt = click.OccurredAt.AddTicks(-1) }).When(An.Conversion(100)).ThenNobody("outside-window");
    }

    [Theory]
    [InlineData("prefetch", "prefetch")]
    [InlineData("prefetch;prerender", "prefetch")]
    [InlineData("Prerender", "prefetch")]
    [InlineData("preview", "preview")]
    public void What_a_browser_fetched_ahead_is_no_touch(string purpose, string reason) =>
        Given.Events(An.Click("acme") with { Signals = new ClickSignals { Purpose = purpose } }).When(An.Conversion(100)).ThenNobody(reason);

    [Fact]
    public void A_request_for_headers_is_no_touch() =>
        Given.Events(An.Click("acme") with { Signals = new ClickSignals { Method = "HEAD" } }).When(An.Conversion(100)).ThenNobody("head");

    [Fact]
    public void Privacy_signals_alone_stop_nothing() =>
        Given.Events(An.Click("acme") with { Signals = new ClickSignals { Gpc = true, Dnt = true, Purpose = "navigate" } })
            .When(An.Conversion(100)).Then(An.Credit("acme", 100));

    [Fact]
    public void The_first_rule_that_fails_names_the_reason()
    {
        var wrongInEveryWay = An.Click("acme", daysBefore: 90) with
        {
            Test = true, ProgramId = "other", Signals = new ClickSignals { Method = "HEAD", Purpose = "preview" },
        };
        var naming = An.Conversion(100) with { ClickId = wrongInEveryWay.EventId };
        Given.Events(wrongInEveryWay).When(naming).ThenStopped("test");
        Given.Events(wrongInEveryWay with { Test = false }).When(naming).ThenStopped("wrong-program");
        Given.Events(wrongInEveryWay with { Test = false, ProgramId = "default" }).When(An.Conversion(100)).ThenStopped("outside-window");
        Given.Events(An.Click("acme") with { Signals = wrongInEveryWay.Signals }).When(An.Conversion(100)).ThenStopped("preview");
    }

    [Fact]
    public void Where_nobody_is_credited_the_touch_that_came_furthest_gives_the_reason() =>
        Given.Events(An.Click("acme", daysBefore: 90), An.Click("bravo", daysBefore: -1), An.Click("coral", daysBefore: 80))
            .When(An.Conversion(100)).ThenNobody("outside-window").ThenStopped("outside-window", "outside-window", "after-conversion");

    [Fact]
    public void A_suspended_partner_passes_its_credit_on() =>
        Given.Events(An.Click("acme", daysBefore: 2), An.Click("bravo"), An.Suspension("acme", daysBefore: 0.5))
            .When(An.Conversion(100)).ThenStopped("suspended-partner", null).Then(An.Credit("bravo", 100));

    [Fact]
    public void Suspended_means_at_the_time_of_the_conversion_from_that_instant_on()
    {
        Given.Events(An.Click("acme"), An.Suspension("acme", daysBefore: 0)).When(An.Conversion(100)).ThenNobody("suspended-partner");
        Given.Events(An.Click("acme"), An.Suspension("acme", daysBefore: -0.001)).When(An.Conversion(100)).Then(An.Credit("acme", 100));
        Given.Events(An.Click("acme"), An.Reinstatement("acme", daysBefore: 0), An.Suspension("acme", daysBefore: 3))
            .When(An.Conversion(100)).Then(An.Credit("acme", 100));
    }

    [Fact]
    public void A_suspension_in_another_program_is_none_here() =>
        Given.Events(An.Click("acme"), An.Suspension("acme", daysBefore: 2) with { ProgramId = "other" })
            .When(An.Conversion(100)).Then(An.Credit("acme", 100));

    [Fact]
    public void A_forfeited_share_stays_with_the_suspended_partner_and_is_paid_to_nobody()
    {
        var rules = TestBots.Default with
        {
            Model = new Linear(), Suspended = SuspendedPartners.Forfeit, Commission = [new CommissionEntry { FlatMinor = 10, Currency = "EUR" }],
        };
        var outcome = Given.Events(An.Click("acme", daysBefore: 2), An.Click("bravo"), An.Suspension("acme", daysBefore: 0.5))
            .When(An.Conversion(100)).Under(rules)
            .Then(An.Credit("acme", 50, commissionMinor: 0), An.Credit("bravo", 50, commissionMinor: 5));
        Assert.Equal([true, false], outcome.Decision.Touches.Select(t => t.Forfeited));
    }

    [Fact]
    public void A_click_again_within_the_repeat_minutes_is_no_new_touch_and_the_boundary_is_within()
    {
        var first = An.Click("acme", daysBefore: 2);
        var onBoundary = An.Click("acme") with { OccurredAt = first.OccurredAt.AddMinutes(30) };
        var after = onBoundary with { OccurredAt = onBoundary.OccurredAt.AddTicks(1) };
        Given.Events(first, onBoundary).When(An.Conversion(100)).ThenStopped(null, "repeat-click");
        Given.Events(first, after).When(An.Conversion(100)).ThenStopped(null, null);
    }

    [Fact]
    public void A_stopped_repeat_does_not_make_the_wait_longer() =>
        Given.Events(An.Click("acme", 60 * OneMinute), An.Click("acme", 40 * OneMinute), An.Click("acme", 25 * OneMinute))
            .When(An.Conversion(100)).ThenStopped(null, "repeat-click", null);

    [Fact]
    public void A_click_of_another_partner_in_between_is_no_repeat() =>
        Given.Events(An.Click("acme", 30 * OneMinute), An.Click("bravo", 20 * OneMinute), An.Click("acme", 10 * OneMinute))
            .When(An.Conversion(100)).ThenStopped(null, null, "repeat-click");

    [Fact]
    public void With_no_repeat_minutes_every_click_is_a_touch_even_at_the_same_instant()
    {
        var click = An.Click("acme");
        Given.Events(click, click with { EventId = An.NextId() }).When(An.Conversion(100)).Under(new Linear()).ThenStopped(null, null);
    }

    [Fact]
    public void Kinds_that_the_rules_do_not_list_credit_nobody() =>
        Given.Events(An.Click("acme")).When(An.Conversion(100) with { Kind = ConversionKind.Lead })
            .Under(TestBots.Default with { Kinds = [ConversionKind.Sale] })
            .ThenNobody("kind-not-credited").ThenStopped("kind-not-credited");

    [Fact]
    public void Evidence_that_the_rules_do_not_list_does_not_count()
    {
        var click = An.Click("acme");
        var rules = TestBots.Default with { Evidence = [Evidence.ClickId] };
        Given.Events(click).When(An.Conversion(100)).Under(rules).ThenNobody("evidence-not-counted");
        Given.Events(click).When(An.Conversion(100) with { ClickId = click.EventId }).Under(rules).Then(An.Credit("acme", 100));
    }

    [Fact]
    public void Hundreds_of_partners_on_one_journey_are_told_apart()
    {
        var clicks = Enumerable.Range(0, 300).Select(i => An.Click($"partner-{i % 150}", daysBefore: 30 - (i * OneMinute)));
        var decision = Given.Events([.. clicks]).When(An.Conversion(30_000)).Under(new Linear(), repeatMinutes: 200).Decision;
        Assert.Equal(150, decision.Partners.Length);
        Assert.All(decision.Partners, partner => Assert.Equal(200, partner.AmountMinor));
        Assert.All(decision.Touches.Skip(150), touch => Assert.Equal("repeat-click", touch.StoppedBy));
    }
}
