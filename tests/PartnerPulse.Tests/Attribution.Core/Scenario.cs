using System.Collections.Immutable;
using System.Globalization;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>Facts for examples. Everybody is the same visitor unless said otherwise; times count back from <see cref="Now"/>.</summary>
internal static class An
{
    public static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private static int s_next;

    /// <summary>A click of the one visitor; a later one in the code has the higher id.</summary>
    public static ClickRecorded Click(string partner, double daysBefore = 1, string? visitor = "visitor-1") => new()
    {
        EventId = NextId(),
        ProgramId = "default",
        OccurredAt = Now - TimeSpan.FromTicks((long)(daysBefore * TimeSpan.TicksPerDay)),
        PartnerId = partner,
        VisitorId = visitor,
        UserAgent = TestBots.Browser,
        Via = ClickVia.Redirect,
    };

    public static ConversionRecorded Conversion(long amountMinor, string currency = "EUR", string? visitor = "visitor-1")
    {
        var order = NextId().ToString("N");
        var id = Ids.Conversion("default", "shop", order);
        return new ConversionRecorded
        {
            EventId = id,
            ConversionId = id,
            ProgramId = "default",
            OccurredAt = Now,
            Kind = ConversionKind.Sale,
            Source = "shop",
            OrderId = order,
            VisitorId = visitor,
            AmountMinor = amountMinor,
            Currency = currency,
        };
    }

    public static ConversionAdjusted Adjustment(
        ConversionRecorded conversion, long amountMinor, AdjustmentReason reason = AdjustmentReason.Refund, string? currency = null)
    {
        var adjustmentId = NextId().ToString("N");
        return new ConversionAdjusted
        {
            EventId = Ids.Adjustment(conversion.ConversionId, adjustmentId),
            ProgramId = conversion.ProgramId,
            OccurredAt = Now.AddDays(1),
            ConversionId = conversion.ConversionId,
            Source = conversion.Source,
            OrderId = conversion.OrderId,
            AdjustmentId = adjustmentId,
            AmountMinor = amountMinor,
            Currency = currency ?? conversion.Currency,
            Reason = reason,
        };
    }

    public static PartnerSuspended Suspension(string partner, double daysBefore) => new()
    {
        EventId = NextId(),
        ProgramId = "default",
        OccurredAt = Now.AddDays(-daysBefore),
        PartnerId = partner,
    };

    public static PartnerReinstated Reinstatement(string partner, double daysBefore) => new()
    {
        EventId = NextId(),
        ProgramId = "default",
        OccurredAt = Now.AddDays(-daysBefore),
        PartnerId = partner,
    };

    public static CouponAssigned Coupon(string partner, double fromDaysBefore = 30, double? untilDaysBefore = null) => new()
    {
        EventId = NextId(),
        ProgramId = "default",
        OccurredAt = Now.AddDays(-40),
        PartnerId = partner,
        Code = "SPRING10",
        From = Now.AddDays(-fromDaysBefore),
        Until = untilDaysBefore is { } days ? Now.AddDays(-days) : null,
    };

    public static CouponWithdrawn Withdrawal(CouponAssigned coupon, double daysBefore) => new()
    {
        EventId = NextId(),
        ProgramId = coupon.ProgramId,
        OccurredAt = Now.AddDays(-daysBefore),
        PartnerId = coupon.PartnerId,
        Code = coupon.Code,
        AssignmentId = coupon.EventId,
    };

    public static VisitorIdentified Identity(string customer, string? visitor, Guid? clickId = null) => new()
    {
        EventId = Ids.Identity("default", customer, visitor, clickId),
        ProgramId = "default",
        OccurredAt = Now.AddDays(100),
        CustomerKey = customer,
        VisitorId = visitor,
        ClickId = clickId,
    };

    public static Expected Credit(string partner, long amountMinor, long? commissionMinor = null) => new(partner, amountMinor, commissionMinor);

    public static Guid NextId() =>
        new(Interlocked.Increment(ref s_next).ToString("x32", CultureInfo.InvariantCulture));

    internal sealed record Expected(string Partner, long AmountMinor, long? CommissionMinor);
}

/// <summary>Given facts, when a conversion comes, then so is its credit.</summary>
internal static class Given
{
    public static Before Events(params ImmutableArray<IEvent> events) => new(events);

    internal sealed record Before(ImmutableArray<IEvent> Facts)
    {
        public Outcome When(ConversionRecorded conversion, params IEnumerable<ConversionAdjusted> adjustments) =>
            new([.. Facts, conversion, .. adjustments], conversion.ConversionId, TestBots.Default);
    }
}

/// <summary>What is decided of one conversion.</summary>
internal sealed record Outcome(ImmutableArray<IEvent> Facts, Guid ConversionId, Rules Rules)
{
    private History History => History.Fold(Facts);

    public Journey Journey => History.Journeys.Single(j => j.Conversion.ConversionId == ConversionId);

    public Decision Decision => Crediting.Decide(Journey, History.Standings, Rules);

    public ConversionReceipt Receipt => PartnerPulse.Attribution.Core.Receipt.Of(Journey, Decision, RulesInForce.Only(Rules, version: 3));

    public Outcome Under(Rules rules) => this with { Rules = rules };

    public Outcome Under(Model model, int repeatMinutes = 0) => Under(TestBots.Default with { Model = model, RepeatMinutes = repeatMinutes });

    /// <summary>Exactly these partners have credit, with these amounts.</summary>
    public Outcome Then(params ReadOnlySpan<An.Expected> expected)
    {
        var wanted = expected.ToArray();
        Assert.Equal(
            wanted.Select(e => (e.Partner, e.AmountMinor, e.CommissionMinor)),
            Decision.Partners.Select((p, i) => (p.PartnerId, p.AmountMinor, wanted.Length > i && wanted[i].CommissionMinor is null ? null : (long?)p.CommissionMinor)));
        return this;
    }

    public Outcome ThenNobody(string reason)
    {
        Assert.False(Decision.Credited);
        Assert.Equal(reason, Decision.Reason);
        Assert.Empty(Decision.Partners);
        Assert.All(Decision.Touches, touch => Assert.Equal((0m, 0L, 0L), (touch.Share, touch.AmountMinor, touch.CommissionMinor)));
        return this;
    }

    /// <summary>What stopped each touch, in order; null for a candidate.</summary>
    public Outcome ThenStopped(params ReadOnlySpan<string?> reasons)
    {
        Assert.Equal(reasons.ToArray(), Decision.Touches.Select(t => t.StoppedBy));
        return this;
    }
}
