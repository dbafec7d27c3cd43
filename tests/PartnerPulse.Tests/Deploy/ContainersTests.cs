using System.Diagnostics;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Gateway;
using PartnerPulse.Pulse.Provisioning;
using YamlDotNet.Core;
using YamlDotNet.Serialization;

namespace PartnerPulse.Tests.Deploy;

/// <summary>
/// <c>docker-compose.yml</c>, the Dockerfile and what <c>deploy/docker/prepare</c> makes, held against what <c>up --distributed</c>
/// starts: a service or a setting that is added there and forgotten here fails.
/// </summary>
public sealed class ContainersTests : IDisposable
{
    private static readonly Dictionary<object, object> s_compose = Read();
    private readonly string _folder = Directory.CreateTempSubdirectory("pulse-containers-").FullName;

    /// <summary>Settings that containers need and processes do not.</summary>
    private static readonly string[] s_ofContainers = ["Pulse__Secrets", "ASPNETCORE_ENVIRONMENT", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"];

    /// <summary>Who takes a setting, by how its name begins, where it is not everybody.</summary>
    private static readonly (string Prefix, string[] Services)[] s_whose =
    [
        ("Edge__PublicUrl", ["edge", "partners"]),
        ("Edge__", ["edge"]),
        ("Conversions__", ["conversions"]),
        ("Attribution__", ["attribution"]),
        ("Status__", ["attribution"]),
        ("ConnectionStrings__", ["partners", "conversions", "attribution", "outbound"]),
        ("Bus__", ["partners", "conversions", "attribution", "edge"]),
    ];

    public static TheoryData<string> Ours => [.. Enum.GetNames<Upstream>().Append("Gateway")];

    public static TheoryData<string> All => [.. Map(s_compose["services"]).Keys.Cast<string>()];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void It_has_every_service_the_gateway_and_the_two_servers() => Assert.Equal(
        Enum.GetNames<Upstream>().Select(name => name.ToLowerInvariant()).Concat(["gateway", "postgres", "rabbitmq"]).Order(StringComparer.Ordinal),
        Map(s_compose["services"]).Keys.Cast<string>().Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Ours))]
    public void Each_is_built_from_the_one_Dockerfile(string service)
    {
        var build = Map(Service(service.ToLowerInvariant())["build"]);
        Assert.Equal("deploy/docker/Dockerfile", build["dockerfile"]);
        Assert.Equal(service, Map(build["args"])["SERVICE"]);
        Assert.Matches($@"\b{service}\b[|) ].*", string.Join('\n', File.ReadLines(Path.Combine(Fixtures.Checkout, "deploy/docker/Dockerfile")).Where(line => line.Contains("project=", StringComparison.Ordinal))));
    }

    [Fact]
    public void The_Dockerfile_restores_every_project_that_is_built()
    {
        var copied = File.ReadLines(Path.Combine(Fixtures.Checkout, "deploy/docker/Dockerfile"))
            .Where(line => line.StartsWith("COPY ", StringComparison.Ordinal) && line.Contains("*.csproj", StringComparison.Ordinal))
            .Select(line => line.Split(' ')[2].TrimEnd('/'));
        var there = new[] { "contracts", "services", "deploy" }
            .SelectMany(folder => Directory.EnumerateFiles(Path.Combine(Fixtures.Checkout, folder), "*.csproj", SearchOption.AllDirectories))
            .Select(file => Path.GetDirectoryName(Path.GetRelativePath(Fixtures.Checkout, file))!);
        Assert.Equal(there.Order(StringComparer.Ordinal), copied.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void No_container_may_do_more_than_it_has_to(string name)
    {
        var service = Service(name);
        Assert.Equal("true", service["read_only"]);
        Assert.Equal(["ALL"], List(service["cap_drop"]));
        Assert.Equal(["no-new-privileges:true"], List(service["security_opt"]));
        Assert.All((string[])["mem_limit", "cpus", "pids_limit", "logging", "restart", "stop_grace_period"], limit => Assert.True(service.ContainsKey(limit), $"{name} has no {limit}."));
        Assert.DoesNotContain("privileged", service.Keys);
        Assert.DoesNotContain(List(service.GetValueOrDefault("volumes")), volume => volume.Contains("docker.sock", StringComparison.Ordinal));
        // Ours run as the user of their image; the others are told which.
        Assert.Equal(service.ContainsKey("build") ? null : name, service.GetValueOrDefault("user"));
        Assert.True(service.ContainsKey("build") || service.ContainsKey("healthcheck"), $"{name} has no health check.");
    }

    [Fact]
    public void The_image_of_a_service_runs_as_nobody_special_and_says_whether_it_is_ready()
    {
        var last = File.ReadAllText(Path.Combine(Fixtures.Checkout, "deploy/docker/Dockerfile")).Split("\nFROM ")[^1];
        Assert.Contains("\nUSER $APP_UID\n", last, StringComparison.Ordinal);
        Assert.Contains("DOTNET_EnableDiagnostics=0", last, StringComparison.Ordinal);
        Assert.Matches(@"\nHEALTHCHECK .* CMD \[""ready""\]\n", last);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Only_the_gateway_is_published_and_on_loopback_unless_told_otherwise(string name) => Assert.Equal(
        name == "gateway" ? ["${PULSE_LISTEN:-127.0.0.1}:${PULSE_PORT:-8080}:8080"] : [], List(Service(name).GetValueOrDefault("ports")));

    [Fact]
    public void The_gateway_hands_on_to_every_service() => Assert.Equal(
        Enum.GetNames<Upstream>().Select(name => ($"Gateway__{name}", $"http://{name.ToLowerInvariant()}:8080")).Order(),
        Environment("gateway").Where(setting => setting.Key.StartsWith("Gateway__", StringComparison.Ordinal)).Select(setting => (setting.Key, setting.Value!)).Order());

    [Fact]
    public async Task A_service_is_told_what_up_tells_it_and_nothing_that_up_does_not_know()
    {
        await PrepareAsync();
        var told = TheirSettings();
        foreach (var name in Enum.GetNames<Upstream>().Select(name => name.ToLowerInvariant()))
        {
            var here = Environment(name).Keys.Concat(Directory.GetFiles(Secret(name)).Select(Path.GetFileName)).Select(setting => setting!).Order(StringComparer.Ordinal).ToArray();
            var wanted = told.Where(setting => Takes(name, setting) && setting != "Edge__SigningKeyFile").Concat(s_ofContainers).Order(StringComparer.Ordinal).ToArray();
            Assert.Equal(wanted, here);
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void No_secret_is_in_an_environment(string name) => Assert.DoesNotContain(
        Environment(name), setting => setting.Key.EndsWith("Key", StringComparison.Ordinal) || (setting.Key.Contains("PASSWORD", StringComparison.OrdinalIgnoreCase) && !setting.Key.EndsWith("_FILE", StringComparison.Ordinal))
            || setting.Key is "Bus__RabbitMq" or "ConnectionStrings__Postgres");

    [Fact]
    public async Task What_is_mounted_is_there_or_is_made_by_prepare()
    {
        await PrepareAsync();
        foreach (var mount in Map(s_compose["services"]).Keys.Cast<string>().SelectMany(name => List(Service(name).GetValueOrDefault("volumes"))))
        {
            var source = mount.StartsWith("${PULSE_SECRETS", StringComparison.Ordinal) ? Secret(mount[(mount.IndexOf("}/", StringComparison.Ordinal) + 2)..].Split(':')[0])
                : mount.StartsWith("./", StringComparison.Ordinal) ? Path.Combine(Fixtures.Checkout, mount.Split(':')[0])
                : null;
            Assert.True(
                source is null ? Map(s_compose["volumes"]).ContainsKey(mount.Split(':')[0]) : Path.Exists(source), $"{mount} is neither a volume nor a file of the repository, and prepare does not make it.");
        }
    }

    [Fact]
    public async Task Keys_and_passwords_are_made_once_and_fit()
    {
        await PrepareAsync();
        var keys = ApiKeys.Read(Secret("keys/keys.json"));
        foreach (var (file, scope) in new[] { ("admin.key", Scope.Admin), ("edge/Edge__Partners__Key", Scope.ReadCatalogue), ("conversions/Conversions__Attribution__Key", Scope.ReadMatches) })
        {
            var hash = ApiKey.Hash(await File.ReadAllTextAsync(Secret(file)));
            Assert.Equal([scope], keys.Single(key => key.Sha256 == hash).Scopes);
        }

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Secret("")));
        foreach (var service in (string[])["partners", "conversions", "attribution", "outbound"])
        {
            var connection = new Npgsql.NpgsqlConnectionStringBuilder(await File.ReadAllTextAsync(Secret($"{service}/ConnectionStrings__Postgres")));
            Assert.Equal(("postgres", "partnerpulse", $"partnerpulse_{service}"), (connection.Host, connection.Database, connection.Username));
            Assert.Equal(await File.ReadAllTextAsync(Secret($"postgres/{service}")), connection.Password);
            Assert.Equal($"/run/secrets/{service}", Environment("postgres")[$"PULSE_{service.ToUpperInvariant()}_PASSWORD_FILE"]);
        }

        var before = Directory.GetFiles(_folder, "*", SearchOption.AllDirectories).ToDictionary(file => file, File.ReadAllText, StringComparer.Ordinal);
        await PrepareAsync();
        Assert.Equal(before, Directory.GetFiles(_folder, "*", SearchOption.AllDirectories).ToDictionary(file => file, File.ReadAllText, StringComparer.Ordinal));
    }

    [Fact]
    public void PostgreSQL_has_the_settings_that_up_gives_it() => Assert.Equal(
        Postgres.Settings.Select(setting => $"-c{setting.Name}={setting.Value}").Prepend("postgres"), List(Service("postgres")["command"]));

    /// <summary>The names of all settings that <c>up --distributed</c> gives services.</summary>
    private string[] TheirSettings()
    {
        var data = DataFolder.Open(Path.Combine(_folder, "up"));
        var connections = ((string[])["partners", "conversions", "attribution", "outbound"]).ToDictionary(name => name, _ => "Host=postgres", StringComparer.Ordinal);
        return
        [
            .. Services.For(new UpCommand.Wanted(Distributed: true, 8080, "localhost", data, Json: false), connections, "amqp://rabbitmq")
                .SelectMany(service => service.Environment.Where(setting => setting.Value is not null).Select(setting => setting.Key))
                .Where(name => name.Contains("__", StringComparison.Ordinal))
                // There the file of a key is the setting itself.
                .Select(name => name is "Edge__Partners__KeyFile" or "Conversions__Attribution__KeyFile" ? name[..^"File".Length] : name)
                .Distinct(StringComparer.Ordinal),
        ];
    }

    private static bool Takes(string service, string setting) =>
        s_whose.FirstOrDefault(whose => setting.StartsWith(whose.Prefix, StringComparison.Ordinal)).Services is not { } services || services.Contains(service, StringComparer.Ordinal);

    private string Secret(string name) => Path.Combine(_folder, "secrets", name);

    private async Task PrepareAsync()
    {
        using var prepare = Process.Start(new ProcessStartInfo("bash", [Path.Combine(Fixtures.Checkout, "deploy/docker/prepare"), _folder]) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true })!;
        var said = await prepare.StandardError.ReadToEndAsync();
        await prepare.WaitForExitAsync();
        Assert.True(prepare.ExitCode == 0, said);
    }

    private static Dictionary<object, object> Service(string name) => Map(Map(s_compose["services"])[name]);

    private static Dictionary<string, string?> Environment(string name) =>
        Service(name).TryGetValue("environment", out var environment) ? Map(environment).ToDictionary(p => (string)p.Key, p => (string?)p.Value, StringComparer.Ordinal) : [];

    private static Dictionary<object, object> Map(object node) => (Dictionary<object, object>)node;

    private static string[] List(object? node) => [.. ((IEnumerable<object>?)node ?? []).Select(item => (string)item)];

    private static Dictionary<object, object> Read() => new DeserializerBuilder().Build()
        .Deserialize<Dictionary<object, object>>(new MergingParser(new Parser(new StringReader(File.ReadAllText(Path.Combine(Fixtures.Checkout, "docker-compose.yml"))))));
}
