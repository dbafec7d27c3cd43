using FsCheck;
using FsCheck.Fluent;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Partners;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.Partners;

/// <summary>Decisions about coupons, without I/O.</summary>
public sealed class CouponTests(ITestOutputHelper output)
{
    private static readonly DateTimeOffset s_now = new(2026, 11, 22, 9, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Whatever_is_asked_one_partner_at_most_holds_a_code_and_whoever_held_it_still_did()
    {
        var asks =
            from day in Gen.Choose(0, 20)
            from partner in Gen.Elements("acme", "bravo", "")
            from length in Gen.Elements<int?>(null, 1, 2, 5)
            from ahead in Gen.Choose(-5, 5)
            select (Day: day, Partner: partner, Length: length, Ahead: ahead);
        Properties.Hold(output, Arb.From(Gen.ListOf(asks)), 1_000, given =>
        {
            Coupon? coupon = null;
            var number = 0;
            foreach (var (day, partner, length, ahead) in given.OrderBy(a => a.Day))
            {
                var (now, from) = (s_now.AddDays(day), s_now.AddDays(day + ahead));
                var before = coupon;
                Decision decision = partner.Length == 0
                    ? WithdrawCoupon.Decide(coupon, "main", now)
                    : AssignCoupon.Decide(
                        coupon, new AssignCoupon.Asked("SPRING", partner, from, FromGiven: true, length is { } days ? from.AddDays(days) : null), "main", now,
                        Ids.Derive("test", $"{number++}"));
                coupon = decision.Events.Aggregate(coupon, Coupon.Evolve);

                for (var hour = -6 * 24; hour < 40 * 24; hour += 12)
                {
                    var at = s_now.AddHours(hour);
                    var holding = (coupon?.Assignments ?? []).Where(a => a.From <= at && at < a.End).ToArray();
                    Assert.True(holding.Length <= 1);
                    if (decision is WithdrawCoupon.Withdrawn)
                    {
                        Assert.Equal(at < now ? before?.HolderAt(at)?.PartnerId : null, coupon?.HolderAt(at)?.PartnerId);
                    }
                    else if (before?.HolderAt(at) is { } held)
                    {
                        Assert.Equal(held, coupon?.HolderAt(at));
                    }
                }

                if (decision is AssignCoupon.Assigned assigned)
                {
                    Assert.Equal(assigned.Event.PartnerId, coupon!.HolderAt(assigned.Event.From)!.PartnerId);
                }
            }
        });
    }

    [Fact]
    public void The_same_again_is_told_from_the_same_otherwise_and_from_anothers()
    {
        var asked = new AssignCoupon.Asked("SPRING", "acme", s_now, FromGiven: false, Until: null);
        var coupon = Coupon.Evolve(coupon: null, Assert.IsType<AssignCoupon.Assigned>(AssignCoupon.Decide(coupon: null, asked, "main", s_now, Guid.NewGuid())).Event);

        Assert.IsType<AssignCoupon.AlreadyAssigned>(AssignCoupon.Decide(coupon, asked with { From = s_now.AddDays(1) }, "main", s_now, Guid.NewGuid()));
        Assert.Equal(["from", "until"], Assert.IsType<AssignCoupon.AssignedDifferently>(AssignCoupon.Decide(
            coupon, asked with { From = s_now.AddDays(1), FromGiven = true, Until = s_now.AddDays(2) }, "main", s_now, Guid.NewGuid())).Differences.Select(d => d.Field));
        Assert.Equal("acme", Assert.IsType<AssignCoupon.HeldByAnother>(AssignCoupon.Decide(coupon, asked with { PartnerId = "bravo" }, "main", s_now, Guid.NewGuid())).Assignment.PartnerId);
        Assert.IsType<WithdrawCoupon.NoSuchCoupon>(WithdrawCoupon.Decide(coupon: null, "main", s_now));
    }

    [Fact]
    public void What_is_wrong_with_a_request_is_told_all_at_once()
    {
        var checks = new Checks(TimeProvider.System);
        Assert.Null(AssignCoupon.Read(new AssignCouponAsk { Code = "a/b", From = s_now, Until = s_now }, checks, s_now));
        Assert.Equal(["code", "partner", "until"], checks.Faults.Select(f => f.Field));
    }
}
