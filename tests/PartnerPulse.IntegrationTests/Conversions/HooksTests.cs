using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Npgsql;
using PartnerPulse.Attribution;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Tests.Conversions.Webhooks;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Webhooks over HTTP against a real database. Each test has orders of its own.</summary>
public sealed class HooksTests(HooksFixture fixture) : IClassFixture<HooksFixture>
{
    private static readonly HttpClient s_http = new();

    private readonly string _order = Guid.NewGuid().ToString("N")[..12];

    [PostgresFact]
    public async Task A_signed_order_is_recorded_once_however_often_and_wherever_it_is_delivered()
    {
        var (one, shop) = await fixture.SetUpAsync("shopify");
        await using var two = await fixture.AnotherInstanceAsync();
        var body = Shopify();

        var answers = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => DeliverAsync(i % 2 == 0 ? one : two, "shopify", shop, body, "orders/paid")));

        Assert.All(answers, answer => answer.AssertStatus(HttpStatusCode.OK));
        Assert.Single(answers, answer => Status(answer) == "recorded");
        Assert.Equal(11, answers.Count(answer => Status(answer) == "already-recorded"));
        var first = answers[0].Json;
        Assert.Equal(("shopify", _order, "409.94"), (first.GetProperty("source").GetString(), first.GetProperty("orderId").GetString(), first.GetProperty("net").GetString()));
        Assert.Equal(Ids.Conversion("main", "shopify", _order), first.GetProperty("conversionId").GetGuid());
        Assert.Equal(1L, await EventsAsync());
    }

    [PostgresFact]
    public async Task Who_has_no_secret_is_told_and_nothing_is_recorded()
    {
        var (service, shop) = await fixture.SetUpAsync("shopify");
        var stranger = new Shop("shopify", secret: "a-secret-of-somebody-else");

        (await DeliverAsync(service, "shopify", stranger, Shopify(), "orders/paid")).AssertFault(HttpStatusCode.Unauthorized, "X-Shopify-Hmac-Sha256", "is not the signature of this body");
        (await SendAsync(service, "/v1/hooks/shopify/main", Encoding.UTF8.GetBytes(Shopify()), [])).AssertFault(HttpStatusCode.Unauthorized, "X-Shopify-Hmac-Sha256", "is missing");
        (await SendAsync(service, "/v1/hooks/shopify/other", Encoding.UTF8.GetBytes(Shopify()), [])).AssertFault(HttpStatusCode.NotFound, "program", "'other' is not a program here");
        (await SendAsync(service, "/v1/hooks/magento/main", [], [])).AssertFault(HttpStatusCode.NotFound, "scheme", "must be 'stripe'");
        (await DeliverAsync(service, "shopify", shop, new string(' ', (1024 * 1024) + 1), "orders/paid")).AssertFault(HttpStatusCode.RequestEntityTooLarge, "body", "is larger than the 1048576 bytes");
        Assert.Equal(0L, await EventsAsync());
    }

    [PostgresFact]
    public async Task Secrets_that_were_sealed_under_another_key_are_told_and_can_be_set_anew()
    {
        var (service, shop) = await fixture.SetUpAsync("shopify");
        await using var other = await fixture.AnotherInstanceAsync(customerKey: "another.key");

        (await other.GetAsync("/v1/hooks/shopify")).AssertFault(HttpStatusCode.ServiceUnavailable, "Conversions:CustomerKeyFile", "is not the one under which the secrets of 'shopify' were sealed");
        (await DeliverAsync(other, "shopify", shop, Shopify(), "orders/paid")).AssertFault(HttpStatusCode.ServiceUnavailable, "Conversions:CustomerKeyFile", "is not the one");
        Assert.Equal(0L, await EventsAsync());
        (await DeliverAsync(service, "shopify", shop, Shopify(), "orders/paid")).AssertStatus(HttpStatusCode.OK);

        (await other.PutAsync("/v1/hooks/shopify", $$"""{"source":"shopify","secrets":["{{shop.Secret}}"]}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal("already-recorded", Status((await DeliverAsync(other, "shopify", shop, Shopify(), "orders/paid")).AssertStatus(HttpStatusCode.OK)));
        (await service.PutAsync("/v1/hooks/shopify", $$"""{"source":"shopify","secrets":["{{shop.Secret}}"]}""")).AssertStatus(HttpStatusCode.OK);
    }

    [PostgresFact]
    public async Task What_cannot_be_recorded_is_told_by_its_field()
    {
        var (service, shop) = await fixture.SetUpAsync("shopify");

        (await DeliverAsync(service, "shopify", shop, Shopify(o => o["total_price"] = "ten"), "orders/paid")).AssertFault(HttpStatusCode.UnprocessableEntity, "total_price", "is not a decimal number");
        (await DeliverAsync(service, "shopify", shop, Shopify(o => o["line_items"]![0]!["price"] = "x"), "orders/paid")).AssertFault(HttpStatusCode.UnprocessableEntity, "line_items[0].price", "is not a decimal number");
        (await DeliverAsync(service, "shopify", shop, "{", "orders/paid")).AssertFault(HttpStatusCode.BadRequest, "body", "is not valid JSON");
        Assert.Equal(0L, await EventsAsync());
        Assert.Equal("ignored", Status((await DeliverAsync(service, "shopify", shop, Shopify(), "customers/create")).AssertStatus(HttpStatusCode.OK)));
    }

    [PostgresFact]
    public async Task A_snapshot_with_a_refund_that_contradicts_is_refused_whole()
    {
        var (service, shop) = await fixture.SetUpAsync("shopify");
        (await DeliverAsync(service, "shopify", shop, Shopify(Refunded("10.00")), "orders/updated")).AssertStatus(HttpStatusCode.OK);
        var before = await EventsAsync();

        (await DeliverAsync(service, "shopify", shop, Shopify(o =>
        {
            Refunded("11.00")(o);
            (o["updated_at"], o["total_price"]) = ("2026-10-02T00:00:00Z", "500.00");
        }), "orders/updated")).AssertFault(HttpStatusCode.Conflict, "refund-1.amount", "is recorded as '-10.00'; this says '-11.00'");

        Assert.Equal((2L, before), (before, await EventsAsync()));
        Assert.Equal("399.94", await NetAsync(service, "shopify", _order));

        static Action<JsonObject> Refunded(string amount) => o => o["refunds"] = new JsonArray(new JsonObject
        {
            ["id"] = 5,
            ["created_at"] = "2026-10-01T12:00:00Z",
            ["transactions"] = new JsonArray(new JsonObject { ["id"] = 1, ["amount"] = amount, ["currency"] = "USD", ["kind"] = "refund", ["status"] = "success" }),
        });
    }

    [PostgresFact]
    public async Task Secrets_are_replaced_without_a_delivery_being_refused()
    {
        var (service, before) = await fixture.SetUpAsync("woocommerce");
        var after = new Shop("woocommerce", secret: "another-secret-of-the-shop");
        var body = Shop.Sample("woocommerce-order", o => o["id"] = _order);

        (await service.PutAsync("/v1/hooks/woocommerce", $$"""{"secrets":["{{after.Secret}}","{{before.Secret}}"]}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal("recorded", Status(await DeliverAsync(service, "woocommerce", before, body, "order.created")));
        Assert.Equal("already-recorded", Status(await DeliverAsync(service, "woocommerce", after, body, "order.updated")));
        (await service.PutAsync("/v1/hooks/woocommerce", $$"""{"secrets":["{{after.Secret}}"]}""")).AssertStatus(HttpStatusCode.OK);
        (await DeliverAsync(service, "woocommerce", before, body, "order.updated")).AssertFault(HttpStatusCode.Unauthorized, "X-WC-Webhook-Signature", "is not the signature");
        Assert.Equal("already-recorded", Status(await DeliverAsync(service, "woocommerce", after, body, "order.updated")));

        var ping = await SendAsync(service, "/v1/hooks/woocommerce/main", "webhook_id=12"u8.ToArray(), []);
        Assert.Equal(("ignored", "is WooCommerce's ping"), (Status(ping.AssertStatus(HttpStatusCode.OK)), ping.Json.GetProperty("reason").GetString()));
    }

    [PostgresFact]
    public async Task A_secret_is_told_to_nobody_and_lies_sealed_in_the_database()
    {
        var service = await fixture.ServiceAsync();
        (await service.GetAsync("/v1/hooks/standard")).AssertFault(HttpStatusCode.NotFound, "scheme", "'standard' is not set up");
        (await SendAsync(service, "/v1/hooks/standard/main", "{}"u8.ToArray(), [])).AssertFault(HttpStatusCode.NotFound, "scheme", "has no secret here");

        var made = (await service.PutAsync("/v1/hooks/standard", """{"source":"my.shop","make":true}""")).AssertStatus(HttpStatusCode.OK).Json;
        var secret = made.GetProperty("made").GetString()!;
        var read = (await service.GetAsync("/v1/hooks/standard")).AssertStatus(HttpStatusCode.OK);

        Assert.Matches("^whsec_[A-Za-z0-9+/]{43}=$", secret);
        Assert.DoesNotContain(secret[6..], read.Text, StringComparison.Ordinal);
        Assert.Equal(("my.shop", "/v1/hooks/standard/main", 1), (read.Json.GetProperty("source").GetString(), read.Json.GetProperty("url").GetString(), read.Json.GetProperty("secrets").GetArrayLength()));
        Assert.Equal(
            Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(secret)))[..12],
            read.Json.GetProperty("secrets")[0].GetProperty("fingerprint").GetString());
        Assert.Equal(0L, await fixture.ScalarAsync<long>($"select count(*) from conversions.hooks, unnest(secrets) s where position('{secret}'::bytea in s) > 0"));

        var shop = new Shop("standard", secret);
        Assert.Equal("recorded", Status(await DeliverAsync(service, "standard", shop, Shop.Sample("standard-recorded", r => r["data"]!["orderId"] = _order), topic: null)));
        Assert.Equal("49.90", await NetAsync(service, "my.shop", _order));

        // The next one is made; this one is good for one more, and after that no longer.
        (await service.PutAsync("/v1/hooks/standard", """{"make":true}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal("already-recorded", Status(await DeliverAsync(service, "standard", shop, Shop.Sample("standard-recorded", r => r["data"]!["orderId"] = _order), topic: null)));
        (await service.PutAsync("/v1/hooks/standard", """{"make":true}""")).AssertStatus(HttpStatusCode.OK);
        (await DeliverAsync(service, "standard", shop, "{}", topic: null)).AssertFault(HttpStatusCode.Unauthorized, "webhook-signature", "is not the signature");

        (await service.DeleteAsync("/v1/hooks/standard")).AssertStatus(HttpStatusCode.NoContent);
        (await service.DeleteAsync("/v1/hooks/standard")).AssertFault(HttpStatusCode.NotFound, "scheme", "is not set up");
        (await service.CallAsync(HttpMethod.Put, "/v1/hooks/standard", """{"make":true}""", Scope.WriteConversions)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope admin");
        (await service.GetAsync("/v1/hooks/standard", Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope admin");
    }

    [PostgresFact]
    public async Task What_is_said_of_a_payment_reaches_its_invoice_whichever_comes_first()
    {
        var (one, shop) = await fixture.SetUpAsync("stripe");
        await using var two = await fixture.AnotherInstanceAsync();

        // All at once, again and again: the renewal that names its payment, and refund and dispute that name the payment alone.
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async i =>
        {
            var (invoice, payment) = ($"in_{_order}_{i}", $"pi_{_order}_{i}");
            var random = new Random(i);
            string[] deliveries =
            [
                Shop.Sample("stripe-invoice", r => (Object(r)["id"], Object(r)["payment_intent"], Object(r)["amount_paid"]) = (invoice, payment, 11900)),
                Shop.Sample("stripe-refunded-old", r => Object(r)["payment_intent"] = payment),
                Shop.Sample("stripe-dispute", r => Object(r)["payment_intent"] = payment),
                Shop.Sample("stripe-dispute", r => (Object(r)["payment_intent"], Object(r)["status"], r["type"]) = (payment, "won", "charge.dispute.closed")),
            ];
            deliveries = [.. deliveries, .. deliveries];
            random.Shuffle(deliveries);
            var answers = await Task.WhenAll(deliveries.Select((body, at) => DeliverAsync(at % 2 == 0 ? one : two, "stripe", shop, body, topic: null)));
            Assert.All(answers, answer => answer.AssertStatus(HttpStatusCode.OK));
            Assert.Equal("89.00", await NetAsync(one, "stripe", invoice));
        }));

        // One after the other, the refund first, and the tie told by an event of its own.
        var (later, paid) = ($"in_{_order}", $"pi_{_order}");
        Assert.Equal("adjusted", Status(await DeliverAsync(one, "stripe", shop, Shop.Sample("stripe-refunded-new", r => Object(r)["payment_intent"] = paid), topic: null)));
        Assert.Equal("recorded", Status(await DeliverAsync(one, "stripe", shop, Shop.Sample("stripe-invoice", r =>
        {
            Object(r)["id"] = later;
            Object(r).Remove("payment_intent");
        }), topic: null)));
        Assert.Equal("29.00", await NetAsync(one, "stripe", later));
        var tied = await DeliverAsync(one, "stripe", shop, new JsonObject
        {
            ["id"] = "evt_t", ["type"] = "invoice_payment.paid", ["created"] = 1796112120,
            ["data"] = new JsonObject { ["object"] = new JsonObject { ["id"] = "inpay_1", ["invoice"] = later, ["payment"] = new JsonObject { ["payment_intent"] = paid } } },
        }.ToJsonString(), topic: null);
        Assert.Equal(("adjusted", later, "9.00"), (Status(tied), tied.Json.GetProperty("orderId").GetString(), tied.Json.GetProperty("net").GetString()));
        var dispute = await DeliverAsync(one, "stripe", shop, Shop.Sample("stripe-dispute", r => Object(r)["payment_intent"] = paid), topic: null);
        Assert.Equal((later, "0.00"), (dispute.Json.GetProperty("orderId").GetString(), dispute.Json.GetProperty("net").GetString()));
    }

    [PostgresFact]
    public async Task Snapshots_from_many_at_once_end_in_what_the_newest_says()
    {
        var (one, shop) = await fixture.SetUpAsync("shopify");
        await using var two = await fixture.AnotherInstanceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => DeliverAsync(
            i % 2 == 0 ? one : two,
            "shopify",
            shop,
            Shopify(o => (o["updated_at"], o["total_price"]) = ($"2026-10-02T00:00:{(i * 7) % 20:00}Z", $"{100 + ((i * 7) % 20)}.00")),
            "orders/updated")));

        Assert.All(answers, answer => answer.AssertStatus(HttpStatusCode.OK));
        Assert.Equal("119.00", await NetAsync(one, "shopify", _order));
    }

    [PostgresFact]
    public async Task A_restated_order_reaches_credits_and_receipts()
    {
        await using var service = await TestService.StartAsync(
            builder =>
            {
                builder.AddConversions();
                builder.AddAttribution();
            },
            app =>
            {
                app.MapConversions();
                app.MapAttribution();
            },
            time: Shop.Clock);
        var shop = new Shop("shopify");
        (await service.PutAsync("/v1/hooks/shopify", $$"""{"secrets":["{{shop.Secret}}"]}""")).AssertStatus(HttpStatusCode.OK);

        // The newest first, then what was before it, and the same as it came.
        string[] bodies =
        [
            Shopify(o => (o["updated_at"], o["total_price"]) = ("2026-10-02T00:00:00Z", "300.00")),
            Shopify(o => (o["updated_at"], o["total_price"]) = ("2026-10-03T00:00:00Z", "350.00")),
            Shopify(),
        ];
        Assert.Equal(["recorded", "restated", "already-recorded"], new[]
        {
            Status(await DeliverAsync(service, "shopify", shop, bodies[0], "orders/updated")),
            Status(await DeliverAsync(service, "shopify", shop, bodies[1], "orders/updated")),
            Status(await DeliverAsync(service, "shopify", shop, bodies[2], "orders/paid")),
        });

        await service.SettledAsync();

        var receipt = (await service.GetAsync($"/v1/receipts?source=shopify&orderId={_order}")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(("350.00", "350.00"), (receipt.GetProperty("conversion").GetProperty("amount").GetString(), receipt.GetProperty("conversion").GetProperty("net").GetString()));
        Assert.Equal(
            [("300.00", false), ("350.00", true)],
            receipt.GetProperty("statements").EnumerateArray().Select(s => (s.GetProperty("amount").GetString()!, s.GetProperty("inForce").GetBoolean())));
        Assert.Equal("2026-10-03T00:00:00+00:00", receipt.GetProperty("statements")[1].GetProperty("asOf").GetString());
    }

    private string Shopify(Action<JsonObject>? change = null) => Shop.Sample("shopify-order", o =>
    {
        o["id"] = _order;
        change?.Invoke(o.AsObject());
    });

    private static JsonObject Object(JsonNode root) => root["data"]!["object"]!.AsObject();

    private static string Status(Answer answer) => answer.AssertStatus(HttpStatusCode.OK).Json.GetProperty("status").GetString()!;

    private static async Task<string?> NetAsync(TestService service, string source, string order) =>
        (await service.GetAsync($"/v1/conversions/{source}/{order}")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("net").GetString();

    private Task<long> EventsAsync() => fixture.ScalarAsync<long>($"select count(*) from conversions.mt_events where data ->> 'orderId' = '{_order}'");

    private static Task<Answer> DeliverAsync(TestService service, string scheme, Shop shop, string body, string? topic)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        return SendAsync(service, $"/v1/hooks/{scheme}/main", bytes, shop.Sign(bytes, Shop.Now, topic).Where(h => h.Value.Count > 0 && h.Value[0] is not null).Select(h => (h.Key, h.Value.ToString())));
    }

    private static async Task<Answer> SendAsync(TestService service, string path, byte[] body, IEnumerable<(string Name, string Value)> headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(service.Address, path)) { Content = new ByteArrayContent(body) };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        request.Headers.ExpectContinue = body.Length > 1024 * 1024;
        using var response = await s_http.SendAsync(request);
        return new Answer(response.StatusCode, response.Content.Headers.ContentType?.MediaType, response.Headers.Location, await response.Content.ReadAsStringAsync());
    }
}

/// <summary>One running service for the class, at the time of the samples.</summary>
public sealed class HooksFixture : IAsyncLifetime
{
    private TestService? _service;

    public Task InitializeAsync() => Task.CompletedTask;

    // Tests of a class run one after the other.
    public async Task<TestService> ServiceAsync() => _service ??= await StartAsync(besides: null);

    public async Task<TestService> AnotherInstanceAsync(string? customerKey = null) => await StartAsync(await ServiceAsync(), customerKey);

    /// <summary>The service with the secret of a shop.</summary>
    internal async Task<(TestService Service, Shop Shop)> SetUpAsync(string scheme)
    {
        var service = await ServiceAsync();
        var shop = new Shop(scheme);
        (await service.PutAsync($"/v1/hooks/{scheme}", $$"""{"secrets":["{{shop.Secret}}"]}""")).AssertStatus(HttpStatusCode.OK);
        return (service, shop);
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection((await ServiceAsync()).Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task DisposeAsync()
    {
        if (_service is not null)
        {
            await _service.DisposeAsync();
            Directory.Delete(_service.Folder, recursive: true);
        }
    }

    private static Task<TestService> StartAsync(TestService? besides, string? customerKey = null) =>
        TestService.StartAsync(
            builder =>
            {
                if (customerKey is not null)
                {
                    builder.Configuration["Conversions:CustomerKeyFile"] = Path.Combine(besides!.Folder, customerKey);
                }

                builder.AddConversions();
            },
            app => app.MapConversions(), besides, Shop.Clock);
}
