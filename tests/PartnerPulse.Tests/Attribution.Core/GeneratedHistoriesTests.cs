using FsCheck.Fluent;
using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>A property over histories that never reach a rule proves nothing about the rule.</summary>
public sealed class GeneratedHistoriesTests
{
    [Fact]
    public void Generated_histories_reach_every_reason_model_and_kind_of_split()
    {
        var reached = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var given in Histories.All.Generator.Sample(3_000, new FsCheck.Rnd(7, 7), 100))
        {
            foreach (var (journey, decision) in given.Decided())
            {
                reached.Add(decision.Reason ?? "credited");
                reached.UnionWith(decision.Touches.Select(t => t.StoppedBy ?? "counts"));
                reached.UnionWith(journey.Touches.Select(t => t.Evidence.ToString()));
                if (decision.Coupon is { } coupon)
                {
                    reached.Add($"coupon: {coupon.StoppedBy ?? "counts"}");
                }

                if (decision.InheritedFrom is not null)
                {
                    reached.Add(decision.Given is [{ Touch: null }] ? "inherited from a coupon" : $"inherited by {journey.Conversion.Kind}");
                }

                if (decision.Given.Any(g => g.Forfeited))
                {
                    reached.Add("given and forfeited");
                }

                if (decision.Touches.Any(t => t.Forfeited))
                {
                    reached.Add("forfeited");
                }

                if (decision.Partners.Length > 1)
                {
                    reached.Add($"shared by {given.Rules.Model.Kind}");
                }

                if (decision.NetMinor > 0 && decision.NetMinor < decision.OriginalMinor && decision.Partners.Length > 1)
                {
                    reached.Add("partly refunded and shared");
                }

                if (decision.OriginalMinor > 0 && decision.NetMinor == 0 && decision.Credited)
                {
                    reached.Add("wholly refunded");
                }

                if (decision.OriginalMinor == 0 && decision.Partners.Any(p => p.CommissionMinor > 0))
                {
                    reached.Add("paid for an order of nothing");
                }
            }
        }

        Assert.Superset(
            new HashSet<string>(StopReason.InOrder, StringComparer.Ordinal)
            {
                "credited", "counts", "no-touches", "ClickId", "VisitorCookie", "Customer", "forfeited",
                "shared by linear", "shared by position-based", "shared by time-decay", "shared by shapley",
                "partly refunded and shared", "wholly refunded", "paid for an order of nothing",
                "coupon: counts", "coupon: kind-not-credited", "coupon: coupon-ignored", "coupon: suspended-partner", "coupon: inherited", "coupon: coupon-fallback",
                "inherited by Sale", "inherited by Renewal", "inherited from a coupon", "given and forfeited",
            },
            reached);
    }
}
