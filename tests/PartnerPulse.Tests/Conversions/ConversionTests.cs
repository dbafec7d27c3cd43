using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Customers;
using PartnerPulse.Conversions.Orders;

namespace PartnerPulse.Tests.Conversions;

/// <summary>Decisions about orders and adjustments, without I/O.</summary>
public class ConversionTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);

    [Fact]
    public void An_order_is_recorded_once()
    {
        var asked = Asked("1");

        Assert.IsType<RecordConversion.Recorded>(RecordConversion.Decide(recorded: null, asked));
        Assert.IsType<RecordConversion.AlreadyRecorded>(RecordConversion.Decide(asked.Order, asked));
    }

    [Fact]
    public void The_time_is_compared_only_where_it_was_given()
    {
        var recorded = Asked("1").Order;
        var later = recorded with { OccurredAt = s_now.AddHours(1) };

        Assert.IsType<RecordConversion.AlreadyRecorded>(RecordConversion.Decide(recorded, new RecordConversion.Asked(later, TimeGiven: false)));
        var different = Assert.IsType<RecordConversion.RecordedDifferently>(RecordConversion.Decide(recorded, new RecordConversion.Asked(later, TimeGiven: true)));
        Assert.Equal(["occurredAt"], different.Differences.Select(d => d.Field));
    }

    [Fact]
    public void Every_field_that_differs_is_named()
    {
        var recorded = Asked("1").Order;
        var order = recorded with
        {
            Kind = ConversionKind.Renewal, AmountMinor = 1, VisitorId = "v2", ClickId = Guid.Empty, CustomerKey = "c1.x", Coupon = "C",
            NewCustomer = false, Test = true, Items = [new LineItem { Product = "p", AmountMinor = 1 }],
        };

        var different = Assert.IsType<RecordConversion.RecordedDifferently>(RecordConversion.Decide(recorded, new RecordConversion.Asked(order, TimeGiven: true)));

        Assert.Equal(["kind", "amount", "visitorId", "clickId", "customer", "coupon", "newCustomer", "test", "items"], different.Differences.Select(d => d.Field));
        Assert.DoesNotContain(different.Differences, d => d.Reason.Contains("c2.", StringComparison.Ordinal));
    }

    [Fact]
    public void Within_a_list_the_first_of_an_order_counts()
    {
        var known = Asked("known");
        var outcomes = RecordConversion.DecideAll(
            new Dictionary<Guid, ConversionRecorded> { [known.Order.ConversionId] = known.Order },
            [Asked("new"), known, Asked("new"), Asked("new", amount: 1), Asked("known", amount: 1)]);

        Assert.Equal(
            [typeof(RecordConversion.Recorded), typeof(RecordConversion.AlreadyRecorded), typeof(RecordConversion.AlreadyRecorded), typeof(RecordConversion.RecordedDifferently), typeof(RecordConversion.RecordedDifferently)],
            outcomes.Select(o => o.GetType()));
    }

    [Fact]
    public void The_net_stays_between_zero_and_the_order_in_whatever_order_things_come()
    {
        var order = Asked("1").Order;
        var refund = Adjusted(Conversion.Unknown, "r", "-10.00", "EUR");
        var foreign = Adjusted(Conversion.Unknown, "f", "-10.00", "USD");

        Assert.Null(Fold(refund).NetMinor);
        Assert.Equal(3990, Fold(refund, order).NetMinor);
        Assert.Equal(3990, Fold(order, refund, foreign).NetMinor);
        Assert.Equal(0, Fold(order, Adjusted(Fold(order), "a", "-30.00"), Adjusted(Fold(order), "b", "-30.00")).NetMinor);
        Assert.Equal(4990, Fold(order, Adjusted(Fold(order), "c", "5.00", reason: AdjustmentReason.Correction)).NetMinor);
    }

    [Fact]
    public void An_adjustment_takes_the_currency_of_its_order()
    {
        var order = Fold(Asked("1").Order);

        Assert.Equal("EUR", Adjusted(order, "r", "-1").Currency);
        Assert.Equal(["currency"], Refused(order, "r", "-1", "USD"));
        Assert.Equal(["currency"], Refused(Conversion.Unknown, "r", "-1", currency: null));
    }

    [Fact]
    public void An_adjustment_is_recorded_once()
    {
        var state = Fold(Asked("1").Order, Adjusted(Conversion.Unknown, "r", "-10.00", "EUR"));

        Assert.IsType<AdjustConversion.AlreadyAdjusted>(AdjustConversion.Decide(state, Adjustment("r", "-10"), "main"));
        var different = Assert.IsType<AdjustConversion.AdjustedDifferently>(
            AdjustConversion.Decide(state, Adjustment("r", "-11") with { Reason = AdjustmentReason.Chargeback }, "main"));
        Assert.Equal(["amount", "reason"], different.Differences.Select(d => d.Field));
    }

    [Theory]
    [InlineData(AdjustmentReason.Refund, "1", false)]
    [InlineData(AdjustmentReason.Chargeback, "1", false)]
    [InlineData(AdjustmentReason.Cancellation, "1", false)]
    [InlineData(AdjustmentReason.Correction, "1", true)]
    [InlineData(AdjustmentReason.Correction, "-1", true)]
    [InlineData(AdjustmentReason.Correction, "0", false)]
    [InlineData(AdjustmentReason.Refund, "-1", true)]
    public void What_is_taken_back_is_negative_and_only_a_correction_may_add(AdjustmentReason reason, string amount, bool accepted)
    {
        var outcome = AdjustConversion.Decide(Fold(Asked("1").Order), Adjustment("r", amount) with { Reason = reason }, "main");

        Assert.IsType(accepted ? typeof(AdjustConversion.Adjusted) : typeof(AdjustConversion.Refused), outcome);
    }

    [Fact]
    public void An_order_has_a_bound_of_adjustments()
    {
        var order = Asked("1").Order;
        var full = Conversion.Unknown with
        {
            Order = order,
            Adjustments = [.. Enumerable.Range(0, AdjustConversion.MaxAdjustments).Select(i => Adjusted(Conversion.Unknown, $"r{i}", "-0.01", "EUR"))],
        };

        Assert.Equal(["id"], Refused(full, "one-more", "-1", currency: null));
        Assert.IsType<AdjustConversion.AlreadyAdjusted>(AdjustConversion.Decide(full, Adjustment("r1", "-0.01"), "main"));
    }

    [Fact]
    public void A_customer_key_depends_on_the_secret_the_program_and_the_person_alone()
    {
        var keys = new CustomerKeys(new byte[CustomerKeys.SecretLength]);

        Assert.Equal(keys.Key("main", "ann@example.org"), keys.Key("main", "  ANN@example.org "));
        Assert.NotEqual(keys.Key("main", "ann@example.org"), keys.Key("other", "ann@example.org"));
        Assert.NotEqual(keys.Key("main", "ann@example.org"), new CustomerKeys([.. Enumerable.Repeat((byte)1, 32)]).Key("main", "ann@example.org"));
        Assert.Matches("^c2\\.[A-Za-z0-9_-]{43}$", keys.Key("main", "ann@example.org"));
    }

    private static Conversion Fold(params IEvent[] events) => events.Aggregate(Conversion.Unknown, Conversion.Evolve);

    private static RecordConversion.Asked Asked(string order, long amount = 4990)
    {
        var id = Ids.Conversion("main", "shop", order);
        return new RecordConversion.Asked(
            new ConversionRecorded
            {
                EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = s_now, Kind = ConversionKind.Sale, Source = "shop", OrderId = order,
                AmountMinor = amount, Currency = "EUR", VisitorId = "v1",
            },
            TimeGiven: true);
    }

    private static AdjustConversion.Asked Adjustment(string id, string amount, string? currency = null) =>
        new("shop", "1", id, amount, currency, AdjustmentReason.Refund, s_now, TimeGiven: true);

    private static ConversionAdjusted Adjusted(
        Conversion state, string id, string amount, string? currency = null, AdjustmentReason reason = AdjustmentReason.Refund) =>
        Assert.IsType<AdjustConversion.Adjusted>(AdjustConversion.Decide(state, Adjustment(id, amount, currency) with { Reason = reason }, "main")).Event;

    private static IEnumerable<string> Refused(Conversion state, string id, string amount, string? currency) =>
        Assert.IsType<AdjustConversion.Refused>(AdjustConversion.Decide(state, Adjustment(id, amount, currency), "main")).Faults.Select(f => f.Field);
}
