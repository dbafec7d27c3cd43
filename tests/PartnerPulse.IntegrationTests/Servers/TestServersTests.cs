using Npgsql;
using RabbitMQ.Client;

namespace PartnerPulse.IntegrationTests.Servers;

public class TestServersTests
{
    [PostgresFact]
    public async Task Each_caller_gets_an_empty_database_of_its_own_in_utf8()
    {
        var first = await TestServers.NewDatabaseAsync();
        var second = await TestServers.NewDatabaseAsync();

        await using var one = new NpgsqlConnection(first);
        await using var two = new NpgsqlConnection(second);
        await one.OpenAsync();
        await two.OpenAsync();
        await using var make = new NpgsqlCommand("create table only_here (name text); insert into only_here values ('Grüße, 世界')", one);
        await make.ExecuteNonQueryAsync();
        await using var read = new NpgsqlCommand("select name from only_here", one);
        await using var look = new NpgsqlCommand("select count(*) from pg_tables where schemaname = 'public'", two);

        Assert.NotEqual(one.Database, two.Database);
        Assert.Equal("Grüße, 世界", await read.ExecuteScalarAsync());
        Assert.Equal(0L, await look.ExecuteScalarAsync());
    }

    [PostgresFact]
    public async Task The_cluster_keeps_what_it_commits()
    {
        await using var connection = new NpgsqlConnection(await TestServers.NewDatabaseAsync());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("select current_setting('fsync') || ' ' || current_setting('synchronous_commit')", connection);

        Assert.Equal("on on", await command.ExecuteScalarAsync());
    }

    [ServersFact]
    public async Task A_message_goes_through_a_quorum_queue_and_another_virtual_host_does_not_see_it()
    {
        var address = await TestServers.NewVirtualHostAsync();
        var other = await TestServers.NewVirtualHostAsync();
        await using var connection = await new ConnectionFactory { Uri = new Uri(address) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true));
        await channel.QueueDeclareAsync(
            "here", durable: true, exclusive: false, autoDelete: false, new Dictionary<string, object?>(StringComparer.Ordinal) { ["x-queue-type"] = "quorum" });

        await channel.BasicPublishAsync("", "here", "hello"u8.ToArray());
        var got = await channel.BasicGetAsync("here", autoAck: true);

        Assert.Equal("hello"u8.ToArray(), got?.Body.ToArray());
        Assert.NotEqual(address, other);
        await using var elsewhere = await new ConnectionFactory { Uri = new Uri(other) }.CreateConnectionAsync();
        await using var there = await elsewhere.CreateChannelAsync();
        await Assert.ThrowsAsync<RabbitMQ.Client.Exceptions.OperationInterruptedException>(() => there.QueueDeclarePassiveAsync("here"));
    }
}
