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
    public const string SuspendedPartner = "suspended-partner";
    public const string RepeatClick = "repeat-click";

    /// <summary>Those of a touch, in the order in which the rules are asked.</summary>
    public static ImmutableArray<string> InOrder { get; } =
    [
        SameOrder, KindNotCredited, EvidenceNotCounted, Test, WrongProgram, AfterConversion, OutsideWindow, Prefetch, Preview, Bot,
        Head, SuspendedPartner, RepeatClick,
    ];

    /// <summary>The touch that came furthest through the rules says best what was missing.</summary>
    internal static string MostTelling(ConversionRecorded conversion, Rules rules, ReadOnlySpan<TouchVerdict> verdicts)
    {
        if (!rules.Kinds.Contains(conversion.Kind))
        {
            return KindNotCredited;
        }

        var furthest = -1;
        foreach (var verdict in verdicts)
        {
            furthest = int.Max(furthest, InOrder.IndexOf(verdict.StoppedBy!));
        }

        return furthest < 0 ? NoTouches : InOrder[furthest];
    }
}
