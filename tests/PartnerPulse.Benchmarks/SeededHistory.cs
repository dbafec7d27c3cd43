using System.Globalization;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;

namespace PartnerPulse.Benchmarks;

/// <summary>
/// A seeded history as traffic is: about four clicks a visitor, skewed, over 120 days and 200 partners; two conversions in a
/// hundred clicks, each of a visitor that clicked.
/// </summary>
internal static class SeededHistory
{
    private const int Partners = 200;
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static IEnumerable<NewEvent> Events(int count, int conversionsInThousand) => Facts(count, conversionsInThousand).Select(IntakeWriter.ToNewEvent);

    public static IEnumerable<IEvent> Facts(int count, int conversionsInThousand)
    {
        var random = new Random(42);
        var visitors = Math.Max(1, count / 4);
        for (var i = 0; i < count; i++)
        {
            // The square gives few visitors many clicks and most of them few.
            var visitor = Visitor((int)(Math.Pow(random.NextDouble(), 2) * visitors));
            var at = s_start.AddSeconds(random.Next(120 * 86_400));
            yield return random.Next(1000) < conversionsInThousand ? Conversion(i, visitor, at) : Click(i, visitor, at, random);
        }
    }

    private static string Visitor(int number) => number.ToString("x32", CultureInfo.InvariantCulture);

    private static ClickRecorded Click(int number, string visitor, DateTimeOffset at, Random random) => new()
    {
        EventId = Ids.Derive("bench-click", number.ToString(CultureInfo.InvariantCulture)),
        ProgramId = "main",
        OccurredAt = at,
        PartnerId = $"partner-{random.Next(Partners)}",
        Link = $"link-{random.Next(1000)}",
        VisitorId = visitor,
        Destination = "https://shop.example/landing",
        Campaign = new Campaign { Source = "blog", Name = $"spring{random.Next(7)}" },
        Query = "utm_source=blog&utm_campaign=spring",
        ReferrerHost = "blog.example",
        UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        Via = ClickVia.Redirect,
    };

    private static ConversionRecorded Conversion(int number, string visitor, DateTimeOffset at) => Order("bench", number) with { VisitorId = visitor, OccurredAt = at };

    /// <summary>An order as a shop reports it.</summary>
    public static ConversionRecorded Order(string source, int number)
    {
        var order = number.ToString(CultureInfo.InvariantCulture);
        var id = Ids.Conversion("main", source, order);
        return new ConversionRecorded
        {
            EventId = id, ProgramId = "main", OccurredAt = s_start.AddSeconds(number), ConversionId = id, Kind = ConversionKind.Sale, Source = source, OrderId = order,
            VisitorId = Visitor(number), AmountMinor = 1_000 + (number % 20_000), Currency = "EUR",
        };
    }

    /// <summary>The same as the body of a request.</summary>
    public static string OrderJson(string source, int number)
    {
        var order = Order(source, number);
        return $$"""{"source":"{{order.Source}}","orderId":"{{order.OrderId}}","kind":"sale","occurredAt":"{{order.OccurredAt:O}}","amount":"{{Currency.Format(order.AmountMinor, order.Currency)}}","currency":"EUR","visitorId":"{{order.VisitorId}}"}""";
    }
}
