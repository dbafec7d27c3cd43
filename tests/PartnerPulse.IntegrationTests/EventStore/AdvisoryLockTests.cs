using Npgsql;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.EventStore;

/// <summary>Who leads gives the lead back, also where its connection lives on in the pool.</summary>
public sealed class AdvisoryLockTests
{
    [PostgresFact]
    public async Task A_lock_that_is_given_back_is_free_at_once_and_its_connection_goes_on()
    {
        await using var source = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync());
        await using var first = await source.OpenConnectionAsync();
        await using var second = await source.OpenConnectionAsync();
        var held = await AdvisoryLock.HoldAsync(first, "lead", CancellationToken.None);
        var waiting = AdvisoryLock.HoldAsync(second, "lead", CancellationToken.None);
        Assert.False(await FreeAsync(source));
        Assert.False(waiting.IsCompleted);

        await held.DisposeAsync();
        await using (await waiting)
        {
            Assert.False(await FreeAsync(source));
        }

        Assert.True(await FreeAsync(source));
    }

    [PostgresFact]
    public async Task A_lock_of_a_connection_that_broke_went_with_it()
    {
        await using var source = NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync());
        var broken = await source.OpenConnectionAsync();
        await using (await AdvisoryLock.HoldAsync(broken, "lead", CancellationToken.None))
        {
            await using var command = source.CreateCommand($"select pg_terminate_backend({broken.ProcessID})");
            await command.ExecuteNonQueryAsync();
        }

        await broken.DisposeAsync();
        await using var next = await source.OpenConnectionAsync();
        await using var held = await AdvisoryLock.HoldAsync(next, "lead", CancellationToken.None);
        Assert.False(await FreeAsync(source));
    }

    private static async Task<bool> FreeAsync(NpgsqlDataSource source)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        return await AdvisoryLock.TryTakeAsync(connection, "lead", CancellationToken.None);
    }
}
