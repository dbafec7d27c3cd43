using System.Runtime.InteropServices;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Attribution.WhatIf;
using PartnerPulse.Contracts;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// A seeded history for replays, as numbers: five clicks a visitor, skewed, over 180 days and 200 partners of unequal size; conversions of
/// visitors of any kind, most of whom clicked. The same numbers come again however often they are asked for, so that no click need
/// be kept.
/// </summary>
internal sealed class ReplayHistory(int clicks, int conversions)
{
    public const int Partners = 200;

    private const int ClicksOfAVisitor = 5;
    private const int Seed = 20_261_122;
    private const long Microseconds = 1_000_000;
    private const long LastClick = 180 * 86_400 * Microseconds;

    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [StructLayout(LayoutKind.Auto)]
    public readonly record struct Click(int Visitor, long At, int Partner);

    [StructLayout(LayoutKind.Auto)]
    public readonly record struct Order(int Number, int Visitor, long At, long AmountMinor);

    private int Visitors => Math.Max(1, clicks / ClicksOfAVisitor);

    /// <summary>Times are microseconds after the beginning.</summary>
    public IEnumerable<Click> Clicks()
    {
        var random = new Random(Seed);
        for (var i = 0; i < clicks; i++)
        {
            // The square gives few visitors many clicks and most of them few; few partners many and most of them few.
            var visitor = (int)(Math.Pow(random.NextDouble(), 2) * Visitors);
            var at = random.NextInt64(LastClick);
            yield return new Click(visitor, at, (int)(Math.Pow(random.NextDouble(), 2) * Partners));
        }
    }

    public IEnumerable<Order> Orders()
    {
        var random = new Random(Seed + 1);
        for (var i = 0; i < conversions; i++)
        {
            yield return new Order(i, random.Next(Visitors), random.NextInt64(LastClick), 500 + random.Next(20_000));
        }
    }

    /// <summary>The journeys of those who converted, as the service packs them.</summary>
    public JourneyPack Pack()
    {
        var byVisitor = new Dictionary<int, List<Click>>();
        foreach (var order in Orders())
        {
            byVisitor.TryAdd(order.Visitor, []);
        }

        foreach (var click in Clicks())
        {
            if (byVisitor.TryGetValue(click.Visitor, out var own))
            {
                own.Add(click);
            }
        }

        var pack = new JourneyPack();
        var partners = Enumerable.Range(0, Partners).Select(partner => pack.Names.Partner("main", NameOf(partner))).ToArray();
        var request = pack.Names.Request(new ClickRequest("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Signals: null, Imported: false));
        var euro = pack.Names.Currency("EUR");
        foreach (var order in Orders())
        {
            var touches = byVisitor[order.Visitor].OrderBy(click => click.At).Select(click => new TouchFacts
            {
                Ticks = TicksOf(click.At), Partner = partners[click.Partner], Request = request, Evidence = Evidence.VisitorCookie, OtherTraffic = false, OtherProgram = false,
            }).ToArray();
            pack.Put(
                new JourneyKey(order.Number + 1, Ids.Derive("bench-order", order.Number.ToString(System.Globalization.CultureInfo.InvariantCulture))),
                test: false,
                [
                    new ConversionFacts
                    {
                        Ticks = TicksOf(order.At), OriginalMinor = order.AmountMinor, NetMinor = order.AmountMinor, Currency = euro,
                        CouponPartner = ConversionFacts.NoPartner, FirstTouch = 0, TouchCount = touches.Length, Items = FactNames.None, OwnPurchase = FactNames.None,
                        Kind = ConversionKind.Sale, NewCustomer = null, Cancelled = false,
                        SameOrder = false,
                    },
                ],
                touches,
                touches.Select((_, i) => new TouchName(new Guid(order.Number, 0, 0, 0, 0, 0, 0, 0, 0, 0, (byte)i), FactNames.None, FactNames.None)).ToArray());
        }

        return pack;
    }

    public static string NameOf(int partner) => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"partner-{partner}");

    private static long TicksOf(long microseconds) => s_start.UtcTicks + (microseconds * TimeSpan.TicksPerMicrosecond);
}
