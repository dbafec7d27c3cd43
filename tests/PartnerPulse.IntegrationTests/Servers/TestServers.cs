using System.Diagnostics;
using Npgsql;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.IntegrationTests.Servers;

/// <summary>
/// A real PostgreSQL and a real RabbitMQ for every test that asks, started when the first one does. Under
/// <c>./pulse test</c> they are that run's; else those of PULSE_POSTGRES and PULSE_RABBITMQ; else private ones that end with
/// the test runner. Each caller gets a database, or a virtual host, of its own, so tests run side by side.
/// </summary>
public static class TestServers
{
    private static readonly Lazy<Task<Running>> s_postgres = new(() => StartAsync(Pulse.Provisioning.Servers.Postgres));
    private static readonly Lazy<Task<Running>> s_rabbitMq = new(() => StartAsync(Pulse.Provisioning.Servers.RabbitMq));

    private sealed record Running(string Address, DataFolder Data);

    /// <summary>Null where a PostgreSQL is at hand, or its absence is a failure; else why a test that needs it is skipped.</summary>
    public static string? WhyNoPostgres => IsRequired || Postgres.IsAtHand ? null : $"needs PostgreSQL: install it, or set {Postgres.Variable}";

    /// <summary>The same for RabbitMQ.</summary>
    public static string? WhyNoRabbitMq => IsRequired || RabbitMq.IsAtHand ? null : $"needs RabbitMQ: install it, or set {RabbitMq.Variable}";

    /// <summary>The same for the browser.</summary>
    public static string? WhyNoChromium =>
        Environment.GetEnvironmentVariable(TestCommand.RequireBrowser) == "1" || Chromium.Find() is not null ? null : $"needs Chromium: install it, or set {Chromium.Variable}";

    /// <summary>Connection string of a new, empty database.</summary>
    public static async Task<string> NewDatabaseAsync(CancellationToken cancellation = default)
    {
        var server = await s_postgres.Value.WaitAsync(cancellation);
        var name = $"test_{Guid.NewGuid():N}";
        await using var connection = new NpgsqlConnection(server.Address);
        await connection.OpenAsync(cancellation);
        await using var command = connection.CreateCommand();
        command.CommandText = $"create database {name}";
        await command.ExecuteNonQueryAsync(cancellation);
        // Many databases share the server's 200 connections.
        return new NpgsqlConnectionStringBuilder(server.Address) { Database = name, MaxPoolSize = 20, ConnectionIdleLifetime = 10 }.ConnectionString;
    }

    /// <summary>
    /// AMQP address of a new, empty virtual host. A broker that PULSE_RABBITMQ names is shared as it is: nobody asked us to
    /// make virtual hosts there.
    /// </summary>
    public static async Task<string> NewVirtualHostAsync(CancellationToken cancellation = default)
    {
        var server = await s_rabbitMq.Value.WaitAsync(cancellation);
        return Environment.GetEnvironmentVariable(RabbitMq.Variable) is { Length: > 0 }
            ? server.Address
            : await RabbitMq.AddVirtualHostAsync(server.Data, $"test-{Guid.NewGuid():N}", cancellation);
    }

    private static bool IsRequired => Environment.GetEnvironmentVariable(TestCommand.RequireServers) == "1";

    private static async Task<Running> StartAsync(Pulse.Provisioning.Servers wanted)
    {
        if (Environment.GetEnvironmentVariable(TestCommand.ServersFolder) is { Length: > 0 } folder)
        {
            return Of(DataFolder.At(folder), wanted) ?? throw new InvalidOperationException($"{TestCommand.ServersFolder}={folder} has no {wanted}.");
        }

        var root = Root();
        await PrivateServers.RemoveDeadAsync(root);
        var data = DataFolder.Open(PrivateServers.Folder(root, Environment.ProcessId, $"-{wanted}"));
        var (fileName, arguments) = Services.Self("servers", data.Path, "--servers", $"{wanted}", "--while", $"{Environment.ProcessId}");
        using var keeper = ChildProcess.Start(new ProcessSpec { Name = "servers", FileName = fileName, Arguments = arguments, LogFile = data.Log("up") });
        var waited = Stopwatch.StartNew();
        while (true)
        {
            if (Of(data, wanted) is { } running)
            {
                return running;
            }

            if (keeper.HasExited || waited.Elapsed > TimeSpan.FromMinutes(10))
            {
                throw new InvalidOperationException($"No {wanted}: {string.Join('\n', LogFiles.Tail(data.Log("up"), 20))}");
            }

            await Task.Delay(50);
        }
    }

    private static Running? Of(DataFolder data, Pulse.Provisioning.Servers wanted) =>
        RunState.Read(data) is { Ready: true } state && (wanted == Pulse.Provisioning.Servers.Postgres ? state.Postgres : state.RabbitMq) is { } address
            ? new Running(address, data)
            : null;

    /// <summary>The repository: the folder above the tests that holds the solution.</summary>
    public static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "PartnerPulse.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException($"PartnerPulse.sln is not above {AppContext.BaseDirectory}.");
    }
}
