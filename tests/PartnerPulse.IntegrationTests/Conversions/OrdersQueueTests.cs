using System.Net;
using System.Text;
using Npgsql;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using RabbitMQ.Client;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Orders that shops put into the queue, on a real PostgreSQL and a real RabbitMQ.</summary>
public sealed class OrdersQueueTests
{
    private readonly string _order = $"{Guid.NewGuid():N}";

    [ServersFact]
    public async Task Orders_adjustments_and_lists_are_recorded_plain_and_as_cloud_events()
    {
        await using var shop = await Shop.OpenAsync();
        await using var service = await StartAsync(shop.Broker);

        await shop.SendAsync(Sale("1"));
        await shop.SendAsync($"[{Sale("2")},{Sale("3")}]", "application/json");
        await shop.SendAsync($$"""{"source":"shop","orderId":"{{_order}}-1","adjustmentId":"r-1","amount":"-9.90","currency":"EUR","reason":"refund"}""");
        await shop.SendAsync($$"""{"specversion":"1.0","id":"e-1","source":"/shop","type":"order.paid","shard":"7","data":{{Sale("4")}}}""", "application/cloudevents+json; charset=utf-8");
        await shop.SendAsync(
            $$"""[{"specversion":"1.0","id":"e-2","source":"/shop","type":"order.paid","data_base64":"{{Convert.ToBase64String(Encoding.UTF8.GetBytes(Sale("5")))}}"}]""",
            "application/cloudevents-batch+json");
        await shop.SendAsync(Sale("6"), "application/json", ("cloudEvents:specversion", "1.0"), ("cloudEvents:id", "e-3"), ("cloudEvents:source", "/shop"), ("cloudEvents:type", "order.paid"));
        await shop.SendAsync(Sale("1"));

        await Waits.UntilAsync("all are recorded", async () => await RecordedAsync(service) == 7);
        await Waits.UntilAsync("the queue is empty", async () => await shop.CountAsync(OrdersBroker.Orders) == 0);
        Assert.Equal("40.00", (await service.GetAsync($"/v1/conversions/shop/{_order}-1")).Json.GetProperty("net").GetString());
        Assert.Equal(0u, await shop.CountAsync(OrdersBroker.Errors));
    }

    [ServersFact]
    public async Task A_bad_message_goes_aside_with_field_and_reason_and_its_neighbours_go_on()
    {
        await using var shop = await Shop.OpenAsync();
        await using var service = await StartAsync(shop.Broker);

        await shop.SendAsync("""{"source":"shop",""");
        await shop.SendAsync($"[{Sale("1")},{Sale("2", amount: "1.234")},7,{Sale("3")}]");
        await shop.SendAsync($$"""{"specversion":"0.3","id":"e-1","source":"/shop","type":"t","data":{{Sale("4")}}}""", "application/cloudevents+json");
        await shop.SendAsync(Sale("5"), "application/json", ("cloudEvents:specversion", "1.0"), ("cloudEvents:id", "e-3"));
        await shop.SendAsync(Sale("1", amount: "50.00"));
        await shop.SendAsync(Sale("6"));

        await Waits.UntilAsync("the neighbours are recorded", async () => await RecordedAsync(service) == 3);
        await Waits.UntilAsync("the others are aside", async () => await shop.CountAsync(OrdersBroker.Errors) == 5);
        var body = (await service.GetAsync("/v1/orders/errors")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(5, body.GetProperty("total").GetInt32());
        Assert.Equal(
            ["body is not valid JSON", "[2] is not of the right type", "specversion is '0.3'; it must be '1.0'", "cloudEvents:source is required of a CloudEvent", "amount is recorded as '49.90'; this says '50.00'"],
            body.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("faults")[0]).Select(f => $"{f.GetProperty("field").GetString()} {f.GetProperty("reason").GetString()!.Split(": ")[0]}"));
        Assert.Equal("[1].amount", body.GetProperty("errors")[1].GetProperty("faults")[1].GetProperty("field").GetString());
        Assert.Equal("""{"source":"shop",""", body.GetProperty("errors")[0].GetProperty("body").GetString());

        // Also without our endpoints the reason can be read.
        var message = await shop.GetAsync(OrdersBroker.Errors);
        Assert.Equal("body", OrderMessage.Text(message!.BasicProperties.Headers![OrdersBroker.FieldHeader]));
        Assert.Contains("is not valid JSON", OrderMessage.Text(message.BasicProperties.Headers[OrdersBroker.ReasonHeader]), StringComparison.Ordinal);
        (await service.GetAsync("/v1/orders/errors", Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope admin");
    }

    [ServersFact]
    public async Task What_was_refused_is_put_back_when_its_cause_is_gone_or_dropped()
    {
        await using var shop = await Shop.OpenAsync();
        await using var service = await StartAsync(shop.Broker);
        var refund = $$"""{"source":"shop","orderId":"{{_order}}-1","adjustmentId":"r-1","amount":"-9.90","reason":"refund"}""";
        await shop.SendAsync(refund);
        await shop.SendAsync("nothing");
        await Waits.UntilAsync("both are aside", async () => await shop.CountAsync(OrdersBroker.Errors) == 2);
        var errors = (await service.GetAsync("/v1/orders/errors")).Json.GetProperty("errors");
        Assert.Equal("is required while the order is not known", errors[0].GetProperty("faults")[0].GetProperty("reason").GetString());
        (await service.PostAsync("/v1/conversions", Sale("1"))).AssertStatus(HttpStatusCode.Created);

        (await service.PostAsync($"/v1/orders/errors/{errors[0].GetProperty("id").GetString()}/return", body: null)).AssertStatus(HttpStatusCode.NoContent);

        await Waits.UntilAsync("the refund counts", async () => (await service.GetAsync($"/v1/conversions/shop/{_order}-1")).Json.GetProperty("net").GetString() == "40.00");
        (await service.PostAsync("/v1/orders/errors/nobody/return", body: null)).AssertFault(HttpStatusCode.NotFound, "id", "'nobody' is not among");

        // The other is at fault as before: it goes round once and no further.
        Assert.Equal(1, (await service.PostAsync("/v1/orders/errors/return", body: null)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("returned").GetInt32());
        await Waits.UntilAsync("it is aside again", async () => await shop.CountAsync(OrdersBroker.Errors) == 1);
        var id = (await service.GetAsync("/v1/orders/errors")).Json.GetProperty("errors")[0].GetProperty("id").GetString();
        (await service.DeleteAsync($"/v1/orders/errors/{id}")).AssertStatus(HttpStatusCode.NoContent);
        Assert.Equal(0u, await shop.CountAsync(OrdersBroker.Errors));
    }

    [ServersFact]
    public async Task Nothing_is_lost_where_the_way_to_the_broker_breaks_again_and_again_or_the_service_ends()
    {
        const int Orders = 3_000;
        await using var shop = await Shop.OpenAsync();
        await using var tunnel = new Tunnel(shop.Broker);
        await shop.DeclareAsync();
        await Task.WhenAll(Enumerable.Range(0, Orders).Select(i => shop.SendAsync(Sale($"{i}"))));
        var first = await StartAsync(tunnel.Address);
        for (var cut = 1; cut <= 3; cut++)
        {
            await Waits.UntilAsync("some more are recorded", async () => await RecordedAsync(first) >= cut * 300);
            tunnel.Cut();
            tunnel.Mend();
        }

        await using var second = await StartAsync(tunnel.Address, first);
        await first.DisposeAsync();

        await Waits.UntilAsync("all are recorded", async () => await RecordedAsync(second) == Orders);
        await Waits.UntilAsync("and acknowledged", async () => await shop.CountAsync(OrdersBroker.Orders) == 0);
        Assert.Equal(0u, await shop.CountAsync(OrdersBroker.Errors));
    }

    [ServersFact]
    public async Task A_message_is_acknowledged_only_when_its_order_is_committed()
    {
        await using var shop = await Shop.OpenAsync();
        await using var service = await StartAsync(shop.Broker);
        await shop.SendAsync(Sale("0"));
        await Waits.UntilAsync("the queue is listened to", async () => await RecordedAsync(service) == 1);

        // Whoever holds the log's lock keeps every append from committing.
        await using var connection = new NpgsqlConnection(service.Database);
        await connection.OpenAsync();
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("select pg_advisory_xact_lock(hashtextextended('pulse:conversions.mt_events', 0))", connection);
            await command.ExecuteNonQueryAsync();
            await shop.SendAsync(Sale("1"));
            await Waits.UntilAsync("the append waits for the lock", async () => await ScalarAsync(service, "select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())") > 0);
            await service.DisposeAsync();
        }

        await Waits.UntilAsync("the message is back in the queue", async () => await shop.CountAsync(OrdersBroker.Orders) == 1);
        await using var next = await StartAsync(shop.Broker, service);
        await Waits.UntilAsync("it is recorded", async () => await RecordedAsync(next) == 2);
    }

    [PostgresFact]
    public async Task Without_a_broker_there_are_no_errors_to_look_at()
    {
        await using var service = await StartAsync(broker: null);

        (await service.GetAsync("/v1/orders/errors")).AssertFault(HttpStatusCode.NotFound, "Bus:Orders", "is not set");
    }

    private string Sale(string order, string amount = "49.90") =>
        $$"""{"source":"shop","orderId":"{{_order}}-{{order}}","kind":"sale","occurredAt":"2026-03-01T10:00:00Z","amount":"{{amount}}","currency":"EUR"}""";

    private static Task<TestService> StartAsync(string? broker, TestService? besides = null) => TestService.StartAsync(
        builder =>
        {
            builder.Configuration["Bus:Orders"] = broker;
            builder.AddConversions();
        },
        app => app.MapConversions(),
        besides);

    private static Task<long> RecordedAsync(TestService service) => ScalarAsync(service, "select count(*) from conversions.mt_events");

    private static async Task<long> ScalarAsync(TestService service, string sql)
    {
        await using var connection = new NpgsqlConnection(service.Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>A shop with a connection of its own.</summary>
    private sealed class Shop(string broker, IConnection connection, IChannel channel) : IAsyncDisposable
    {
        public string Broker => broker;

        public static async Task<Shop> OpenAsync()
        {
            var broker = await TestServers.NewVirtualHostAsync();
            var connection = await new ConnectionFactory { Uri = new Uri(broker) }.CreateConnectionAsync();
            return new Shop(broker, connection, await connection.CreateChannelAsync(new CreateChannelOptions(true, true)));
        }

        /// <summary>Declares the queues as the service does.</summary>
        public async Task DeclareAsync() => await (await OrdersBroker.OpenAsync(connection, default)).DisposeAsync();

        /// <summary>Completes when the broker has it in the queue.</summary>
        public async Task SendAsync(string body, string? contentType = null, params (string Name, string Value)[] headers)
        {
            await DeclareOnceAsync();
            var properties = new BasicProperties { ContentType = contentType, Headers = headers.ToDictionary(h => h.Name, h => (object?)h.Value, StringComparer.Ordinal) };
            await channel.BasicPublishAsync("", OrdersBroker.Orders, mandatory: true, properties, Encoding.UTF8.GetBytes(body));
        }

        public async Task<uint> CountAsync(string queue)
        {
            await using var own = await connection.CreateChannelAsync();
            return (await own.QueueDeclarePassiveAsync(queue)).MessageCount;
        }

        public Task<BasicGetResult?> GetAsync(string queue) => channel.BasicGetAsync(queue, autoAck: true);

        public async ValueTask DisposeAsync()
        {
            await channel.DisposeAsync();
            await connection.DisposeAsync();
        }

        private Task? _declared;

        private Task DeclareOnceAsync() => _declared ??= DeclareAsync();
    }
}
