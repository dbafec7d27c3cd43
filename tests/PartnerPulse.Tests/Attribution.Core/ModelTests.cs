using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class ModelTests
{
    private static Given.Before FourClicks() => Given.Events(
        An.Click("acme", daysBefore: 14), An.Click("bravo", daysBefore: 7), An.Click("acme", daysBefore: 3), An.Click("coral", daysBefore: 0));

    [Fact]
    public void First_touch_gives_all_to_the_first() => FourClicks().When(An.Conversion(1000)).Under(new FirstTouch()).Then(An.Credit("acme", 1000));

    [Fact]
    public void Last_touch_gives_all_to_the_last() => FourClicks().When(An.Conversion(1000)).Under(new LastTouch()).Then(An.Credit("coral", 1000));

    [Fact]
    public void Linear_gives_each_touch_the_same() => FourClicks().When(An.Conversion(1000)).Under(new Linear())
        .Then(An.Credit("acme", 500), An.Credit("bravo", 250), An.Credit("coral", 250));

    [Fact]
    public void Position_based_gives_the_ends_their_part_and_the_rest_evenly() => FourClicks().When(An.Conversion(1000)).Under(new PositionBased(4_000, 4_000))
        .Then(An.Credit("acme", 500), An.Credit("bravo", 100), An.Credit("coral", 400));

    [Fact]
    public void Position_based_gives_one_touch_everything() =>
        Given.Events(An.Click("acme")).When(An.Conversion(1000)).Under(new PositionBased(0, 0)).Then(An.Credit("acme", 1000));

    [Theory]
    [InlineData(4_000, 4_000, 500)]
    [InlineData(3_000, 7_000, 300)]
    [InlineData(1_000, 3_000, 250)]
    [InlineData(0, 0, 500)]
    public void Position_based_scales_two_touches_to_one_and_halves_where_both_ends_are_nothing(int first, int last, long firstGets) =>
        Given.Events(An.Click("acme", 2), An.Click("bravo", 1)).When(An.Conversion(1000)).Under(new PositionBased(first, last))
            .Then(An.Credit("acme", firstGets), An.Credit("bravo", 1000 - firstGets));

    [Fact]
    public void Time_decay_halves_the_weight_with_every_half_life()
    {
        // Weights 1/4, 1/2 and 1.
        Given.Events(An.Click("acme", 14), An.Click("bravo", 7), An.Click("coral", 0)).When(An.Conversion(700)).Under(new TimeDecay(7))
            .Then(An.Credit("acme", 100), An.Credit("bravo", 200), An.Credit("coral", 400));
    }

    [Fact]
    public void Time_decay_takes_the_age_as_a_real_number_of_days()
    {
        // 2^(-1/2) : 1 = 0.41421… : 0.58578… of the whole.
        var decision = Given.Events(An.Click("acme", 3.5), An.Click("bravo", 0)).When(An.Conversion(1_000_000)).Under(new TimeDecay(7)).Decision;
        Assert.Equal([414_214L, 585_786L], decision.Partners.Select(p => p.AmountMinor));
        Assert.Equal(0.414213562373095049m, decision.Partners[0].Share, precision: 17);
    }

    [Fact]
    public void Time_decay_never_loses_a_journey_that_is_older_than_any_weight_can_say()
    {
        // 59 days with a half-life of 8.64 seconds: 2^-590000 is nothing in any number format.
        Given.Events(An.Click("acme", 59)).When(An.Conversion(100)).Under(new TimeDecay(0.0001m)).Then(An.Credit("acme", 100));
        Given.Events(An.Click("acme", 59), An.Click("bravo", 59)).When(An.Conversion(100)).Under(new TimeDecay(0.0001m))
            .Then(An.Credit("acme", 50), An.Credit("bravo", 50));
    }

    [Fact]
    public void Shares_that_no_decimal_can_hold_still_add_up_to_one_and_the_earlier_has_the_remainder()
    {
        var decision = Given.Events(An.Click("acme", 3), An.Click("bravo", 2), An.Click("coral", 1)).When(An.Conversion(1000)).Under(new Linear()).Decision;
        Assert.Equal([0.333333333333333334m, 0.333333333333333333m, 0.333333333333333333m], decision.Partners.Select(p => p.Share));
        Assert.Equal([334L, 333L, 333L], decision.Partners.Select(p => p.AmountMinor));
    }

    [Fact]
    public void The_largest_amount_there_is_splits_exactly_over_many_touches()
    {
        var clicks = Enumerable.Range(0, 1_000).Select(i => An.Click($"partner-{i % 7}", daysBefore: 30 - (i / 100d)));
        foreach (Model model in new Model[] { new Linear(), new PositionBased(3_333, 1), new TimeDecay(7) })
        {
            var decision = Given.Events([.. clicks]).When(An.Conversion(PartnerPulse.Contracts.Currency.MaxMinor)).Under(model).Decision;
            Assert.Equal(PartnerPulse.Contracts.Currency.MaxMinor, decision.Partners.Sum(p => p.AmountMinor));
            Assert.Equal(1m, decision.Touches.Sum(t => t.Share));
        }
    }
}
