using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Queue;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Tests.Deploy;

/// <summary><c>deploy/rabbitmq/definitions.json</c> is what the services declare themselves, and lets each do its own part alone.</summary>
public sealed class DefinitionsTests
{
    private static readonly JsonObject s_definitions = JsonNode.Parse(File.ReadAllText(Path.Combine(Fixtures.Checkout, "deploy/rabbitmq/definitions.json")))!.AsObject();

    [Fact]
    public void Its_queues_are_those_that_are_declared()
    {
        var quorum = new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-queue-type"] = "quorum" };
        Assert.Equal(
            Topology.Queues.Select(queue => Words(queue.Name, quorum)).Concat(((string[])[OrdersBroker.Orders, OrdersBroker.Errors]).Select(queue => Words(queue, OrdersBroker.Arguments))).Order(StringComparer.Ordinal),
            List("queues").Select(queue =>
            {
                Assert.True(queue["durable"]!.GetValue<bool>());
                Assert.False(queue["auto_delete"]!.GetValue<bool>());
                return Words(Text(queue, "name"), queue["arguments"]!.AsObject().ToDictionary(p => p.Key, p => (object?)p.Value!.ToString(), StringComparer.Ordinal));
            }).Order(StringComparer.Ordinal));

        static string Words(string name, IEnumerable<KeyValuePair<string, object?>> arguments) =>
            $"{name} {string.Join(' ', arguments.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => $"{p.Key}={p.Value}"))}";
    }

    [Fact]
    public void Its_exchanges_are_those_of_messages_and_of_consumers()
    {
        Assert.Equal(
            Topology.Queues.SelectMany(queue => new[] { Exchange(queue.Message), queue.Name }).Concat(Topology.Announcements.Select(name => Exchange(EventTypes.Find(name)!.ClrType))).Order(StringComparer.Ordinal),
            List("exchanges").Select(exchange => Text(exchange, "name")).Order(StringComparer.Ordinal));
        Assert.All(List("exchanges"), exchange => Assert.Equal(("fanout", true), (Text(exchange, "type"), exchange["durable"]!.GetValue<bool>())));
    }

    [Fact]
    public void A_message_and_a_consumer_lead_to_the_same_queue() => Assert.Equal(
        Topology.Queues.SelectMany(queue => new[] { (Exchange(queue.Message), queue.Name), (queue.Name, queue.Name) }).Order(),
        List("bindings").Select(binding =>
        {
            Assert.Equal(("queue", ""), (Text(binding, "destination_type"), Text(binding, "routing_key")));
            return (Text(binding, "source"), Text(binding, "destination"));
        }).Order());

    [Fact]
    public void Users_are_the_services_on_the_bus_without_a_password_and_without_a_right_over_everything()
    {
        string[] services = ["attribution", "conversions", "edge", "partners"];
        Assert.Equal(services, List("users").Select(user => Text(user, "name")).Order(StringComparer.Ordinal));
        Assert.All(List("users"), user => Assert.Equal(("", ""), (Text(user, "password_hash"), Text(user, "tags"))));
        Assert.Equal(services, List("permissions").Select(permission => Text(permission, "user")).Order(StringComparer.Ordinal));
        string[] names = [.. List("queues").Concat(List("exchanges")).Select(one => Text(one, "name")).Distinct(StringComparer.Ordinal)];
        foreach (var permission in List("permissions"))
        {
            Assert.All((string[])["configure", "write", "read"], right =>
            {
                var pattern = Text(permission, right);
                Assert.Matches(@"^\^.*\$$", pattern);
                // It names something that there is, and not what another one has.
                Assert.Contains(names, name => Regex.IsMatch(name, pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(10)));
                Assert.Contains(names, name => !Regex.IsMatch(name, pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(10)));
                Assert.DoesNotMatch(pattern, "anything.else");
            });
        }
    }

    [Theory]
    [InlineData("edge", "attribution-click-recorded")]
    [InlineData("edge", "attribution-facts")]
    [InlineData("partners", "attribution-facts")]
    [InlineData("partners", "orders")]
    [InlineData("conversions", "attribution-facts")]
    [InlineData("attribution", "orders")]
    public void Nobody_takes_what_is_meant_for_another(string user, string queue) =>
        Assert.DoesNotMatch(Text(List("permissions").Single(permission => Text(permission, "user") == user), "read"), queue);

    private static string Exchange(Type message) => $"{message.Namespace}:{message.Name}";

    private static IEnumerable<JsonObject> List(string name) => s_definitions[name]!.AsArray().Select(item => item!.AsObject());

    private static string Text(JsonObject node, string name) => node[name]!.GetValue<string>();
}
