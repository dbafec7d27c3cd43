using System.Text;
using PartnerPulse.Attribution.Core;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>How good the shipped list is, on user agents that others have labelled.</summary>
public sealed class ShippedBotListTests(ITestOutputHelper output)
{
    private const string Labelled = "bots/ua_labelled_open.csv";
    private const string Previewers = "bots/link_preview_fetchers.csv";
    private const double LeastRecall = 0.97;
    private const double MostFalsePositives = 0.02;

    /// <summary>A published list never changes: rules of years ago name it. A newer one is a file more, and a line more here.</summary>
    [Theory]
    [InlineData("2026-11", "0e9019b23e3137fb970006d805681078d163cb478b4489bd49eb4047216910c3")]
    public void A_shipped_list_is_the_one_that_was_shipped(string version, string hash) => Assert.Equal(hash, TestBots.Lists.Find(version)?.Hash);

    [FixtureFact(Labelled)]
    public void It_knows_bots_and_leaves_browsers_alone()
    {
        var rows = Read(Labelled);
        var bots = rows.Where(r => r.IsBot).ToList();
        var browsers = rows.Where(r => !r.IsBot).ToList();
        var missed = bots.Where(r => Kind(r) == UserAgentKind.Person).ToList();
        var accused = browsers.Where(r => Kind(r) != UserAgentKind.Person).ToList();
        var recall = 1 - ((double)missed.Count / bots.Count);
        var falsePositives = (double)accused.Count / browsers.Count;
        output.WriteLine($"bot list {TestBots.Newest.Version}: {bots.Count} bots, recall {recall:F4}; {browsers.Count} browsers, false positives {falsePositives:F4}");
        foreach (var row in accused)
        {
            output.WriteLine($"accused ({TestBots.Newest.Judge(row.UserAgent).Sign}): {row.UserAgent}");
        }

        foreach (var row in missed)
        {
            output.WriteLine($"missed: {row.UserAgent}");
        }

        Assert.True(recall >= LeastRecall, $"recall {recall:F4}");
        Assert.True(falsePositives <= MostFalsePositives, $"false positives {falsePositives:F4}");
    }

    [FixtureFact(Previewers)]
    public void Whoever_fetches_a_preview_is_no_person()
    {
        // One of them is labelled a browser as well, and is one: the browser inside an app, by which people do follow links.
        var browsers = Read(Labelled).Where(r => !r.IsBot).Select(r => r.UserAgent).ToHashSet(StringComparer.Ordinal);
        var rows = Read(Previewers).Where(r => !browsers.Contains(r.UserAgent)).ToList();
        output.WriteLine(string.Join(", ", rows.CountBy(Kind).Select(kind => $"{kind.Value} {kind.Key}")));
        Assert.All(rows, row => Assert.NotEqual(UserAgentKind.Person, Kind(row)));
        Assert.True(rows.Count(r => Kind(r) == UserAgentKind.Preview) > rows.Count * 8 / 10);
    }

    /// <summary>People who follow a link where they read it: in the browser of an app. No fixture has all of them.</summary>
    [Theory]
    [InlineData("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/512.0.0.52.101;FBBV/731;FBDV/iPhone15,2;FBMD/iPhone;FBSN/iOS;FBSV/18.5;FBSS/3;FBLC/de_DE]")]
    [InlineData("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 380.0.0.28.104 (iPhone15,2; iOS 18_5; de_DE; de; scale=3.00; 1179x2556)")]
    [InlineData("Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 KAKAOTALK/25.8.2")]
    [InlineData("Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 musical_ly_2024 BytedanceWebview/d8a21c6 NetType/WIFI")]
    [InlineData("Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 [Pinterest/Android]")]
    [InlineData("Mozilla/5.0 (Linux; Android 14; SM-S911B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36 Viber/25.1.0.6")]
    [InlineData("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.55 NetType/4G Language/de")]
    [InlineData("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Slack/4.41.105 Chrome/134.0.0.0 Electron/35.1.4 Safari/537.36")]
    [InlineData("Mozilla/5.0 (Linux; Android 13; CUBOT KINGKONG 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36")]
    [InlineData("Mozilla/5.0 (Linux; Android 12; HarmonyOS; ALN-AL00; HMSCore 6.13.0.322) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.5735.196 HuaweiBrowser/15.0.9.301 Mobile Safari/537.36")]
    [InlineData("Mozilla/5.0 (Windows NT 10.0; Win64; x64; Trident/7.0; rv:11.0) like Gecko")]
    [InlineData("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; .NET CLR 2.0.50727)")]
    [InlineData("Mozilla/5.0 (SMART-TV; LINUX; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36")]
    [InlineData("Opera/9.80 (Android; Opera Mini/36.2.2254/191.297; U; en) Presto/2.12.423 Version/12.16")]
    public void A_person_in_the_browser_of_an_app_is_a_person(string userAgent) =>
        Assert.Equal(new UserAgentVerdict(UserAgentKind.Person, null), TestBots.Newest.Judge(userAgent));

    private static UserAgentKind Kind(Row row) => TestBots.Newest.Judge(row.UserAgent).Kind;

    private sealed record Row(string UserAgent, bool IsBot);

    private static List<Row> Read(string fixture) =>
        [.. Records(File.ReadAllText(Fixtures.Find(fixture))).Skip(1).Select(fields => new Row(fields[0], fields[1] == "1"))];

    /// <summary>Comma-separated values as RFC 4180 has them: quoted where they hold a comma, a quote or a line break.</summary>
    private static IEnumerable<List<string>> Records(string text)
    {
        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (quoted)
            {
                if (c != '"')
                {
                    field.Append(c);
                }
                else if (i + 1 < text.Length && text[i + 1] == '"')
                {
                    field.Append(text[++i]);
                }
                else
                {
                    quoted = false;
                }
            }
            else if (c == '"')
            {
                quoted = true;
            }
            else if (c is ',' or '\n')
            {
                fields.Add(field.ToString().TrimEnd('\r'));
                field.Clear();
                if (c == '\n')
                {
                    yield return fields;
                    fields = [];
                }
            }
            else
            {
                field.Append(c);
            }
        }
    }
}
