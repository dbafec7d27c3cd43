using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using System.Text;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.Servers;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>The arrow from a log over the bus to a consumer, on a real PostgreSQL and a real RabbitMQ.</summary>
[Collection(WholeSystems.Name)]
public sealed class BusTests
{
    private const string Schema = "partners";
    private const string Queue = "attribution-facts";

    [ServersFact]
    public async Task An_event_that_was_published_while_its_consumer_was_never_up_is_delivered_when_it_comes()
    {
        var broker = await TestServers.NewVirtualHostAsync();
        Guid[] sent;
        await using (var sender = await Station.StartAsync(broker))
        {
            sent = await sender.AppendAsync(3);
            await sender.UntilRelayedAsync(3);
        }

        await using (var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync())
        {
            await using var channel = await connection.CreateChannelAsync();
            // What is appended together travels together.
            Assert.Equal(1u, (await channel.QueueDeclarePassiveAsync(Queue)).MessageCount);
        }

        var received = new Received();
        await using var receiver = await Station.StartAsync(broker, received);

        await Waits.UntilAsync("all three arrive", () => received.All.Count >= 3);
        Assert.Equal(sent.Order(), received.Ids);
        AssertIntervalsLieEndToEnd(received, to: 3);
    }

    [PostgresFact]
    public async Task Over_the_mediator_a_message_says_as_well_which_part_of_the_log_it_carries()
    {
        var received = new Received();
        await using var station = await Station.StartAsync(broker: null, received);

        var sent = await station.AppendAsync(3);
        await station.UntilRelayedAsync(3);

        // The mediator completes a publish when its consumers have: by now nothing is under way any more.
        Assert.Equal(sent.Order(), received.Ids);
        AssertIntervalsLieEndToEnd(received, to: 3);
    }

    [ServersFact]
    public async Task A_poison_message_goes_aside_with_its_reason_while_its_neighbours_are_consumed()
    {
        var broker = await TestServers.NewVirtualHostAsync();
        var ids = Enumerable.Range(0, 5).Select(_ => Guid.NewGuid()).ToArray();
        var received = new Received { Poison = ids[2] };
        await using var station = await Station.StartAsync(broker, received);

        // What is handed on together is one message.
        for (var i = 0; i < ids.Length; i++)
        {
            await station.AppendAsync([ids[i]]);
            await station.UntilRelayedAsync(i + 1);
        }

        await Waits.UntilAsync("the other four arrive", () => received.All.Count >= 4);
        Assert.Equal(ids.Where(id => id != received.Poison).Order(), received.Ids);
        await station.UntilRelayedAsync(5);
        await using var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
        BasicGetResult? aside = null;
        await Waits.UntilAsync("the poison one is aside", async () =>
        {
            try
            {
                await using var channel = await connection.CreateChannelAsync();
                return (aside = await channel.BasicGetAsync($"{Queue}_error", autoAck: true)) is not null;
            }
            catch (OperationInterruptedException)
            {
                return false; // The queue is made when the first message goes aside.
            }
        });
        Assert.Contains(received.Poison!.Value.ToString(), Encoding.UTF8.GetString(aside!.Body.Span), StringComparison.Ordinal);
        Assert.Equal(Received.WhyPoison, Header(aside, "MT-Fault-Message"));
        Assert.Equal(typeof(InvalidDataException).FullName, Header(aside, "MT-Fault-ExceptionType"));
        Assert.Equal(0u, aside.MessageCount);
    }

    [ServersFact]
    public async Task Every_queue_is_there_before_its_consumer_and_is_a_quorum_queue()
    {
        var broker = await TestServers.NewVirtualHostAsync();
        await using var sender = await Station.StartAsync(broker);
        foreach (var queue in Topology.Queues)
        {
            await sender.PublishAsync(RuntimeHelpers.GetUninitializedObject(queue.Message));
        }

        await using var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
        foreach (var queue in Topology.Queues)
        {
            await using (var channel = await connection.CreateChannelAsync())
            {
                Assert.Equal(1u, (await channel.QueueDeclarePassiveAsync(queue.Name)).MessageCount);
            }

            // The broker refuses to declare a queue again as another kind, and says of which kind it is.
            await using var other = await connection.CreateChannelAsync();
            var refused = await Assert.ThrowsAsync<OperationInterruptedException>(() => other.QueueDeclareAsync(
                queue.Name, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-queue-type"] = "classic" }));
            Assert.Contains("x-queue-type", refused.Message, StringComparison.Ordinal);
            Assert.Contains("quorum", refused.Message, StringComparison.Ordinal);
        }
    }

    [ServersFact]
    public async Task An_event_that_no_queue_takes_is_not_handed_on_until_one_does()
    {
        var broker = await TestServers.NewVirtualHostAsync();
        await using var sender = await Station.StartAsync(broker);
        await sender.AppendAsync(1);
        await sender.UntilRelayedAsync(1);
        await using var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();

        await channel.QueueDeleteAsync(Queue);
        using var retries = new Retries();
        var id = (await sender.AppendAsync(1)).Single();
        await Waits.UntilAsync("the relay has tried more than once", () => retries.Count > 0);
        Assert.Equal(1, await sender.CheckpointAsync());

        await channel.QueueDeclareAsync(
            Queue, durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-queue-type"] = "quorum" });
        await channel.QueueBindAsync(Queue, "PartnerPulse.Contracts:FactsRecorded", "");
        await sender.UntilRelayedAsync(2);
        var message = await channel.BasicGetAsync(Queue, autoAck: true);
        Assert.Contains(id.ToString(), Encoding.UTF8.GetString(message!.Body.Span), StringComparison.Ordinal);
    }

    [ServersFact]
    public async Task While_the_broker_is_away_the_checkpoint_stays_and_when_it_is_back_the_log_drains()
    {
        var broker = await TestServers.NewVirtualHostAsync();
        await using var tunnel = new Tunnel(broker);
        var received = new Received();
        await using var receiver = await Station.StartAsync(broker, received);
        await using var sender = await Station.StartAsync(tunnel.Address);
        var first = await sender.AppendAsync(1);
        await sender.UntilRelayedAsync(1);

        tunnel.Cut();
        var second = await sender.AppendAsync(2);
        await Waits.UntilAsync("the relay has tried again and again", () => tunnel.Refused >= 3);
        Assert.Equal(1, await sender.CheckpointAsync());

        tunnel.Mend();
        await sender.UntilRelayedAsync(3);
        await Waits.UntilAsync("all have arrived", () => received.Ids.Count == 3);
        Assert.Equal(first.Concat(second).Order(), received.Ids);
    }

    [ServersFact]
    public async Task A_service_that_starts_while_the_broker_dies_is_on_the_bus_when_it_is_back()
    {
        // The answers to a start, from the first word to the first confirm, are some 1 kB: each station's way is cut at another byte.
        const int Moments = 30;
        var broker = await TestServers.NewVirtualHostAsync();
        var received = new Received();
        var cut = 0;
        await Task.WhenAll(Enumerable.Range(0, Moments).Select(async n =>
        {
            await using var tunnel = new Tunnel(broker);
            tunnel.CutAfter(1 + (n * 40));
            await using var station = await Station.StartAsync(tunnel.Address, received);
            await station.AppendAsync(1);
            await Waits.UntilAsync("the way is cut, or was not needed that far", async () => tunnel.IsCut || await station.CheckpointAsync() == 1);
            if (tunnel.IsCut)
            {
                Interlocked.Increment(ref cut);
            }

            tunnel.Mend();
            await Waits.UntilAsync($"station {n} is on the bus", () => station.IsOnTheBus);
            await station.UntilRelayedAsync(1);
        }));

        await Waits.UntilAsync("all events arrive", () => received.Ids.Count == Moments);
        Assert.InRange(cut, Moments / 3, Moments);
    }

    [ServersFact]
    public async Task What_the_broker_has_but_did_not_confirm_is_sent_again()
    {
        var broker = await TestServers.NewVirtualHostAsync();
        await using var tunnel = new Tunnel(broker);
        var received = new Received();
        await using var receiver = await Station.StartAsync(broker, received);
        await using var sender = await Station.StartAsync(tunnel.Address);
        await sender.AppendAsync(1);
        await sender.UntilRelayedAsync(1);

        tunnel.LoseAnswers();
        var lost = (await sender.AppendAsync(1)).Single();
        await Waits.UntilAsync("the event arrives though its confirm does not", () => received.Ids.Contains(lost));
        Assert.Equal(1, await sender.CheckpointAsync());

        tunnel.Cut();
        tunnel.Mend();
        await sender.UntilRelayedAsync(2);
        await Waits.UntilAsync("it arrives a second time", () => received.All.Count(r => r.Event.EventId == lost) >= 2);
    }

    private static void AssertIntervalsLieEndToEnd(Received received, long to)
    {
        var intervals = received.All.Select(r => r.Handover).OfType<Handover>().Distinct().OrderBy(h => h.After).ToArray();
        Assert.All(intervals, h => Assert.Equal(Schema, h.Origin));
        Assert.Equal([0, .. intervals[..^1].Select(h => h.To)], intervals.Select(h => h.After));
        Assert.Equal(to, intervals[^1].To);
    }

    private static string? Header(BasicGetResult message, string name) =>
        message.BasicProperties.Headers![name] is byte[] bytes ? Encoding.UTF8.GetString(bytes) : message.BasicProperties.Headers[name]?.ToString();

    /// <summary>Counts how often relays of this process had to try again.</summary>
    private sealed class Retries : IDisposable
    {
        private readonly MeterListener _listener = new();
        private long _count;

        public Retries()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "pulse.relay.retries")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            };
            _listener.SetMeasurementEventCallback<long>((_, count, _, _) => Interlocked.Add(ref _count, count));
            _listener.Start();
        }

        public long Count => Volatile.Read(ref _count);

        public void Dispose() => _listener.Dispose();
    }

    /// <summary>A host with a log in a database of its own and its relay; it consumes where it is given somewhere to put it.</summary>
    private sealed class Station(WebApplication app) : IAsyncDisposable
    {
        private EventLog Log { get; } = app.Services.GetRequiredKeyedService<EventLog>(Schema);

        public static async Task<Station> StartAsync(string? broker, Received? received = null)
        {
            var builder = WebApplication.CreateBuilder();
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                ["urls"] = "http://127.0.0.1:0",
                ["ConnectionStrings:Postgres"] = await TestServers.NewDatabaseAsync(),
                ["Bus:Transport"] = broker is null ? "mediator" : "rabbitmq",
                ["Bus:RabbitMq"] = broker,
            });
            builder.Logging.SetMinimumLevel(LogLevel.Critical);
            builder.AddPostgres();
            builder.AddEventLog(Schema);
            builder.AddRelayToBus(Schema);
            if (received is not null)
            {
                builder.Services.AddSingleton(received);
                builder.AddConsumer<ReceivingConsumer, FactsRecorded>();
            }

            builder.AddBus();
            var app = builder.Build();
            await app.StartAsync();
            return new Station(app);
        }

        /// <summary>The bus is started and each of its queues is listened to.</summary>
        public bool IsOnTheBus => app.Services.GetRequiredService<IBusControl>().CheckHealth().Status == BusHealthStatus.Healthy;

        public Task PublishAsync(object message) => app.Services.GetRequiredService<IPublishEndpoint>().Publish(message, message.GetType());

        public Task<Guid[]> AppendAsync(int count) => AppendAsync([.. Enumerable.Range(0, count).Select(_ => Guid.NewGuid())]);

        public async Task<Guid[]> AppendAsync(Guid[] ids)
        {
            var type = EventTypes.Of<PartnerEnrolled>();
            await Log.AppendAsync(
                [
                    .. ids.Select(id => new NewEvent(id, id, "partner", type.Name, type.DotnetType, EventTypes.Serialize(new PartnerEnrolled
                    {
                        EventId = id, ProgramId = "main", OccurredAt = DateTimeOffset.UnixEpoch, PartnerId = $"p-{id:N}", Name = "P", Ref = $"p-{id:N}", Destination = "https://shop.example/",
                    }))),
                ],
                CancellationToken.None);
            return ids;
        }

        public Task<long> CheckpointAsync() => Log.CheckpointAsync("relay", CancellationToken.None);

        /// <summary>Waits until the bus has confirmed everything up to a position.</summary>
        public Task UntilRelayedAsync(long position) => Waits.UntilAsync($"the relay is at {position}", async () => await CheckpointAsync() >= position);

        public async ValueTask DisposeAsync()
        {
            await app.StopAsync();
            await app.DisposeAsync();
        }
    }
}
