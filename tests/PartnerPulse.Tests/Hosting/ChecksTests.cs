using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Tests.Hosting;

/// <summary>The checks that every endpoint shares.</summary>
public class ChecksTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);
    private readonly Checks _checks = new(new StoppedClock());

    [Fact]
    public void Every_fault_is_collected_under_the_name_the_sender_used()
    {
        var checks = new Checks(new StoppedClock(), "items[2].");
        checks.Required("product", " ", 10);
        checks.Optional("note", "12345678901", 10);

        Assert.Equal([new FieldFault("items[2].product", "is required"), new FieldFault("items[2].note", "has 11 characters; at most 10 are allowed")], checks.Faults);
        Assert.False(checks.Passed);
    }

    [Theory]
    [InlineData(300, null)]
    [InlineData(301, "is in the future")]
    public void A_clock_may_be_five_minutes_ahead(int seconds, string? reason)
    {
        _checks.Time("occurredAt", s_now.AddSeconds(seconds));

        AssertFault("occurredAt", reason);
    }

    [Fact]
    public void A_time_is_kept_in_utc()
    {
        var time = _checks.Time("occurredAt", new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(2)));

        Assert.Equal((s_now.AddHours(-2), TimeSpan.Zero), (time, time.Offset));
        Assert.Equal(s_now, _checks.TimeOrNow("occurredAt", value: null));
        Assert.True(_checks.Passed);
    }

    [Theory]
    [InlineData("49.90", "EUR", 4990, null)]
    [InlineData("49.9", "EUR", 4990, null)]
    [InlineData("49.900", "EUR", 4990, null)]
    [InlineData("5", "JPY", 5, null)]
    [InlineData("1.234", "KWD", 1234, null)]
    [InlineData("1.2345", "KWD", 0, "has more decimals than the 3 of KWD")]
    [InlineData("1e3", "EUR", 0, "is not a decimal number")]
    [InlineData("1,000", "EUR", 0, "is not a decimal number")]
    [InlineData("1000000000000.01", "EUR", 0, "is larger than")]
    public void An_amount_is_read_in_the_decimals_of_its_currency(string text, string currency, long minor, string? reason)
    {
        Assert.Equal(minor, _checks.Amount("amount", text, currency, "currency"));
        AssertFault("amount", reason);
    }

    [Theory]
    [InlineData("https://shop.example/a?b=c", null)]
    [InlineData("http://localhost:8080/", null)]
    [InlineData("//shop.example/", "is not an absolute http or https address")]
    [InlineData("/path", "is not an absolute http or https address")]
    [InlineData("javascript:alert(1)", "is not an absolute http or https address")]
    [InlineData("https://user@shop.example/", "must not carry a user or password")]
    [InlineData("https://shop.example/\r\nSet-Cookie: x", "control character U+000D")]
    public void An_address_is_absolute_and_plain(string text, string? reason)
    {
        var address = _checks.Address("destination", text, 2048);

        Assert.Equal(reason is null ? text : null, address);
        AssertFault("destination", reason);
    }

    private void AssertFault(string field, string? reason)
    {
        if (reason is null)
        {
            Assert.Empty(_checks.Faults);
            return;
        }

        var fault = Assert.Single(_checks.Faults);
        Assert.Equal(field, fault.Field);
        Assert.Contains(reason, fault.Reason, StringComparison.Ordinal);
    }

    private sealed class StoppedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => s_now;
    }
}
