using System.Runtime.InteropServices;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// One touch as the rules see it: numbers only, so that the touches of a million journeys fit in memory and are judged where they
/// lie. Names are found again in <see cref="FactNames"/>.
/// </summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct TouchFacts
{
    /// <summary>When it was clicked, in .NET ticks of UTC.</summary>
    public required long Ticks { get; init; }

    /// <summary>Number of the partner within its program.</summary>
    public required int Partner { get; init; }

    /// <summary>Number of what the request said of itself.</summary>
    public required int Request { get; init; }

    /// <summary>How it was found to belong to the conversion.</summary>
    public required Evidence Evidence { get; init; }

    /// <summary>One of touch and conversion is test traffic and the other is not.</summary>
    public required bool OtherTraffic { get; init; }

    /// <summary>It was clicked in another program than the conversion's.</summary>
    public required bool OtherProgram { get; init; }
}

/// <summary>One conversion as the rules see it. Money is in minor units of its currency.</summary>
[StructLayout(LayoutKind.Auto)]
public readonly record struct ConversionFacts
{
    /// <summary>In <see cref="CouponPartner"/>: nobody held a coupon of the conversion.</summary>
    public const int NoPartner = -1;

    /// <summary>When it happened, in .NET ticks of UTC.</summary>
    public required long Ticks { get; init; }

    public required long OriginalMinor { get; init; }

    /// <summary>After adjustments: never below zero nor above the original.</summary>
    public required long NetMinor { get; init; }

    /// <summary>Number of the currency.</summary>
    public required int Currency { get; init; }

    /// <summary>Number of the partner that held its coupon; <see cref="NoPartner"/> where none did.</summary>
    public required int CouponPartner { get; init; }

    /// <summary>Where its touches begin among those of the journey.</summary>
    public required int FirstTouch { get; init; }

    public required int TouchCount { get; init; }

    /// <summary>Number of its items; <see cref="FactNames.None"/> where it names none.</summary>
    public required int Items { get; init; }

    /// <summary>Number of the partners whose own purchase it is; <see cref="FactNames.None"/> where it is nobody's.</summary>
    public required int OwnPurchase { get; init; }

    public required ConversionKind Kind { get; init; }

    /// <summary>What the shop says; null where it says nothing.</summary>
    public required bool? NewCustomer { get; init; }

    /// <summary>The whole of it was called off, which an amount of zero cannot show.</summary>
    public required bool Cancelled { get; init; }

    /// <summary>It is the same sale as another conversion, and set aside.</summary>
    public required bool SameOrder { get; init; }
}

/// <summary>One part of a credited conversion in numbers: what <see cref="CreditPart"/> says in words.</summary>
/// <param name="Touch">Its place among all touches of the journey; <see cref="Coupon"/> where a coupon has it.</param>
/// <param name="Partner">Number of the partner.</param>
/// <param name="ShareUnits">10 to the power of <see cref="Judge.ShareDecimals"/> is a whole share.</param>
/// <param name="AmountMinor">Part of the net.</param>
/// <param name="CommissionMinor">Part of the partner's commission.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct CreditFacts(int Touch, int Partner, long ShareUnits, long AmountMinor, long CommissionMinor)
{
    /// <summary>In <see cref="Touch"/>: no touch stands for it.</summary>
    public const int Coupon = -1;

    /// <summary>0 to 1 with 18 decimals.</summary>
    public decimal Share => Split.ToShare(ShareUnits);
}

/// <summary>A journey as the rules see it.</summary>
/// <param name="conversions">The conversion, then the leads and signups that introduced its customer, in order.</param>
/// <param name="touches">Those of all of them, each one's in order.</param>
public readonly ref struct JourneyFacts(ReadOnlySpan<ConversionFacts> conversions, ReadOnlySpan<TouchFacts> touches)
{
    private readonly ReadOnlySpan<TouchFacts> _touches = touches;

    public ReadOnlySpan<ConversionFacts> Conversions { get; } = conversions;

    public ref readonly ConversionFacts Conversion => ref Conversions[0];

    /// <summary>Those of one of <see cref="Conversions"/>.</summary>
    public ReadOnlySpan<TouchFacts> TouchesOf(in ConversionFacts conversion) => _touches.Slice(conversion.FirstTouch, conversion.TouchCount);

    /// <summary>Writes a journey down as facts, after what the lists hold already; places among touches count from there.</summary>
    public static void Write(Journey journey, FactNames names, List<ConversionFacts> conversions, List<TouchFacts> touches)
    {
        var start = touches.Count;
        WriteOne(journey, names, conversions, touches, start);
        foreach (var lead in journey.Introductions)
        {
            WriteOne(lead, names, conversions, touches, start);
        }
    }

    private static void WriteOne(Journey journey, FactNames names, List<ConversionFacts> conversions, List<TouchFacts> touches, int start)
    {
        var conversion = journey.Conversion;
        conversions.Add(new ConversionFacts
        {
            Ticks = conversion.OccurredAt.UtcTicks,
            OriginalMinor = conversion.AmountMinor,
            NetMinor = Net.OfMinor(journey),
            Currency = names.Currency(conversion.Currency),
            CouponPartner = journey.CouponPartner is { } holder ? names.Partner(conversion.ProgramId, holder) : ConversionFacts.NoPartner,
            FirstTouch = touches.Count - start,
            TouchCount = journey.Touches.Length,
            Items = names.Items(conversion.Items),
            OwnPurchase = names.OwnPurchase(conversion.ProgramId, journey.OwnPurchaseOf),
            Kind = conversion.Kind,
            NewCustomer = conversion.NewCustomer,
            Cancelled = Net.IsCancelled(journey),
            SameOrder = journey.SameOrder is not null,
        });
        foreach (var touch in journey.Touches)
        {
            var click = touch.Click;
            touches.Add(new TouchFacts
            {
                Ticks = click.OccurredAt.UtcTicks,
                Partner = names.Partner(click.ProgramId, click.PartnerId),
                Request = names.Request(ClickRequest.Of(click)),
                Evidence = touch.Evidence,
                OtherTraffic = click.Test != conversion.Test,
                OtherProgram = click.ProgramId != conversion.ProgramId,
            });
        }
    }
}
