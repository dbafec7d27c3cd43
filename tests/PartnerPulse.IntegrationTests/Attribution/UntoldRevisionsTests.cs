using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>A promotion tells what it changes, once; a rebuild only what nobody was told before.</summary>
public sealed class UntoldRevisionsTests
{
    /// <summary>More than are told in one commit.</summary>
    private const int Contested = 4_500;

    private static readonly DateTimeOffset s_at = TimeProvider.System.GetUtcNow().AddDays(-3);

    [PostgresFact]
    public async Task A_promotion_tells_exactly_the_conversions_whose_credit_differs_and_each_once()
    {
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        var events = new List<IEvent>();
        for (var i = 0; i < Contested; i++)
        {
            events.AddRange([Click("alpha", $"both-{i}", 2), Click("bravo", $"both-{i}", 1), Order($"both-{i}")]);
        }

        // The same partner first and last, one partner alone, nobody at all, and a test order that differs like the others.
        events.AddRange([Click("alpha", "same", 3), Click("bravo", "same", 2), Click("alpha", "same", 1), Order("same")]);
        events.AddRange([Click("alpha", "alone", 1), Order("alone"), Order("nobody")]);
        events.AddRange([Click("alpha", "tried", 2, test: true), Click("bravo", "tried", 1, test: true), Order("tried", test: true)]);
        await log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
        await service.ProjectedAsync();
        var first = await RevisionsAsync(log, after: 0);
        Assert.Equal(Contested + 3, first.Length);

        var lastTouch = await service.ReplayAsync("""{"rules":{"name":"last-touch","model":{"kind":"last-touch"},"windowDays":60}}""");
        var before = await log.LastPositionAsync(CancellationToken.None);
        (await service.PostAsync($"/v1/replays/{lastTouch}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        var told = await UntilAsync(log, before, Contested + 1);

        Assert.Equal(
            Enumerable.Range(0, Contested).Select(i => $"both-{i}").Append("tried").Select(ConversionOf).Order(), told.Select(r => r.ConversionId).Order());
        Assert.All(told, r =>
        {
            Assert.Equal(("alpha", "bravo"), (Assert.Single(r.Before).PartnerId, Assert.Single(r.After).PartnerId));
            Assert.Equal((1m, 4_990L, "EUR", 2), (r.After[0].Share, r.After[0].AmountMinor, r.Currency, r.Generation));
            Assert.Equal("bravo", Assert.Single(r.Clicks!).PartnerId);
        });

        // What was told before and what is told now fit together, with the clicks of each.
        var earlier = first.ToDictionary(r => r.ConversionId);
        Assert.All(told, r => Assert.Equal(earlier[r.ConversionId].After, r.Before));
        Assert.All(first, r => Assert.Equal("alpha", Assert.Single(r.Clicks!).PartnerId));

        // A rebuild is not news, and neither is the same promotion again.
        var settled = await log.LastPositionAsync(CancellationToken.None);
        (await service.PostAsync("/v1/rebuild", body: null)).AssertStatus(HttpStatusCode.Accepted);
        (await service.PostAsync($"/v1/replays/{lastTouch}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        await service.ProjectedAsync();
        Assert.Empty(await RevisionsAsync(log, settled));

        // The way back is: each conversion again, under ids of its own.
        (await service.PostAsync($"/v1/replays/{Ids.Derive("first-replay", "main")}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        var back = await UntilAsync(log, settled, Contested + 1);
        Assert.All(back, r => Assert.Equal(("bravo", "alpha", 1), (Assert.Single(r.Before).PartnerId, Assert.Single(r.After).PartnerId, r.Generation)));
        Assert.Empty(back.Select(r => r.EventId).Intersect(told.Select(r => r.EventId)));

        // And what comes after it follows from it.
        await log.AppendAsync([IntakeWriter.ToNewEvent(Refund("both-0"))], CancellationToken.None);
        var refunded = await UntilAsync(log, settled, Contested + 2);
        Assert.Equal(back.Single(r => r.ConversionId == ConversionOf("both-0")).After, refunded[^1].Before);
    }

    [PostgresFact]
    public async Task A_promotion_does_not_hang_on_what_the_database_knows_of_generations()
    {
        const int Conversions = 4_000;
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        var events = Enumerable.Range(0, Conversions).SelectMany(i => new IEvent[] { Click("alpha", $"v-{i}", 2), Click("bravo", $"v-{i}", 1), Order($"v-{i}") });
        await log.AppendAsync(events.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
        await service.ProjectedAsync();

        // It takes generations that have come since it last looked for empty. A plan that joins them row by row is right then, and took over a minute.
        await log.DataSource.Sql("analyze").RunAsync(CancellationToken.None);
        foreach (var model in new[] { "last-touch", "linear" })
        {
            var replay = await service.ReplayAsync($$"""{"rules":{"windowDays":60,"model":{"kind":"{{model}}"},"name":"{{model}}"} }""");
            var before = await log.LastPositionAsync(CancellationToken.None);
            var watch = Stopwatch.StartNew();
            (await service.GetAsync($"/v1/replays/{replay}/diff")).AssertStatus(HttpStatusCode.OK);
            (await service.GetAsync($"/v1/replays/{replay}/diff/conversions?limit=1000")).AssertStatus(HttpStatusCode.OK);
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"The difference of {Conversions} conversions took {watch.Elapsed}.");
            watch.Restart();
            (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"The promotion of {Conversions} conversions took {watch.Elapsed}.");
            await UntilAsync(log, before, Conversions);
        }
    }

    [PostgresFact]
    public async Task A_rebuild_tells_what_was_in_the_log_and_not_folded_before_it_and_nothing_else()
    {
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        await log.AppendAsync(new IEvent[] { Click("alpha", "old", 1), Order("old"), Click("alpha", "refunded", 1), Order("refunded") }.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
        var before = (await UntilAsync(log, after: 0, 2)).Single(r => r.ConversionId == ConversionOf("refunded"));
        var position = await log.LastPositionAsync(CancellationToken.None);

        // In one transaction, so that the projector meets the request before the events.
        await using (var connection = await log.DataSource.OpenConnectionAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await log.SaveCheckpointAsync(connection, "projector", -1, CancellationToken.None);
            await log.AppendAsync(connection, new IEvent[] { Click("bravo", "new", 1), Order("new"), Refund("refunded") }.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);
            await transaction.CommitAsync();
        }

        var told = await UntilAsync(log, position, 2);
        await service.ProjectedAsync();
        Assert.Equal(2, (await RevisionsAsync(log, position)).Length);
        var fresh = Assert.Single(told, r => r.ConversionId == ConversionOf("new"));
        Assert.Equal((0, "bravo"), (fresh.Before.Count, Assert.Single(fresh.After).PartnerId));
        var refunded = Assert.Single(told, r => r.ConversionId == ConversionOf("refunded"));
        Assert.Equal(before.After, refunded.Before);
        Assert.Equal(3_990, Assert.Single(refunded.After).AmountMinor);
    }

    [PostgresFact]
    public async Task What_came_before_the_first_rules_were_in_force_is_told_with_them()
    {
        // The log is there before the service: its first rules come after the order, on one page with it.
        var database = await TestServers.NewDatabaseAsync();
        await using var source = NpgsqlDataSource.Create(database);
        var log = new EventLog(source, AttributionService.Schema);
        await log.CreateSchemaAsync(CancellationToken.None);
        await log.AppendAsync(new IEvent[] { Click("alpha", "early", 1), Order("early") }.Select(IntakeWriter.ToNewEvent).ToArray(), CancellationToken.None);

        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.Services.AddSingleton(source);
                builder.AddAttribution();
            },
            app => app.MapAttribution());

        var told = Assert.Single(await UntilAsync(log, after: 0, 1));
        Assert.Equal((ConversionOf("early"), 0, "alpha"), (told.ConversionId, told.Before.Count, Assert.Single(told.After).PartnerId));
    }

    /// <summary>Waits until so many revisions are in the log after a position, and everything before them is folded.</summary>
    private static async Task<CreditsRevised[]> UntilAsync(EventLog log, long after, int count)
    {
        CreditsRevised[] revisions = [];
        await Waits.UntilAsync(
            $"{count} revisions are told after {after}",
            async () => (revisions = await RevisionsAsync(log, after)).Length >= count,
            async () => $"{revisions.Length} are; the log ends at {await log.LastPositionAsync(CancellationToken.None)}, folded is {await log.CheckpointAsync("projector", CancellationToken.None)}");
        Assert.Equal(count, revisions.Length);
        return revisions;
    }

    private static async Task<CreditsRevised[]> RevisionsAsync(EventLog log, long after)
    {
        var type = EventTypes.Of<CreditsRevised>();
        return (await log.ReadAllAsync(after, int.MaxValue, CancellationToken.None)).Where(e => e.Type == type.Name)
            .Select(e => (CreditsRevised)EventTypes.Deserialize(type, e.Data.Span)).ToArray();
    }

    private static Guid ConversionOf(string order) => Ids.Conversion("main", "shop", order);

    private static ClickRecorded Click(string partner, string visitor, int daysBefore, bool test = false) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at.AddDays(-daysBefore), PartnerId = partner, VisitorId = visitor, Via = ClickVia.Import, Test = test,
    };

    private static ConversionRecorded Order(string order, bool test = false) => new()
    {
        EventId = ConversionOf(order), ProgramId = "main", OccurredAt = s_at, ConversionId = ConversionOf(order), Kind = ConversionKind.Sale, Source = "shop", OrderId = order,
        VisitorId = order, AmountMinor = 4_990, Currency = "EUR", Test = test,
    };

    private static ConversionAdjusted Refund(string order) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = s_at.AddDays(1), ConversionId = ConversionOf(order), Source = "shop", OrderId = order, AdjustmentId = "r-1",
        AmountMinor = -1_000, Currency = "EUR", Reason = AdjustmentReason.Refund,
    };
}
