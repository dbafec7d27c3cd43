using System.Text;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.Tests.AttributionCore;
using PartnerPulse.Tests.Conversions;
using Xunit.Abstractions;

namespace PartnerPulse.Tests.AttributionProjections;

/// <summary>Clicks are read for journeys by a reader of their own. It reads what the serializer reads, and refuses what it refuses.</summary>
public sealed class ClickReaderTests(ITestOutputHelper output)
{
    private static readonly ClickRecorded s_full = An.Click("acme", 3) with
    {
        Link = "spring", VisitorId = "v-1", Destination = "https://shop.example/a?b=ü", Query = "utm_source=blog", ReferrerHost = "blog.example", AddressHash = "a1b2",
        UserAgent = TestBots.Browser, Test = true, Via = ClickVia.Landing, Campaign = new Campaign { Source = "blog", Medium = "m", Name = "mai", Term = "t", Content = "c" },
        Signals = new ClickSignals { Method = "HEAD", Purpose = "prefetch", Gpc = true, Dnt = true, Consent = false, Burst = true },
    };

    [Fact]
    public void Every_click_of_a_history_is_read_as_the_serializer_reads_it() =>
        Properties.Hold(output, Histories.All, 500, given => Assert.All(given.Events.OfType<ClickRecorded>(), click => AssertSame(EventTypes.Serialize(click))));

    [Fact]
    public void So_is_whatever_becomes_of_a_click_on_its_way()
    {
        var random = Seeds.Random(output);
        var text = Encoding.UTF8.GetString(EventTypes.Serialize(s_full));
        var bare = Encoding.UTF8.GetString(EventTypes.Serialize(An.Click("acme", 3)));
        string[] begins =
        [
            text, bare, text.Replace("\"link\"", "\"Link\"", StringComparison.Ordinal), text.Replace("\"spring\"", "null", StringComparison.Ordinal),
            text.Replace("mai", "m\\u0061i", StringComparison.Ordinal), text.Replace("\"mai\"", "7", StringComparison.Ordinal), bare[..^1] + ",\"subIds\":{\"sub1\":\"x\"},\"later\":[1]}",
            text.Replace("landing", "Landing", StringComparison.Ordinal), text.Replace("\"test\":true", "\"test\":\"true\"", StringComparison.Ordinal), "[]", "7", "null", "{}", text + " {}",
        ];
        var (read, refused) = (0, 0);
        for (var i = 0; i < 40_000; i++)
        {
            var begin = begins[i % begins.Length];
            _ = AssertSame(i < begins.Length ? Encoding.UTF8.GetBytes(begin) : Mutations.Of(random, begin)) ? read++ : refused++;
        }

        Assert.True(read > 5_000 && refused > 5_000, $"{read} read, {refused} refused");
    }

    /// <summary>A property that a click gets one day has to be decided on here: read and told apart, or thrown away.</summary>
    [Fact]
    public void What_is_read_and_what_is_thrown_away_is_all_there_is_of_a_click()
    {
        string[] thrownAway = ["Destination", "SubIds", "Query", "ReferrerHost", "AddressHash"];
        string[] ofTheRequest = ["ProgramId", "UserAgent", "Signals", "Via", "Test"];
        string[] own = ["EventId", "OccurredAt", "PartnerId", "Link", "VisitorId", "Campaign"];
        Assert.Equal(
            [.. thrownAway.Concat(ofTheRequest).Concat(own).Order(StringComparer.Ordinal)],
            typeof(ClickRecorded).GetProperties().Select(p => p.Name).Order(StringComparer.Ordinal));

        var comparer = PackedTouches.RequestComparer.Instance;
        Assert.Equal(s_full, s_full with { EventId = Guid.NewGuid(), OccurredAt = default, PartnerId = "", Link = null, VisitorId = null, Campaign = null, Destination = null, Query = null }, comparer);
        Assert.Equal(comparer.GetHashCode(s_full), comparer.GetHashCode(s_full with { EventId = Guid.Empty, Signals = s_full.Signals! with { } }));
        foreach (var other in (ClickRecorded[])
        [
            s_full with { ProgramId = "other" }, s_full with { UserAgent = null }, s_full with { Signals = s_full.Signals! with { Burst = null } }, s_full with { Via = ClickVia.Import },
            s_full with { Test = false },
        ])
        {
            Assert.NotEqual(s_full, other, comparer);
        }
    }

    /// <returns>Whether it can be read.</returns>
    private static bool AssertSame(byte[] json)
    {
        var expected = LogPage.Read(EventTypes.Of<ClickRecorded>().Name, json, out var why) is ClickRecorded click ? ClickReader.Kept(click) : null;
        var read = ClickReader.Read(json, out var reason);
        Assert.True(expected == read, $"{Encoding.UTF8.GetString(json)}\n{expected}\n{read}");
        Assert.Equal(why, reason);
        return read is not null;
    }
}
