using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using PartnerPulse.Contracts;
using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public class RateLimitsTests
{
    private const string Visitor = "203.0.113.7";

    private readonly ManualTime _time = new();

    [Fact]
    public void Clicks_beyond_the_first_limit_are_marked_and_beyond_the_second_refused()
    {
        var limits = Limits(mark: 5, refuse: 8);
        var taken = Take(limits, Visitor, 10);
        Assert.Equal([false, false, false, false, false, true, true, true, false, false], taken.Select(t => t.Burst));
        Assert.Equal([false, false, false, false, false, false, false, false, true, true], taken.Select(t => t.Refused));
        Assert.Equal(10, taken[^1].RetryAfterSeconds);
    }

    [Fact]
    public void The_window_slides_and_who_waits_as_long_as_told_is_taken_again()
    {
        var limits = Limits(mark: 0, refuse: 10);
        Assert.DoesNotContain(Take(limits, Visitor, 6), t => t.Refused);
        _time.Pass(TimeSpan.FromSeconds(6));
        Assert.DoesNotContain(Take(limits, Visitor, 4), t => t.Refused);
        var refused = Take(limits, Visitor, 1)[0];
        Assert.Equal(4, refused.RetryAfterSeconds);

        _time.Pass(TimeSpan.FromSeconds(refused.RetryAfterSeconds));
        Assert.Equal(6, Take(limits, Visitor, 10).Count(t => !t.Refused));
        _time.Pass(TimeSpan.FromSeconds(10));
        Assert.Equal(10, Take(limits, Visitor, 20).Count(t => !t.Refused));
    }

    [Fact]
    public void In_no_ten_seconds_are_more_taken_than_the_limit_however_they_come()
    {
        var random = new Random(20261122);
        var limits = Limits(mark: 0, refuse: 50);
        var taken = new List<long>();
        for (var i = 0; i < 20_000; i++)
        {
            _time.Pass(TimeSpan.FromMilliseconds(random.Next(100) == 0 ? random.Next(20_000) : random.Next(100)));
            if (!Take(limits, Visitor, 1)[0].Refused)
            {
                taken.Add(_time.GetTimestamp());
            }
        }

        // The window is half a second shorter than ten at least.
        Assert.All(Enumerable.Range(50, taken.Count - 50), i => Assert.True(taken[i] - taken[i - 50] >= TimeSpan.FromSeconds(9.5).Ticks));
        Assert.InRange(taken.Count, 1_000, 19_999);
    }

    [Fact]
    public void A_network_is_limited_as_one_and_others_are_not_with_it()
    {
        var limits = Limits(mark: 0, refuse: 4);
        foreach (var address in new[] { "203.0.113.1", "203.0.113.254", "::ffff:203.0.113.9", "203.0.113.2" })
        {
            Assert.False(Take(limits, address, 1)[0].Refused);
        }

        Assert.True(Take(limits, "203.0.113.77", 1)[0].Refused);
        Assert.False(Take(limits, "203.0.114.1", 1)[0].Refused);
        Assert.Equal(4, Take(limits, "2001:db8:1:2::1", 3).Concat(Take(limits, "2001:db8:1:ffff::2", 3)).Count(t => !t.Refused));
        Assert.False(Take(limits, "2001:db8:2::1", 1)[0].Refused);
    }

    [Fact]
    public void A_clock_that_somebody_sets_changes_nothing()
    {
        var limits = Limits(mark: 0, refuse: 3);
        Assert.DoesNotContain(Take(limits, Visitor, 3), t => t.Refused);
        foreach (var hours in new[] { 5, -48, 24 * 365 })
        {
            _time.Wall = _time.Wall.AddHours(hours);
            Assert.True(Take(limits, Visitor, 1)[0].Refused);
        }

        _time.Pass(TimeSpan.FromSeconds(10));
        _time.Wall = _time.Wall.AddYears(-30);
        Assert.False(Take(limits, Visitor, 1)[0].Refused);
    }

    [Fact]
    public void A_flood_from_countless_networks_does_not_wash_out_the_count_of_a_busy_one()
    {
        var limits = Limits(mark: 0, refuse: 100);
        Take(limits, Visitor, 100);
        for (var i = 0; i < 500_000; i++)
        {
            Take(limits, new IPAddress([(byte)(1 + (i >> 16)), (byte)(i >> 8), (byte)i, 1]).ToString(), 1);
        }

        Assert.True(Take(limits, Visitor, 1)[0].Refused);
    }

    [Fact]
    public async Task Many_threads_at_once_are_counted_exactly()
    {
        var limits = Limits(mark: 1_000, refuse: 4_000);
        var network = ClientNetwork.Of(IPAddress.Parse(Visitor))!.Value;
        var all = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Enumerable.Range(0, 1_000).Select(_ => limits.Take(network)).ToArray())));
        Assert.Equal((4_000, 3_000), (all.SelectMany(a => a).Count(a => a.Refused), all.SelectMany(a => a).Count(a => a.Burst)));
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.9.8.7")]
    [InlineData("172.31.0.1")]
    [InlineData("192.168.1.1")]
    [InlineData("100.64.3.2")]
    [InlineData("169.254.9.9")]
    [InlineData("::1")]
    [InlineData("fd00::1")]
    [InlineData("fe80::1")]
    public void A_proxy_that_nobody_listed_is_not_refused_unless_private_addresses_are_limited_too(string address)
    {
        Assert.All(Take(Limits(mark: 1, refuse: 2), address, 10), t => Assert.Equal(default, t));
        Assert.Equal(2, Take(Limits(mark: 1, refuse: 2, isPrivate: true), address, 10).Count(t => !t.Refused));
    }

    [Fact]
    public void Zero_turns_a_limit_off()
    {
        Assert.All(Take(Limits(mark: 0, refuse: 0), Visitor, 5_000), t => Assert.Equal(default, t));
        Assert.All(Take(Limits(mark: 1, refuse: 0), Visitor, 5_000).Skip(1), t => Assert.True(t.Burst));
    }

    [Fact]
    public void A_busy_network_allocates_nothing()
    {
        var limits = Limits(mark: 0, refuse: 1_000_000);
        var network = ClientNetwork.Of(IPAddress.Parse(Visitor))!.Value;
        limits.Take(network);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
        {
            limits.Take(network);
        }

        // The smallest object of a click would make 240,000; what the runtime makes for itself in between is not ours.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 24_000);
    }

    [Fact]
    public void A_mark_joins_the_signals_of_the_request()
    {
        var burst = new Allowance(Burst: true, 0);
        Assert.Equal(new ClickSignals { Burst = true }, burst.Mark(null));
        Assert.Equal(new ClickSignals { Burst = true, Method = "HEAD" }, burst.Mark(new ClickSignals { Method = "HEAD" }));
        Assert.Null(default(Allowance).Mark(null));
    }

    private static Allowance[] Take(RateLimits limits, string address, int times)
    {
        var network = ClientNetwork.Of(IPAddress.Parse(address))!.Value;
        return [.. Enumerable.Range(0, times).Select(_ => limits.Take(network))];
    }

    private RateLimits Limits(int mark, int refuse, bool isPrivate = false) =>
        new(new LimitOptions { MarkAbove = mark, RefuseAbove = refuse, Private = isPrivate }, _time, NullLogger<RateLimits>.Instance);
}
