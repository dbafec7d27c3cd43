using System.Text.Json;
using PartnerPulse.Attribution.RuleSets;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.Attribution;

/// <summary>What became of every version, and what it changed.</summary>
public sealed class RulesHistoryTests
{
    private static readonly DateTimeOffset s_time = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_version_counts_from_its_promotion_until_the_next_one_and_again_when_it_is_promoted_again()
    {
        var (first, second) = (Id(1), Id(2));
        var history = new IEvent[]
        {
            Published(1), Requested(first, 1, 1), Promoted(first, 1, day: 0), Published(2), Requested(second, 2, 2), Promoted(second, 2, day: 3), Promoted(first, 1, day: 5),
            Requested(Id(3), 3, 2),
        }.Aggregate(RulesHistory.Empty, RulesHistory.Evolve);
        Assert.Equal([1, 2], history.Published.Keys);
        Assert.Equal([second, Id(3)], history.Replays[2].Select(r => r.ReplayId));
        Assert.Equal([(0, 3), (5, -1)], Days(history, 1));
        Assert.Equal([(3, 5)], Days(history, 2));
    }

    [Fact]
    public void A_difference_names_each_field_before_and_after()
    {
        using var before = JsonDocument.Parse("""{"name":"a","model":{"kind":"time-decay","halfLifeDays":7},"windowDays":60,"kinds":["lead","sale"],"inherit":{"from":"lead"},"commission":[{"percent":20}]}""");
        using var after = JsonDocument.Parse("""{"name":"a","model":{"kind":"linear"},"windowDays":30,"kinds":["sale"],"commission":[{"percent":20,"kind":"sale"},{"percent":5}]}""");
        Assert.Equal(
            [
                "model.kind: time-decay → linear", "windowDays: 60 → 30", "kinds: lead, sale → sale", "commission[0].kind: nothing → sale", "commission[1].percent: nothing → 5",
                "model.halfLifeDays: 7 → nothing", "inherit.from: lead → nothing",
            ],
            RulesDifference.Of(before.RootElement, after.RootElement).Select(c => c.Words));
        Assert.Empty(RulesDifference.Of(after.RootElement, after.RootElement));
    }

    [Fact]
    public void A_list_that_was_empty_or_becomes_so_is_told_by_its_items_alone()
    {
        using var empty = JsonDocument.Parse("""{"name":"a","commission":[]}""");
        using var filled = JsonDocument.Parse("""{"name":"a","commission":[{"percent":20}]}""");
        Assert.Equal(["commission[0].percent: nothing → 20"], RulesDifference.Of(empty.RootElement, filled.RootElement).Select(c => c.Words));
        Assert.Equal(["commission[0].percent: 20 → nothing"], RulesDifference.Of(filled.RootElement, empty.RootElement).Select(c => c.Words));
    }

    private static IEnumerable<(int From, int Until)> Days(RulesHistory history, int version) =>
        history.Counted[version].Select(p => ((p.From - s_time).Days, p.Until is { } until ? (until - s_time).Days : -1));

    private static Guid Id(int number) => Ids.Derive("test", $"{number}");

    private static RulesPublished Published(int version)
    {
        using var document = JsonDocument.Parse("""{"name":"a"}""");
        return new RulesPublished { EventId = Id(100 + version), ProgramId = "main", OccurredAt = s_time, Version = version, Hash = $"{version}", Document = document.RootElement.Clone() };
    }

    private static ReplayRequested Requested(Guid id, int generation, int version) =>
        new() { EventId = id, ProgramId = "main", OccurredAt = s_time, ReplayId = id, Generation = generation, RulesVersion = version };

    private static ReplayPromoted Promoted(Guid id, int generation, int day) =>
        new() { EventId = Id(1_000 + day), ProgramId = "main", OccurredAt = s_time.AddDays(day), ReplayId = id, Generation = generation, PreviousGeneration = 0 };
}
