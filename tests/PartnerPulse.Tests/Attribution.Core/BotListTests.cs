using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.UserAgents;

namespace PartnerPulse.Tests.AttributionCore;

public sealed class BotListTests
{
    private static BotList List(string text) => TestBots.Accepted(new BotListFile("list.txt", "2026-11", text)).Newest;

    private static void Refused(string text, params string[] faults) => Assert.Equal(
        faults, Assert.IsType<BotListsRefused>(BotLists.Read([new BotListFile("list.txt", "2026-11", text)])).Faults.Select(f => f.ToString()));

    [Theory]
    [InlineData("crawl", "MegaCRAWLer/1 (x)", "its user agent contains \"crawl\"")]
    [InlineData("^java/", "Java/21 (x)", "its user agent begins with \"java/\"")]
    [InlineData("^java/", "x Java/21", null)]
    [InlineData(".com$", "by example.com", "its user agent ends with \".com\"")]
    [InlineData(".com$", "by example.com (x)", null)]
    [InlineData("^whatsapp$", "WhatsApp", "its user agent is \"whatsapp\"")]
    [InlineData("^whatsapp$", "WhatsApp/2", null)]
    [InlineData("|rss|", "Mozilla (RSS; x)", "its user agent has the word \"rss\"")]
    [InlineData("|rss|", "Mozilla (s1rss32)", null)]
    [InlineData("|scan", "Mozilla scanning", "its user agent has the word \"scan\"")]
    [InlineData("|scan", "Mozilla camscan", null)]
    [InlineData("bot|", "Good bot/1", "its user agent has the word \"bot\"")]
    [InlineData("|link checker|", "a Link--Checker", "its user agent has the word \"link checker\"")]
    [InlineData("!(", "Library/1.0", "its user agent is without \"(\", which every browser's has")]
    [InlineData("!(", "Library/1.0 (x)", null)]
    public void A_pattern_finds_what_its_marks_say(string pattern, string userAgent, string? sign)
    {
        var verdict = List($"[bots]\n{pattern}").Judge(userAgent);
        Assert.Equal((sign is null ? UserAgentKind.Person : UserAgentKind.Bot, sign), (verdict.Kind, verdict.Sign));
    }

    [Fact]
    public void What_belongs_to_a_browser_is_looked_past_and_the_rest_counts()
    {
        var list = List("[browsers]\ncubot\nubot\n[bots]\nbot\n!(");
        Assert.Equal(UserAgentKind.Person, list.Judge("Mozilla/5.0 (Linux; CUBOT X9)").Kind);
        Assert.Equal(UserAgentKind.Person, list.Judge("CUBOT X9").Kind);
        Assert.Equal(UserAgentKind.Bot, list.Judge("Mozilla/5.0 (Linux; CUBOT X9; GoodBot/1.0)").Kind);
    }

    [Fact]
    public void A_preview_is_a_preview_even_if_it_calls_itself_a_bot() =>
        Assert.Equal(UserAgentKind.Preview, List("[bots]\nbot\n[previews]\nslackbot").Judge("Slackbot-LinkExpanding 1.0").Kind);

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData(" \t")]
    public void Without_a_user_agent_it_is_no_browser(string? userAgent) =>
        Assert.Equal(new UserAgentVerdict(UserAgentKind.Bot, "it sent no user agent"), List("[bots]\nbot").Judge(userAgent));

    [Fact]
    public void Whatever_is_sent_gets_the_same_verdict_again()
    {
        var random = new Random(7);
        var list = TestBots.Newest;
        for (var i = 0; i < 20_000; i++)
        {
            var text = new string([.. Enumerable.Range(0, random.Next(1, i % 100 == 0 ? 5_000 : 60)).Select(_ => (char)random.Next(i % 2 == 0 ? 128 : 0x10000))]);
            Assert.Equal(list.Judge(text), list.Judge(text));
        }
    }

    [Fact]
    public void More_user_agents_than_are_remembered_are_judged_all_the_same()
    {
        var list = List("[bots]\nbot");
        for (var i = 0; i < 70_000; i++)
        {
            Assert.Equal(i % 2 == 0 ? UserAgentKind.Bot : UserAgentKind.Person, list.Judge($"{(i % 2 == 0 ? "bot" : "x")} {i}").Kind);
        }

        Assert.Equal(2, list.Forgotten);
    }

    [Fact]
    public void A_list_may_extend_an_older_one()
    {
        var lists = TestBots.Accepted(
            new BotListFile("b", "2026-12-acme", "extends 2026-11\n[browsers]\nrobotron # our own till\n[bots]\nacme-uptime"),
            new BotListFile("a", "2026-11", "[bots]\nbot"));
        Assert.Equal(["2026-11", "2026-12-acme"], lists.All.Select(l => l.Version));
        Assert.Equal(UserAgentKind.Bot, lists.Newest.Judge("acme-uptime/1").Kind);
        Assert.Equal(UserAgentKind.Bot, lists.Newest.Judge("goodbot").Kind);
        Assert.Equal(UserAgentKind.Person, lists.Newest.Judge("robotron").Kind);
        Assert.Equal(UserAgentKind.Bot, lists.Find("2026-11")!.Judge("robotron").Kind);
        Assert.Equal((1, 0, 2), (lists.Newest.Browsers, lists.Newest.Previews, lists.Newest.Bots));
    }

    [Fact]
    public void The_hash_is_that_of_the_patterns_and_not_of_how_they_are_written()
    {
        var list = List("# one\n[bots]\nbot\ncrawl\n[previews]\ncard");
        Assert.Equal(list.Hash, List("[previews]\r\nCARD\r\n[bots]\r\ncrawl # two\r\nBot\r\n").Hash);
        Assert.NotEqual(list.Hash, List("[bots]\nbot\ncrawl\ncard").Hash);
    }

    [Fact]
    public void All_faults_of_a_list_are_told_with_their_lines() => Refused(
        """
        extends 2026-11
        extends 2020-01
        bot
        [bots]
        spider
        [crawlers]
        Spider
        x
        a^b
        |go-http|
        crawlér
        [browsers]
        !mozilla
        """ + $"\n{new string('y', 201)}\n",
        "list.txt:1: extends '2026-11', which is not older than '2026-11'",
        "list.txt:2: extends '2020-01', which is not there or has faults of its own",
        "list.txt:3: 'bot' stands before the first section; [browsers], [previews] or [bots] must come first",
        "list.txt:6: [crawlers] is no section; there are [browsers], [previews] and [bots]",
        "list.txt:7: 'spider' is in line 5 already",
        "list.txt:8: 'x' is too short: it would find nearly everybody",
        "list.txt:9: 'a^b' has a '^', '$' or '|' where it means nothing: '^' begins, '$' ends, '|' bounds words",
        "list.txt:10: '|go-http|' stands between '|' and is no words: letters, digits and single spaces",
        "list.txt:11: has the character U+00E9; only printable ASCII is compared",
        "list.txt:13: '!mozilla' cannot stand in [browsers], where only what is there is looked past: no '!' and no '|'",
        "list.txt:14: has 201 characters; at most 200");

    [Theory]
    [InlineData("", "list.txt: has no pattern in [previews] or [bots], so it would exclude nobody")]
    [InlineData("[browsers]\ncubot", "list.txt: has no pattern in [previews] or [bots], so it would exclude nobody")]
    [InlineData("[bots]\n^", "list.txt:2: '^' is too short: it would find nearly everybody")]
    [InlineData("[bots]\n!", "list.txt:2: '!' is too short: it would find nearly everybody")]
    [InlineData("[bots]\n||", "list.txt:2: '||' is too short: it would find nearly everybody")]
    [InlineData("[bots]\n|", "list.txt:2: '|' is too short: it would find nearly everybody")]
    public void A_list_that_says_nothing_is_refused(string text, string fault) => Refused(text, fault);

    [Fact]
    public void A_pattern_that_finds_an_ordinary_browser_is_refused() => Refused(
        "[bots]\ngoodbot\nsafari/604",
        "list.txt:3: 'safari/604' finds an ordinary browser: Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1");

    [Fact]
    public void The_same_version_twice_or_a_name_that_is_none_is_refused()
    {
        var read = BotLists.Read([new("a/2026-11.txt", "2026-11", "[bots]\nbot"), new("b/2026-11.txt", "2026-11", "[bots]\nspider"), new("b/bots.txt", "bots", "[bots]\nx")]);
        Assert.Equal(
            [
                "b/2026-11.txt: the version '2026-11' is in a/2026-11.txt already; a changed list needs a version of its own",
                "b/bots.txt: its name 'bots' is no version: year and month, such as 2026-11, then perhaps '-' or '.' and lower-case letters and digits, such as 2026-11-acme",
            ],
            Assert.IsType<BotListsRefused>(read).Faults.Select(f => f.ToString()));
        Assert.IsType<BotListsRefused>(BotLists.Read([]));
    }

    [Fact]
    public void A_folder_that_is_not_there_is_told_beside_the_faults_of_the_lists()
    {
        using var folder = new Edge.TemporaryFolder();
        File.WriteAllText(Path.Combine(folder.Path, "2026-11.txt"), "[bots]\nx");
        var faults = Assert.IsType<BotListsRefused>(BotListFolders.Read(folder.Path, Path.Combine(folder.Path, "absent"))).Faults;
        Assert.Equal([Path.Combine(folder.Path, "absent"), Path.Combine(folder.Path, "2026-11.txt")], faults.Select(f => f.File));
        Assert.Equal(2, faults[1].Line);
    }
}
