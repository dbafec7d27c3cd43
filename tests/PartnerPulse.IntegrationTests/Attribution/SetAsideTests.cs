using System.Net;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Attribution;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Status;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>An event that the log cannot hold stops nothing else.</summary>
public sealed class SetAsideTests
{
    [PostgresFact]
    public async Task An_event_that_jsonb_refuses_goes_aside_with_its_reason_and_its_neighbours_are_taken_in()
    {
        // PostgreSQL's jsonb cannot hold U+0000.
        IEvent[] events = [Click("a browser"), Click("a bro\0wser"), Click("another browser"), Enrolled("good"), Enrolled("b\0d"), Enrolled("better")];
        IEvent[] bad = [events[1], events[4]];
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.AddAttribution();
                builder.AddRelayToBus(_ => new ListLog([.. events.Select(Written)]), "list");
                builder.Services.AddSenderStatus("list", "list");
            },
            app => app.MapAttribution());

        await service.SettledAsync();
        var aside = (await service.GetAsync("/v1/set-aside")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("events").EnumerateArray().ToArray();
        Assert.Equal(bad.Select(e => e.EventId).Order(), aside.Select(row => row.GetProperty("eventId").GetGuid()).Order());
        Assert.All(aside, row =>
        {
            Assert.Equal("intake", row.GetProperty("stage").GetString());
            Assert.Contains("Unicode", row.GetProperty("reason").GetString(), StringComparison.Ordinal);
        });
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        var found = await log.FindAsync([.. events.Select(e => e.EventId)], CancellationToken.None);
        Assert.Equal(events.Except(bad).Select(e => e.EventId).Order(), found.Select(e => e.Id).Order());

        // Nothing has changed, so that it cannot be put back.
        var id = aside[0].GetProperty("id").GetInt64();
        (await service.PostAsync($"/v1/set-aside/{id}/return", body: null)).AssertFault(HttpStatusCode.Conflict, "data", "still at fault");
        Assert.Equal(bad.Length, (await service.GetAsync("/v1/set-aside")).Json.GetProperty("events").GetArrayLength());
    }

    [PostgresFact]
    public async Task A_fact_that_this_version_does_not_know_goes_aside_and_so_does_one_that_is_not_what_its_name_says()
    {
        var (good, better) = (Enrolled("good"), Enrolled("better"));
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.AddAttribution();
                builder.AddRelayToBus(
                    _ => new ListLog([Written(good), ("from_the_future", "{\"eventId\":1}"u8.ToArray()), ("link_retired", "{\"slug\":7}"u8.ToArray()), Written(better)]), "list");
                builder.Services.AddSenderStatus("list", "list");
            },
            app => app.MapAttribution());
        await service.SettledAsync();

        var aside = (await service.GetAsync("/v1/set-aside")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("events").EnumerateArray().ToArray();
        Assert.Equal(
            [("from_the_future", "{\"eventId\":1}"), ("link_retired", "{\"slug\":7}")],
            aside.Select(row => (row.GetProperty("type").GetString()!, row.GetProperty("data").GetString()!)));
        Assert.Equal("'from_the_future' is not an event that this version knows", aside[0].GetProperty("reason").GetString());
        (await service.PostAsync($"/v1/set-aside/{aside[0].GetProperty("id")}/return", body: null)).AssertFault(HttpStatusCode.Conflict, "type", "is not an event that this version knows");
        var log = service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);
        Assert.Equal(2, (await log.FindAsync([good.EventId, better.EventId], CancellationToken.None)).Count);
    }

    private static (string Type, byte[] Data) Written(IEvent e) => (EventTypes.Of(e).Name, EventTypes.Serialize(e));

    private static ClickRecorded Click(string userAgent) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch.AddYears(50), PartnerId = "acme", UserAgent = userAgent, Via = ClickVia.Redirect,
    };

    private static PartnerEnrolled Enrolled(string name) => new()
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch.AddYears(50), PartnerId = $"p-{Guid.NewGuid():N}", Name = name, Ref = "r", Destination = "https://shop.example/",
    };

    /// <summary>A sender whose log is a list.</summary>
    private sealed class ListLog(IReadOnlyList<(string Type, byte[] Data)> events) : ITailedLog
    {
        private long _checkpoint;

        public string Origin => "list";

        public Task NextAppend { get; } = new TaskCompletionSource().Task;

        public ValueTask<long> LastPositionAsync(CancellationToken cancellationToken) => new(events.Count);

        public ValueTask<long> CheckpointAsync(CancellationToken cancellationToken) => new(Volatile.Read(ref _checkpoint));

        public ValueTask SaveCheckpointAsync(long position, CancellationToken cancellationToken)
        {
            Volatile.Write(ref _checkpoint, position);
            return default;
        }

        public ValueTask<TailPage> ReadAsync(long position, int max, CancellationToken cancellationToken)
        {
            var page = events.Select((e, i) => new TailedEvent(i + 1, e.Type, e.Data)).Where(e => e.Position > position).Take(max).ToArray();
            return new(new TailPage(page, page.Length == 0 ? position : page[^1].Position));
        }
    }
}
