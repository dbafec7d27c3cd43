using System.Net;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>Hits of a real web server, sent to a distributed system and read back from the attribution log.</summary>
[Collection(WholeSystems.Name)]
public sealed class RealTrafficTests(RunningSystems systems)
{
    private const string Hits = "traffic/apache_logs_utm_hits.csv";
    private const int Count = 153;

    [TrafficFact]
    public async Task Every_hit_reaches_the_attribution_log_as_it_was_sent()
    {
        var system = await systems.GetAsync(Mode.Distributed);
        var partner = $"semicomplete-{Guid.NewGuid():N}"[..24];
        // Parameters of the merchant's own, in an encoding of the merchant's own.
        const string Landing = "https://shop.example/landing?sku=42%2F7&lang=pt-BR&note=a+b";
        var slug = await system.EnrolAsync(partner, Landing);
        var hits = Read();
        Assert.Equal(Count, hits.Count);

        var sent = new List<(Hit Hit, Guid Click)>();
        foreach (var hit in hits)
        {
            Assert.Equal("GET", hit.Method);
            using var request = new HttpRequestMessage(HttpMethod.Get, system.Address($"/r/{slug}?{hit.Query}"));
            Assert.True(request.Headers.TryAddWithoutValidation("User-Agent", hit.UserAgent));
            if (hit.Referrer is { } referrer)
            {
                Assert.True(request.Headers.TryAddWithoutValidation("Referer", referrer));
            }

            using var response = await system.Http.SendAsync(request);
            Assert.Equal(HttpStatusCode.Found, response.StatusCode);
            var destination = response.Headers.NonValidated["Location"].ToString();
            var click = PulseSystem.ClickId(destination);
            Assert.Equal($"{Landing}&{hit.Query}&pp_click={click}", destination);
            sent.Add((hit, click));
        }

        await system.SettleAsync();
        // Enrolling looked at the link with HEAD, which is kept and marked.
        var clicks = (await system.ReadLogAsync()).OfType<ClickRecorded>().Where(c => c.PartnerId == partner && c.Signals?.Method != "HEAD").ToArray();
        Assert.Equal(Count, clicks.Length);
        // Messages overtake one another on the bus; the log's order is its own.
        var recorded = clicks.ToDictionary(c => c.EventId);
        Assert.All(sent, pair =>
        {
            var (hit, click) = (pair.Hit, recorded[pair.Click]);
            Assert.Equal((hit.UserAgent, hit.Query), (click.UserAgent, click.Query));
            Assert.Equal(hit.Referrer is { } referrer ? new Uri(referrer).Host : null, click.ReferrerHost);
            Assert.Equal((Utm(hit, "utm_source"), Utm(hit, "utm_medium"), Utm(hit, "utm_campaign")), (click.Campaign?.Source, click.Campaign?.Medium, click.Campaign?.Name));
            Assert.Equal((slug, ClickVia.Redirect, Landing), (click.Link, click.Via, click.Destination));
        });
    }

    private static string? Utm(Hit hit, string name) =>
        hit.Query.Split('&').Where(p => p.StartsWith(name + "=", StringComparison.Ordinal)).Select(p => WebUtility.UrlDecode(p[(name.Length + 1)..])).FirstOrDefault();

    private static IReadOnlyList<Hit> Read() => [.. File.ReadLines(Fixtures.Find(Hits)).Skip(1).Select(Read)];

    // visitor, time_utc, method, path, status, referrer, user_agent; no field of this file is quoted. The server wrote a dash
    // where the visitor sent no referrer.
    private static Hit Read(string line) => line.Split(',') is [_, _, var method, var path, _, var referrer, var userAgent] && !line.Contains('"', StringComparison.Ordinal)
        ? new Hit(method, path[(path.IndexOf('?', StringComparison.Ordinal) + 1)..], referrer == "-" ? null : referrer, userAgent)
        : throw new InvalidDataException(line);

    private sealed record Hit(string Method, string Query, string? Referrer, string UserAgent);

    private sealed class TrafficFactAttribute : FactAttribute
    {
        public TrafficFactAttribute() => Skip = new FixtureFactAttribute(Hits).Skip ?? TestServers.WhyNoPostgres ?? TestServers.WhyNoRabbitMq;
    }
}
