using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using PartnerPulse.Pulse.Commands;

namespace PartnerPulse.Pulse.Doctor;

/// <summary>One thing that was tried.</summary>
/// <param name="Name">What.</param>
/// <param name="Result"><c>passed</c>, <c>failed</c>, <c>skipped</c>.</param>
/// <param name="Said">What came of it; of a failure what is wrong and what to do.</param>
/// <param name="Receipt">Path of the receipt; null where it is about none.</param>
internal sealed record DoctorCheck(string Name, string Result, string Said, string? Receipt = null)
{
    public const string Passed = "passed";
    public const string Failed = "failed";
    public const string Skipped = "skipped";
}

internal sealed record DoctorReport(string Url, bool Healthy, string Rules, IReadOnlyList<DoctorCheck> Checks, double Seconds);

/// <summary>
/// Examines a deployment as visitors and a shop use it: links, browsers, cookies, orders, credit. Everything is marked as test traffic,
/// which credits test orders alone and is in no total, statement, difference or webhook. Its two partners stay for the next time.
/// </summary>
internal sealed class RunDoctor(Api api, Api edge, string? botLists, TimeSpan patience, bool json)
{
    private const string Alpha = "doctor-alpha";
    private const string Bravo = "doctor-bravo";
    private const string Coupon = "DOCTOR-ALPHA";
    private const string Destination = "https://doctor.example/";
    private const string CouponSince = "2026-01-01T00:00:00Z";

    private readonly List<DoctorCheck> _checks = [];
    private readonly List<Trial> _trials = [];
    private readonly List<JsonObject> _orders = [];
    private readonly string _run = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(5));
    private readonly Dictionary<string, string> _slugs = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _refs = new(StringComparer.Ordinal);
    private Expectation? _expectation;
    private string _rules = "";

    public async Task<DoctorReport> RunAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var took = Stopwatch.StartNew();
        var say = Terminal.Say(json);
        say("rules, partners and links");
        if (await ReadRulesAsync(cancellation) && await EnrolAsync(cancellation))
        {
            say("browsers");
            await FollowWithEachBrowserAsync(cancellation);
            await FollowWithCookiesAsync(cancellation);
            await FollowWithoutConsentAsync(cancellation);
            await FollowAsMachinesAsync(cancellation);
            await LandAsync(now, cancellation);
            await RetireAsync(cancellation);
            say("a history of clicks with times of their own");
            await ImportAsync(now, cancellation);
            say("orders");
            await OrderAsync(cancellation);
            await JudgeAsync(cancellation);
            await RefundAsync(cancellation);
            await StayOutOfTotalsAsync(cancellation);
        }

        return new DoctorReport(api.Url, _checks.All(check => check.Result != DoctorCheck.Failed), _rules, _checks, Math.Round(took.Elapsed.TotalSeconds, 1));
    }

    private async Task<bool> ReadRulesAsync(CancellationToken cancellation)
    {
        var active = await api.GetAsync("/v1/rules/active", cancellation);
        _rules = $"version {active["version"]}, {active["name"]}";
        (_expectation, var fault) = Expectation.Read(active["rules"]!, botLists);
        if (fault is not null)
        {
            return Fail("rules", $"the active rules cannot be judged here: {fault}");
        }

        return Pass("rules", $"the active rules are {_rules}; what should come is computed from them");
    }

    private async Task<bool> EnrolAsync(CancellationToken cancellation)
    {
        foreach (var id in new[] { Alpha, Bravo })
        {
            var partner = await FindAsync($"/v1/partners/{id}", cancellation)
                ?? await api.PostAsync("/v1/partners", new { id, name = $"Doctor's test partner {id}", destination = Destination }, cancellation);
            if (partner["status"]?.ToString() != "active")
            {
                return Fail("partners", $"the test partner {id} is {partner["status"]}, so nothing can be credited to it; reinstate it with DELETE /v1/partners/{id}/suspension");
            }

            if (partner["links"] is not JsonArray { Count: > 0 } links)
            {
                links = [await api.PostAsync($"/v1/partners/{id}/links", new { destination = Destination }, cancellation)];
            }

            (_slugs[id], _refs[id]) = (links[0]!["slug"]!.ToString(), partner["ref"]!.ToString());
        }

        await api.PostAsync("/v1/coupons", new { code = Coupon, partner = Alpha, from = CouponSince }, cancellation);
        foreach (var (id, slug) in _slugs)
        {
            if (await UntilLeadsAsync(slug, cancellation) is { } fault)
            {
                return Fail("links", $"the link {slug} of {id} does not lead to its destination: {fault}");
            }
        }

        return Pass("partners and links", $"{Alpha} and {Bravo} are enrolled, and {edge.Url} follows their links");
    }

    /// <summary>Null once a HEAD of the link leads to its destination; what a link checker asks is never a touch.</summary>
    private async Task<string?> UntilLeadsAsync(string slug, CancellationToken cancellation)
    {
        var waited = Stopwatch.StartNew();
        var browser = new Browser(edge, Browser.Chrome);
        while (true)
        {
            var followed = await browser.FollowAsync(slug, cancellation, HttpMethod.Head);
            if (followed is { Status: HttpStatusCode.Found, Click: not null } && followed.Location!.Host == new Uri(Destination).Host)
            {
                return null;
            }

            if (waited.Elapsed > patience)
            {
                return $"{edge.Url}/r/{slug} answers {(int)followed.Status} {followed.Location}; the edge does not get the catalogue (its /ready says why), or --edge is not this program's edge";
            }

            await Task.Delay(100, cancellation);
        }
    }

    private async Task FollowWithEachBrowserAsync(CancellationToken cancellation)
    {
        foreach (var (name, userAgent) in Browser.All)
        {
            var browser = new Browser(edge, userAgent);
            if (await ClickAsync($"{name} follows a link", browser, Alpha, cancellation) is { } click)
            {
                Try($"{name}: order with its click id", [click], Sale(click: click.EventId), Counts(Evidence.ClickId, Alpha));
            }
        }
    }

    private async Task FollowWithCookiesAsync(CancellationToken cancellation)
    {
        var browser = new Browser(edge, Browser.Chrome);
        var first = await browser.FollowAsync(_slugs[Alpha], cancellation);
        if (first.CookieRefused is { } refused)
        {
            Fail("cookie", $"{refused}.");
            return;
        }

        if (!first.CookieOffered || first.Click is not { } id)
        {
            Skip("cookie", "this edge sets no cookie (Edge:Cookie:Domain is not set, or a shared link domain): orders are credited by click id, coupon and login");
            await WithoutCookieAsync(cancellation);
            return;
        }

        Pass("cookie", "the visitor is remembered by a cookie that browsers keep");
        Try(
            "order with the visitor's cookie", [Expectation.Click(id, Alpha, Expectation.TimeOf(id), browser.Visitor, browser.UserAgent)], Sale(visitor: browser.Visitor),
            Counts(Evidence.VisitorCookie, Alpha));
        await FollowTwiceAndClearAsync(cancellation);
        await WithoutCookieAsync(cancellation);
    }

    /// <summary>A visitor follows links of both partners, clears the cookies, comes again as somebody else, and is recognised by a login.</summary>
    private async Task FollowTwiceAndClearAsync(CancellationToken cancellation)
    {
        var browser = new Browser(edge, Browser.Chrome);
        var clicks = new List<IEvent>();
        if (await ClickAsync("a visitor follows a link", browser, Alpha, cancellation) is not { } first || browser.Visitor is not { } before)
        {
            return;
        }

        clicks.Add(first);
        if (await ClickAsync("and that of another partner", browser, Bravo, cancellation) is { } second)
        {
            clicks.Add(second);
        }

        if (browser.Visitor != before)
        {
            Fail("the visitor comes back", "the edge gave a visitor who came back another id: its signing key differs between edges (Edge:SigningKeyFile)");
        }

        browser.ClearCookies();
        if (await ClickAsync("cookies cleared, a click again", browser, Bravo, cancellation) is { } third)
        {
            clicks.Add(third);
        }

        if (browser.Visitor is not { } after || after == before)
        {
            Fail("cookies cleared", "a browser without cookies got no id, or the one of before");
            return;
        }

        var customer = $"doctor-{_run}@doctor.invalid";
        await api.PostAsync("/v1/identities", new { customer, visitorId = before }, cancellation);
        var login = Expectation.Login(customer, before, first.OccurredAt);
        Try("two partners, one after the other", [.. clicks], Sale(visitor: before), mustCredit: null);
        Try("order after cookies were cleared", [.. clicks], Sale(visitor: after), mustCredit: null);
        Try("order after cookies were cleared, by a customer who logged in before", [.. clicks, login], Sale(visitor: after, customer: customer), mustCredit: null);
    }

    /// <summary>Who must be credited where the rules count this way of finding a click; null where they do not.</summary>
    private string? Counts(Evidence way, string partner) => _expectation!.Rules.Evidence.Contains(way) ? partner : null;

    private async Task WithoutCookieAsync(CancellationToken cancellation)
    {
        var browser = new Browser(edge, Browser.All[1].UserAgent, takesCookies: false);
        var followed = await browser.FollowAsync(_slugs[Bravo], cancellation);
        if (followed.Click is { } id)
        {
            // The edge may have made an id for whom the cookie was meant; nobody ever shows it.
            Try("cookies blocked: order with the click id", [Expectation.Click(id, Bravo, Expectation.TimeOf(id), visitor: null, browser.UserAgent)], Sale(click: id), Counts(Evidence.ClickId, Bravo));
        }
        else
        {
            Fail("cookies blocked", $"the link answers {(int)followed.Status} without pp_click");
        }
    }

    private async Task FollowWithoutConsentAsync(CancellationToken cancellation)
    {
        var browser = new Browser(edge, Browser.All[2].UserAgent, headers: [("Sec-GPC", "1")]);
        var followed = await browser.FollowAsync(_slugs[Alpha], cancellation);
        if (followed.CookieOffered && browser.Visitor is not null)
        {
            Fail("Global Privacy Control", "the edge sets a visitor's id though the browser says Sec-GPC: 1; a proxy before it may drop that header");
        }
        else if (followed.Click is { } id)
        {
            Pass("Global Privacy Control", "no id is set; the click id still reaches the page");
            Try(
                "Sec-GPC: order with the click id", [Expectation.Click(id, Alpha, Expectation.TimeOf(id), visitor: null, browser.UserAgent, new ClickSignals { Gpc = true })],
                Sale(click: id), mustCredit: null);
        }
    }

    private async Task FollowAsMachinesAsync(CancellationToken cancellation)
    {
        const string Googlebot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";
        foreach (var (name, userAgent, method, headers, signals) in new (string, string, HttpMethod, (string, string)[], ClickSignals?)[]
        {
            ("a HEAD request", Browser.Chrome, HttpMethod.Head, [], new ClickSignals { Method = "HEAD" }),
            ("a prefetch", Browser.Chrome, HttpMethod.Get, [("Sec-Purpose", "prefetch")], new ClickSignals { Purpose = "prefetch" }),
            ("a bot", Googlebot, HttpMethod.Get, [], null),
        })
        {
            var browser = new Browser(edge, userAgent, headers: headers);
            var followed = await browser.FollowAsync(_slugs[Bravo], cancellation, method);
            if (followed.Click is { } id)
            {
                Try($"{name}: order with its click id", [Expectation.Click(id, Bravo, Expectation.TimeOf(id), browser.Visitor, userAgent, signals)], Sale(click: id), mustCredit: null);
            }
            else
            {
                Fail(name, $"the link answers {(int)followed.Status} without pp_click");
            }
        }
    }

    private async Task LandAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        var program = await api.GetAsync("/v1/program", cancellation);
        if (program["origins"] is not JsonArray { Count: > 0 } origins)
        {
            Skip("landing page", "the program has no origins (PUT /v1/program), so pages report no landings");
            return;
        }

        var browser = new Browser(edge, Browser.All[3].UserAgent);
        var parameter = (program["partnerParameters"] as JsonArray)?.FirstOrDefault()?.ToString() ?? "ref";
        if (await browser.LandAsync(origins[0]!.ToString(), parameter, _refs[Alpha], $"doctor-{_run}-0001", cancellation) is not { } id)
        {
            Fail("landing page", $"POST /t from {origins[0]} with ?{parameter}={_refs[Alpha]} records no click");
            return;
        }

        Pass("landing page", $"a landing on {origins[0]} with ?{parameter}= is a click");
        Try("order after a landing", [Expectation.Click(id, Alpha, now, browser.Visitor, browser.UserAgent, via: ClickVia.Landing)], Sale(click: id), Counts(Evidence.ClickId, Alpha));
    }

    private async Task RetireAsync(CancellationToken cancellation)
    {
        var link = await api.PostAsync($"/v1/partners/{Bravo}/links", new { destination = Destination, slug = $"doctor-bravo-{_run}" }, cancellation);
        var slug = link["slug"]!.ToString();
        if (await UntilLeadsAsync(slug, cancellation) is { } fault)
        {
            Fail("a new link", $"it does not lead to its destination: {fault}");
            return;
        }

        var browser = new Browser(edge, Browser.Chrome);
        var click = (await browser.FollowAsync(slug, cancellation)).Click;
        await api.DeleteAsync($"/v1/partners/{Bravo}/links/{slug}", cancellation);
        var waited = Stopwatch.StartNew();
        Followed after;
        var checker = new Browser(edge, Browser.Chrome, takesCookies: false);
        while ((after = await checker.FollowAsync(slug, cancellation, HttpMethod.Head)).Click is not null && waited.Elapsed < patience)
        {
            await Task.Delay(100, cancellation);
        }

        if (after.Click is not null)
        {
            Fail("a retired link", $"it still leads to its destination {patience.TotalSeconds:0} s after it was retired: the edge does not follow the catalogue (its /ready says why)");
            return;
        }

        Pass("a retired link", $"a new link leads at once, and no longer once it is retired ({(int)after.Status})");
        if (click is { } id)
        {
            Try("a click before the link was retired", [Expectation.Click(id, Bravo, Expectation.TimeOf(id), browser.Visitor, browser.UserAgent)], Sale(click: id), Counts(Evidence.ClickId, Bravo));
        }
    }

    /// <summary>What takes days is told with times of its own.</summary>
    private async Task ImportAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        // Whole seconds, a minute ago: what the file says is what is recorded, whatever the clocks differ by.
        var sale = new DateTimeOffset(now.UtcDateTime.AddTicks(-(now.Ticks % TimeSpan.TicksPerSecond)), TimeSpan.Zero).AddMinutes(-1);
        var window = TimeSpan.FromDays(_expectation!.Rules.WindowDays);
        var clicks = new List<ClickRecorded>();
        ClickRecorded Click(string partner, string visitor, DateTimeOffset at)
        {
            var click = Expectation.Click(Guid.NewGuid(), partner, at, $"doctor-{_run}-{visitor}", Browser.Chrome, via: ClickVia.Import);
            clicks.Add(click);
            return click;
        }

        void History(string name, string visitor, IEvent[] facts, string? must = null, string? customer = null, string? coupon = null) =>
            Try(name, facts, Sale(visitor: $"doctor-{_run}-{visitor}", customer: customer, coupon: coupon, at: sale), must);

        var near = window < TimeSpan.FromDays(4) ? window / 4 : TimeSpan.FromDays(1);
        History("alpha first, then bravo", "ab", [Click(Alpha, "ab", sale - (2 * near)), Click(Bravo, "ab", sale - near)], must: Counts(Evidence.VisitorCookie, ""));
        History("bravo first, then alpha", "ba", [Click(Bravo, "ba", sale - (2 * near)), Click(Alpha, "ba", sale - near)], must: Counts(Evidence.VisitorCookie, ""));
        History($"a click exactly {window.TotalDays:0} days before the order", "edge", [Click(Alpha, "edge", sale - window)]);
        History("a click a second before the window", "old", [Click(Alpha, "old", sale - window - TimeSpan.FromSeconds(1))]);
        History("a click after the order", "late", [Click(Alpha, "late", sale.AddSeconds(1))]);
        History("a coupon and no click", "coupon", [Expectation.Coupon(Coupon, Alpha)], coupon: Coupon);
        History("a coupon of alpha and a click of bravo", "both", [Expectation.Coupon(Coupon, Alpha), Click(Bravo, "both", sale - near)], coupon: Coupon);

        var customer = $"doctor-import-{_run}@doctor.invalid";
        var phone = Click(Alpha, "phone", sale - near);
        await api.PostAsync("/v1/identities", new { customer, visitorId = phone.VisitorId }, cancellation);
        History("login: clicked on the phone, bought on the laptop", "laptop", [phone, Expectation.Login(customer, phone.VisitorId!, phone.OccurredAt)], customer: customer);

        var lines = new StringBuilder();
        foreach (var click in clicks)
        {
            lines.Append(JsonSerializer.Serialize(
                new { clickId = click.EventId, partner = click.PartnerId, visitorId = click.VisitorId, occurredAt = click.OccurredAt, userAgent = click.UserAgent, landingUrl = $"{Destination}?pp_test=1" },
                JsonSerializerOptions.Web)).Append('\n');
        }

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/imports/clicks");
        request.Content = new StringContent(lines.ToString(), new MediaTypeHeaderValue("application/x-ndjson"));
        using var response = await api.SendAsync(request, cancellation);
        var answer = await Api.ReadAsync(response, cancellation);
        if ((int?)answer["rejectedTotal"] is > 0)
        {
            Fail("import of clicks", $"lines were refused: {answer["rejected"]!.ToJsonString()}");
        }
    }

    private async Task<ClickRecorded?> ClickAsync(string name, Browser browser, string partner, CancellationToken cancellation)
    {
        var followed = await browser.FollowAsync(_slugs[partner], cancellation);
        if (followed is { Status: HttpStatusCode.Found, Click: { } id } && followed.Location!.Host == new Uri(Destination).Host)
        {
            Pass(name, "it leads to the destination with pp_click");
            return Expectation.Click(id, partner, Expectation.TimeOf(id), browser.Visitor, browser.UserAgent);
        }

        Fail(name, $"{edge.Url}/r/{_slugs[partner]} answers {(int)followed.Status} {followed.Location} instead of 302 to {Destination} with pp_click");
        return null;
    }

    private ConversionRecorded Sale(string? visitor = null, Guid? click = null, string? customer = null, string? coupon = null, DateTimeOffset? at = null) =>
        Expectation.Sale($"doctor-{_run}-{_trials.Count + 1:00}", at ?? DateTimeOffset.MaxValue, visitor, click, customer, coupon);

    /// <summary>Plans an order. One without a time of its own happens after all its clicks, by the clock of the shop's API.</summary>
    private void Try(string name, IEvent[] facts, ConversionRecorded sale, string? mustCredit)
    {
        var order = new JsonObject
        {
            ["source"] = Trial.Source, ["orderId"] = sale.OrderId, ["kind"] = "sale", ["currency"] = Trial.Currency, ["test"] = true,
            ["amount"] = Currency.Format(Trial.AmountMinor, Trial.Currency), ["visitorId"] = sale.VisitorId, ["clickId"] = sale.ClickId?.ToString(), ["customer"] = sale.CustomerKey,
            ["coupon"] = sale.Coupon,
        };
        if (sale.OccurredAt == DateTimeOffset.MaxValue)
        {
            sale = sale with { OccurredAt = facts.Max(fact => fact.OccurredAt).AddSeconds(30) };
        }
        else
        {
            order["occurredAt"] = sale.OccurredAt.ToString("O", CultureInfo.InvariantCulture);
        }

        _trials.Add(new Trial { Name = name, Conversion = sale, Facts = [.. facts.DistinctBy(fact => fact.EventId), sale], MustCredit = mustCredit });
        _orders.Add(order);
    }

    private async Task OrderAsync(CancellationToken cancellation)
    {
        var answers = (JsonArray)await api.PostAsync("/v1/conversions", _orders, cancellation);
        for (var i = 0; i < _trials.Count; i++)
        {
            if (answers[i]?["status"]?.ToString() != "recorded")
            {
                Fail(_trials[i].Name, $"the order was not recorded: {answers[i]?.ToJsonString()}");
            }
        }
    }

    private async Task JudgeAsync(CancellationToken cancellation)
    {
        var waited = Stopwatch.StartNew();
        foreach (var trial in _trials)
        {
            await JudgeAsync(trial, trial.Name, waited, cancellation);
        }
    }

    /// <summary>Waits until the receipt says what it should, and says what it says where that does not come true.</summary>
    private async Task JudgeAsync(Trial trial, string name, Stopwatch waited, CancellationToken cancellation)
    {
        var path = ReceiptCommand.Path(Trial.Source, trial.Conversion.OrderId);
        var expected = _expectation!.Of(trial);
        if (trial.MustCredit is { } partner && !expected.Credited)
        {
            Fail(name, $"the active rules ({_rules}) credit nobody for {(partner.Length == 0 ? "a partner's click" : $"a plain click of {partner}")} and an order after it: {expected.Reason}; publish and promote rules that do", path);
            return;
        }

        while (true)
        {
            var receipt = await FindAsync(path, cancellation);
            var fault = receipt is null
                ? "the order was recorded and has no receipt: it does not come from Conversions to Attribution, or the projector stands (./pulse status)"
                : Difference.Of(expected, receipt, _expectation.SharesAreKnown);
            if (fault is null)
            {
                Pass(name, receipt!["summary"]?.ToString() ?? "", path);
                return;
            }

            if (waited.Elapsed > patience)
            {
                Fail(name, fault, path);
                return;
            }

            await Task.Delay(100, cancellation);
        }
    }

    private async Task RefundAsync(CancellationToken cancellation)
    {
        if (_trials.FirstOrDefault(trial => trial.MustCredit is not null && _checks.Any(check => check.Name == trial.Name && check.Result == DoctorCheck.Passed)) is not { } trial)
        {
            Skip("refunds", "no order above was credited");
            return;
        }

        foreach (var (id, minor, name) in new[] { ("r-1", -400L, "a refund in part"), ("r-2", -600L, "the rest refunded") })
        {
            await api.PostAsync(
                $"/v1/conversions/{Trial.Source}/{trial.Conversion.OrderId}/adjustments",
                new { id, amount = Currency.Format(minor, Trial.Currency), currency = Trial.Currency, reason = "refund" }, cancellation);
            trial.Adjustments.Add(Expectation.Refund(trial, id, minor));
            await JudgeAsync(trial, name, Stopwatch.StartNew(), cancellation);
        }
    }

    private async Task StayOutOfTotalsAsync(CancellationToken cancellation)
    {
        var credits = await api.GetAsync("/v1/credits?groupBy=partner", cancellation);
        var listed = (credits["rows"] as JsonArray ?? []).Select(row => row!["partner"]?.ToString()).Where(partner => partner is Alpha or Bravo).ToArray();
        if (listed.Length == 0)
        {
            Pass("test traffic", "none of it is in the totals");
        }
        else
        {
            Fail("test traffic", $"{string.Join(" and ", listed)} {(listed.Length == 1 ? "is" : "are")} in the totals: real orders or clicks go by the test partners' links");
        }
    }

    private async Task<JsonNode?> FindAsync(string path, CancellationToken cancellation)
    {
        try
        {
            return await api.GetAsync(path, cancellation);
        }
        catch (RefusedException refused) when (refused.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
    }

    private bool Pass(string name, string said, string? receipt = null) => Add(new DoctorCheck(name, DoctorCheck.Passed, said, receipt));

    private bool Fail(string name, string said, string? receipt = null) => !Add(new DoctorCheck(name, DoctorCheck.Failed, said, receipt));

    private void Skip(string name, string said) => Add(new DoctorCheck(name, DoctorCheck.Skipped, said));

    private bool Add(DoctorCheck check)
    {
        _checks.Add(check);
        return true;
    }
}
