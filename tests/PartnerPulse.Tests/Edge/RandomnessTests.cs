using PartnerPulse.Edge;

namespace PartnerPulse.Tests.Edge;

public sealed class RandomnessTests
{
    [Fact]
    public void A_click_id_is_a_version_7_uuid_of_its_moment()
    {
        var now = new DateTimeOffset(2026, 11, 22, 10, 20, 30, 456, TimeSpan.Zero);
        var id = Randomness.CreateVersion7(now);
        Assert.Equal((7, true), (id.Version, id.Variant is >= 8 and <= 11));
        Assert.StartsWith($"{now.ToUnixTimeMilliseconds():x12}", id.ToString("N"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_id_comes_twice_whichever_thread_asks()
    {
        var now = new DateTimeOffset(2026, 11, 22, 0, 0, 0, TimeSpan.Zero);
        var ids = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Enumerable.Range(0, 5_000).Select(_ => Randomness.CreateVersion7(now)).ToArray())));
        Assert.Equal(20_000, ids.SelectMany(i => i).Distinct().Count());
        var visitors = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Enumerable.Range(0, 5_000).Select(_ => VisitorCookie.NewId()).ToArray())));
        Assert.Equal(20_000, visitors.SelectMany(v => v).Distinct(StringComparer.Ordinal).Count());
    }
}
