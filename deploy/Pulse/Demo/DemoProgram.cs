using System.Globalization;
using PartnerPulse.Contracts;

namespace PartnerPulse.Pulse.Demo;

/// <summary>A link of a demo partner.</summary>
internal sealed record DemoLink(string Slug, string Destination, string Campaign);

/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Opens">How often people meet the shop through it.</param>
/// <param name="Closes">How often people come through it right before they buy.</param>
/// <param name="Links">Its links.</param>
/// <param name="Referrer">The page people come from.</param>
internal sealed record DemoPartner(string Id, string Name, double Opens, double Closes, IReadOnlyList<DemoLink> Links, string Referrer)
{
    public string Destination => DemoProgram.Shop + "/?from=" + Id;
}

internal sealed record DemoClick(
    string ClickId, string Partner, string Link, string VisitorId, DateTimeOffset OccurredAt, string LandingUrl, string Referrer, string UserAgent, string Campaign);

internal sealed record DemoOrder(
    string Source, string OrderId, string Kind, DateTimeOffset OccurredAt, string Amount, string Currency, string? VisitorId, string? ClickId, string? Customer);

internal sealed record DemoRefund(string OrderId, string Id, string Amount, string Reason, DateTimeOffset OccurredAt);

/// <param name="Percent">Of the partner's part.</param>
/// <param name="Partner">Whose; everybody's where absent.</param>
internal sealed record DemoCommission(int Percent, string? Partner = null);

/// <summary>A visitor of today: follows these links, one after the other, and buys or does not.</summary>
internal sealed record DemoVisit(IReadOnlyList<string> Slugs, string UserAgent, string Query, string? OrderId, string Amount);

/// <summary>
/// A believable outdoor shop with a dozen partners: who opens (reviews, video, newsletters) and who closes (deals, price
/// comparison) differ, so that the models differ. Everything follows from the seed and the first day.
/// </summary>
internal sealed record DemoProgram(
    IReadOnlyList<DemoPartner> Partners,
    IReadOnlyList<DemoClick> Clicks,
    IReadOnlyList<DemoOrder> Orders,
    IReadOnlyList<DemoRefund> Refunds,
    IReadOnlyList<DemoVisit> Visits,
    string ShownOrder)
{
    public const int Days = 60;
    public const string Source = "demo-shop";

    /// <summary>Never a real shop (RFC 2606). The demo answers for it itself when it follows a redirect.</summary>
    public const string Shop = "http://shop.example";

    /// <summary>First match wins: those who take a buyer at the door get less than those who brought the buyer to it.</summary>
    public static IReadOnlyList<DemoCommission> Commission =>
        [new(8, "deal-otter"), new(8, "cashback-kit"), new(10, "student-saver"), new(12, "price-beacon"), new(20)];

    private const int People = 1_600;
    private const int LivePeople = 24;

    /// <summary>Id of the order by which a second run finds the first.</summary>
    public static string MarkerOrder(int seed) => Order(seed, 0);

    /// <param name="seed">Chooses the people and what they do.</param>
    /// <param name="end">Midnight at which history ends; the first day is <see cref="Days"/> before it.</param>
    public static DemoProgram Make(int seed, DateTimeOffset end)
    {
        var dice = new Dice((ulong)(uint)seed);
        var clicks = new List<DemoClick>();
        var orders = new List<DemoOrder>
        {
            // A sale that nobody brought. Its time tells a second run when history ends.
            new(Source, MarkerOrder(seed), "sale", end.AddHours(-1), "24.90", "EUR", $"demo-{seed}-walk-in", null, null),
        };
        var refunds = new List<DemoRefund>();
        string? shown = null;
        for (var person = 0; person < People; person++)
        {
            var visitor = $"demo-{seed}-{person:D5}";
            var agent = dice.Pick(s_agents);
            var touches = dice.Chance(0.06) ? 0 : 1 + Geometric(dice, 0.45, 5);
            var buys = dice.Chance(touches == 0 ? 0.5 : 0.2 + (0.08 * touches));
            var at = end.AddMinutes(-(dice.Fraction() * (Days - 1) * 24 * 60) - 120);
            var journey = new List<DemoClick>();
            for (var touch = 0; touch < touches && at < end.AddHours(-2); touch++)
            {
                var closing = touch == touches - 1 && touch > 0;
                var partner = dice.Pick(s_partners, p => closing ? p.Closes : p.Opens);
                var link = dice.Pick(partner.Links);
                journey.Add(new DemoClick(
                    $"demo-{seed}-{person:D5}-{touch}", partner.Id, link.Slug, visitor, at,
                    $"{link.Destination}?utm_source={partner.Id}&utm_medium=affiliate&utm_campaign={link.Campaign}", partner.Referrer, agent, link.Campaign));
                at = at.AddMinutes(40 + (dice.Fraction() * dice.Fraction() * 12 * 24 * 60));
            }

            clicks.AddRange(journey);
            if (journey.Count > 0 && person % 40 == 20)
            {
                clicks.Add(Machine(journey[^1], s_machines[person / 40 % s_machines.Length]));
            }

            var bought = journey.Count > 0 ? journey[^1].OccurredAt.AddMinutes(4 + (dice.Fraction() * dice.Fraction() * 3 * 24 * 60)) : at;
            if (!buys || bought >= end)
            {
                continue;
            }

            var order = MakeOrder(seed, orders.Count, dice, bought, visitor, journey);
            orders.Add(order);
            if (journey.Select(click => click.Partner).Distinct(StringComparer.Ordinal).Count() >= 3 && order.VisitorId is not null && order.Kind == "sale" && shown is null)
            {
                shown = order.OrderId;
                clicks.Add(Machine(journey[1], s_machines[0]));
                refunds.Add(Refund(order, 30, bought.AddDays(1), end));
            }
            else if (order.Kind == "sale" && dice.Chance(0.08))
            {
                refunds.Add(Refund(order, dice.Chance(0.4) ? 100 : 20 + dice.Below(60), bought.AddDays(1 + dice.Below(9)), end));
            }
        }

        return new DemoProgram(s_partners, clicks, orders, refunds, Live(seed, dice), shown ?? orders[^1].OrderId);
    }

    private static string Order(int seed, int number) => $"D{seed}-{number:D4}";

    private static DemoOrder MakeOrder(int seed, int number, Dice dice, DateTimeOffset at, string visitor, List<DemoClick> journey)
    {
        var id = Order(seed, number);
        if (dice.Chance(0.07))
        {
            // Somebody asked for the catalogue: a lead, no money yet.
            return new DemoOrder(Source, id, "lead", at, "0.00", "EUR", visitor, null, null);
        }

        var (currency, factor) = dice.Pick<(string, int)>([("EUR", 1), ("EUR", 1), ("EUR", 1), ("EUR", 1), ("USD", 1), ("JPY", 165)]);
        var major = (12 + (dice.Fraction() * dice.Fraction() * 240)) * factor;
        var minor = (long)(major * Math.Pow(10, Currency.Decimals(currency)!.Value));
        // Some shops report the click that led to the order, most the visitor, some both.
        var way = dice.Fraction();
        var byClick = journey.Count > 0 && way < 0.15;
        return new DemoOrder(
            Source, id, "sale", at, Currency.Format(minor, currency), currency,
            byClick ? null : visitor,
            byClick || (journey.Count > 0 && way > 0.9) ? journey[^1].ClickId : null,
            dice.Chance(0.6) ? $"{visitor}@mail.example" : null);
    }

    /// <summary>A program came by the link before the person did; the receipt says why that does not count.</summary>
    private static DemoClick Machine(DemoClick followed, string agent) => followed with
    {
        ClickId = followed.ClickId + "-machine", OccurredAt = followed.OccurredAt.AddMinutes(-35), UserAgent = agent,
    };

    private static DemoRefund Refund(DemoOrder order, int percent, DateTimeOffset at, DateTimeOffset end)
    {
        if (!Currency.TryParse(order.Amount, order.Currency, out var minor, out var reason))
        {
            throw new System.Diagnostics.UnreachableException(reason);
        }

        return new DemoRefund(order.OrderId, $"{order.OrderId}-R1", Currency.Format(-(minor * percent / 100), order.Currency), "refund", at < end ? at : end);
    }

    private static List<DemoVisit> Live(int seed, Dice dice)
    {
        var visits = new List<DemoVisit>();
        for (var person = 0; person < LivePeople; person++)
        {
            var slugs = Enumerable.Range(0, 1 + Geometric(dice, 0.4, 3)).Select(_ => dice.Pick(dice.Pick(s_partners, p => p.Opens).Links).Slug).ToList();
            visits.Add(new DemoVisit(
                slugs, dice.Pick(s_agents), $"utm_source=live&utm_medium=affiliate&sub1=visit-{person.ToString(CultureInfo.InvariantCulture)}",
                dice.Chance(0.6) ? $"L{seed}-{person:D4}" : null, Currency.Format(1_990 + dice.Below(12_000), "EUR")));
        }

        return visits;
    }

    /// <summary>0 or more: each further one with this chance.</summary>
    private static int Geometric(Dice dice, double again, int most)
    {
        var count = 0;
        while (count < most && dice.Chance(again))
        {
            count++;
        }

        return count;
    }

    private static DemoPartner Partner(string id, string name, double opens, double closes, string page, params string[] campaigns) => new(
        id, name, opens, closes,
        [.. campaigns.Select(campaign => new DemoLink($"{id}-{campaign}", $"{Shop}/{campaign}", campaign))],
        $"https://{id}.example/{page}");

    private static readonly DemoPartner[] s_partners =
    [
        Partner("alpine-notes", "Alpine Notes", 9, 2, "reviews/trail-shoes", "trail-shoes", "tents"),
        Partner("hut-to-hut", "Hut to Hut (video)", 8, 1, "watch/42", "tents", "packs"),
        Partner("gear-lab-weekly", "Gear Lab Weekly", 7, 3, "issue/118", "trail-shoes", "jackets", "packs"),
        Partner("ultralight-ana", "Ultralight Ana", 6, 2, "packing-list", "packs"),
        Partner("summit-podcast", "The Summit Podcast", 4, 1, "episodes/77", "jackets"),
        Partner("trail-mothers", "Trail Mothers", 4, 2, "kids-outdoors", "kids"),
        Partner("city-climbers", "City Climbers Club", 3, 2, "members", "climbing"),
        Partner("nordic-mail", "Nordic Mail (newsletter)", 5, 4, "spring", "jackets", "sale"),
        Partner("price-beacon", "Price Beacon", 2, 8, "compare/jackets", "jackets", "trail-shoes", "tents"),
        Partner("deal-otter", "Deal Otter", 1, 9, "codes/outdoor", "sale"),
        Partner("cashback-kit", "Cashback Kit", 1, 7, "stores/outdoor", "sale"),
        Partner("student-saver", "Student Saver", 2, 5, "perks", "sale", "packs"),
    ];

    /// <summary>A chat's preview, a link checker, a headless browser.</summary>
    private static readonly string[] s_machines =
    [
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Mozilla/5.0 (compatible; ExampleLinkChecker/2.1; +https://checker.example/)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36",
    ];

    private static readonly string[] s_agents =
    [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    ];
}
