using System.Security.Cryptography;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;
using DotNet.Testcontainers.Containers;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;
using Testcontainers.PostgreSql;

namespace PartnerPulse.IntegrationTests.Servers;

/// <summary>
/// The servers as containers, where there are no local ones or <c>PULSE_TEST_SERVERS=containers</c> asks for them. Whatever
/// the end of the test run leaves, Testcontainers' own keeper (Ryuk) removes, unless TESTCONTAINERS_RYUK_DISABLED is set.
/// </summary>
internal static class Containers
{
    private static readonly List<IContainer> s_started = []; // guarded by itself

    private static readonly Lazy<bool> s_engine = new(() => TestcontainersSettings.OS.DockerEndpointAuthConfig is not null);

    static Containers() => AppDomain.CurrentDomain.ProcessExit += (_, _) => RemoveAsync().GetAwaiter().GetResult();

    public static bool AreAskedFor => Environment.GetEnvironmentVariable(TestCommand.ServersVariable) == TestCommand.InContainers;

    /// <summary>Whether an engine answers.</summary>
    public static bool AreAtHand => s_engine.Value;

    public static async Task<TestServer> StartPostgresAsync()
    {
        // As a private cluster has them. Testcontainers turns off what makes a commit last; the last word counts.
        string[] settings = [.. Postgres.Settings.Select(setting => $"{setting.Name}={setting.Value}"), "synchronous_commit=on", "full_page_writes=on"];
        var container = new PostgreSqlBuilder(Postgres.Image)
            .WithDatabase(Postgres.Database)
            .WithUsername("pulse")
            .WithPassword(Word())
            .WithCommand([.. settings.SelectMany(setting => new[] { "-c", setting })])
            .Build();
        await StartAsync(container);
        return new TestServer(container.GetConnectionString(), NoControl);
    }

    public static async Task<TestServer> StartRabbitMqAsync()
    {
        const int Port = 5672;
        var password = Word();
        var container = new ContainerBuilder(RabbitMq.Image)
            .WithPortBinding(Port, assignRandomHostPort: true)
            .WithEnvironment("RABBITMQ_DEFAULT_USER", RabbitMq.User)
            .WithEnvironment("RABBITMQ_DEFAULT_PASS", password)
            .WithEnvironment("ERL_MAX_PORTS", "65536")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilMessageIsLogged("Server startup complete"))
            .Build();
        await StartAsync(container);
        return new TestServer($"amqp://{RabbitMq.User}:{password}@{container.Hostname}:{container.GetMappedPublicPort(Port)}", async (arguments, cancellation) =>
        {
            var done = await container.ExecAsync(["rabbitmqctl", .. arguments], cancellation);
            return done.ExitCode == 0 ? done.Stdout : throw new InvalidOperationException($"rabbitmqctl {arguments[0]} failed: {done.Stdout} {done.Stderr}");
        });
    }

    private static Task<string> NoControl(IReadOnlyList<string> arguments, CancellationToken cancellation) =>
        throw new NotSupportedException("A PostgreSQL is controlled by SQL.");

    private static async Task StartAsync(IContainer container)
    {
        lock (s_started)
        {
            s_started.Add(container);
        }

        await container.StartAsync();
    }

    private static async Task RemoveAsync()
    {
        IContainer[] started;
        lock (s_started)
        {
            started = [.. s_started];
        }

        await Task.WhenAll(started.Select(container => container.DisposeAsync().AsTask()));
    }

    private static string Word() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
}
