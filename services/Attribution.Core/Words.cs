using System.Diagnostics;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>The words of rule documents and receipts.</summary>
internal static class Words
{
    /// <summary>The version of the list, or <c>include</c> where none judges.</summary>
    public static string Of(Bots bots) => bots.List?.Version ?? "include";

    public static string Of(Machine machine) => machine switch
    {
        Machine.Prefetch => StopReason.Prefetch,
        Machine.Preview => StopReason.Preview,
        Machine.Bot => StopReason.Bot,
        Machine.Head => StopReason.Head,
        _ => throw new UnreachableException(machine.ToString()),
    };

    public static string Of(SuspendedPartners suspended) => suspended switch
    {
        SuspendedPartners.PassOn => "pass-on",
        SuspendedPartners.Forfeit => "forfeit",
        _ => throw new UnreachableException(suspended.ToString()),
    };

    public static string Of(ConsentUse use) => use switch
    {
        ConsentUse.Ignore => "ignore",
        ConsentUse.Require => "require",
        _ => throw new UnreachableException(use.ToString()),
    };

    public static string Of(SelfReferrals use) => use switch
    {
        SelfReferrals.Exclude => "exclude",
        SelfReferrals.Include => "include",
        _ => throw new UnreachableException(use.ToString()),
    };

    public static string Of(ScopeTime time) => time switch
    {
        ScopeTime.ConversionsFrom => "conversions-from",
        ScopeTime.TouchesFrom => "touches-from",
        ScopeTime.AllHistory => "all-history",
        _ => throw new UnreachableException(time.ToString()),
    };

    public static string Of(CouponUse use) => use switch
    {
        CouponUse.Fallback => "fallback",
        CouponUse.Override => "override",
        CouponUse.Ignore => "ignore",
        _ => throw new UnreachableException(use.ToString()),
    };

    public static string Of(ConversionKind kind) => kind switch
    {
        ConversionKind.Lead => "lead",
        ConversionKind.Signup => "signup",
        ConversionKind.Sale => "sale",
        ConversionKind.Renewal => "renewal",
        _ => throw new UnreachableException(kind.ToString()),
    };

    public static string Of(Evidence evidence) => evidence switch
    {
        Evidence.ClickId => "click-id",
        Evidence.VisitorCookie => "visitor-cookie",
        Evidence.Customer => "customer",
        _ => throw new UnreachableException(evidence.ToString()),
    };

    public static string Of(AdjustmentReason reason) => reason switch
    {
        AdjustmentReason.Refund => "refund",
        AdjustmentReason.Chargeback => "chargeback",
        AdjustmentReason.Cancellation => "cancellation",
        AdjustmentReason.Correction => "correction",
        _ => throw new UnreachableException(reason.ToString()),
    };
}
