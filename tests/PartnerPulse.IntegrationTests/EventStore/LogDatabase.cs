using System.Text;
using Npgsql;
using PartnerPulse.EventStore;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.EventStore;

/// <summary>A database for the tests of one class; each test opens a log of its own in it.</summary>
public sealed class LogDatabase : IAsyncLifetime
{
    private int _logs;
    private NpgsqlDataSource? _dataSource;

    public NpgsqlDataSource DataSource => _dataSource ?? throw new InvalidOperationException("No test asked for a log yet.");

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task<EventLog> NewLogAsync()
    {
        // Opened by the first test that needs it, so that skipped ones need no server.
        _dataSource ??= NpgsqlDataSource.Create(await TestServers.NewDatabaseAsync());
        var log = new EventLog(_dataSource, $"log_{Interlocked.Increment(ref _logs)}");
        await log.CreateSchemaAsync(CancellationToken.None);
        return log;
    }

    public async Task DisposeAsync()
    {
        if (_dataSource is not null)
        {
            await _dataSource.DisposeAsync();
        }
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task<IReadOnlyList<string>> ColumnAsync(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Waits until so many writers stand before a lock, which is the fact that the tests of the lock need.</summary>
    public async Task UntilWaitingForLockAsync(int writers)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (await ScalarAsync<long>("select count(*) from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())") < writers)
        {
            await Task.Delay(5, limit.Token); // Between two looks at pg_locks, which nothing announces.
        }
    }
}

/// <summary>Events that say nothing but who they are.</summary>
internal static class An
{
    public static NewEvent Event(Guid? stream = null, Guid? id = null, string data = "{}") => new(
        id ?? Guid.NewGuid(),
        stream ?? Guid.NewGuid(),
        "test",
        "something_happened",
        "PartnerPulse.Contracts.SomethingHappened, PartnerPulse.Contracts",
        Encoding.UTF8.GetBytes(data));

    public static NewEvent[] Events(int count, Guid? stream = null) => Enumerable.Range(0, count).Select(_ => Event(stream)).ToArray();
}
