using System.Globalization;
using PartnerPulse.Pulse.Running;
using RabbitMQ.Client;
using RabbitMQ.Client.Exceptions;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>
/// A RabbitMQ for this data folder: the one that <c>PULSE_RABBITMQ</c> names, else a private node on local binaries, else
/// on the distribution's package, else on Docker. A private node shares nothing with another: its own name, ports, cookie,
/// configuration, and its own epmd, which ends with it.
/// </summary>
internal static class RabbitMq
{
    public const string Variable = "PULSE_RABBITMQ";
    public const string User = "pulse";
    public const string Image = "rabbitmq:4";

    public static async Task<PreparedServer> PrepareAsync(DataFolder data, Action<string> say, CancellationToken cancellation)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            return await GivenAsync(given, cancellation);
        }

        var server = FindServer();
        string? failed = null;
        if (server is null && DistributionPackage.MayInstall)
        {
            failed = await DistributionPackage.InstallAsync("rabbitmq-server", say, cancellation);
            server = FindServer();
        }

        if (server is not null && Shell.Find("epmd") is { } epmd)
        {
            return await LocalAsync(data, server, epmd, cancellation);
        }

        if (await Docker.WorksAsync(cancellation))
        {
            return InDocker(data);
        }

        throw new ProvisioningException(
            "There is no RabbitMQ here. One of these helps: install it (Debian: apt-get install rabbitmq-server), run as root so that it is " +
            $"installed, start Docker, or set {Variable} to an AMQP address (\"amqp://user:password@host:5672\")." +
            (failed is null ? "" : $"\n{failed}"));
    }

    /// <summary>True where a server can be had without installing anything.</summary>
    public static bool IsAtHand =>
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } || (FindServer() is not null && Shell.Find("epmd") is not null);

    /// <summary>Runs rabbitmqctl on the private node of this data folder.</summary>
    /// <returns>What it printed.</returns>
    /// <exception cref="ProvisioningException">It failed.</exception>
    public static async Task<string> ControlAsync(DataFolder data, IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var server = FindServer() ?? throw new ProvisioningException("There is no local RabbitMQ to control.");
        var node = Node.Read(data) ?? throw new ProvisioningException($"No RabbitMQ was started for {data.Path}.");
        var done = await Shell.RunAsync(
            Path.Combine(Path.GetDirectoryName(server)!, "rabbitmqctl"), ["--node", node.Name(data), .. arguments], cancellation, node.Environment(data));
        return done.Succeeded ? done.Output : throw new ProvisioningException($"rabbitmqctl {arguments[0]} failed: {done.Output}");
    }

    private static async Task<PreparedServer> GivenAsync(string given, CancellationToken cancellation)
    {
        if (!Uri.TryCreate(given, UriKind.Absolute, out var uri) || uri.Scheme is not ("amqp" or "amqps"))
        {
            throw new ProvisioningException($"{Variable} is not an AMQP address such as amqp://user:password@host:5672.");
        }

        return await WhyNotReadyAsync(given, cancellation) is { } reason
            ? throw new ProvisioningException($"The RabbitMQ that {Variable} names does not answer: {reason}")
            : new PreparedServer(given, [], Variable);
    }

    private static async Task<PreparedServer> LocalAsync(DataFolder data, string server, string epmd, CancellationToken cancellation)
    {
        Directory.CreateDirectory(data.File("rabbitmq"));
        data.SecretWord("rabbitmq.password");
        if (Node.Read(data) is { } running && await WhyNotReadyAsync(running.Address(data), cancellation) is null)
        {
            return new PreparedServer(running.Address(data), [], $"the node {running.Name(data)} that already runs");
        }

        var node = Node.New(data);
        var address = node.Address(data);
        var environment = node.Environment(data);
        data.WritePrivate("rabbitmq/rabbitmq.conf", node.Configuration(data));
        data.WritePrivate("rabbitmq/enabled_plugins", "[].\n");
        var epmdSpec = new ProcessSpec
        {
            Name = "epmd",
            FileName = epmd,
            Arguments = ["-address", "127.0.0.1", "-port", node.Epmd.ToString(CultureInfo.InvariantCulture)],
            Environment = environment,
            LogFile = data.Log("epmd"),
            Address = $"127.0.0.1:{node.Epmd}",
            WhyNotReady = async token => await Ports.AnswersAsync(node.Epmd, token) ? null : "it does not listen yet",
            StopWithin = TimeSpan.FromSeconds(3),
        };
        var nodeSpec = new ProcessSpec
        {
            Name = "rabbitmq",
            FileName = server,
            Environment = environment,
            LogFile = data.Log("rabbitmq"),
            WorkingDirectory = data.File("rabbitmq"),
            Address = $"127.0.0.1:{node.Port}",
            WhyNotReady = token => WhyNotReadyAsync(address, token),
            ReadyWithin = TimeSpan.FromMinutes(3),
            StopWithin = TimeSpan.FromSeconds(60),
        };
        return new PreparedServer(address, [epmdSpec, nodeSpec], server);
    }

    private static PreparedServer InDocker(DataFolder data)
    {
        var password = data.SecretWord("rabbitmq.password");
        var port = Ports.Free(data.Path + "/rabbitmq");
        var address = $"amqp://{User}:{password}@127.0.0.1:{port}";
        var name = $"partnerpulse-rabbitmq-{data.Hash}";
        var spec = new ProcessSpec
        {
            Name = "rabbitmq",
            FileName = "docker",
            Arguments =
            [
                "run", "--rm", "--name", name,
                // The node's name holds the host's, and its data lies under the node's name.
                "--hostname", "pulse",
                "--publish", $"127.0.0.1:{port}:5672", "--volume", $"{name}:/var/lib/rabbitmq",
                "--env", $"RABBITMQ_DEFAULT_USER={User}", "--env", "RABBITMQ_DEFAULT_PASS", Image,
            ],
            Environment = new Dictionary<string, string?>(StringComparer.Ordinal) { ["RABBITMQ_DEFAULT_PASS"] = password },
            LogFile = data.Log("rabbitmq"),
            Address = $"127.0.0.1:{port}",
            Container = name,
            BeforeStart = token => Docker.RemoveAsync(name, token),
            WhyNotReady = token => WhyNotReadyAsync(address, token),
            // The image may have to be fetched first.
            ReadyWithin = TimeSpan.FromMinutes(10),
        };
        return new PreparedServer(address, [spec], $"Docker ({Image})");
    }

    /// <summary>Null when ready: the port opens at the end of the start, and a login shows that the user is there.</summary>
    private static async Task<string?> WhyNotReadyAsync(string address, CancellationToken cancellation)
    {
        var factory = new ConnectionFactory
        {
            Uri = new Uri(address),
            AutomaticRecoveryEnabled = false,
            RequestedConnectionTimeout = TimeSpan.FromSeconds(5),
        };
        try
        {
            await using var connection = await factory.CreateConnectionAsync("pulse: is it ready", cancellation);
            return null;
        }
        catch (Exception fault) when (fault is BrokerUnreachableException or RabbitMQClientException or IOException or TimeoutException)
        {
            return (fault.InnerException ?? fault).Message;
        }
    }

    /// <summary>
    /// The script that starts a node as whoever calls it. Debian's /usr/sbin/rabbitmq-server is another one, which goes over
    /// to the system's user and its node; hence the path comes last.
    /// </summary>
    private static string? FindServer()
    {
        var places = new List<string> { "/usr/lib/rabbitmq/bin" };
        if (Directory.Exists("/usr/lib/rabbitmq/lib"))
        {
            places.AddRange(Directory.GetDirectories("/usr/lib/rabbitmq/lib", "rabbitmq_server-*").Order(StringComparer.Ordinal).Reverse().Select(d => Path.Combine(d, "sbin")));
        }

        places.AddRange(["/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin", "/opt/rabbitmq/sbin"]);
        places.AddRange((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Where(folder => folder is not ("/usr/sbin" or "/sbin")));
        return places.Select(folder => Path.Combine(folder, "rabbitmq-server")).FirstOrDefault(File.Exists);
    }

    /// <summary>The ports of a private node. They are kept, for those who talk to the node while it runs.</summary>
    private sealed record Node(int Port, int Distribution, int Epmd)
    {
        private const string PortsFile = "rabbitmq/ports";

        public static Node New(DataFolder data)
        {
            var node = new Node(Ports.Free(data.Path + "/rabbitmq"), Ports.Free(data.Path + "/rabbitmq-distribution"), Ports.Free(data.Path + "/rabbitmq-epmd"));
            data.WritePrivate(PortsFile, $"{node.Port} {node.Distribution} {node.Epmd}");
            return node;
        }

        public static Node? Read(DataFolder data)
        {
            var file = data.File(PortsFile);
            if (!File.Exists(file))
            {
                return null;
            }

            var ports = File.ReadAllText(file).Split(' ');
            return new Node(
                int.Parse(ports[0], CultureInfo.InvariantCulture), int.Parse(ports[1], CultureInfo.InvariantCulture), int.Parse(ports[2], CultureInfo.InvariantCulture));
        }

        public string Name(DataFolder data) => $"pulse-{data.Hash}@localhost";

        public string Address(DataFolder data) => $"amqp://{User}:{data.SecretWord("rabbitmq.password")}@127.0.0.1:{Port}";

        public string Configuration(DataFolder data) =>
            $"""
             # Written by ./pulse at every start.
             listeners.tcp.1 = 127.0.0.1:{Port}
             default_user = {User}
             default_pass = {data.SecretWord("rabbitmq.password")}
             disk_free_limit.absolute = 200MB
             log.connection.level = warning
             """ + "\n";

        public Dictionary<string, string?> Environment(DataFolder data)
        {
            var home = data.File("rabbitmq");
            return new Dictionary<string, string?>(StringComparer.Ordinal)
            {
                // The cookie lies in the home folder and is made by the node; a home of its own keeps nodes apart.
                ["HOME"] = home,
                ["RABBITMQ_NODENAME"] = Name(data),
                ["RABBITMQ_DIST_PORT"] = Distribution.ToString(CultureInfo.InvariantCulture),
                ["RABBITMQ_NODE_PORT"] = null,
                ["RABBITMQ_CONF_ENV_FILE"] = "/dev/null",
                ["RABBITMQ_CONFIG_FILE"] = Path.Combine(home, "rabbitmq.conf"),
                ["RABBITMQ_ADVANCED_CONFIG_FILE"] = Path.Combine(home, "advanced.config"),
                ["RABBITMQ_ENABLED_PLUGINS_FILE"] = Path.Combine(home, "enabled_plugins"),
                ["RABBITMQ_MNESIA_BASE"] = Path.Combine(home, "mnesia"),
                ["RABBITMQ_LOG_BASE"] = Path.Combine(home, "log"),
                ["RABBITMQ_LOGS"] = "-",
                ["RABBITMQ_PID_FILE"] = Path.Combine(home, "node.pid"),
                // The script then becomes the node instead of waiting for it, so that the process we know is the node.
                ["RUNNING_UNDER_SYSTEMD"] = "true",
                ["NOTIFY_SOCKET"] = null,
                ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
                ["ERL_EPMD_PORT"] = Epmd.ToString(CultureInfo.InvariantCulture),
                ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
                ["ERL_MAX_PORTS"] = "65536",
                ["LC_ALL"] = "C.UTF-8",
            };
        }
    }
}
