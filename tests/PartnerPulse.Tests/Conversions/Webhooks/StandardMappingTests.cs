using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.Conversions.Webhooks;

/// <summary>Standard Webhooks with the shapes of the API.</summary>
public sealed class StandardMappingTests
{
    private readonly Shop _shop = new("standard");

    [Fact]
    public void An_order_is_recorded_as_the_API_would()
    {
        Assert.Equal("recorded", _shop.Deliver(Shop.Sample("standard-recorded")).Status);
        Assert.Equal("already-recorded", _shop.Deliver(Shop.Sample("standard-recorded")).Status);

        var order = _shop.Recorded("A-1");
        Assert.Equal(("standard", 4_990L, Ids.Click("main", "c-1"), null), (order.Source, order.AmountMinor, order.ClickId!.Value, order.AmountAsOf));
        var did = _shop.Deliver(Shop.Sample("standard-recorded", r => r["data"]!["amount"] = "59.90"));
        Assert.Equal(("contradicted", "amount"), (did.Status, did.Faults!.Single().Field));
    }

    [Fact]
    public void An_adjustment_names_its_order_and_may_come_first()
    {
        var did = _shop.Deliver(Shop.Sample("standard-adjusted"));

        Assert.Equal(("adjusted", "A-1"), (did.Status, did.OrderId));
        var adjustment = Assert.IsType<ConversionAdjusted>(did.Events!.Single());
        Assert.Equal(("my.shop", "r-1", -1_000L, AdjustmentReason.Refund), (adjustment.Source, adjustment.AdjustmentId, adjustment.AmountMinor, adjustment.Reason));
        Assert.Equal("already-recorded", _shop.Deliver(Shop.Sample("standard-adjusted")).Status);
        Assert.Equal("contradicted", _shop.Deliver(Shop.Sample("standard-adjusted", r => r["data"]!["amount"] = "-11.00")).Status);
    }

    [Theory]
    [InlineData("""{"type":"order.shipped"}""", "ignored", null, null)]
    [InlineData("""{"type":"order.recorded"}""", "unclear", "data", "is required")]
    [InlineData("""{"type":"order.recorded","data":[]}""", "unclear", "data", "is not an object")]
    [InlineData("""{"type":"order.recorded","data":{"colour":"red"}}""", "unclear", "data.colour", "is not a field that is known here")]
    [InlineData("""{"type":"order.recorded","data":{"orderId":7}}""", "unclear", "data.orderId", "is a number where a string is expected")]
    [InlineData("""{"type":"order.recorded","data":{"kind":"sale"}}""", "unclear", "orderId", "is required")]
    [InlineData("""{"type":"order.adjusted","data":{"orderId":"A","id":"r","amount":"-1","reason":"refund"}}""", "refused", "r.currency", "is required while the order is not known")]
    [InlineData("""{"type":"order.recorded","data":{"source":"My Shop","orderId":"A","kind":"lead"}}""", "unclear", "source", "must be lower-case")]
    [InlineData("[]", "unreadable", "body", "is not an object of JSON")]
    [InlineData("", "unreadable", "body", "is empty")]
    [InlineData("""{"type":"\ud800"}""", "unreadable", "body", "is no character")]
    [InlineData("""{"\ud800":"order.recorded"}""", "unreadable", "body", "is no character")]
    public void Each_fault_names_its_field(string body, string status, string? field, string? reason)
    {
        var did = _shop.Deliver(body);

        Assert.Equal(status, did.Status);
        Assert.Equal(field, did.Faults?[0].Field);
        Assert.Contains(reason ?? "", did.Faults?[0].Reason ?? "", StringComparison.Ordinal);
        Assert.Empty(_shop.Events);
    }

    [Fact]
    public void Depth_and_encoding_are_bounded()
    {
        var deep = _shop.Deliver($$"""{"type":"order.shipped","data":{{new string('[', 70)}}{{new string(']', 70)}}}""");
        Assert.Equal("unreadable", deep.Status);
        Assert.Equal(("unreadable", "is not UTF-8"), (_shop.Deliver([(byte)'"', 0xFF, (byte)'"']).Status, _shop.Deliver([(byte)'"', 0xFF, (byte)'"']).Faults!.Single().Reason));
    }
}
