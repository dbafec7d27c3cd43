using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.UserAgents;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>The bot lists of tests: the shipped ones, and a small one that <see cref="Naive"/> can say in a few words.</summary>
internal static class TestBots
{
    public const string Browser = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";

    private const string SmallVersion = "2020-01-small";

    public static BotLists Lists { get; } = Accepted(
    [
        .. Directory.EnumerateFiles(BotListFolders.Shipped, "*.txt").Select(path => new BotListFile(path, Path.GetFileNameWithoutExtension(path), File.ReadAllText(path))),
        new BotListFile("small", SmallVersion, """
            [browsers]
            cubot
            [previews]
            card
            [bots]
            bot
            |crawl|
            ^curl/
            tail$
            !(
            """),
    ]);

    public static BotList Newest => Lists.Newest;

    public static BotList Small => Lists.Find(SmallVersion)!;

    public static Rules Default { get; } = Rules.Default(Lists);

    public static BotLists Accepted(params IEnumerable<BotListFile> files) => BotLists.Read(files) switch
    {
        BotListsAccepted accepted => accepted.Lists,
        BotListsRefused refused => throw new InvalidOperationException(string.Join('\n', refused.Faults)),
        var other => throw new InvalidOperationException(other.ToString()),
    };
}
