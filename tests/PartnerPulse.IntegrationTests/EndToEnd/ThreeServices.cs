using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Intake;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.Partners;
using PartnerPulse.Tests.AttributionCore;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>
/// Partners, Conversions and Attribution in one process with a database of their own, and clicks put into the log as an edge would
/// have sent them: the whole way of an order without the edge.
/// </summary>
public sealed class ThreeServices : IAsyncDisposable
{
    private readonly NpgsqlDataSource _database;

    private ThreeServices(TestService service)
    {
        Service = service;
        _database = NpgsqlDataSource.Create(service.Database);
    }

    public TestService Service { get; }

    public EventLog Log => Service.Services.GetRequiredKeyedService<EventLog>(AttributionService.Schema);

    internal Erasure Erasure => Service.Services.GetRequiredService<Erasure>();

    /// <param name="settings">Of the configuration.</param>
    /// <param name="besides">Another instance, whose database and folder this one shares.</param>
    public static async Task<ThreeServices> StartAsync(IReadOnlyDictionary<string, string?>? settings = null, ThreeServices? besides = null) => new(await TestService.StartAsync(
        builder =>
        {
            builder.Configuration.AddInMemoryCollection(settings);
            builder.AddPartners();
            builder.AddConversions();
            builder.AddAttribution();
        },
        app =>
        {
            app.MapPartners();
            app.MapConversions();
            app.MapAttribution();
        },
        besides?.Service));

    public async Task<Answer> PostAsync(string path, object body, HttpStatusCode expected)
    {
        var answer = await Service.PostAsync(path, JsonSerializer.Serialize(body));
        return answer.AssertStatus(expected);
    }

    public Task EnrolAsync(string partner) =>
        PostAsync("/v1/partners", new { id = partner, name = partner, destination = "https://shop.example/" }, HttpStatusCode.Created);

    public Task ClickAsync(string partner, string visitor, double daysAgo) => TakeInAsync(new ClickRecorded
    {
        EventId = Guid.NewGuid(), ProgramId = "main", OccurredAt = TimeProvider.System.GetUtcNow().AddDays(-daysAgo), PartnerId = partner, VisitorId = visitor,
        UserAgent = TestBots.Browser, Via = ClickVia.Redirect,
    });

    /// <summary>As a consumer takes it in.</summary>
    public Task TakeInAsync(IEvent fact) =>
        Service.Services.GetRequiredService<IntakeWriter>().AppendAsync([IntakeWriter.ToNewEvent(fact)], handover: null, CancellationToken.None);

    /// <summary>Publishes rules, replays under them and promotes the replay.</summary>
    public async Task UseRulesAsync(object rules)
    {
        var id = await ReplayAsync(rules);
        (await Service.PostAsync($"/v1/replays/{id}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        await SettleAsync();
    }

    public async Task<Guid> ReplayAsync(object rules)
    {
        var id = (await PostAsync("/v1/replays", new { rules }, HttpStatusCode.Accepted)).Json.GetProperty("id").GetGuid();
        await Service.ReadyAsync(id);
        return id;
    }

    /// <summary>Waits until everything that was sent is handed on and folded.</summary>
    public Task SettleAsync() => Waits.UntilAsync("all is handed on and folded", async () =>
    {
        var services = (await Service.GetAsync("/v1/status")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("services").EnumerateArray()
            .ToDictionary(s => s.GetProperty("name").GetString()!, StringComparer.Ordinal);
        var attribution = services["attribution"];
        return new[] { "partners", "conversions" }.All(sender => services[sender].GetProperty("relay").GetInt64() == services[sender].GetProperty("log").GetInt64())
            && attribution.GetProperty("projector").GetInt64() == attribution.GetProperty("log").GetInt64();
    });

    public async Task RebuildAsync()
    {
        (await Service.PostAsync("/v1/rebuild", body: null)).AssertStatus(HttpStatusCode.Accepted);
        await SettleAsync();
    }

    /// <summary>Partners and amounts, and what nobody has.</summary>
    public async Task<string[]> CreditsAsync()
    {
        await SettleAsync();
        var credits = (await Service.GetAsync("/v1/credits")).AssertStatus(HttpStatusCode.OK).Json;
        return
        [
            .. credits.GetProperty("rows").EnumerateArray().Select(row => $"{row.GetProperty("partner").GetString()} {row.GetProperty("amounts")[0].GetProperty("amount").GetString()}"),
            $"nobody {credits.GetProperty("unattributed").GetProperty("conversions").GetInt32()}",
        ];
    }

    public async Task<JsonElement> ReceiptAsync(string order, string query = "") =>
        (await Service.GetAsync($"/v1/receipts?source=shop&orderId={order}{query}")).AssertStatus(HttpStatusCode.OK).Json;

    /// <summary>The tables say what one fold of the log says, under the rules that count.</summary>
    public async Task AssertIsOneFoldAsync()
    {
        await SettleAsync();
        await using var active = _database.CreateCommand(
            """
            select g.generation, r.version, r.document
              from attribution.generations g cross join lateral unnest(array[g.rules_version] || g.under) with ordinality as v(version, place)
              join attribution.rules r on r.version = v.version
             where g.state = 'active' order by v.place
            """);
        var versions = new List<VersionedRules>();
        var generation = 0;
        await using (var reader = await active.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                generation = reader.GetInt32(0);
                using var document = JsonDocument.Parse(reader.GetString(2));
                versions.Add(new VersionedRules(
                    reader.GetInt32(1), Assert.IsType<RulesAccepted>(Rules.ReadPublished(document.RootElement, TestBots.Lists)).Rules));
            }
        }

        var events = await Log.ReadAllAsync(0, int.MaxValue, CancellationToken.None);
        var history = History.Fold(events.Select(e => EventTypes.Deserialize(EventTypes.Find(e.Type)!, e.Data.Span)));
        Assert.Equal(Ledger.Of(history, RulesInForce.Of(versions)), await Ledger.ReadAsync(_database, generation));
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = _database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Tables of all services that hold the text anywhere.</summary>
    public async Task<string[]> TablesThatHoldAsync(string text)
    {
        var tables = new List<string>();
        await using (var command = _database.CreateCommand(
            "select table_schema || '.' || table_name from information_schema.tables where table_schema in ('partners', 'conversions', 'attribution') order by 1"))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                tables.Add(reader.GetString(0));
            }
        }

        var holding = new List<string>();
        foreach (var table in tables)
        {
            if (await ScalarAsync<long>($"select count(*) from {table} t where position('{text}' in t::text) > 0") > 0)
            {
                holding.Add(table);
            }
        }

        return [.. holding];
    }

    public async ValueTask DisposeAsync()
    {
        await Service.DisposeAsync();
        await _database.DisposeAsync();
    }
}
