using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Tests.AttributionCore;

/// <summary>The same sale, reported twice, is credited once.</summary>
public sealed class SameOrderTests
{
    private static readonly ConversionRecorded s_kept = An.Conversion(10_000);
    private static readonly ConversionRecorded s_aside = An.Conversion(10_000) with { Source = "network" };

    [Fact]
    public void The_one_set_aside_is_credited_nothing_and_says_which_is_kept()
    {
        var facts = Given.Events(An.Click("acme"), s_kept, Merged(s_aside, s_kept));

        var outcome = facts.When(s_aside).ThenNobody(StopReason.SameOrder).ThenStopped(StopReason.SameOrder);

        facts.When(s_kept).Then(An.Credit("acme", 10_000));
        Assert.Equal((s_kept.ConversionId, s_kept.Source, s_kept.OrderId), (outcome.Receipt.SameOrder!.Id, outcome.Receipt.SameOrder.Source, outcome.Receipt.SameOrder.OrderId));
        Assert.Contains($"it is the same sale as order {s_kept.OrderId} of shop", outcome.Receipt.Summary, StringComparison.Ordinal);
        Assert.Contains("\"sameOrder\":{\"id\":", System.Text.Encoding.UTF8.GetString(Receipt.ToJson(outcome.Receipt)), StringComparison.Ordinal);
        Assert.Contains($"the same sale as order {s_kept.OrderId}", Receipt.ForPartner(outcome.Receipt, "acme").Summary, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_click_it_says_so_too() =>
        Given.Events(s_kept, Merged(s_aside, s_kept)).When(s_aside).ThenNobody(StopReason.SameOrder);

    [Fact]
    public void Once_separated_it_stands_for_itself_whatever_comes_when()
    {
        IEvent[] events = [An.Click("acme"), s_kept, s_aside, Merged(s_aside, s_kept), Separated(s_aside)];

        foreach (var order in Permutations(events))
        {
            var history = History.Fold(order);
            Assert.All(history.Journeys, journey => Assert.Null(journey.SameOrder));
            Assert.All(history.Journeys, journey => Assert.True(Crediting.Decide(journey, history.Standings, TestBots.Default).Credited));
        }
    }

    [Fact]
    public void Of_several_the_nearest_in_time_names_the_sale_whatever_comes_when()
    {
        var far = s_kept with { OccurredAt = An.Now.AddHours(-30) };
        var near = An.Conversion(10_000) with { OccurredAt = An.Now.AddHours(2) };
        IEvent[] events = [s_aside, Merged(s_aside, far), Merged(s_aside, near), Merged(s_aside, s_kept with { OccurredAt = An.Now.AddHours(-3), ConversionId = Guid.NewGuid() })];

        foreach (var order in Permutations(events))
        {
            Assert.Equal(near.ConversionId, History.Fold(order).Journeys.Single().SameOrder!.Into);
        }
    }

    [Fact]
    public void Its_adjustments_stay_with_it() => Given.Events(An.Click("acme"), s_kept, Merged(s_aside, s_kept), An.Adjustment(s_aside, -4_000)).When(s_kept).Then(An.Credit("acme", 10_000));

    private static ConversionMerged Merged(ConversionRecorded aside, ConversionRecorded kept) => new()
    {
        EventId = Ids.Merge(aside.ConversionId, kept.ConversionId),
        ProgramId = "default",
        OccurredAt = An.Now,
        ConversionId = aside.ConversionId,
        Source = aside.Source,
        OrderId = aside.OrderId,
        Into = kept.ConversionId,
        IntoSource = kept.Source,
        IntoOrderId = kept.OrderId,
        IntoOccurredAt = kept.OccurredAt,
        Rule = new OrderIdentity { Sources = ["shop", "network"], Fields = [OrderField.ClickId], WithinHours = 72 },
    };

    private static ConversionSeparated Separated(ConversionRecorded conversion) => new()
    {
        EventId = Ids.Separation(conversion.ConversionId), ProgramId = "default", OccurredAt = An.Now, ConversionId = conversion.ConversionId, Source = conversion.Source, OrderId = conversion.OrderId,
    };

    private static IEnumerable<IReadOnlyList<IEvent>> Permutations(IReadOnlyList<IEvent> events) =>
        events.Count < 2
            ? [events]
            : events.SelectMany((first, i) => Permutations([.. events.Where((_, at) => at != i)]).Select(rest => (IReadOnlyList<IEvent>)[first, .. rest]));
}
