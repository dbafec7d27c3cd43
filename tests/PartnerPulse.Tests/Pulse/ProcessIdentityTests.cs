using System.Diagnostics;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Tests.Pulse;

public class ProcessIdentityTests
{
    [Fact]
    public void This_process_is_alive_and_the_same_each_time_it_is_asked()
    {
        Assert.True(ProcessIdentity.Current.IsAlive);
        Assert.Equal(ProcessIdentity.Current, ProcessIdentity.Of(Environment.ProcessId));
    }

    [Fact]
    public async Task A_process_that_ended_is_not_alive()
    {
        using var process = Process.Start("sleep", "60");
        var identity = ProcessIdentity.Of(process.Id)!;
        process.Kill();
        await process.WaitForExitAsync();

        Assert.False(identity.IsAlive);
    }

    [Theory]
    [InlineData("4242 (sleep) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 991 20", "991")]
    [InlineData("4242 (a) R (b c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 991 20", "991")]
    [InlineData("4242 (sleep) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 991 20", null)]
    [InlineData("4242 (sleep", null)]
    [InlineData("", null)]
    public void The_start_is_read_behind_a_name_that_may_hold_anything_and_a_zombie_has_none(string stat, string? start) =>
        Assert.Equal(start, ProcessIdentity.ParseStat(stat));
}
