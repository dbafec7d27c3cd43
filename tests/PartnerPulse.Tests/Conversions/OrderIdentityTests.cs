using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.SameOrders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Tests.Conversions;

/// <summary>Which conversions are one sale, without I/O.</summary>
public sealed class OrderIdentityTests
{
    private static readonly DateTimeOffset s_at = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);

    private static readonly OrderIdentity s_identity = new()
    {
        Sources = ["stripe", "network"], Fields = [OrderField.ClickId, OrderField.Amount, OrderField.Currency], WithinHours = 72,
    };

    [Fact]
    public void Equal_fields_make_one_key_with_two_sides()
    {
        var kept = OrderKey.Of(Order("stripe", "pi_1"), [s_identity]).Single();
        var aside = OrderKey.Of(Order("network", "N-7"), [s_identity]).Single();

        Assert.Equal(kept.Key, aside.Key);
        Assert.Equal((true, false), (kept.IsFirst, aside.IsFirst));
    }

    [Fact]
    public void A_field_that_differs_or_is_absent_makes_two_sales()
    {
        var key = OrderKey.Of(Order("stripe", "pi_1"), [s_identity]).Single().Key;

        Assert.All(
            new[] { Order("network", "N") with { AmountMinor = 1 }, Order("network", "N") with { Currency = "USD" }, Order("network", "N") with { ClickId = Guid.NewGuid() }, Order("network", "N") with { Test = true } },
            other => Assert.NotEqual(key, OrderKey.Of(other, [s_identity]).Single().Key));
        Assert.Empty(OrderKey.Of(Order("network", "N") with { ClickId = null }, [s_identity]));
        Assert.Empty(OrderKey.Of(Order("shop", "1"), [s_identity]));
    }

    [Fact]
    public void Every_field_counts()
    {
        foreach (var field in Enum.GetValues<OrderField>())
        {
            var identity = s_identity with { Fields = [field] };
            var other = Order("network", "1001") with
            {
                OrderId = "other", ClickId = Guid.NewGuid(), VisitorId = "other", CustomerKey = "other", Coupon = "other", AmountMinor = 1, Currency = "USD", Kind = ConversionKind.Lead,
            };
            Assert.Equal(OrderKey.Of(Order("stripe", "1001"), [identity]).Single().Key, OrderKey.Of(Order("network", "1001"), [identity]).Single().Key);
            Assert.NotEqual(OrderKey.Of(Order("stripe", "1001"), [identity]).Single().Key, OrderKey.Of(other, [identity]).Single().Key);
        }
    }

    [Theory]
    [InlineData("stripe", "stripe", "clickId", 1, "[0].sources", "are both 'stripe'")]
    [InlineData("stripe", "My Shop", "clickId", 1, "[0].sources", "must be lower-case")]
    [InlineData("stripe", "network", "colour", 1, "[0].fields", "'colour' is not one of amount, clickId, coupon")]
    [InlineData("stripe", "network", "amount,currency", 1, "[0].fields", "must name 'orderId', 'clickId', 'visitorId' or 'customer'")]
    [InlineData("stripe", "network", "clickId,amount", 1, "[0].fields", "names 'amount' without 'currency'")]
    [InlineData("stripe", "network", "clickId,clickId", 1, "[0].fields", "names 'clickId' twice")]
    [InlineData("stripe", "network", "clickId", 0, "[0].withinHours", "must be 1 to 2160")]
    [InlineData("stripe", "network", "clickId", 2161, "[0].withinHours", "must be 1 to 2160")]
    public void What_cannot_be_meant_is_refused(string first, string second, string fields, int hours, string field, string reason)
    {
        var faults = new List<FieldFault>();

        Assert.Null(DeclareOrderIdentities.Read([new OrderIdentityAsk { Sources = [first, second], Fields = fields.Split(','), WithinHours = hours }], faults));

        Assert.Contains(faults, fault => fault.Field == field && fault.Reason.Contains(reason, StringComparison.Ordinal));
    }

    [Fact]
    public void Sources_that_would_set_each_other_aside_are_refused()
    {
        var faults = new List<FieldFault>();

        Assert.NotNull(DeclareOrderIdentities.Read([Ask("a", "b"), Ask("b", "c"), Ask("a", "c")], faults));
        Assert.Null(DeclareOrderIdentities.Read([Ask("a", "b"), Ask("b", "c"), Ask("c", "a")], faults));

        Assert.Contains("aside for itself", Assert.Single(faults).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void The_same_declaration_again_is_no_event()
    {
        var first = Assert.IsType<DeclareOrderIdentities.Declared>(DeclareOrderIdentities.Decide(before: null, [s_identity], "main", s_at, Guid.NewGuid(), "admin"));

        Assert.IsType<DeclareOrderIdentities.AlreadyDeclared>(DeclareOrderIdentities.Decide(first.Event, [s_identity with { Fields = [.. s_identity.Fields] }], "main", s_at, Guid.NewGuid(), "admin"));
        Assert.IsType<DeclareOrderIdentities.Declared>(DeclareOrderIdentities.Decide(first.Event, [], "main", s_at, Guid.NewGuid(), "admin"));
        Assert.IsType<DeclareOrderIdentities.AlreadyDeclared>(DeclareOrderIdentities.Decide(before: null, [], "main", s_at, Guid.NewGuid(), "admin"));
    }

    [Fact]
    public void Only_what_is_merged_is_separated_and_once()
    {
        var order = Order("network", "N-7");
        var alone = Conversion.Evolve(Conversion.Unknown, order);
        var merged = Conversion.Evolve(alone, new ConversionMerged
        {
            EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at, ConversionId = order.ConversionId, Source = "network", OrderId = "N-7",
            Into = Guid.NewGuid(), IntoSource = "stripe", IntoOrderId = "pi_1", IntoOccurredAt = s_at, Rule = s_identity,
        });

        Assert.IsType<SeparateConversion.NotMerged>(SeparateConversion.Decide(alone, "main", s_at, "admin"));
        var separated = Assert.IsType<SeparateConversion.Separated>(SeparateConversion.Decide(merged, "main", s_at, "admin"));
        Assert.Equal(Ids.Separation(order.ConversionId), separated.Event.EventId);
        Assert.IsType<SeparateConversion.AlreadySeparated>(SeparateConversion.Decide(Conversion.Evolve(merged, separated.Event), "main", s_at, "admin"));
    }

    private static OrderIdentityAsk Ask(string first, string second) => new() { Sources = [first, second], Fields = ["orderId"], WithinHours = 1 };

    private static ConversionRecorded Order(string source, string orderId)
    {
        var id = Ids.Conversion("main", source, orderId);
        return new ConversionRecorded
        {
            EventId = id, ConversionId = id, ProgramId = "main", OccurredAt = s_at, Kind = ConversionKind.Sale, Source = source, OrderId = orderId,
            ClickId = Ids.Click("main", "c-1"), VisitorId = "v1", CustomerKey = "c1.x", Coupon = "SPRING", AmountMinor = 4990, Currency = "EUR",
        };
    }
}
