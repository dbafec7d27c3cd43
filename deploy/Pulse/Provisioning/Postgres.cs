using System.Globalization;
using Npgsql;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>
/// A PostgreSQL for this data folder: the one that <c>PULSE_POSTGRES</c> names, else a private cluster on local binaries,
/// else on the distribution's package, else on Docker.
/// </summary>
internal static class Postgres
{
    public const string Variable = "PULSE_POSTGRES";
    public const string Database = "partnerpulse";
    private const string User = "pulse";
    public const string Image = "postgres:17";

    public static async Task<PreparedServer> PrepareAsync(DataFolder data, Action<string> say, CancellationToken cancellation)
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given)
        {
            return await GivenAsync(given, cancellation);
        }

        var home = ClusterHome(data);
        var bin = FindBinaries(MajorVersionOf(home));
        string? failed = null;
        if (bin is null && DistributionPackage.MayInstall)
        {
            failed = await DistributionPackage.InstallAsync("postgresql", say, cancellation);
            bin = FindBinaries(MajorVersionOf(home));
        }

        if (bin is not null)
        {
            return await LocalAsync(data, bin, say, cancellation);
        }

        if (await Docker.WorksAsync(cancellation))
        {
            return InDocker(data);
        }

        throw new ProvisioningException(
            "There is no PostgreSQL here. One of these helps: install it (Debian: apt-get install postgresql), run as root so that it is " +
            $"installed, start Docker, or set {Variable} to a connection string (\"Host=…;Username=…;Password=…\")." +
            (failed is null ? "" : $"\n{failed}"));
    }

    /// <summary>True where a server can be had without installing anything.</summary>
    public static bool IsAtHand => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } || FindBinaries(null) is not null;

    private static async Task<PreparedServer> GivenAsync(string given, CancellationToken cancellation)
    {
        NpgsqlConnectionStringBuilder builder;
        try
        {
            builder = new NpgsqlConnectionStringBuilder(given);
        }
        catch (ArgumentException fault)
        {
            throw new ProvisioningException($"{Variable} is not a connection string: {fault.Message}", fault);
        }

        builder.Database ??= Database;
        if (await WhyNotReadyAsync(builder.ConnectionString, cancellation) is { } reason)
        {
            throw new ProvisioningException($"The PostgreSQL that {Variable} names does not answer: {reason}");
        }

        return new PreparedServer(builder.ConnectionString, [], Variable);
    }

    private static async Task<PreparedServer> LocalAsync(DataFolder data, string bin, Action<string> say, CancellationToken cancellation)
    {
        var user = await UnprivilegedUser.FindAsync(cancellation);
        var home = await MakeHomeAsync(data, user, say, cancellation);
        var cluster = Path.Combine(home, "data");
        var password = data.SecretWord("postgres.password");
        if (!File.Exists(Path.Combine(cluster, "PG_VERSION")))
        {
            await InitializeAsync(bin, home, cluster, password, user, say, cancellation);
        }

        if (RunningPort(cluster) is { } running && await WhyNotReadyAsync(ConnectionString(running, password), cancellation) is null)
        {
            return new PreparedServer(ConnectionString(running, password), [], $"the cluster that already runs in {cluster}");
        }

        var port = Ports.Free(data.Path + "/postgres");
        var connection = ConnectionString(port, password);
        string[] arguments =
        [
            "-D", cluster,
            "-p", port.ToString(CultureInfo.InvariantCulture),
            "-c", "listen_addresses=127.0.0.1",
            // The path of a socket has a limit of about 100 characters, a data folder has none.
            "-c", "unix_socket_directories=",
        ];
        var (fileName, wrapped) = user?.Wrap(Path.Combine(bin, "postgres"), arguments) ?? (Path.Combine(bin, "postgres"), arguments);
        var spec = new ProcessSpec
        {
            Name = "postgres",
            FileName = fileName,
            Arguments = wrapped,
            Environment = s_quiet,
            LogFile = data.Log("postgres"),
            WorkingDirectory = "/",
            Address = $"127.0.0.1:{port}",
            BeforeStart = _ =>
            {
                ForgetDeadPostmaster(cluster);
                return Task.CompletedTask;
            },
            WhyNotReady = token => WhyNotReadyAsync(connection, token),
            // A fast shutdown: sessions are ended, then a checkpoint is written.
            StopSignal = Signal.Interrupt,
            StopWithin = TimeSpan.FromSeconds(60),
        };
        return new PreparedServer(connection, [spec], bin);
    }

    private static PreparedServer InDocker(DataFolder data)
    {
        var password = data.SecretWord("postgres.password");
        var port = Ports.Free(data.Path + "/postgres");
        var connection = ConnectionString(port, password);
        var name = $"partnerpulse-postgres-{data.Hash}";
        var spec = new ProcessSpec
        {
            Name = "postgres",
            FileName = "docker",
            Arguments =
            [
                "run", "--rm", "--name", name, "--publish", $"127.0.0.1:{port}:5432", "--volume", $"{name}:/var/lib/postgresql/data",
                "--shm-size", "256m", "--env", "POSTGRES_PASSWORD", "--env", $"POSTGRES_USER={User}", "--env", $"POSTGRES_DB={Database}", Image,
                .. Settings.SelectMany(setting => new[] { "-c", $"{setting.Name}={setting.Value}" }),
            ],
            // By the environment, because arguments can be read by every user of the machine.
            Environment = new Dictionary<string, string?>(StringComparer.Ordinal) { ["POSTGRES_PASSWORD"] = password },
            LogFile = data.Log("postgres"),
            Address = $"127.0.0.1:{port}",
            Container = name,
            BeforeStart = token => Docker.RemoveAsync(name, token),
            WhyNotReady = token => WhyNotReadyAsync(connection, token),
            // The image may have to be fetched first.
            ReadyWithin = TimeSpan.FromMinutes(10),
            StopSignal = Signal.Interrupt,
        };
        return new PreparedServer(connection, [spec], $"Docker ({Image})");
    }

    internal static IReadOnlyList<(string Name, string Value)> Settings { get; } =
    [
        ("max_connections", "200"),
        ("shared_buffers", "256MB"),
        ("work_mem", "16MB"),
        ("maintenance_work_mem", "128MB"),
        ("effective_cache_size", "1GB"),
        ("fsync", "on"),
        ("wal_compression", "on"),
        ("max_wal_size", "4GB"),
        ("checkpoint_timeout", "15min"),
        ("random_page_cost", "1.1"),
        // Short statements; compiling them costs more than it saves.
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];

    // A client's settings of the person at the terminal say nothing about a private cluster.
    private static readonly Dictionary<string, string?> s_quiet = new(StringComparer.Ordinal)
    {
        ["PGDATA"] = null, ["PGPORT"] = null, ["PGHOST"] = null, ["PGUSER"] = null, ["PGOPTIONS"] = null, ["LC_ALL"] = "C",
    };

    private static string ConnectionString(int port, string password) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = port,
        Username = User,
        Password = password,
        Database = Database,
        // Four services share the 200 connections of the cluster.
        MaxPoolSize = 40,
        Timeout = 15,
        IncludeErrorDetail = true,
    }.ConnectionString;

    /// <summary>Where the cluster of this data folder lies or will lie; remembered, because the reason may change later.</summary>
    private static string ClusterHome(DataFolder data)
    {
        var remembered = data.File("postgres.place");
        return File.Exists(remembered) ? File.ReadAllText(remembered).Trim() : data.File("postgres");
    }

    private static async Task<string> MakeHomeAsync(DataFolder data, UnprivilegedUser? user, Action<string> say, CancellationToken cancellation)
    {
        var home = ClusterHome(data);
        if (Directory.Exists(Path.Combine(home, "data")))
        {
            return home;
        }

        if (user is not null && !await user.MayEnterAsync(data.Path, cancellation))
        {
            home = $"/var/lib/partnerpulse/{data.Hash}/postgres";
            say($"the user {user.Name} may not enter {data.Path}; the cluster lies in {home}");
        }

        Directory.CreateDirectory(home);
        if (user is not null)
        {
            await user.GiveAsync(home, cancellation);
        }

        data.WritePrivate("postgres.place", home);
        return home;
    }

    private static async Task InitializeAsync(
        string bin, string home, string cluster, string password, UnprivilegedUser? user, Action<string> say, CancellationToken cancellation)
    {
        say($"making a PostgreSQL cluster in {cluster}");
        if (Directory.Exists(cluster))
        {
            // initdb was stopped half way: there is no PG_VERSION, so there never was a database.
            Directory.Delete(cluster, recursive: true);
        }

        var passwordFile = Path.Combine(home, "initdb.password");
        try
        {
            File.Delete(passwordFile);
            await using (var stream = new FileStream(passwordFile, new FileStreamOptions
            {
                Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            }))
            await using (var writer = new StreamWriter(stream))
            {
                await writer.WriteLineAsync(password);
            }

            if (user is not null)
            {
                await user.GiveAsync(home, cancellation);
            }

            string[] arguments =
            [
                "-D", cluster, "--username", User, "--pwfile", passwordFile, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C",
                "--no-instructions",
            ];
            var initdb = Path.Combine(bin, "initdb");
            var (fileName, wrapped) = user?.Wrap(initdb, arguments) ?? (initdb, arguments);
            var made = await Shell.RunAsync(fileName, wrapped, cancellation, s_quiet);
            if (!made.Succeeded)
            {
                throw new ProvisioningException($"initdb failed:\n{made.Output}");
            }

            var settings = Settings.Select(setting => $"{setting.Name} = '{setting.Value}'");
            if (new DriveInfo("/dev/shm") is { IsReady: true, TotalSize: < 256L * 1024 * 1024 })
            {
                // Containers often have 64 MB there, too little for parallel queries.
                settings = settings.Append("dynamic_shared_memory_type = 'mmap'");
            }

            await File.AppendAllTextAsync(
                Path.Combine(cluster, "postgresql.conf"), $"\n# PartnerPulse\n{string.Join('\n', settings)}\n", cancellation);
        }
        finally
        {
            File.Delete(passwordFile);
        }
    }

    /// <summary>Null when ready; makes the database where it is missing.</summary>
    private static async Task<string?> WhyNotReadyAsync(string connectionString, CancellationToken cancellation)
    {
        var builder = new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false, Timeout = 5 };
        try
        {
            await using var connection = new NpgsqlConnection(builder.ConnectionString);
            await connection.OpenAsync(cancellation);
            return null;
        }
        catch (PostgresException missing) when (missing.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            return await CreateDatabaseAsync(builder, cancellation);
        }
        catch (Exception fault) when (fault is NpgsqlException or TimeoutException)
        {
            return fault.InnerException is { } inner ? $"{fault.Message} ({inner.Message})" : fault.Message;
        }
    }

    private static async Task<string?> CreateDatabaseAsync(NpgsqlConnectionStringBuilder wanted, CancellationToken cancellation)
    {
        var maintenance = new NpgsqlConnectionStringBuilder(wanted.ConnectionString) { Database = "postgres" };
        try
        {
            await using var connection = new NpgsqlConnection(maintenance.ConnectionString);
            await connection.OpenAsync(cancellation);
            await using var command = connection.CreateCommand();
            command.CommandText = $"create database \"{wanted.Database!.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
            await command.ExecuteNonQueryAsync(cancellation);
            return null;
        }
        catch (PostgresException exists) when (exists.SqlState == PostgresErrorCodes.DuplicateDatabase)
        {
            return null;
        }
        catch (Exception fault) when (fault is NpgsqlException or TimeoutException)
        {
            return $"the database {wanted.Database} cannot be created: {fault.Message}";
        }
    }

    /// <summary>Folder with <c>postgres</c> and <c>initdb</c>: on the PATH, else the newest of the distribution's.</summary>
    /// <param name="majorVersion">Only binaries of this version open an existing cluster.</param>
    private static string? FindBinaries(int? majorVersion)
    {
        static bool IsComplete(string folder) => File.Exists(Path.Combine(folder, "postgres")) && File.Exists(Path.Combine(folder, "initdb"));

        var versioned = s_versionedFolders
            .Where(Directory.Exists)
            .SelectMany(Directory.GetDirectories)
            .Select(folder => (Version: MajorVersion(Path.GetFileName(folder)), Folder: Path.Combine(folder, "bin")))
            .Where(found => found.Version is not null && IsComplete(found.Folder))
            .OrderByDescending(found => found.Version)
            .ToList();
        if (majorVersion is { } needed && versioned.Find(found => found.Version == needed) is { Folder: { } exact })
        {
            return exact;
        }

        var onPath = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .FirstOrDefault(IsComplete);
        return onPath ?? (versioned.Count > 0 ? versioned[0].Folder : null);
    }

    private static readonly string[] s_versionedFolders = ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"];

    private static int? MajorVersion(string folder) =>
        int.TryParse(folder.StartsWith("postgresql@", StringComparison.Ordinal) ? folder["postgresql@".Length..] : folder, NumberStyles.None, CultureInfo.InvariantCulture, out var version)
            ? version
            : null;

    private static int? MajorVersionOf(string home)
    {
        var file = Path.Combine(home, "data", "PG_VERSION");
        return File.Exists(file) ? MajorVersion(File.ReadAllText(file).Trim()) : null;
    }

    /// <summary>The port of the server that runs in the cluster; null where none does.</summary>
    private static int? RunningPort(string cluster)
    {
        var file = Path.Combine(cluster, "postmaster.pid");
        if (!File.Exists(file) || !IsPostmasterAlive(cluster))
        {
            return null;
        }

        var lines = File.ReadAllLines(file);
        return lines.Length > 3 && int.TryParse(lines[3], NumberStyles.None, CultureInfo.InvariantCulture, out var port) ? port : null;
    }

    /// <summary>
    /// After a kill -9 and a restart of the machine (or its container) the number in postmaster.pid may be another
    /// program's, and PostgreSQL would refuse to start for its sake.
    /// </summary>
    private static void ForgetDeadPostmaster(string cluster)
    {
        var file = Path.Combine(cluster, "postmaster.pid");
        if (File.Exists(file) && OperatingSystem.IsLinux() && !IsPostmasterAlive(cluster))
        {
            File.Delete(file);
        }
    }

    private static bool IsPostmasterAlive(string cluster)
    {
        var first = File.ReadLines(Path.Combine(cluster, "postmaster.pid")).FirstOrDefault();
        if (!int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || ProcessIdentity.Of(pid) is null)
        {
            return false;
        }

        // A postmaster works in its data folder. Where the link cannot be read the process is of another user: not ours.
        return !OperatingSystem.IsLinux() || Directory.ResolveLinkTarget($"/proc/{pid}/cwd", returnFinalTarget: false)?.FullName is { } cwd && SamePath(cwd, cluster);
    }

    private static bool SamePath(string left, string right) =>
        left == right || left == (new DirectoryInfo(right).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? right) || RealPath(right) == left;

    // Any folder above may be a link.
    private static string RealPath(string path)
    {
        var parent = Path.GetDirectoryName(path);
        if (parent is null)
        {
            return path;
        }

        var here = Path.Combine(RealPath(parent), Path.GetFileName(path));
        return new DirectoryInfo(here).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? here;
    }
}
