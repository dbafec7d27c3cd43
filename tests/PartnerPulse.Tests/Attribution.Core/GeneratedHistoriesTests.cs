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
        foreach (var given in Histories.All.Generator.Sample(10_000, new FsCheck.Rnd(7, 7), 100))
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

                var rules = given.Stack[decision.Place];
                var isLast = decision.Place == given.Stack.Count - 1;
                reached.Add(isLast ? "judged by the last" : $"judged by {rules.Scope.Applies}{(rules.Scope.NewCustomers ? " of new customers" : rules.Scope.Partner is null ? "" : " of a partner")}");
                if (decision.InheritedPlace is { } place && place != decision.Place)
                {
                    reached.Add("inherited from a lead under other rules");
                }

                foreach (var paid in decision.Paid)
                {
                    var entry = rules.Commission[paid.Entry];
                    reached.Add(entry.Product is null ? "paid" : "paid for a product");
                    reached.Add(entry.Group is null ? "paid" : "paid to a group");
                    reached.Add(entry.NewCustomer is null ? "paid" : $"paid for a new customer: {entry.NewCustomer}");
                    if (paid.CommissionMinor > 0 && entry.CapMinor == paid.CommissionMinor)
                    {
                        reached.Add("capped");
                    }

                    if (paid.CommissionMinor > 0 && entry.MinimumMinor == paid.CommissionMinor)
                    {
                        reached.Add("paid the minimum");
                    }
                }

                if (decision.Paid.DistinctBy(p => p.Entry).Count() > decision.Paid.DistinctBy(p => p.PartnerId).Count())
                {
                    reached.Add("paid by several entries");
                }

                if (decision.Touches.Any(t => t.StoppedBy == "outside-window" && rules.PartnerWindows.Any(w => w.Partner == t.Touch.Click.PartnerId)))
                {
                    reached.Add("outside a partner's own window");
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

        Assert.Empty(
            new HashSet<string>(StopReason.InOrder, StringComparer.Ordinal)
            {
                "credited", "counts", "no-touches", "ClickId", "VisitorCookie", "Customer", "forfeited",
                "shared by linear", "shared by position-based", "shared by time-decay", "shared by shapley",
                "partly refunded and shared", "wholly refunded", "paid for an order of nothing",
                "coupon: counts", "coupon: kind-not-credited", "coupon: coupon-ignored", "coupon: suspended-partner", "coupon: inherited", "coupon: coupon-fallback",
                "inherited by Sale", "inherited by Renewal", "inherited from a coupon", "given and forfeited",
                "coupon: self-referral", "judged by the last", "judged by ConversionsFrom", "judged by TouchesFrom", "judged by ConversionsFrom of new customers",
                "judged by ConversionsFrom of a partner", "judged by TouchesFrom of new customers", "judged by TouchesFrom of a partner",
                "judged by AllHistory of new customers", "judged by AllHistory of a partner", "inherited from a lead under other rules",
                "paid for a product", "paid to a group", "paid for a new customer: True", "paid for a new customer: False", "capped", "paid the minimum",
                "paid by several entries", "outside a partner's own window",
            }.Except(reached));
    }
}
