using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>
/// A service as it runs: Kestrel on a port of its own, a database of its own, keys in a file. Several instances may share the
/// database.
/// </summary>
public sealed class TestService : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly HttpClient _client = new();

    private TestService(WebApplication app, string database, string folder)
    {
        _app = app;
        Database = database;
        Folder = folder;
        Address = new Uri(app.Urls.Single());
        _client.BaseAddress = Address;
    }

    public Uri Address { get; }

    public string Database { get; }

    public string Folder { get; }

    public IServiceProvider Services => _app.Services;

    public static async Task<TestService> StartAsync(
        Action<WebApplicationBuilder> add, Action<WebApplication> map, TestService? besides = null, TimeProvider? time = null)
    {
        var database = besides?.Database ?? await TestServers.NewDatabaseAsync();
        var folder = besides?.Folder ?? Directory.CreateTempSubdirectory("pulse-test-").FullName;
        var keys = Path.Combine(folder, "keys.json");
        if (besides is null)
        {
            await File.WriteAllTextAsync(keys, JsonSerializer.Serialize(
                Scope.All.Append($"{Scope.PartnerPrefix}alpha").Append($"{Scope.PartnerPrefix}acme").Select(Key)
                    .Append(Key(Scope.Admin) with { Name = "other", Sha256 = ApiKey.Hash("key-of-other"), Program = "other" }),
                JsonSerializerOptions.Web));
        }

        var builder = WebApplication.CreateBuilder();
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            ["urls"] = "http://127.0.0.1:0",
            ["ConnectionStrings:Postgres"] = database,
            ["Keys:File"] = keys,
            ["Conversions:CustomerKeyFile"] = Path.Combine(folder, "customer.key"),
            ["Edge:PublicUrl"] = "https://go.example/",
        });
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        if (time is not null)
        {
            builder.Services.AddSingleton(time);
        }

        builder.AddPartnerPulse();
        builder.AddPostgres();
        add(builder);
        builder.AddBus();
        var app = builder.Build();
        app.UsePartnerPulse();
        map(app);
        await app.StartAsync();
        return new TestService(app, database, folder);
    }

    /// <summary>Calls with the key of <paramref name="scope"/>; without one where it is null.</summary>
    public async Task<Answer> CallAsync(HttpMethod method, string path, string? body = null, string? scope = Scope.Admin)
    {
        using var request = new HttpRequestMessage(method, new Uri(Address, path));
        if (scope is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"key-of-{scope}");
        }

        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }

        // A server that refuses a large body by its length does not read it: who sends on meets a closed connection.
        request.Headers.ExpectContinue = request.Content?.Headers.ContentLength > 1024 * 1024;
        using var response = await _client.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }

    public Task<Answer> PostAsync(string path, string? body, string? scope = Scope.Admin) => CallAsync(HttpMethod.Post, path, body, scope);

    public Task<Answer> GetAsync(string path, string? scope = Scope.Admin) => CallAsync(HttpMethod.Get, path, body: null, scope);

    public Task<Answer> DeleteAsync(string path) => CallAsync(HttpMethod.Delete, path);

    public Task<Answer> PutAsync(string path, string body) => CallAsync(HttpMethod.Put, path, body);

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private static ApiKey Key(string scope) => new(scope, ApiKey.Hash($"key-of-{scope}"), [scope], "main");
}

/// <summary>What a service answered.</summary>
public sealed record Answer(HttpStatusCode Status, string? ContentType, Uri? Location, string Text)
{
    public JsonElement Json => JsonDocument.Parse(Text).RootElement;

    /// <summary>The answer is problem details of this status that name the field with a reason.</summary>
    public void AssertFault(HttpStatusCode status, string field, string reason)
    {
        Assert.Equal(status, Status);
        Assert.Equal("application/problem+json", ContentType);
        var errors = Json.GetProperty("errors").EnumerateArray().Select(e => (Field: e.GetProperty("field").GetString(), Reason: e.GetProperty("reason").GetString())).ToArray();
        Assert.Contains(errors, error => error.Field == field && error.Reason!.Contains(reason, StringComparison.Ordinal));
    }

    public Answer AssertStatus(HttpStatusCode status)
    {
        Assert.True(Status == status, $"{(int)Status} instead of {(int)status}: {Text}");
        return this;
    }
}
