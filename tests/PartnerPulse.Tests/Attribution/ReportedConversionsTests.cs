using PartnerPulse.Attribution.Projection;
using PartnerPulse.Tests.AttributionCore;

namespace PartnerPulse.Tests.AttributionProjections;

/// <summary>A rebuild keeps what was reported of conversions as long as it is not too much.</summary>
public sealed class ReportedConversionsTests
{
    [Fact]
    public void It_is_whole_until_it_is_given_more_than_it_may_keep_and_then_keeps_nothing()
    {
        var (first, second) = (An.Conversion(1), An.Conversion(2));
        var reported = new ReportedConversions(most: 2);
        reported.Add([first, An.Click("acme", 1), second]);
        Assert.True(reported.IsWhole);
        Assert.Same(first, reported.Find(first.ConversionId));
        Assert.Empty(reported.AdjustmentsOf(first.ConversionId));

        var fourth = An.Conversion(4);
        reported.Add([An.Conversion(3)]);
        Assert.False(reported.IsWhole);
        Assert.Null(reported.Find(first.ConversionId));

        reported.Add([fourth]);
        Assert.False(reported.IsWhole);
        Assert.Null(reported.Find(fourth.ConversionId));
    }
}
