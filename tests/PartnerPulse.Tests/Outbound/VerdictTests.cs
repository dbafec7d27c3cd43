using PartnerPulse.Outbound;

namespace PartnerPulse.Tests.Outbound;

public class VerdictTests
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly OutboundOptions s_options = new();

    [Theory]
    [InlineData(200)]
    [InlineData(204)]
    [InlineData(299)]
    public void Any_success_is_taken(int status) => Assert.IsType<Verdict.Taken>(Decide(1, new Answer(status, "")));

    [Fact]
    public void Gone_is_gone_at_once() => Assert.IsType<Verdict.Gone>(Decide(1, new Answer(410, "")));

    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 15)]
    [InlineData(3, 45)]
    [InlineData(8, 10_935)]
    [InlineData(9, 21_600)]
    [InlineData(500, 21_600)]
    public void Pauses_triple_up_to_the_longest(int attempts, int seconds)
    {
        Assert.Equal(s_now.AddSeconds(seconds), Assert.IsType<Verdict.Again>(Decide(attempts, new Answer(500, ""))).DueAt);
        Assert.Equal(s_now.AddSeconds(0.8 * seconds), Assert.IsType<Verdict.Again>(Decide(attempts, new Answer(null, ""), jitter: 0)).DueAt, TimeSpan.FromMilliseconds(1));
        Assert.Equal(s_now.AddSeconds(1.2 * seconds), Assert.IsType<Verdict.Again>(Decide(attempts, new Answer(302, ""), jitter: 1)).DueAt, TimeSpan.FromMilliseconds(1));
    }

    [Fact]
    public void A_receiver_that_asks_to_be_left_alone_is_left_alone_within_reason()
    {
        Assert.Equal(s_now.AddMinutes(10), Assert.IsType<Verdict.Again>(Decide(1, new Answer(429, "", TimeSpan.FromMinutes(10)))).DueAt);
        Assert.Equal(s_now.AddHours(6), Assert.IsType<Verdict.Again>(Decide(1, new Answer(503, "", TimeSpan.FromDays(10_000)))).DueAt);
        Assert.Equal(s_now.AddSeconds(5), Assert.IsType<Verdict.Again>(Decide(1, new Answer(503, "", TimeSpan.FromSeconds(-1)))).DueAt);
    }

    [Fact]
    public void It_is_given_up_after_enough_failures_over_enough_time()
    {
        Assert.IsType<Verdict.Again>(Decide(11, new Answer(500, ""), first: s_now.AddDays(-3)));
        Assert.IsType<Verdict.Again>(Decide(12, new Answer(500, ""), first: s_now.AddHours(-23)));
        Assert.IsType<Verdict.GivenUp>(Decide(12, new Answer(500, ""), first: s_now.AddHours(-24)));
    }

    [Fact]
    public void One_that_is_enabled_again_goes_on_where_it_stopped_or_where_it_is_told_to()
    {
        var disabled = A.Webhook with { Enabled = false, DisabledReason = "the receiver answered 410 Gone", FailingSince = s_now };

        var on = ChangeWebhook.Decide(disabled, new ChangeWebhookAsk { Enabled = true }, events: null, now: 100);
        Assert.Equal((true, null, null, 7), (on.Enabled, on.DisabledReason, on.FailingSince, on.Position));
        Assert.Equal(100, ChangeWebhook.Decide(disabled, new ChangeWebhookAsk { Enabled = true, SkipMissed = true }, events: null, now: 100).Position);
        Assert.Equal("the receiver answered 410 Gone", ChangeWebhook.Decide(disabled, new ChangeWebhookAsk { Enabled = false }, events: null, now: 100).DisabledReason);
    }

    private static Verdict Decide(int attempts, Answer answer, double jitter = 0.5, DateTimeOffset? first = null) =>
        Verdict.Decide(attempts, first ?? s_now, answer, s_now, jitter, s_options);
}
