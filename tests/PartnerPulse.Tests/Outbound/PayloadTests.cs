using System.Text;
using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.Outbound;

namespace PartnerPulse.Tests.Outbound;

/// <summary>Bodies are a contract with strangers: they are pinned here, letter by letter.</summary>
public class PayloadTests
{
    private static readonly DateTimeOffset s_at = new(2026, 3, 1, 9, 30, 15, 250, TimeSpan.Zero);
    private static readonly Guid s_event = new("0195501a-2f00-7abc-8def-0123456789ab");
    private static readonly Guid s_conversion = Ids.Conversion("main", "shop", "1001");
    private static readonly Guid s_early = new("0195501a-2f00-7abc-8def-000000000001");
    private static readonly Guid s_late = new("0195501a-2f00-7abc-8def-000000000002");

    private static readonly ConversionRecorded s_order = new()
    {
        EventId = s_conversion, ProgramId = "main", OccurredAt = s_at, ConversionId = s_conversion, Kind = ConversionKind.Sale, Source = "shop", OrderId = "1001",
        CustomerKey = "c1.secret", VisitorId = "visitor-secret", AmountMinor = 4_990, Currency = "EUR", NewCustomer = true,
    };

    private static readonly CreditsRevised s_revised = new()
    {
        EventId = s_event, ProgramId = "main", OccurredAt = s_at, ConversionId = s_conversion, Generation = 3, Currency = "EUR",
        Before = [Credit("acme", 1m, 4_990, 998), Credit("same", 0m, 0, 0)],
        After = [Credit("acme", 0.333333333333333333m, 1_663, 333), Credit("bravo", 0.666666666666666667m, 3_327, 665), Credit("same", 0m, 0, 0)],
        Clicks = [new CreditedClick { ClickId = s_early, PartnerId = "bravo" }, new CreditedClick { ClickId = s_late, PartnerId = "bravo" }],
    };

    [Fact]
    public void A_revision_tells_before_and_after_of_each_partner_whose_part_changed() => Assert.Equal(
        $$$"""
        {"type":"credit.revised","id":"{{{s_event}}}","timestamp":"2026-03-01T09:30:15.25+00:00","program":"main","test":false,"data":{"conversionId":"{{{s_conversion}}}","source":"shop","orderId":"1001","kind":"sale","currency":"EUR","generation":3,"partners":[{"partner":"acme","before":{"share":"1","amount":"49.90","commission":"9.98"},"after":{"share":"0.333333333333333333","amount":"16.63","commission":"3.33"}},{"partner":"bravo","before":{"share":"0","amount":"0.00","commission":"0.00"},"after":{"share":"0.666666666666666667","amount":"33.27","commission":"6.65"}}]}}
        """,
        Encoding.UTF8.GetString(Payload.Webhook(s_revised, s_order)));

    [Fact]
    public void An_order_is_told_without_customer_and_visitor() => Assert.Equal(
        $$$"""
        {"type":"conversion.recorded","id":"{{{s_conversion}}}","timestamp":"2026-03-01T09:30:15.25+00:00","program":"main","test":false,"data":{"conversionId":"{{{s_conversion}}}","source":"shop","orderId":"1001","kind":"sale","amount":"49.90","currency":"EUR","newCustomer":true}}
        """,
        Encoding.UTF8.GetString(Payload.Webhook(s_order, conversion: null)));

    [Fact]
    public void A_refund_of_a_test_order_is_a_test()
    {
        var refund = new ConversionAdjusted
        {
            EventId = s_event, ProgramId = "main", OccurredAt = s_at, ConversionId = s_conversion, Source = "shop", OrderId = "1001", AdjustmentId = "r-1",
            AmountMinor = -500, Currency = "JPY", Reason = AdjustmentReason.Chargeback,
        };

        Assert.Equal(
            $$$"""
            {"type":"conversion.adjusted","id":"{{{s_event}}}","timestamp":"2026-03-01T09:30:15.25+00:00","program":"main","test":true,"data":{"conversionId":"{{{s_conversion}}}","source":"shop","orderId":"1001","adjustmentId":"r-1","amount":"-500","currency":"JPY","reason":"chargeback"}}
            """,
            Encoding.UTF8.GetString(Payload.Webhook(refund, s_order with { Test = true })));
        Assert.Contains("\"test\":false", Encoding.UTF8.GetString(Payload.Webhook(refund, conversion: null)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_postback_has_the_partners_last_click_and_what_it_gained_or_lost()
    {
        var clicks = new Dictionary<Guid, ClickRecorded>
        {
            [s_early] = Click(s_early, s_at.AddDays(-2), "first"),
            [s_late] = Click(s_late, s_at.AddDays(-1), "second"),
        };
        var around = new Surroundings(s_order, clicks);

        var gained = Values("bravo", null, s_revised.After[1]);
        Assert.Equal((s_late.ToString(), "second", "bravo-link"), (gained["click_id"], gained["sub1"], gained["link"]));
        Assert.Equal(("approved", "6.65", "6.65", "33.27", "EUR"), (gained["status"], gained["payout"], gained["payout_change"], gained["amount"], gained["currency"]));
        Assert.Equal(("1001", "shop", "sale", "bravo"), (gained["order_id"], gained["source"], gained["kind"], gained["partner"]));
        Assert.Equal((s_conversion.ToString(), s_event.ToString(), "2026-03-01T09:30:15Z"), (gained["conversion_id"], gained["event_id"], gained["time"]));

        var changed = Values("acme", s_revised.Before[0], s_revised.After[0]);
        Assert.Equal(("changed", "3.33", "-6.65"), (changed["status"], changed["payout"], changed["payout_change"]));
        Assert.False(changed.ContainsKey("click_id"));
        var lost = Values("acme", s_revised.Before[0], null);
        Assert.Equal(("reversed", "0.00", "-9.98"), (lost["status"], lost["payout"], lost["payout_change"]));
        Assert.Superset(gained.Keys.ToHashSet(StringComparer.Ordinal), Macros.All.ToHashSet(StringComparer.Ordinal));

        Dictionary<string, string> Values(string partner, PartnerCredit? before, PartnerCredit? after) =>
            JsonSerializer.Deserialize<Dictionary<string, string>>(Payload.Postback(s_revised, partner, before, after, around))!;
    }

    [Fact]
    public void Every_event_that_can_be_told_has_a_sample_that_is_marked_as_a_test()
    {
        foreach (var name in EventNames.All)
        {
            var (sample, conversion) = TestWebhook.Sample(name, "main", s_at, s_event)!.Value;
            using var body = JsonDocument.Parse(Payload.Webhook(sample, conversion, test: true));
            Assert.Equal(name, body.RootElement.GetProperty("type").GetString());
            Assert.True(body.RootElement.GetProperty("test").GetBoolean());
        }
    }

    [Fact]
    public void A_statement_tells_each_partner_in_each_currency_what_is_due_and_what_is_paid()
    {
        var closed = new StatementClosed
        {
            EventId = s_event, ProgramId = "main", OccurredAt = s_at, Period = "2026-02", Position = 12, Generation = 1, RulesVersion = 1, RulesHash = "abc", EngineVersion = "4",
            HoldDays = 30, PayableAsOf = "2026-03-01",
            Balances =
            [
                new StatementBalance
                {
                    PartnerId = "acme", Currency = "JPY", AmountMinor = 5_000, OpeningMinor = -100, EarnedMinor = 998, AdjustedMinor = -50, HeldMinor = 300, PayableMinor = 548, CarriedMinor = 300,
                },
            ],
        };

        Assert.Equal(
            $$$"""
            {"type":"statement.closed","id":"{{{s_event}}}","timestamp":"2026-03-01T09:30:15.25+00:00","program":"main","test":false,"data":{"id":"{{{s_event}}}","period":"2026-02","payableAsOf":"2026-03-01","balances":[{"partner":"acme","currency":"JPY","opening":"-100","earned":"998","adjusted":"-50","held":"300","payable":"548","carried":"300"}]}}
            """,
            Encoding.UTF8.GetString(Payload.Webhook(closed, conversion: null)));
    }

    private static PartnerCredit Credit(string partner, decimal share, long amount, long commission) =>
        new() { PartnerId = partner, Share = share, AmountMinor = amount, CommissionMinor = commission };

    private static ClickRecorded Click(Guid id, DateTimeOffset at, string sub) => new()
    {
        EventId = id, ProgramId = "main", OccurredAt = at, PartnerId = "bravo", Link = "bravo-link", Via = ClickVia.Redirect,
        SubIds = new Dictionary<string, string>(StringComparer.Ordinal) { ["sub1"] = sub },
    };
}
