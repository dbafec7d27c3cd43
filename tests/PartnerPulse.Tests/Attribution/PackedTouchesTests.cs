using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.Tests.AttributionCore;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionProjections;

/// <summary>What a journey keeps of its touches is all that anybody asks of them.</summary>
public sealed class PackedTouchesTests(ITestOutputHelper output)
{
    [Fact]
    public void A_packed_journey_gives_the_same_receipt_to_the_byte() =>
        Properties.Hold(output, Histories.All, 2_000, given =>
        {
            var history = History.Fold(given.Events);
            foreach (var journey in history.Journeys)
            {
                var bare = journey with { Touches = [], Introductions = [.. journey.Introductions.Select(lead => lead with { Touches = [] })] };
                var unpacked = PackedTouches.Unpack(bare, PackedTouches.Pack(journey));
                Assert.Equal(ReceiptOf(journey), ReceiptOf(unpacked));
            }

            byte[] ReceiptOf(Journey journey) =>
                Receipt.ToJson(Receipt.Of(journey, Crediting.Decide(journey, history.Standings, given.InForce), given.InForce));
        });

    [Fact]
    public void A_request_that_was_sent_before_costs_a_byte_and_what_the_rules_do_not_ask_costs_none()
    {
        var click = An.Click("acme", 3) with
        {
            UserAgent = TestBots.Browser, Link = "spring", Campaign = new Campaign { Name = "mai", Source = "blog" }, Query = new string('q', 1_000),
            Signals = new ClickSignals { Gpc = true, Consent = false },
        };
        var one = Journey([click]);
        var two = Journey([click, click with { EventId = Ids.Derive("packed", "2"), OccurredAt = click.OccurredAt.AddTicks(7), PartnerId = "bravo" }]);
        var (packed, more) = (PackedTouches.Pack(one), PackedTouches.Pack(two));
        Assert.True(packed.Length < 1_000, $"{packed.Length} bytes");
        Assert.Equal(25 + 1 + 1 + 5 + 1 + 1 + 1, more.Length - packed.Length);

        var touches = PackedTouches.Unpack(two with { Touches = [] }, more).Touches;
        Assert.Equal((click.EventId, click.OccurredAt, "acme", "spring", "mai"), Seen(touches[0].Click));
        Assert.Equal((Ids.Derive("packed", "2"), click.OccurredAt.AddTicks(7), "bravo", "spring", "mai"), Seen(touches[1].Click));
        Assert.Equal((click.UserAgent, click.Signals, click.Via), (touches[1].Click.UserAgent, touches[1].Click.Signals, touches[1].Click.Via));

        Assert.Throws<InvalidDataException>(() => PackedTouches.Unpack(one with { Touches = [] }, packed.AsSpan(..^1)));
        Assert.Throws<InvalidDataException>(() => PackedTouches.Unpack(one with { Touches = [] }, [.. packed, 0]));
    }

    private static (Guid Id, DateTimeOffset At, string Partner, string? Link, string? Campaign) Seen(ClickRecorded click) =>
        (click.EventId, click.OccurredAt, click.PartnerId, click.Link, click.Campaign?.Name);

    private static Journey Journey(ClickRecorded[] clicks) =>
        new(An.Conversion(100), [], [.. clicks.Select(c => new Touch(c, Evidence.VisitorCookie))], CouponPartner: null, []);
}
