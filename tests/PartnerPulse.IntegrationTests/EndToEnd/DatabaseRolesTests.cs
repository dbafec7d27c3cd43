using System.Net;
using Npgsql;
using PartnerPulse.IntegrationTests.EventStore;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Provisioning;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>Each service works with a role that owns its schema and may do nothing else. The other tests of this folder run on such roles.</summary>
[Collection(WholeSystems.Name)]
public sealed class DatabaseRolesTests(RunningSystems systems)
{
    private static readonly string[] s_services = ["partners", "conversions", "attribution", "outbound"];

    [ServersFact]
    public async Task A_role_does_its_services_work_and_reaches_nothing_of_anothers()
    {
        var system = await systems.GetAsync(Mode.Distributed);
        var partner = $"roles-{Guid.NewGuid():N}"[..20];
        await system.EnrolAsync(partner);
        (await system.PostAsync("/v1/conversions", new { kind = "sale", source = "shop", orderId = partner, amount = "10.00", currency = "EUR", customer = "ann@example.com" }))
            .AssertStatus(HttpStatusCode.Created);
        await system.SettleAsync();

        await using var owner = NpgsqlDataSource.Create(system.Connection);
        var database = await ScalarAsync<string>(owner, "select current_database()");
        var tables = await ColumnAsync(owner, "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = any (array['partners', 'conversions', 'attribution', 'outbound'])");
        Assert.True(tables.Count > 25, $"{tables.Count} tables");
        Assert.Empty(await ColumnAsync(owner, "select format('%s %s', tablename, tableowner) from pg_tables where schemaname = any (array['partners', 'conversions', 'attribution', 'outbound']) and tableowner <> current_database() || '_' || schemaname"));
        var connected = await ColumnAsync(owner, "select distinct usename from pg_stat_activity where datname = current_database() and application_name = '' and usename <> current_user order by 1");
        Assert.Equal(s_services.Select(service => $"{database}_{service}").Order(StringComparer.Ordinal), connected);
        foreach (var service in s_services)
        {
            await using var role = As(system, service);
            Assert.Equal($"{database}_{service}", await ScalarAsync<string>(role, "select current_user"));
            foreach (var table in tables.Where(table => !table.StartsWith(service + ".", StringComparison.Ordinal)))
            {
                if (service != "outbound" || table is not ("attribution.mt_events" or "attribution.traces"))
                {
                    await AssertRefusedAsync(role, $"select from {table} limit 1");
                }

                await AssertRefusedAsync(role, $"delete from {table}");
                await AssertRefusedAsync(role, $"truncate {table}");
                await AssertRefusedAsync(role, $"create index on {table} ((1))");
            }

            foreach (var other in s_services.Where(other => other != service))
            {
                await AssertRefusedAsync(role, $"create table {other}.mine()");
                await AssertRefusedAsync(role, $"set role {database}_{other}");
            }

            foreach (var statement in new[]
            {
                "create schema mine", "create table public.mine()", "create database mine", "create role mine", "copy (select 1) to program 'true'", "select pg_read_file('PG_VERSION')",
                "update attribution.mt_events set data = '{}'", "insert into attribution.seals select * from attribution.seals", "drop table attribution.seals",
            })
            {
                if (service != "attribution" || !statement.Contains("attribution.", StringComparison.Ordinal))
                {
                    await AssertRefusedAsync(role, statement);
                }
            }
        }

        await using var outbound = As(system, "outbound");
        Assert.Equal(await ScalarAsync<long>(owner, "select max(seq_id) from attribution.mt_events"), await ScalarAsync<long>(outbound, "select max(seq_id) from attribution.mt_events"));
    }

    [PostgresFact]
    public async Task What_one_role_owned_is_handed_over_and_a_password_of_another_folder_is_replaced()
    {
        var address = await TestServers.NewDatabaseAsync();
        await using var owner = NpgsqlDataSource.Create(address);
        foreach (var service in s_services)
        {
            var log = new EventLog(owner, service);
            await log.CreateSchemaAsync(CancellationToken.None);
            await log.AppendAsync([An.Event()], CancellationToken.None);
        }

        var folders = new[] { Directory.CreateTempSubdirectory("pulse-roles-"), Directory.CreateTempSubdirectory("pulse-roles-") };
        try
        {
            var said = new List<string>();
            IReadOnlyDictionary<string, string> first = new Dictionary<string, string>(), second = first;
            for (var again = 0; again < 2; again++)
            {
                first = await DatabaseRoles.ProvideAsync(DataFolder.Open(folders[0].FullName), address, said.Add, CancellationToken.None);
                foreach (var service in s_services)
                {
                    // Its tables are there; it makes what is missing, and its log goes on.
                    await using var role = NpgsqlDataSource.Create(first[service] + ";Pooling=false");
                    var log = new EventLog(role, service);
                    await log.CreateSchemaAsync(CancellationToken.None);
                    await log.AppendAsync([An.Event()], CancellationToken.None);
                    Assert.Equal(2 + again, (await log.ReadAllAsync(0, 10, CancellationToken.None)).Count);
                }
            }

            await using (var standalone = NpgsqlDataSource.Create(first[DatabaseRoles.Standalone] + ";Pooling=false"))
            {
                foreach (var service in s_services)
                {
                    var log = new EventLog(standalone, service);
                    await log.CreateSchemaAsync(CancellationToken.None);
                    await log.AppendAsync([An.Event()], CancellationToken.None);
                }

                await AssertRefusedAsync(standalone, "create schema mine");
            }

            second = await DatabaseRoles.ProvideAsync(DataFolder.Open(folders[1].FullName), address, said.Add, CancellationToken.None);
            await using var old = NpgsqlDataSource.Create(first["partners"] + ";Pooling=false");
            await using var now = NpgsqlDataSource.Create(second["partners"] + ";Pooling=false");
            Assert.Equal(PostgresErrorCodes.InvalidPassword, (await Assert.ThrowsAsync<PostgresException>(() => ScalarAsync<int>(old, "select 1"))).SqlState);
            Assert.Equal(1, await ScalarAsync<int>(now, "select 1"));
            Assert.Empty(said);

            // A role of a service may not make roles: all share it, and that is told.
            var shared = await DatabaseRoles.ProvideAsync(DataFolder.Open(folders[1].FullName), second["partners"], said.Add, CancellationToken.None);
            Assert.All(shared.Values, connection => Assert.Equal(second["partners"], connection));
            Assert.Contains("all services share it", Assert.Single(said), StringComparison.Ordinal);
        }
        finally
        {
            Array.ForEach(folders, folder => folder.Delete(recursive: true));
        }
    }

    private static NpgsqlDataSource As(PulseSystem system, string service) =>
        NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(system.Connection)
        {
            Username = $"{new NpgsqlConnectionStringBuilder(system.Connection).Database}_{service}",
            Password = File.ReadAllText(Path.Combine(system.Data, "secrets", DatabaseRoles.SecretName(service))),
            ApplicationName = "test",
            MaxPoolSize = 1,
        }.ConnectionString);

    private static async Task AssertRefusedAsync(NpgsqlDataSource role, string statement)
    {
        await using var command = role.CreateCommand(statement);
        var refused = await Record.ExceptionAsync(() => command.ExecuteNonQueryAsync());
        Assert.True(refused is PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege }, $"{statement}: {refused?.Message ?? "done"}");
    }

    private static async Task<T> ScalarAsync<T>(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    private static async Task<IReadOnlyList<string>> ColumnAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        var rows = new List<string>();
        while (await reader.ReadAsync())
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }
}
