using System.Net;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.Edge;

public class RealTrafficTests
{
    private static readonly string? s_hits = Find("shared/fixtures/traffic/apache_logs_utm_hits.csv");

    [RealTrafficFact]
    public async Task Hits_of_a_real_web_server_are_recorded_each_as_sent()
    {
        var hits = (await File.ReadAllLinesAsync(s_hits!)).Skip(1).Select(Read).ToArray();
        Assert.Equal(153, hits.Length);

        // A link for each page of the log, so that a hit differs from its own address in nothing but the slug.
        var pages = hits.Select(h => Split(h.Path).Page).Distinct(StringComparer.Ordinal).Select((page, i) => (page, slug: $"page-{i}")).ToDictionary(p => p.page, p => p.slug, StringComparer.Ordinal);
        await using var edge = await EdgeHost.StartAsync(
            [EdgeHost.Enrolled("semicomplete"), .. pages.Select(p => EdgeHost.Published("semicomplete", p.Value, "https://shop.example" + p.Key))]);

        var destinations = new List<string>();
        foreach (var hit in hits)
        {
            var (page, query) = Split(hit.Path);
            Assert.Equal("GET", hit.Method);
            using var response = await edge.FollowAsync($"/r/{pages[page]}?{query}", [("User-Agent", hit.UserAgent), .. hit.Referrer == "-" ? [] : new[] { ("Referer", hit.Referrer) }]);
            Assert.Equal(HttpStatusCode.Found, response.StatusCode);
            destinations.Add(response.Headers.Location!.OriginalString);
        }

        var clicks = await edge.ClicksAsync();
        Assert.Equal(153, clicks.Count);
        foreach (var ((hit, click), destination) in hits.Zip(clicks).Zip(destinations))
        {
            var (page, query) = Split(hit.Path);
            Assert.Equal((pages[page], query, hit.UserAgent), (click.Link, click.Query, click.UserAgent));
            Assert.Equal(hit.Referrer == "-" ? null : new Uri(hit.Referrer).Host, click.ReferrerHost);
            Assert.Equal($"https://shop.example{page}?{query}&pp_click={click.EventId}", destination);
            Assert.Equal(Utm(query, "utm_source"), click.Campaign?.Source);
            Assert.Equal(Utm(query, "utm_medium"), click.Campaign?.Medium);
            Assert.Equal(Utm(query, "utm_campaign"), click.Campaign?.Name);
        }
    }

    private static string? Utm(string query, string name) =>
        query.Split('&').Where(p => p.StartsWith(name + "=", StringComparison.Ordinal)).Select(p => WebUtility.UrlDecode(p[(name.Length + 1)..])).FirstOrDefault();

    private static (string Page, string Query) Split(string path)
    {
        var at = path.IndexOf('?', StringComparison.Ordinal);
        return (path[..at], path[(at + 1)..]);
    }

    private static string? Find(string path)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var file = Path.Combine(folder.FullName, path);
            if (File.Exists(file))
            {
                return file;
            }
        }

        return null;
    }

    // visitor, time_utc, method, path, status, referrer, user_agent; no field of this file is quoted.
    private static Hit Read(string line) => line.Split(',') is [_, _, var method, var path, _, var referrer, var userAgent] && !line.Contains('"', StringComparison.Ordinal)
        ? new Hit(method, path, referrer, userAgent)
        : throw new InvalidDataException(line);

    private sealed record Hit(string Method, string Path, string Referrer, string UserAgent);

    private sealed class RealTrafficFactAttribute : FactAttribute
    {
        public RealTrafficFactAttribute() => Skip = s_hits is null ? "The folder with recorded traffic (../shared/fixtures) is not beside the repository." : null;
    }
}
