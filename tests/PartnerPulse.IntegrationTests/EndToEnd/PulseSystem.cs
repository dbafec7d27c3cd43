using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using PartnerPulse.Tests.AttributionCore;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>
/// A whole system as a user starts it: <c>pulse up</c> in a process of its own, with its own supervisor, keys and ports. What
/// it keeps is read from its database, everything else goes over HTTP.
/// </summary>
internal sealed class PulseSystem : IAsyncDisposable
{
    private static readonly TimeSpan s_startsWithin = TimeSpan.FromMinutes(4);
    private static readonly UriCreationOptions s_asWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };
    private static int s_systems;

    private readonly DataFolder _data;
    private readonly ProcessIdentity _up;
    private readonly NpgsqlDataSource _database;
    private readonly string _adminKey;

    private PulseSystem(Mode mode, DataFolder data, ProcessIdentity up, string url, string database, string? broker)
    {
        Broker = broker;
        _data = data;
        _up = up;
        Mode = mode;
        _adminKey = File.ReadAllText(Path.Combine(data.Secrets, "admin.key")).Trim();
        Connection = database;
        _database = NpgsqlDataSource.Create(database);
        Log = new EventLog(_database, "attribution");
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false })
        {
            BaseAddress = new Uri(url), Timeout = TimeSpan.FromSeconds(90),
        };
        Http.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", TestBots.Browser);
    }

    public Mode Mode { get; }

    /// <summary>Where shops put orders into the queue; null where there is none, or it is the system's alone.</summary>
    public string? Broker { get; }

    /// <summary>A browser by its user agent, without a key; redirects are not followed.</summary>
    public HttpClient Http { get; }

    public string AdminKey => _adminKey;

    /// <summary>Folder of its keys, logs and spools.</summary>
    public string Data => _data.Path;

    /// <summary>Connection string of its database, as the owner.</summary>
    public string Connection { get; }

    /// <summary>The attribution log, read where it is kept.</summary>
    public EventLog Log { get; }

    public int Port => Http.BaseAddress!.Port;

    /// <param name="mode">How to run.</param>
    /// <param name="ownBroker">A RabbitMQ that is this system's alone and under its supervisor, to be killed.</param>
    /// <param name="settings">Of the services, by the names of environment variables.</param>
    public static async Task<PulseSystem> StartAsync(Mode mode, bool ownBroker = false, IReadOnlyDictionary<string, string?>? settings = null)
    {
        var data = DataFolder.Open(PrivateServers.Folder(TestServers.Root(), Environment.ProcessId, $"-system-{Interlocked.Increment(ref s_systems)}"));
        var database = await TestServers.NewDatabaseAsync();
        var broker = mode == Mode.Distributed && !ownBroker ? await TestServers.NewVirtualHostAsync() : null;
        var port = SixPorts();
        var (fileName, arguments) = Services.Self(
            ["up", "--port", $"{port}", "--data", data.Path, "--json", "--unattended", "--while", $"{Environment.ProcessId}", .. mode == Mode.Distributed ? ["--distributed"] : Array.Empty<string>()]);
        using var up = ChildProcess.Start(new ProcessSpec
        {
            Name = "up",
            FileName = fileName,
            Arguments = arguments,
            LogFile = data.Log("up"),
            Environment = new Dictionary<string, string?>(settings ?? new Dictionary<string, string?>(), StringComparer.Ordinal)
            {
                [Postgres.Variable] = database, [RabbitMq.Variable] = broker, [Pulse.Commands.AdminKey.Variable] = null,
            },
        });
        var waited = Stopwatch.StartNew();
        while (RunState.Read(data) is not { Ready: true })
        {
            if (up.HasExited || waited.Elapsed > s_startsWithin)
            {
                await ChildProcess.StopAsync(up.Identity, Signal.Terminate, TimeSpan.FromMinutes(1));
                throw new InvalidOperationException($"The system did not start: {string.Join('\n', LogFiles.Tail(data.Log("up"), 40))}");
            }

            await Task.Delay(50);
        }

        return new PulseSystem(mode, data, up.Identity, $"http://localhost:{port}", database, broker);
    }

    /// <summary>Sends as it is written here, byte for byte, with the administrator's key unless another or none (empty) is given.</summary>
    public async Task<Answer> SendAsync(HttpMethod method, string pathAndQuery, HttpContent? content = null, string? key = null)
    {
        using var request = new HttpRequestMessage(method, Address(pathAndQuery)) { Content = content };
        if (key is not { Length: 0 })
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key ?? _adminKey);
        }

        request.Headers.ExpectContinue = content?.Headers.ContentLength > 1024 * 1024;
        using var response = await Http.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }

    public Task<Answer> GetAsync(string path, string? key = null) => SendAsync(HttpMethod.Get, path, content: null, key);

    public Task<Answer> PostAsync(string path, object? body = null, string? key = null) =>
        SendAsync(HttpMethod.Post, path, body is null ? null : Json(body), key);

    /// <summary>Imports clicks, a line each.</summary>
    public Task<Answer> ImportAsync(IEnumerable<object> clicks, string? key = null) =>
        ImportTextAsync(string.Join('\n', clicks.Select(click => JsonSerializer.Serialize(click, s_json))), key);

    public Task<Answer> ImportTextAsync(string lines, string? key = null) =>
        SendAsync(HttpMethod.Post, "/v1/imports/clicks", new StringContent(lines, Encoding.UTF8, "application/x-ndjson"), key);

    public static StringContent Json(object body) =>
        new(body as string ?? JsonSerializer.Serialize(body, s_json), Encoding.UTF8, "application/json");

    public Uri Address(string pathAndQuery) => new($"{Http.BaseAddress!.GetLeftPart(UriPartial.Authority)}{pathAndQuery}", s_asWritten);

    /// <summary>Enrols a partner and waits until its first link leads to its destination.</summary>
    /// <returns>The slug of the link.</returns>
    public async Task<string> EnrolAsync(string id, string destination = "https://shop.example/")
    {
        var enrolled = (await PostAsync("/v1/partners", new { id, name = $"The {id}", destination })).AssertStatus(HttpStatusCode.Created);
        var slug = enrolled.Json.GetProperty("links")[0].GetProperty("slug").GetString()!;
        await UntilAsync($"the link {slug} leads somewhere", TimeSpan.FromSeconds(30), async () =>
            (await SendAsync(HttpMethod.Head, $"/r/{slug}", key: "")).Status == HttpStatusCode.Found ? "" : null);
        return slug;
    }

    /// <summary>Registers the origins of the program's pages and waits until the edge takes landings from them.</summary>
    public async Task ConfigureAsync(IReadOnlyList<string> origins)
    {
        (await SendAsync(HttpMethod.Put, "/v1/program", Json(new { origins }))).AssertStatus(HttpStatusCode.OK);
        await UntilAsync($"landings are taken from {origins[^1]}", TimeSpan.FromSeconds(30), async () =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Options, Address("/t"));
            request.Headers.Add("Origin", origins[^1]);
            using var response = await Http.SendAsync(request);
            return response.IsSuccessStatusCode ? "" : null;
        });
    }

    /// <summary>Follows a link as a browser does.</summary>
    /// <returns>The click's id.</returns>
    public async Task<Guid> FollowAsync(string slug)
    {
        var answer = (await GetAsync($"/r/{slug}", key: "")).AssertStatus(HttpStatusCode.Found);
        return ClickId(answer.Location!.OriginalString);
    }

    /// <summary>The click's id in the address that a visitor was sent to.</summary>
    public static Guid ClickId(string destination)
    {
        const string Parameter = "pp_click=";
        return Guid.Parse(destination.AsSpan(destination.IndexOf(Parameter, StringComparison.Ordinal) + Parameter.Length, 36));
    }

    /// <summary>Replays history under a rule document and promotes it.</summary>
    public async Task UseRulesAsync(object rules)
    {
        var replay = await ReplayAsync(new { rules });
        (await PostAsync($"/v1/replays/{replay}/promotion")).AssertStatus(HttpStatusCode.OK);
    }

    /// <summary>Starts a replay and waits until it is ready.</summary>
    public async Task<Guid> ReplayAsync(object request)
    {
        var id = (await PostAsync("/v1/replays", request)).AssertStatus(HttpStatusCode.Accepted).Json.GetProperty("id").GetGuid();
        await UntilAsync($"replay {id} is ready", TimeSpan.FromSeconds(60), async () =>
            (await GetAsync($"/v1/replays/{id}")).Json.GetProperty("state").GetString() == "ready" ? "" : null);
        return id;
    }

    /// <summary>Messages that wait in a queue of the broker.</summary>
    public async Task<uint> QueueLengthAsync(string queue)
    {
        await using var connection = await new RabbitMQ.Client.ConnectionFactory { Uri = new Uri(Broker!) }.CreateConnectionAsync();
        await using var channel = await connection.CreateChannelAsync();
        return await channel.MessageCountAsync(queue);
    }

    /// <summary>Waits until everything accepted so far has been folded.</summary>
    public Task<string> SettleAsync(TimeSpan? within = null) =>
        UntilAsync("all that was accepted is folded", within ?? TimeSpan.FromSeconds(60), async () =>
        {
            var status = await GetAsync("/v1/status");
            return status.Status == HttpStatusCode.OK && status.Json.GetProperty("settled").GetBoolean() ? status.Text : null;
        }, async () => (await GetAsync("/v1/status")).Text);

    /// <summary>The attribution log from its beginning.</summary>
    public async Task<IReadOnlyList<IEvent>> ReadLogAsync()
    {
        var events = new List<IEvent>();
        await foreach (var stored in Log.StreamAllAsync(0, int.MaxValue, CancellationToken.None))
        {
            events.Add(EventTypes.Deserialize(EventTypes.Find(stored.Type)!, stored.Data.Span));
        }

        return events;
    }

    /// <summary>The generation that counts, and its rules.</summary>
    public async Task<(int Generation, Rules Rules)> ActiveAsync()
    {
        await using var command = _database.CreateCommand(
            "select g.generation, r.document from attribution.generations g join attribution.rules r on r.version = g.rules_version where g.state = 'active'");
        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        using var document = JsonDocument.Parse(reader.GetString(1));
        return (reader.GetInt32(0), Assert.IsType<RulesAccepted>(Rules.ReadPublished(document.RootElement, TestBots.Lists)).Rules);
    }

    /// <summary>What the tables say, against one fold of the log in its order under the rules that count.</summary>
    public async Task AssertCreditsAreThoseOfOneFoldAsync()
    {
        var (generation, rules) = await ActiveAsync();
        var history = History.Fold(await ReadLogAsync());
        Assert.Equal(Ledger.Of(history, rules), await Ledger.ReadAsync(_database, generation));
        Assert.Equal(Ledger.CreditsOf(history, rules), (await GetAsync("/v1/credits?groupBy=partner")).AssertStatus(HttpStatusCode.OK).Json.Partners());
    }

    /// <summary>Adds a key to the system's file and waits until every service knows it.</summary>
    public async Task<string> AddKeyAsync(params string[] scopes)
    {
        var key = await RunKeys.File(_data).CreateAsync($"{string.Join(' ', scopes)} {Guid.NewGuid():N}", scopes, Services.Program, purpose: null, expires: null, CancellationToken.None);
        foreach (var (method, path) in new[]
        {
            (HttpMethod.Get, "/v1/partners"), (HttpMethod.Get, "/v1/conversions/shop/none"), (HttpMethod.Get, "/v1/status"), (HttpMethod.Post, "/v1/imports/clicks"),
        })
        {
            await UntilAsync($"{path} knows a new key", TimeSpan.FromSeconds(15), async () =>
                (await SendAsync(method, path, key: key)).Status == HttpStatusCode.Unauthorized ? null : "");
        }

        return key;
    }

    /// <summary>The process of this name as it runs now.</summary>
    public RunningProcess Process(string name) => RunState.Read(_data)!.Processes.Single(process => process.Name == name);

    /// <summary>Kills a process without warning and waits until the supervisor has started it again.</summary>
    public async Task KillAsync(string name)
    {
        var before = Process(name);
        Assert.True(Signals.Send(before.Pid, Signal.Kill), $"{name} ({before.Pid}) does not run");
        await UntilAsync($"{name} is started again", TimeSpan.FromSeconds(60), () =>
            Task.FromResult(Process(name) is var now && now.Restarts > before.Restarts && now.Pid != before.Pid ? "" : null));
    }

    /// <summary>Waits until a service says that it is ready, or a server takes connections.</summary>
    public Task UntilReadyAsync(string name) =>
        UntilAsync($"{name} is ready", TimeSpan.FromMinutes(2), async () =>
        {
            var address = Process(name).Address!;
            if (!address.StartsWith("http", StringComparison.Ordinal))
            {
                return await Ports.AnswersAsync(int.Parse(address.Split(':')[^1], CultureInfo.InvariantCulture), CancellationToken.None) ? "" : null;
            }

            using var response = await Http.GetAsync(new Uri($"{address}/ready"));
            return response.IsSuccessStatusCode ? "" : null;
        });

    /// <summary>Asks until there is an answer; fails with the ends of all logs.</summary>
    public async Task<string> UntilAsync(string fact, TimeSpan within, Func<Task<string?>> ask, Func<Task<string>>? state = null)
    {
        var waited = Stopwatch.StartNew();
        while (true)
        {
            string? fault = null;
            try
            {
                if (await ask() is { } answer)
                {
                    return answer;
                }
            }
            catch (Exception e) when (e is HttpRequestException or JsonException or TaskCanceledException)
            {
                fault = e.Message;
            }

            if (waited.Elapsed > within)
            {
                Assert.Fail($"Not after {within.TotalSeconds} s: {fact}. {fault} {(state is null ? "" : await state())}\n{Logs()}");
            }

            await Task.Delay(25);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _database.DisposeAsync();
        await ChildProcess.StopAsync(_up, Signal.Terminate, TimeSpan.FromMinutes(2));
        Directory.Delete(_data.Path, recursive: true);
    }

    private string Logs() => string.Join('\n', Directory.GetFiles(_data.Logs, "*.log").Order(StringComparer.Ordinal)
        .Select(file => $"--- {Path.GetFileName(file)}\n{string.Join('\n', LogFiles.Tail(file, 15))}"));

    /// <summary>Above the ports that private servers take, below those of outgoing connections.</summary>
    private static int SixPorts()
    {
        while (true)
        {
            var first = Random.Shared.Next(30_000, 32_700);
            if (Enumerable.Range(first, 1 + Services.PortsBehindTheGateway).All(port => Ports.IsFree(IPAddress.Loopback, port) && Ports.IsFree(IPAddress.IPv6Loopback, port)))
            {
                return first;
            }
        }
    }
}
