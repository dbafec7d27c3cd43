using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using PartnerPulse.Attribution;
using PartnerPulse.Conversions;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.IntegrationTests.Edge;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Partners;
using PartnerPulse.Tests;
using PartnerPulse.Tests.AttributionCore;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace PartnerPulse.IntegrationTests.Deploy;

/// <summary>A broker that was told <c>deploy/rabbitmq/definitions.json</c>, as docker-compose.yml does, and the services on it, each as its own user.</summary>
public sealed class BrokerRightsTests
{
    private const string Password = "of-the-test";
    private readonly string _own = $"{Guid.NewGuid():N}"[..8];

    [OwnServersFact]
    public async Task Services_do_all_their_work_with_the_rights_of_the_definitions_and_declare_nothing_else()
    {
        var broker = new Uri(await TestServers.NewVirtualHostAsync());
        await TellDefinitionsAsync(broker);
        var told = await DeclaredAsync(broker);
        Assert.NotEmpty(told);

        await using var partners = await StartAsync(broker, "partners", builder => builder.AddPartners(), app => app.MapPartners());
        await using var conversions = await StartAsync(broker, "conversions", builder => builder.AddConversions(), app => app.MapConversions());
        await using var attribution = await StartAsync(broker, "attribution", builder => builder.AddAttribution(), app => app.MapAttribution());
        await using var edge = await EdgeHost.StartAsync(
            [EdgeHost.Enrolled("acme"), EdgeHost.Published("acme", "acme-boots", "https://shop.example/boots")],
            settings: new Dictionary<string, string?>(StringComparer.Ordinal) { ["Bus:Transport"] = "rabbitmq", ["Bus:RabbitMq"] = Address(broker, "edge") });

        // From the edge, from Partners, and from Conversions, by its API and by its queue.
        using (await edge.FollowAsync("/r/acme-boots", ("User-Agent", TestBots.Browser)))
        {
        }

        var click = Assert.Single(await edge.ClicksAsync());
        (await partners.PostAsync("/v1/partners", """{"id":"acme","name":"Acme","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);
        (await conversions.PostAsync("/v1/conversions", Order("one", click.EventId))).AssertStatus(HttpStatusCode.Created);
        await using var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        await channel.BasicPublishAsync("", OrdersBroker.Orders, Encoding.UTF8.GetBytes(Order("two", click.EventId)));
        await channel.BasicPublishAsync("", OrdersBroker.Orders, "no order"u8.ToArray());
        foreach (var order in (string[])["one", "two"])
        {
            await Waits.UntilAsync($"order {order} has its credit", async () =>
                (await attribution.GetAsync($"/v1/receipts?source=shop&orderId={order}")) is { Status: HttpStatusCode.OK } receipt
                && receipt.Json.GetProperty("partners").EnumerateArray().Any(partner => partner.GetProperty("partner").GetString() == "acme"));
        }

        // What was refused can be looked at.
        await Waits.UntilAsync("the bad one is aside", async () => (await conversions.GetAsync("/v1/orders/errors")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("total").GetInt32() == 1);
        Assert.Equal(told, await DeclaredAsync(broker));
    }

    [OwnServersFact]
    public async Task What_Attribution_cannot_read_goes_aside_with_the_rights_of_the_definitions()
    {
        var broker = new Uri(await TestServers.NewVirtualHostAsync());
        await TellDefinitionsAsync(broker);
        await using var attribution = await StartAsync(broker, "attribution", builder => builder.AddAttribution(), app => app.MapAttribution());
        await using var connection = await new ConnectionFactory { Uri = broker }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();

        await channel.BasicPublishAsync("", "attribution-facts", mandatory: true, new BasicProperties { ContentType = "application/vnd.masstransit+json" }, "no envelope"u8.ToArray());

        string[] declared = [];
        await Waits.UntilAsync(
            "the poison is aside",
            async () => (declared = await DeclaredAsync(broker)).Any(one => one.StartsWith("queue attribution-facts_error ", StringComparison.Ordinal)),
            () => Task.FromResult(string.Join('\n', declared)));
    }

    [OwnServersFact]
    public async Task A_user_can_neither_take_what_is_meant_for_another_nor_make_or_remove_what_is_not_its_own()
    {
        var broker = new Uri(await TestServers.NewVirtualHostAsync());
        await TellDefinitionsAsync(broker);

        await RefusedAsync("edge", channel => channel.BasicGetAsync("attribution-click-recorded", autoAck: true));
        await RefusedAsync("edge", channel => channel.QueueDeclareAsync("mine"));
        await RefusedAsync("edge", channel => channel.QueueDeleteAsync("attribution-facts"));
        await RefusedAsync("partners", channel => channel.BasicGetAsync("orders", autoAck: true));
        await RefusedAsync("partners", channel => channel.ExchangeDeleteAsync("PartnerPulse.Contracts:ClicksRecorded"));
        await RefusedAsync("conversions", channel => channel.BasicGetAsync("attribution-facts", autoAck: true));
        await RefusedAsync("attribution", channel => channel.BasicGetAsync("orders", autoAck: true));

        async Task RefusedAsync(string user, Func<IChannel, Task> act)
        {
            await using var connection = await new ConnectionFactory { Uri = new Uri(Address(broker, user)) }.CreateConnectionAsync();
            await using var channel = await connection.CreateChannelAsync();
            var refused = await Assert.ThrowsAsync<OperationInterruptedException>(() => act(channel));
            Assert.Equal(Constants.AccessRefused, refused.ShutdownReason!.ReplyCode);
        }
    }

    /// <summary>Users belong to the whole broker, and so get names of this test's own.</summary>
    private async Task TellDefinitionsAsync(Uri broker)
    {
        var definitions = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(Fixtures.Checkout, "deploy/rabbitmq/definitions.json")))!.AsObject();
        foreach (var one in definitions.SelectMany(list => list.Value!.AsArray()).Select(one => one!.AsObject()))
        {
            if (one.ContainsKey("vhost"))
            {
                one["vhost"] = broker.AbsolutePath[1..];
            }

            if (one.ContainsKey("user"))
            {
                one["user"] = $"{one["user"]}-{_own}";
            }
        }

        foreach (var user in definitions["users"]!.AsArray().Select(user => user!.AsObject()))
        {
            user["name"] = $"{user["name"]}-{_own}";
            user.Remove("password_hash");
            user["password"] = Password;
        }

        definitions["vhosts"]![0]!["name"] = broker.AbsolutePath[1..];
        await TestServers.ControlRabbitMqAsync(
            "eval", $"ok = rabbit_definitions:import_raw(base64:decode(<<\"{Convert.ToBase64String(JsonSerializer.SerializeToUtf8Bytes(definitions))}\">>)).");
    }

    /// <summary>Everything that is declared in the virtual host, but for what each has from the start.</summary>
    private static async Task<string[]> DeclaredAsync(Uri broker)
    {
        var host = broker.AbsolutePath[1..];
        var queues = await LinesAsync("list_queues", "name", "type");
        var exchanges = await LinesAsync("list_exchanges", "name", "type");
        var bindings = await LinesAsync("list_bindings", "source_name", "destination_name");
        return
        [
            .. queues.Select(queue => $"queue {queue[0]} {queue[1]}")
                .Concat(exchanges.Where(exchange => exchange[0].Length > 0 && !exchange[0].StartsWith("amq.", StringComparison.Ordinal)).Select(exchange => $"exchange {exchange[0]} {exchange[1]}"))
                .Concat(bindings.Where(binding => binding[0].Length > 0).Select(binding => $"{binding[0]} -> {binding[1]}"))
                .Order(StringComparer.Ordinal),
        ];

        async Task<string[][]> LinesAsync(string command, params string[] columns) =>
            [.. (await TestServers.ControlRabbitMqAsync(["--quiet", command, "--no-table-headers", "--vhost", host, .. columns])).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t'))];
    }

    private string Address(Uri broker, string service) => $"amqp://{service}-{_own}:{Password}@{broker.Host}:{broker.Port}{broker.AbsolutePath}";

    private Task<TestService> StartAsync(Uri broker, string service, Action<WebApplicationBuilder> add, Action<WebApplication> map) => TestService.StartAsync(
        builder =>
        {
            builder.Configuration["Bus:Transport"] = "rabbitmq";
            builder.Configuration["Bus:RabbitMq"] = Address(broker, service);
            add(builder);
        },
        map);

    private static string Order(string id, Guid click) =>
        $$"""{"source":"shop","orderId":"{{id}}","kind":"sale","amount":"10.00","currency":"EUR","clickId":"{{click}}"}""";
}
