using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests;
using PartnerPulse.Tests.Conversions;
using RabbitMQ.Client;
using Xunit.Abstractions;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Mutated reports by every way in, down to the log: each is recorded whole, or refused with its reason and not recorded.</summary>
public sealed class HostileReportsTests(ITestOutputHelper output)
{
    private const int Lines = 25_000;
    private const int Messages = 25_000;

    [PostgresFact]
    public async Task Lines_of_an_import_are_recorded_whole_or_not_at_all()
    {
        var random = Seeds.Random(output);
        await using var service = await TestService.StartAsync(builder => builder.AddConversions(), app => app.MapConversions());
        var file = new MemoryStream();
        for (var i = 0; i < Lines; i++)
        {
            file.Write(Mutations.Of(random, Report(random, i)));
            file.WriteByte((byte)'\n');
        }

        using var content = new ByteArrayContent(file.ToArray());
        content.Headers.ContentType = new MediaTypeHeaderValue("application/x-ndjson");
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Address, "/v1/imports/conversions")) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{Scope.WriteConversions}");
        using var response = await client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var end = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("end");
        var (recorded, already, rejected) = (end.GetProperty("recorded").GetInt64(), end.GetProperty("alreadyRecorded").GetInt64(), end.GetProperty("rejectedTotal").GetInt64());
        output.WriteLine($"{recorded} recorded, {already} already, {rejected} refused");

        // A line feed that was put in makes two lines of one, and an empty line is none.
        Assert.InRange(recorded + already + rejected, Lines * 9 / 10, Lines * 2);
        Assert.InRange(recorded, Lines / 10, Lines);
        Assert.InRange(rejected, Lines / 10, Lines * 2);
        Assert.Equal(recorded, (await EventsAsync(service)).Count);
    }

    [ServersFact]
    public async Task Messages_of_the_queue_are_recorded_whole_or_set_aside()
    {
        var random = Seeds.Random(output);
        var broker = await TestServers.NewVirtualHostAsync();
        await using var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
        await using var channel = await OrdersBroker.OpenAsync(connection, default);
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.Configuration["Bus:Orders"] = broker;
                builder.AddConversions();
            },
            app => app.MapConversions());
        string?[] types = [null, "application/json", "application/cloudevents+json", "application/cloudevents-batch+json"];
        foreach (var part in Enumerable.Range(0, Messages).Chunk(500))
        {
            await Task.WhenAll(part.Select(i =>
            {
                var properties = new BasicProperties { ContentType = types[random.Next(types.Length)] };
                return channel.BasicPublishAsync("", OrdersBroker.Orders, mandatory: true, properties, Mutations.Of(random, Report(random, i))).AsTask();
            }));
        }

        for (var waited = Stopwatch.StartNew(); await CountAsync(OrdersBroker.Orders) > 0 || await UnacknowledgedAsync(service); await Task.Delay(50))
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(120), $"{await CountAsync(OrdersBroker.Orders)} messages are left.");
        }

        var events = await EventsAsync(service);
        var refused = await CountAsync(OrdersBroker.Errors);
        output.WriteLine($"{events.Count} recorded, {refused} set aside");
        Assert.InRange(events.Count, Messages / 10, Messages);
        Assert.InRange((int)refused, Messages / 10, Messages);

        async Task<uint> CountAsync(string queue) => (await channel.QueueDeclarePassiveAsync(queue)).MessageCount;

        // One more that is recorded when all before it are settled: the queue is taken in order, and acknowledged in order.
        async Task<bool> UnacknowledgedAsync(TestService service)
        {
            var id = $"{Guid.NewGuid():N}";
            await channel.BasicPublishAsync("", OrdersBroker.Orders, mandatory: true, new BasicProperties(), Encoding.UTF8.GetBytes($$"""{"source":"last","orderId":"{{id}}","kind":"lead"}"""));
            for (var waited = Stopwatch.StartNew(); (await service.GetAsync($"/v1/conversions/last/{id}")).Status != HttpStatusCode.OK; await Task.Delay(20))
            {
                Assert.True(waited.Elapsed < TimeSpan.FromSeconds(60), "What came after the mutated messages was not recorded.");
            }

            return false;
        }
    }

    /// <summary>All that is in the log; each can be read, and is what its stream says.</summary>
    private static async Task<IReadOnlyList<IEvent>> EventsAsync(TestService service)
    {
        var log = service.Services.GetRequiredKeyedService<EventLog>(ConversionsService.Schema);
        var events = new List<IEvent>();
        foreach (var stored in await log.ReadAllAsync(0, 200_000, CancellationToken.None))
        {
            var e = EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span);
            var conversion = e switch
            {
                ConversionRecorded order => Ids.Conversion("main", order.Source, order.OrderId),
                ConversionAdjusted adjustment => Ids.Conversion("main", adjustment.Source, adjustment.OrderId),
                var other => throw new InvalidOperationException(other.ToString()),
            };
            Assert.Equal(conversion, stored.StreamId);
            events.Add(e);
        }

        return events;
    }

    private static string Report(Random random, int i) =>
        (random.Next(3) == 0 ? Mutations.Adjustment : Mutations.Order).Replace("1001", i.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
