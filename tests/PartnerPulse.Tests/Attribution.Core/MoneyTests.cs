using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class MoneyTests
{
    private static readonly Given.Before s_twoClicks = Given.Events(An.Click("acme", 2), An.Click("bravo", 1));

    private static Rules Paying(params CommissionEntry[] commission) => TestBots.Default with { Model = new Linear(), Commission = [.. commission] };

    private static CommissionEntry Percent(int basisPoints) => new() { PercentBasisPoints = basisPoints };

    private static CommissionEntry Flat(long minor, string currency = "EUR") => new() { FlatMinor = minor, Currency = currency };

    [Fact]
    public void A_refund_takes_amount_and_percentage_down_in_proportion()
    {
        var order = An.Conversion(1000);
        s_twoClicks.When(order, An.Adjustment(order, -400)).Under(Paying(Percent(2_000)))
            .Then(An.Credit("acme", 300, 60), An.Credit("bravo", 300, 60));
    }

    [Fact]
    public void Refunds_of_more_than_the_order_leave_nothing_and_the_share_stays()
    {
        var order = An.Conversion(1000);
        var outcome = s_twoClicks.When(order, An.Adjustment(order, -700), An.Adjustment(order, -700)).Under(Paying(Percent(2_000)))
            .Then(An.Credit("acme", 0, 0), An.Credit("bravo", 0, 0));
        Assert.All(outcome.Decision.Partners, p => Assert.Equal(0.5m, p.Share));
    }

    [Fact]
    public void A_correction_upwards_never_credits_more_than_the_order()
    {
        var order = An.Conversion(1000);
        s_twoClicks.When(order, An.Adjustment(order, 500, AdjustmentReason.Correction)).Under(Paying()).Then(An.Credit("acme", 500), An.Credit("bravo", 500));
    }

    [Fact]
    public void A_refund_too_many_that_is_corrected_leaves_no_trace()
    {
        var order = An.Conversion(1000);
        s_twoClicks.When(order, An.Adjustment(order, -1_500), An.Adjustment(order, 1_300, AdjustmentReason.Correction)).Under(Paying())
            .Then(An.Credit("acme", 400), An.Credit("bravo", 400));
    }

    [Fact]
    public void The_same_refund_delivered_twice_counts_once()
    {
        var order = An.Conversion(1000);
        var refund = An.Adjustment(order, -200);
        s_twoClicks.When(order, refund, refund).Under(Paying()).Then(An.Credit("acme", 400), An.Credit("bravo", 400));
    }

    [Fact]
    public void A_refund_in_another_currency_has_no_effect()
    {
        var order = An.Conversion(1000);
        s_twoClicks.When(order, An.Adjustment(order, -200, currency: "USD")).Under(Paying()).Then(An.Credit("acme", 500), An.Credit("bravo", 500));
    }

    [Fact]
    public void The_odd_unit_goes_to_the_earlier_touch()
    {
        s_twoClicks.When(An.Conversion(101, "JPY")).Under(Paying()).Then(An.Credit("acme", 51), An.Credit("bravo", 50));
        s_twoClicks.When(An.Conversion(1, "KWD")).Under(Paying()).Then(An.Credit("acme", 1), An.Credit("bravo", 0));
    }

    /// <summary>Every amount up to 10,000 units: nothing is lost, and nobody's part is a whole unit away from its quota.</summary>
    [Theory]
    [InlineData(3, "EUR")]
    [InlineData(10, "EUR")]
    [InlineData(3, "JPY")]
    [InlineData(10, "KWD")]
    public void Thirds_and_tenths_of_every_amount_add_up_to_it(int partners, string currency)
    {
        var clicks = Enumerable.Range(0, partners).Select(i => An.Click($"p{i}", partners - i)).ToArray();
        var given = Given.Events([.. clicks]);
        for (var amount = 0L; amount <= 10_000; amount++)
        {
            var (whole, left) = Math.DivRem(amount, partners);
            given.When(An.Conversion(amount, currency)).Under(Paying())
                .Then([.. clicks.Select((click, i) => An.Credit(click.PartnerId, whole + (i < left ? 1 : 0)))]);
        }
    }

    [Fact]
    public void Half_a_unit_of_commission_is_rounded_away_from_zero() =>
        Given.Events(An.Click("acme")).When(An.Conversion(50)).Under(Paying(Percent(100))).Then(An.Credit("acme", 50, 1));

    [Fact]
    public void A_percentage_is_of_the_partners_whole_part_and_not_of_each_touch()
    {
        // 1 % of 3 × 33.3… would be three times nothing; of 100 it is 1.
        var outcome = Given.Events(An.Click("acme", 3), An.Click("acme", 2), An.Click("acme", 1)).When(An.Conversion(100)).Under(Paying(Percent(100)))
            .Then(An.Credit("acme", 100, 1));
        Assert.Equal([1L, 0L, 0L], outcome.Decision.Touches.Select(t => t.CommissionMinor));
    }

    [Fact]
    public void A_flat_sum_is_for_the_whole_conversion_and_split_by_share() =>
        s_twoClicks.When(An.Conversion(1000)).Under(Paying(Flat(501))).Then(An.Credit("acme", 500, 251), An.Credit("bravo", 500, 250));

    [Fact]
    public void A_refund_takes_a_flat_sum_down_in_proportion()
    {
        var order = An.Conversion(1000);
        s_twoClicks.When(order, An.Adjustment(order, -400)).Under(Paying(Flat(500))).Then(An.Credit("acme", 300, 150), An.Credit("bravo", 300, 150));
    }

    [Fact]
    public void An_order_of_nothing_pays_the_flat_sum_in_full_unless_it_was_cancelled()
    {
        var lead = An.Conversion(0) with { Kind = ConversionKind.Lead };
        s_twoClicks.When(lead).Under(Paying(Flat(500))).Then(An.Credit("acme", 0, 250), An.Credit("bravo", 0, 250));
        s_twoClicks.When(lead, An.Adjustment(lead, 0, AdjustmentReason.Correction)).Under(Paying(Flat(500))).Then(An.Credit("acme", 0, 250), An.Credit("bravo", 0, 250));
        s_twoClicks.When(lead, An.Adjustment(lead, 0, AdjustmentReason.Cancellation)).Under(Paying(Flat(500))).Then(An.Credit("acme", 0, 0), An.Credit("bravo", 0, 0));
    }

    [Fact]
    public void A_flat_sum_matches_conversions_of_its_currency_only() =>
        s_twoClicks.When(An.Conversion(1000, "JPY")).Under(Paying(Flat(500), Percent(1_000))).Then(An.Credit("acme", 500, 50), An.Credit("bravo", 500, 50));

    [Fact]
    public void The_first_entry_that_matches_pays()
    {
        var rules = Paying(
            Percent(5_000) with { Kind = ConversionKind.Lead }, Percent(3_000) with { Partner = "bravo" }, Percent(1_000), Percent(9_000));
        s_twoClicks.When(An.Conversion(1000)).Under(rules).Then(An.Credit("acme", 500, 50), An.Credit("bravo", 500, 150));
    }

    [Fact]
    public void Who_matches_another_entry_leaves_its_part_of_a_flat_sum() =>
        s_twoClicks.When(An.Conversion(1000)).Under(Paying(Percent(1_000) with { Partner = "acme" }, Flat(500)))
            .Then(An.Credit("acme", 500, 50), An.Credit("bravo", 500, 250));

    [Fact]
    public void Where_nothing_matches_nothing_is_paid() =>
        s_twoClicks.When(An.Conversion(1000)).Under(Paying(Percent(1_000) with { Kind = ConversionKind.Renewal })).Then(An.Credit("acme", 500, 0), An.Credit("bravo", 500, 0));

    [Fact]
    public void Adjustments_that_no_64_bits_can_add_up_are_still_added_up()
    {
        var order = An.Conversion(1000);
        s_twoClicks.When(order, An.Adjustment(order, long.MinValue), An.Adjustment(order, long.MinValue), An.Adjustment(order, long.MaxValue), An.Adjustment(order, long.MaxValue))
            .Under(Paying()).Then(An.Credit("acme", 499), An.Credit("bravo", 499));
    }

    [Fact]
    public void An_entry_with_a_product_pays_on_its_items_and_the_rest_of_the_order_goes_on_to_the_next()
    {
        var order = An.Conversion(1_000) with
        {
            Items =
            [
                new LineItem { Product = "shoe", AmountMinor = 400 }, new LineItem { Product = "lace", AmountMinor = 300 },
                new LineItem { Product = "shoe", AmountMinor = 200 }, new LineItem { Product = "discount", AmountMinor = -50 },
            ],
        };
        var rules = Paying(Percent(1_000) with { Product = "shoe" }, Percent(5_000) with { Product = "sock" }, Percent(100));
        var given = Given.Events(An.Click("acme"));

        // 10 % of 600, and 1 % of the laces and of the 100 beyond the items.
        var outcome = given.When(order).Under(rules).Then(An.Credit("acme", 1_000, 64));
        Assert.Equal([(0, "6.00", "0.60"), (2, "4.00", "0.04")], outcome.Receipt.Partners[0].By!.Select(by => (by.Entry, by.Of, by.Commission)));
        given.When(order, An.Adjustment(order, -500)).Under(rules).Then(An.Credit("acme", 500, 32));
        given.When(order with { Items = null }).Under(rules).Then(An.Credit("acme", 1_000, 10));

        // Items that cost more than the order share a discount: 600 of 900 of the 450 that were paid.
        given.When(order with { AmountMinor = 450 }).Under(Paying(Percent(10_000) with { Product = "shoe" })).Then(An.Credit("acme", 450, 300));
    }

    [Fact]
    public void Cap_and_minimum_are_of_the_order_as_it_was_and_a_refund_takes_them_down_in_proportion()
    {
        var order = An.Conversion(1_000);
        var (capped, least) = (Paying(Percent(5_000) with { CapMinor = 100, Currency = "EUR" }), Paying(Percent(100) with { MinimumMinor = 100, Currency = "EUR" }));
        s_twoClicks.When(order).Under(capped).Then(An.Credit("acme", 500, 100), An.Credit("bravo", 500, 100));
        s_twoClicks.When(order, An.Adjustment(order, -500)).Under(capped).Then(An.Credit("acme", 250, 50), An.Credit("bravo", 250, 50));
        s_twoClicks.When(order).Under(least).Then(An.Credit("acme", 500, 100), An.Credit("bravo", 500, 100));
        s_twoClicks.When(order, An.Adjustment(order, -1_000)).Under(least).Then(An.Credit("acme", 0, 0), An.Credit("bravo", 0, 0));
        s_twoClicks.When(order).Under(least with { Model = new FirstTouch() }).Then(An.Credit("acme", 1_000, 100));
    }

    [Fact]
    public void A_group_is_the_one_at_the_time_of_the_conversion_and_a_new_customer_what_the_shop_says()
    {
        PartnerGrouped Grouped(string? group, double daysBefore) => new()
        {
            EventId = An.NextId(), ProgramId = "default", OccurredAt = An.Now.AddDays(-daysBefore), PartnerId = "acme", Group = group,
        };
        var rules = Paying(Percent(2_000) with { Group = "gold", NewCustomer = true }, Percent(1_000) with { Group = "gold" });
        var order = An.Conversion(1_000);
        Given.Events(An.Click("acme"), Grouped("gold", 0), Grouped(null, -1)).When(order).Under(rules).Then(An.Credit("acme", 1_000, 100));
        Given.Events(An.Click("acme"), Grouped("gold", 2)).When(order with { NewCustomer = true }).Under(rules).Then(An.Credit("acme", 1_000, 200));
        Given.Events(An.Click("acme"), Grouped("gold", 2), Grouped(null, 1)).When(order).Under(rules).Then(An.Credit("acme", 1_000, 0));
    }
}
