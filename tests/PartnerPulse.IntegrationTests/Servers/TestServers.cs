using System.Diagnostics;
using Npgsql;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.IntegrationTests.Servers;

/// <summary>
/// A real PostgreSQL and a real RabbitMQ for every test that asks, started when the first one does: those of PULSE_POSTGRES and
/// PULSE_RABBITMQ, else private ones on local binaries (under <c>./pulse test</c> that run's, else such as end with the test runner),
/// else containers. Each caller gets a database, or a virtual host, of its own, so tests run side by side.
/// </summary>
public static class TestServers
{
    private static readonly Lazy<Task<TestServer>> s_postgres = new(() => StartAsync(Pulse.Provisioning.Servers.Postgres));
    private static readonly Lazy<Task<TestServer>> s_rabbitMq = new(() => StartAsync(Pulse.Provisioning.Servers.RabbitMq));

    /// <summary>Null where a PostgreSQL is at hand, or its absence is a failure; else why a test that needs it is skipped.</summary>
    public static string? WhyNoPostgres => Why("PostgreSQL", Postgres.IsAtHand, Postgres.Variable);

    /// <summary>The same for RabbitMQ.</summary>
    public static string? WhyNoRabbitMq => Why("RabbitMQ", RabbitMq.IsAtHand, RabbitMq.Variable);

    /// <summary>Null where a RabbitMQ may be told users and rights, because it is nobody else's.</summary>
    public static string? WhyNoOwnRabbitMq => IsGiven(RabbitMq.Variable) ? $"needs a RabbitMQ of its own, and {RabbitMq.Variable} names another's" : WhyNoRabbitMq;

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
        if (IsGiven(RabbitMq.Variable))
        {
            return server.Address;
        }

        var name = $"test-{Guid.NewGuid():N}";
        // One call for both steps: each start of the tool costs a second.
        await server.ControlAsync(
            [
                "eval",
                $"ok = rabbit_vhost:add(<<\"{name}\">>, <<\"pulse\">>), " +
                $"rabbit_auth_backend_internal:set_permissions(<<\"{RabbitMq.User}\">>, <<\"{name}\">>, <<\".*\">>, <<\".*\">>, <<\".*\">>, <<\"pulse\">>).",
            ],
            cancellation);
        return $"{server.Address}/{name}";
    }

    /// <summary>Runs rabbitmqctl on the RabbitMQ of the tests, and gives what it printed.</summary>
    public static async Task<string> ControlRabbitMqAsync(params IReadOnlyList<string> arguments) =>
        await (await s_rabbitMq.Value).ControlAsync(arguments, CancellationToken.None);

    private static bool IsRequired => Environment.GetEnvironmentVariable(TestCommand.RequireServers) == "1";

    private static bool IsGiven(string variable) => Environment.GetEnvironmentVariable(variable) is { Length: > 0 };

    private static string? Why(string server, bool atHand, string variable) =>
        IsRequired || atHand || Containers.AreAskedFor || Containers.AreAtHand ? null : $"needs {server}: install it, start Docker, or set {variable}";

    private static Task<TestServer> StartAsync(Pulse.Provisioning.Servers wanted)
    {
        var (given, atHand) = wanted == Pulse.Provisioning.Servers.Postgres ? (IsGiven(Postgres.Variable), Postgres.IsAtHand) : (IsGiven(RabbitMq.Variable), RabbitMq.IsAtHand);
        var inContainer = !given && (Containers.AreAskedFor || (!atHand && !IsGiven(TestCommand.ServersFolder) && Containers.AreAtHand));
        return !inContainer ? StartPrivateAsync(wanted)
            : wanted == Pulse.Provisioning.Servers.Postgres ? Containers.StartPostgresAsync()
            : Containers.StartRabbitMqAsync();
    }

    private static async Task<TestServer> StartPrivateAsync(Pulse.Provisioning.Servers wanted)
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

    private static TestServer? Of(DataFolder data, Pulse.Provisioning.Servers wanted) =>
        RunState.Read(data) is { Ready: true } state && (wanted == Pulse.Provisioning.Servers.Postgres ? state.Postgres : state.RabbitMq) is { } address
            ? new TestServer(address, (arguments, cancellation) => RabbitMq.ControlAsync(data, arguments, cancellation))
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

/// <summary>A server that tests share.</summary>
/// <param name="Address">Connection string, or AMQP address without a virtual host.</param>
/// <param name="ControlAsync">Runs RabbitMQ's own command line on it.</param>
internal sealed record TestServer(string Address, Func<IReadOnlyList<string>, CancellationToken, Task<string>> ControlAsync);
