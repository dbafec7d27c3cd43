using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Npgsql;
using PartnerPulse.IntegrationTests.EndToEnd;
using PartnerPulse.IntegrationTests.EndToEnd.OrderStories;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using RabbitMQ.Client;

namespace PartnerPulse.IntegrationTests.Telemetry;

/// <summary>
/// What services say of themselves says nothing of visitors: no id, no customer, no address, no secret, whatever came in, by every way and
/// however wrong. The same holds of what they send to a collector.
/// </summary>
[Collection(WholeSystems.Name)]
public sealed partial class LogsTests(ObservedSystem observed) : IClassFixture<ObservedSystem>
{
    private static readonly string[] s_services = ["partners", "conversions", "attribution", "edge", "outbound"];

    private readonly string _own = $"{Guid.NewGuid():N}"[..8];
    private readonly HashSet<string> _secrets = new(StringComparer.Ordinal);

    [ServersFact]
    public async Task Nothing_that_is_logged_or_exported_in_a_busy_run_says_who_was_there()
    {
        var system = observed.System;
        var partner = $"busy-{_own}";
        var slug = await system.EnrolAsync(partner);
        await system.ConfigureAsync(["https://shop.example"]);
        await VisitAsync(slug, partner);
        await OrderByEveryWayAsync(partner);
        await SendWhatIsWrongAsync(slug);
        await TellOutsideAsync();
        await EraseAsync();
        await system.SettleAsync();
        await AddKeptAsync();

        // Whatever is found must be what somebody has really sent or been given.
        Assert.True(_secrets.Count > 40, $"{_secrets.Count} secrets");
        var logs = Directory.GetFiles(Path.Combine(system.Data, "logs"), "*.log").ToDictionary(file => Path.GetFileNameWithoutExtension(file)!, File.ReadAllText, StringComparer.Ordinal);
        foreach (var service in s_services)
        {
            AssertIsJson(service, logs[service]);
        }

        foreach (var (name, text) in logs)
        {
            Assert.True(Leaks(text).Length == 0, $"{name} says: {string.Join('\n', Leaks(text))}");
        }

        // Something was to be said: of what is wrong, and by every service.
        Assert.Contains("was refused", logs["conversions"], StringComparison.Ordinal);
        Assert.Contains("was not recorded", logs["conversions"], StringComparison.Ordinal);
        Assert.Contains("A customer was erased", logs["conversions"], StringComparison.Ordinal);
        Assert.Contains("is a dead letter", logs["outbound"], StringComparison.Ordinal);
        Assert.All(_secrets, secret => Assert.False(observed.Collector.Holds(secret), $"The collector was sent {secret}"));
        Assert.True(observed.Collector.Holds("POST /v1/conversions"));

        // And any of it would be found: at the end of a real log, and each by itself.
        Assert.NotEmpty(Leaks($"{logs["edge"]}{{\"message\":\"A visitor {_secrets.First()} came\"}}\n"));
        Assert.All(_secrets, secret => Assert.All(
            (string[])[$"A visitor {secret} came", $"GET /r/x?y={Uri.EscapeDataString(secret)} HTTP/1.1", JsonSerializer.Serialize(new { message = secret })],
            line => Assert.Contains(Forms(secret), form => line.Contains(form, StringComparison.OrdinalIgnoreCase))));
    }

    /// <summary>Lines that hold a secret as it is, in an address or in JSON.</summary>
    private string[] Leaks(string log) =>
        [.. _secrets.SelectMany(Forms).Distinct(StringComparer.Ordinal).Where(form => log.Contains(form, StringComparison.OrdinalIgnoreCase)).Select(form => $"{form}: {log.Split('\n').First(line => line.Contains(form, StringComparison.OrdinalIgnoreCase))}")];

    private static string[] Forms(string secret) => [secret, Uri.EscapeDataString(secret), JsonSerializer.Serialize(secret)[1..^1]];

    private static void AssertIsJson(string service, string log)
    {
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(lines.Length >= 3, $"{service} says next to nothing: {log}");
        Assert.All(lines, line =>
        {
            using var json = JsonDocument.Parse(line);
            Assert.All((string[])["time", "level", "category", "event", "message"], name => Assert.Equal(JsonValueKind.String, json.RootElement.GetProperty(name).ValueKind));
        });
    }

    private string Secret(string text)
    {
        _secrets.Add(text);
        return text;
    }

    /// <summary>Clicks with addresses, user agents, parameters and cookies; landings; an import.</summary>
    private async Task VisitAsync(string slug, string partner)
    {
        var system = observed.System;
        for (var i = 0; i < 20; i++)
        {
            using var click = Visit(HttpMethod.Get, $"/r/{slug}?sub1={Secret($"sub-of-{_own}-{i}")}&email={Uri.EscapeDataString(Secret($"visitor+{i}@{_own}.example"))}", i);
            using var followed = await system.Http.SendAsync(click);
            Assert.Equal(HttpStatusCode.Found, followed.StatusCode);
            var cookie = followed.Headers.GetValues("Set-Cookie").Single(value => value.StartsWith("pp_vid=", StringComparison.Ordinal)).Split(';')[0];
            Secret(cookie["pp_vid=".Length..]);

            using var landing = Visit(HttpMethod.Post, "/t", i);
            landing.Headers.Add("Origin", "https://shop.example");
            landing.Headers.Add("Cookie", cookie);
            landing.Content = PulseSystem.Json(new { url = $"https://shop.example/?ref={partner}&email={Uri.EscapeDataString(Secret($"lander+{i}@{_own}.example"))}", nonce = Secret($"nonce-{_own}-{i:D8}") });
            using var landed = await system.Http.SendAsync(landing);
            Assert.True(landed.IsSuccessStatusCode, await landed.Content.ReadAsStringAsync());
        }

        (await system.ImportAsync([new { partner, visitorId = Secret($"imported-{_own}"), occurredAt = TimeProvider.System.GetUtcNow().AddDays(-1) }])).AssertStatus(HttpStatusCode.Accepted);
    }

    private HttpRequestMessage Visit(HttpMethod method, string path, int visitor)
    {
        var request = new HttpRequestMessage(method, observed.System.Address(path));
        request.Headers.Add("X-Forwarded-For", Secret($"203.0.113.{100 + visitor}"));
        request.Headers.TryAddWithoutValidation("User-Agent", Secret($"Mozilla/5.0 (Leaky {_own} {visitor})"));
        request.Headers.TryAddWithoutValidation("Referer", $"https://blog.example/{Secret($"read-by-{_own}-{visitor}")}");
        return request;
    }

    /// <summary>Three stories by every way in: with logins, customers, refunds and coupons.</summary>
    private async Task OrderByEveryWayAsync(string partner)
    {
        var system = observed.System;
        var coupon = $"BUSY-{_own.ToUpperInvariant()}";
        (await system.PostAsync("/v1/coupons", new { code = coupon, partner, from = TimeProvider.System.GetUtcNow().AddDays(-100) })).AssertStatus(HttpStatusCode.Created);
        var plays = 0;
        foreach (var way in WayIn.All)
        {
            await way.SetUpAsync(system);
            foreach (var story in OrderStory.All)
            {
                var told = story.Tell(new Play($"{_own}-{++plays}", TimeProvider.System.GetUtcNow(), partner, partner, partner, coupon));
                foreach (var fact in told.Facts)
                {
                    foreach (var said in fact switch
                    {
                        Clicked click => new[] { click.Visitor },
                        LoggedIn login => [login.Customer, login.Visitor],
                        Ordered order => [order.Customer, order.Visitor],
                        _ => [],
                    })
                    {
                        Secret(said ?? $"nobody-{_own}");
                    }
                }

                foreach (var delivery in way.Deliveries(told.Facts))
                {
                    await delivery(system);
                }
            }
        }

        await system.UntilAsync("the queue is empty", TimeSpan.FromSeconds(60), async () => await system.QueueLengthAsync("orders") == 0 ? "" : null);
    }

    /// <summary>Requests, lines, messages and deliveries at fault, each with somebody's data in the wrong place.</summary>
    private async Task SendWhatIsWrongAsync(string slug)
    {
        var system = observed.System;
        var somebody = Secret($"Somebody Wrong <wrong@{_own}.example>");
        var tooLong = Secret($"too-long-{_own}-{new string('v', 80)}");
        object order = new { source = "shop", orderId = $"wrong-{_own}", kind = somebody, amount = somebody, currency = somebody, customer = somebody, visitorId = tooLong, clickId = somebody, occurredAt = somebody };
        foreach (var path in new[] { "/v1/conversions", "/v1/identities", "/v1/partners", "/v1/coupons", "/v1/replays", "/v1/what-if", "/v1/webhooks" })
        {
            Assert.InRange((int)(await system.PostAsync(path, order)).Status, 400, 499);
            Assert.InRange((int)(await system.PostAsync(path, $"{{\"customer\":\"{somebody}\" broken")).Status, 400, 499);
            Assert.Equal(HttpStatusCode.Unauthorized, (await system.PostAsync(path, order, key: Secret($"no-key-{_own}"))).Status);
        }

        var lines = $"{{\"visitorId\":\"{somebody}\"\n{JsonSerializer.Serialize(order)}\n";
        await system.ImportTextAsync(lines);
        using (var import = new StringContent(lines, Encoding.UTF8, "application/x-ndjson"))
        {
            await system.SendAsync(HttpMethod.Post, "/v1/imports/conversions", import);
        }

        await system.GetAsync($"/v1/postback?key={Uri.EscapeDataString(Secret($"postback-key-{_own}"))}&customer={Uri.EscapeDataString(somebody)}", key: "");
        await system.GetAsync($"/r/{slug}?to={Uri.EscapeDataString($"https://evil.example/{somebody}")}", key: "");
        await system.GetAsync($"/r/{Uri.EscapeDataString(somebody)}", key: "");
        await system.GetAsync($"/v1/receipts?source=shop&orderId={Uri.EscapeDataString(somebody)}");
        await system.SendAsync(HttpMethod.Post, "/t", PulseSystem.Json(new { url = somebody }), key: "");

        // In the queue: no JSON, and an order at fault.
        await using (var connection = await new ConnectionFactory { Uri = new Uri(system.Broker!) }.CreateConnectionAsync())
        await using (var channel = await connection.CreateChannelAsync(new CreateChannelOptions(publisherConfirmationsEnabled: true, publisherConfirmationTrackingEnabled: true)))
        {
            foreach (var text in new[] { $"{{\"customer\":\"{somebody}\" broken", JsonSerializer.Serialize(order), JsonSerializer.Serialize(new Dictionary<string, string>(StringComparer.Ordinal) { [somebody] = somebody }) })
            {
                await channel.BasicPublishAsync("", "orders", mandatory: true, new BasicProperties { ContentType = "application/json", Persistent = true }, Encoding.UTF8.GetBytes(text));
            }
        }

        await system.UntilAsync("the messages at fault are refused", TimeSpan.FromSeconds(60), async () => await system.QueueLengthAsync("orders_error") >= 3 ? "" : null);

        // A signed delivery at fault, and one that nobody signed.
        var secret = Secret($"woo-secret-of-{_own}");
        await Webhooks.SetUpAsync(system, "woocommerce", secret);
        var body = JsonSerializer.Serialize(new { id = somebody, status = "processing", currency = somebody, total = somebody, date_created_gmt = somebody, billing = new { email = somebody } });
        foreach (var signature in new[] { Convert.ToBase64String(Webhooks.Sign(secret, body)), Convert.ToBase64String(Webhooks.Sign("another", body)) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, system.Address("/v1/hooks/woocommerce/main")) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Add("X-WC-Webhook-Topic", "order.created");
            request.Headers.Add("X-WC-Webhook-Signature", signature);
            using var response = await system.Http.SendAsync(request);
            Assert.InRange((int)response.StatusCode, 400, 499);
        }
    }

    /// <summary>A webhook that is taken, one whose receiver is gone, and a postback with its token in the address.</summary>
    private async Task TellOutsideAsync()
    {
        var system = observed.System;
        var gone = $"gone-{_own}";
        observed.Shop.Answer = (http, _) =>
        {
            http.Response.StatusCode = http.Request.Path.Value!.Contains(gone, StringComparison.Ordinal) ? 410 : 200;
            return Task.CompletedTask;
        };
        foreach (var name in new[] { "kept", gone })
        {
            var webhook = (await system.PostAsync("/v1/webhooks", new { url = $"{observed.Shop.Address}{name}?token={Secret($"token-{name}-{_own}")}", events = new[] { "conversion.recorded" } }))
                .AssertStatus(HttpStatusCode.Created).Json;
            Secret(webhook.GetProperty("secret").GetString()!);
        }

        (await system.SendAsync(HttpMethod.Put, $"/v1/postbacks/busy-{_own}", PulseSystem.Json(new { url = $"{observed.Shop.Address}pb?t={Secret($"pb-token-{_own}")}&c={{click_id}}" })))
            .AssertStatus(HttpStatusCode.Created);
        (await system.PostAsync("/v1/conversions", new { source = "shop", orderId = $"told-{_own}", kind = "sale", amount = "10.00", currency = "EUR", customer = Secret($"told@{_own}.example") }))
            .AssertStatus(HttpStatusCode.Created);
        await system.UntilAsync("both have been asked", TimeSpan.FromSeconds(60), () => Task.FromResult(
            observed.Shop.Received.Any(r => r.Target.Contains($"{gone}?", StringComparison.Ordinal)) && observed.Shop.Received.Any(r => r.Target.StartsWith("/kept", StringComparison.Ordinal)) ? "" : null));
        await system.UntilAsync("the dead letter is told", TimeSpan.FromSeconds(60), async () =>
            (await File.ReadAllTextAsync(Path.Combine(system.Data, "logs", "outbound.log"))).Contains("is a dead letter", StringComparison.Ordinal) ? "" : null);
    }

    private async Task EraseAsync()
    {
        var customer = Secret($"told@{_own}.example");
        (await observed.System.SendAsync(HttpMethod.Delete, $"/v1/customers?customer={Uri.EscapeDataString(customer)}")).AssertStatus(HttpStatusCode.OK);
    }

    /// <summary>What the system itself has made or keeps: visitor ids and customer keys in the log, keys and passwords in its folder.</summary>
    private async Task AddKeptAsync()
    {
        await using (var database = NpgsqlDataSource.Create(observed.System.Connection))
        await using (var command = database.CreateCommand(
            "select distinct v from attribution.mt_events, lateral (values (data ->> 'visitorId'), (data ->> 'customerKey'), (data ->> 'addressHash')) as t(v) where v is not null"))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            var before = _secrets.Count;
            while (await reader.ReadAsync())
            {
                Secret(reader.GetString(0));
            }

            Assert.True(_secrets.Count > before, "The log has neither visitors nor customers.");
        }

        Secret(observed.System.AdminKey);
        Secret(Password().Match(new Uri(observed.System.Broker!).UserInfo).Groups["password"].Value);
        foreach (var file in Directory.GetFiles(Path.Combine(observed.System.Data, "secrets"), "*", SearchOption.AllDirectories).Where(file => !file.EndsWith(".pub", StringComparison.Ordinal)))
        {
            foreach (var word in Words().Matches(await File.ReadAllTextAsync(file)).Select(match => match.Value))
            {
                Secret(word);
            }
        }

        // What stands everywhere by itself says nothing.
        _secrets.RemoveWhere(secret => secret.Length < 6);
    }

    [GeneratedRegex(":(?<password>.+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Password();

    [GeneratedRegex("[A-Za-z0-9+/=_-]{20,}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Words();
}
