using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>Why a touch does not compete, or a conversion has no credit. The words of receipts; a word never changes meaning.</summary>
public static class StopReason
{
    /// <summary>The conversion is the same sale as another one, reported another way.</summary>
    public const string SameOrder = "same-order";

    /// <summary>The rules do not credit conversions of this kind at all.</summary>
    public const string KindNotCredited = "kind-not-credited";

    /// <summary>No click belongs to the conversion.</summary>
    public const string NoTouches = "no-touches";

    /// <summary>The coupon of the conversion decides, and no touch is asked.</summary>
    public const string CouponOverride = "coupon-override";

    /// <summary>The shares are those of the lead or signup that introduced the customer, and no touch or coupon is asked.</summary>
    public const string Inherited = "inherited";

    /// <summary>Of a coupon: the rules let coupons count for nothing.</summary>
    public const string CouponIgnored = "coupon-ignored";

    /// <summary>Of a coupon: it counts only where no touch does, and one does.</summary>
    public const string CouponFallback = "coupon-fallback";

    /// <summary>The touch was found only in a way that the rules do not count.</summary>
    public const string EvidenceNotCounted = "evidence-not-counted";

    public const string Test = "test";
    public const string WrongProgram = "wrong-program";
    public const string AfterConversion = "after-conversion";
    public const string OutsideWindow = "outside-window";
    public const string Prefetch = "prefetch";
    public const string Preview = "preview";
    public const string Bot = "bot";
    public const string Head = "head";

    /// <summary>The rules require consent, and the visitor refused it.</summary>
    public const string NoConsent = "no-consent";
    public const string SuspendedPartner = "suspended-partner";

    /// <summary>The customer of the conversion is the partner itself.</summary>
    public const string SelfReferral = "self-referral";
    public const string RepeatClick = "repeat-click";

    /// <summary>Those of a touch, in the order in which the rules are asked.</summary>
    public static ImmutableArray<string> InOrder { get; } =
    [
        SameOrder, KindNotCredited, CouponOverride, Inherited, EvidenceNotCounted, Test, WrongProgram, AfterConversion, OutsideWindow, Prefetch, Preview, Bot,
        Head, NoConsent, SuspendedPartner, SelfReferral, RepeatClick,
    ];

    /// <summary>The word; null for <see cref="Stop.None"/>.</summary>
    internal static string? Of(Stop stop) => stop == Stop.None ? null : InOrder[(int)stop - 1];

    internal static Stop Of(string reason) => (Stop)(InOrder.IndexOf(reason) + 1);
}

/// <summary>The reasons of <see cref="StopReason.InOrder"/> as numbers, in its order; each is named as its word is written.</summary>
internal enum Stop : byte
{
    /// <summary>It competes.</summary>
    None,
    SameOrder,
    KindNotCredited,
    CouponOverride,
    Inherited,
    EvidenceNotCounted,
    Test,
    WrongProgram,
    AfterConversion,
    OutsideWindow,
    Prefetch,
    Preview,
    Bot,
    Head,
    NoConsent,
    SuspendedPartner,
    SelfReferral,
    RepeatClick,

    /// <summary>No rule was asked yet.</summary>
    NotAsked = byte.MaxValue,
}
