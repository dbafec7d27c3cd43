using System.Net;
using System.Text;
using System.Text.Json;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.Conversions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Orders and adjustments over HTTP against a real database.</summary>
public sealed class ConversionsTests(ConversionsFixture fixture) : IClassFixture<ConversionsFixture>
{
    private readonly string _order = $"{Guid.NewGuid():N}";

    [PostgresFact]
    public async Task An_order_is_recorded_as_it_came()
    {
        var service = await fixture.ServiceAsync();
        var click = Guid.NewGuid();

        var answer = (await service.PostAsync(
            "/v1/conversions",
            $$"""
              {"source":"shop","orderId":"{{_order}}","kind":"sale","occurredAt":"2026-11-01T12:00:00+02:00","amount":"49.90","currency":"EUR",
               "visitorId":"{{new string('a', 32)}}.{{new string('b', 22)}}","clickId":"{{click}}","customer":" Ann@Example.org ","coupon":"SPRING",
               "newCustomer":true,"test":true,"items":[{"product":"shoe","quantity":2,"amount":"40"},{"product":"sock","amount":"9.90"}]}
              """,
            Scope.WriteConversions)).AssertStatus(HttpStatusCode.Created);

        var recorded = await fixture.EventAsync(_order);
        Assert.Equal($$"""{"conversionId":"{{recorded.ConversionId}}","status":"recorded"}""", answer.Text);
        Assert.Equal($"/v1/conversions/shop/{_order}", answer.Location!.OriginalString);
        Assert.Equal(Ids.Conversion("main", "shop", _order), recorded.ConversionId);
        Assert.Equal(recorded.ConversionId, recorded.EventId);
        Assert.Equal((ConversionKind.Sale, 4990L, "EUR"), (recorded.Kind, recorded.AmountMinor, recorded.Currency));
        Assert.Equal(new DateTimeOffset(2026, 11, 1, 10, 0, 0, TimeSpan.Zero), recorded.OccurredAt);
        Assert.Equal(TimeSpan.Zero, recorded.OccurredAt.Offset);
        Assert.Equal(new string('a', 32), recorded.VisitorId);
        Assert.Equal(click, recorded.ClickId);
        Assert.StartsWith("c2.", recorded.CustomerKey, StringComparison.Ordinal);
        Assert.Equal(("SPRING", true, true), (recorded.Coupon, recorded.NewCustomer, recorded.Test));
        Assert.Equal([("shoe", 2, 4000L), ("sock", 1, 990L)], recorded.Items!.Select(i => (i.Product, i.Quantity, i.AmountMinor)));
    }

    [PostgresFact]
    public async Task The_same_order_again_is_already_recorded_and_a_different_one_is_told_field_by_field()
    {
        var service = await fixture.ServiceAsync();
        (await service.PostAsync("/v1/conversions", Sale(_order))).AssertStatus(HttpStatusCode.Created);

        var again = (await service.PostAsync("/v1/conversions", Sale(_order))).AssertStatus(HttpStatusCode.OK);
        var other = await service.PostAsync("/v1/conversions", Sale(_order, amount: "59.90", visitor: "v2"));

        Assert.Equal("already-recorded", again.Json.GetProperty("status").GetString());
        other.AssertFault(HttpStatusCode.Conflict, "amount", "is recorded as '49.90'; this says '59.90'");
        other.AssertFault(HttpStatusCode.Conflict, "visitorId", "is recorded as 'v1'; this says 'v2'");
        Assert.Equal(2, other.Json.GetProperty("errors").GetArrayLength());
    }

    [PostgresFact]
    public async Task The_same_order_from_many_clients_and_instances_is_recorded_once()
    {
        var one = await fixture.ServiceAsync();
        await using var two = await fixture.AnotherInstanceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => (i % 2 == 0 ? one : two).PostAsync("/v1/conversions", Sale(_order))));

        Assert.Single(answers, a => a.Status == HttpStatusCode.Created);
        Assert.Equal(15, answers.Count(a => a.Status == HttpStatusCode.OK));
    }

    [PostgresFact]
    public async Task Many_orders_at_once_are_all_recorded()
    {
        var service = await fixture.ServiceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 300).Select(i => service.PostAsync("/v1/conversions", Sale($"{_order}-{i}"))));

        Assert.All(answers, a => a.AssertStatus(HttpStatusCode.Created));
        Assert.Equal(300L, await fixture.ScalarAsync<long>($"select count(*) from conversions.mt_events where data ->> 'orderId' like '{_order}-%'"));
    }

    [PostgresFact]
    public async Task A_list_is_answered_in_order_and_valid_neighbours_are_kept()
    {
        var service = await fixture.ServiceAsync();
        (await service.PostAsync("/v1/conversions", Sale($"{_order}-0"))).AssertStatus(HttpStatusCode.Created);
        string[] list =
        [
            Sale($"{_order}-0"),
            Sale($"{_order}-1"),
            Sale($"{_order}-2", amount: "1.234"),
            """{"what":"is this"}""",
            "7",
            "null",
            Sale($"{_order}-1"),
            Sale($"{_order}-1", amount: "1.00"),
            Sale($"{_order}-3"),
        ];

        var answer = (await service.PostAsync("/v1/conversions", $"[{string.Join(", ", list)}]")).AssertStatus(HttpStatusCode.OK);

        Assert.Equal(
            ["already-recorded", "recorded", "rejected", "rejected", "rejected", "rejected", "already-recorded", "conflict", "recorded"],
            answer.Json.EnumerateArray().Select(a => a.GetProperty("status").GetString()));
        Assert.Equal("""[{"field":"amount","reason":"'1.234' has more decimals than the 2 of EUR"}]""", Errors(2));
        Assert.Equal("""[{"field":"what","reason":"is not a field that is known here"}]""", Errors(3));
        Assert.Equal("""[{"field":"amount","reason":"is recorded as '49.90'; this says '1.00'"}]""", Errors(7));
        Assert.False(answer.Json[2].TryGetProperty("conversionId", out _));
        Assert.Equal(3L, await fixture.ScalarAsync<long>($"select count(*) from conversions.mt_events where data ->> 'orderId' like '{_order}-%'"));
        string Errors(int i) => JsonSerializer.Serialize(answer.Json[i].GetProperty("errors"), RelaxedJson);
    }

    [PostgresFact]
    public async Task A_list_is_bounded_and_a_broken_one_records_nothing()
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/conversions", $"[{string.Join(',', Enumerable.Repeat(Sale(_order), 1_001))}]")).AssertFault(HttpStatusCode.BadRequest, "body", "holds 1001 orders; at most 1000");
        (await service.PostAsync("/v1/conversions", $"[{Sale(_order)}, {{")).AssertFault(HttpStatusCode.BadRequest, "body", "is not valid JSON");
        (await service.PostAsync("/v1/conversions", $"[{Sale(_order)}] []")).AssertFault(HttpStatusCode.BadRequest, "body", "is not valid JSON");
        (await service.GetAsync($"/v1/conversions/shop/{_order}")).AssertFault(HttpStatusCode.NotFound, "orderId", "is not recorded");
        Assert.Equal("[]", (await service.PostAsync("/v1/conversions", "[]")).AssertStatus(HttpStatusCode.OK).Text);
    }

    [PostgresFact]
    public async Task A_thousand_orders_of_one_list_share_a_commit()
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/conversions", $"[{string.Join(',', Enumerable.Range(0, 1_000).Select(i => Sale($"{_order}-{i}")))}]")).AssertStatus(HttpStatusCode.OK);

        Assert.Equal(
            "1000 in 1",
            await fixture.ScalarAsync<string>($"select count(*) || ' in ' || count(distinct xmin::text) from conversions.mt_events where data ->> 'orderId' like '{_order}-%'"));
    }

    [PostgresFact]
    public async Task A_body_over_four_megabytes_is_refused()
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/conversions", new string(' ', (4 * 1024 * 1024) + 1))).AssertFault(HttpStatusCode.RequestEntityTooLarge, "body", "is larger than the 4194304 bytes");
        (await service.PostAsync("/v1/conversions", Sale(_order) + new string(' ', 3 * 1024 * 1024))).AssertStatus(HttpStatusCode.Created);
    }

    [PostgresTheory]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1","currency":"EUX"}""", "currency", "'EUX' is not a currency of ISO 4217")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1"}""", "currency", "is required")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","currency":"EUR"}""", "amount", "is required")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1.5","currency":"JPY"}""", "amount", "has more decimals than the 0 of JPY")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"-1","currency":"EUR"}""", "amount", "is negative")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"ten","currency":"EUR"}""", "amount", "is not a decimal number")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":1,"currency":"EUR"}""", "amount", "is a number where a string is expected")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1","amount":"2","currency":"EUR"}""", "amount", "is given twice")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"gift","amount":"1","currency":"EUR"}""", "kind", "must be 'lead', 'signup', 'sale' or 'renewal'")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"lead","occurredAt":"2099-01-01T00:00:00Z"}""", "occurredAt", "is in the future")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"lead","occurredAt":"2026-01-01T00:00:00"}""", "occurredAt", "is not a time with its offset")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"lead","occurredAt":"1999-12-31T23:59:59Z"}""", "occurredAt", "is before")]
    [InlineData("""{"source":"My Shop","orderId":"x","kind":"lead"}""", "source", "must be lower-case")]
    [InlineData("""{"source":"shop","kind":"lead"}""", "orderId", "is required")]
    [InlineData("""{"source":"shop","orderId":"a\u0000b","kind":"lead"}""", "orderId", "control character U+0000")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"lead","colour":"red"}""", "colour", "is not a field that is known here")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1","currency":"EUR","items":[{"product":"p","amount":"0.001"}]}""", "items[0].amount", "has more decimals")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1","currency":"EUR","items":[{"product":"p","amount":"1","sku":"s"}]}""", "items[0].sku", "is not a field that is known here")]
    [InlineData("""{"source":"shop","orderId":"x","kind":"sale","amount":"1","currency":"EUR","items":[{"amount":"1","quantity":0}]}""", "items[0].quantity", "must be 1 to")]
    [InlineData("""{"source":"shop","orderId":"\ud800","kind":"lead"}""", "orderId", "is not valid JSON")]
    [InlineData("""{"source":"shop",""", "body", "is not valid JSON")]
    [InlineData("", "body", "is empty")]
    public async Task Bad_input_is_answered_with_field_and_reason(string body, string field, string reason)
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/conversions", body)).AssertFault(HttpStatusCode.BadRequest, field, reason);
    }

    [PostgresTheory]
    [InlineData("source", 64)]
    [InlineData("orderId", 128)]
    [InlineData("visitorId", 64)]
    [InlineData("clickId", 64)]
    [InlineData("customer", 320)]
    [InlineData("coupon", 64)]
    public async Task An_over_long_field_is_refused_with_its_bound(string field, int max)
    {
        var service = await fixture.ServiceAsync();
        var ask = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["source"] = "shop", ["orderId"] = _order, ["kind"] = "lead", [field] = new string('a', max + 1),
        };

        (await service.PostAsync("/v1/conversions", JsonSerializer.Serialize(ask))).AssertFault(HttpStatusCode.BadRequest, field, $"has {max + 1} characters; at most {max}");
        ask[field] = field == "source" || field == "orderId" ? _order : new string('a', max);
        (await service.PostAsync("/v1/conversions", JsonSerializer.Serialize(ask))).AssertStatus(HttpStatusCode.Created);
    }

    [PostgresFact]
    public async Task All_faults_are_told_at_once()
    {
        var service = await fixture.ServiceAsync();

        var answer = await service.PostAsync("/v1/conversions", """{"source":"S","kind":"x","amount":"1.999","currency":"EUR"}""");

        Assert.Equal(["source", "orderId", "kind", "amount"], answer.Json.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()));
    }

    [PostgresFact]
    public async Task A_lead_needs_no_amount()
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/conversions", $$"""{"source":"shop","orderId":"{{_order}}","kind":"lead"}""")).AssertStatus(HttpStatusCode.Created);

        var recorded = await fixture.EventAsync(_order);
        Assert.Equal((0L, "EUR"), (recorded.AmountMinor, recorded.Currency));
    }

    [PostgresFact]
    public async Task A_key_may_do_what_its_scopes_say()
    {
        var service = await fixture.ServiceAsync();

        (await service.PostAsync("/v1/conversions", Sale(_order), scope: null)).AssertFault(HttpStatusCode.Unauthorized, "Authorization", "is missing");
        (await service.PostAsync("/v1/conversions", Sale(_order), Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope conversions:write");
        (await service.PostAsync($"/v1/conversions/shop/{_order}/adjustments", "{}", Scope.WriteCatalogue)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope conversions:write");
        (await service.GetAsync($"/v1/conversions/shop/{_order}", Scope.WriteConversions)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope read");
    }

    [PostgresFact]
    public async Task Refunds_come_in_parts_and_repeatedly_and_the_net_stays_within_the_order()
    {
        var service = await fixture.ServiceAsync();
        await service.PostAsync("/v1/conversions", Sale(_order));

        var first = (await AdjustAsync(service, "r1", "-10.00")).AssertStatus(HttpStatusCode.Created);
        var again = (await AdjustAsync(service, "r1", "-10.00")).AssertStatus(HttpStatusCode.OK);
        var rest = (await AdjustAsync(service, "r2", "-45.00")).AssertStatus(HttpStatusCode.Created);

        Assert.Equal(("recorded", "39.90"), (first.Json.GetProperty("status").GetString(), first.Json.GetProperty("net").GetString()));
        Assert.Equal(("already-recorded", "39.90"), (again.Json.GetProperty("status").GetString(), again.Json.GetProperty("net").GetString()));
        Assert.Equal("0.00", rest.Json.GetProperty("net").GetString());
        (await AdjustAsync(service, "r1", "-11.00")).AssertFault(HttpStatusCode.Conflict, "amount", "is recorded as '-10.00'; this says '-11.00'");
        var read = (await service.GetAsync($"/v1/conversions/shop/{_order}", Scope.Read)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(["-10.00", "-45.00"], read.GetProperty("adjustments").EnumerateArray().Select(a => a.GetProperty("amount").GetString()));
        Assert.Equal(("49.90", "0.00"), (read.GetProperty("amount").GetString(), read.GetProperty("net").GetString()));
    }

    [PostgresFact]
    public async Task A_refund_may_come_before_its_order()
    {
        var service = await fixture.ServiceAsync();

        (await AdjustAsync(service, "r1", "-10.00")).AssertFault(HttpStatusCode.BadRequest, "currency", "is required while the order is not known");
        var early = (await AdjustAsync(service, "r1", "-10.00", currency: "EUR")).AssertStatus(HttpStatusCode.Created);
        Assert.False(early.Json.TryGetProperty("net", out _));
        Assert.Equal("awaited", (await service.GetAsync($"/v1/conversions/shop/{_order}")).Json.GetProperty("status").GetString());

        (await service.PostAsync("/v1/conversions", Sale(_order))).AssertStatus(HttpStatusCode.Created);
        (await service.PostAsync("/v1/conversions", Sale(_order))).AssertStatus(HttpStatusCode.OK);

        Assert.Equal("39.90", (await service.GetAsync($"/v1/conversions/shop/{_order}")).Json.GetProperty("net").GetString());
        Assert.Equal(2L, await fixture.ScalarAsync<long>($"select version from conversions.mt_streams where id = '{Ids.Conversion("main", "shop", _order)}'"));
    }

    [PostgresFact]
    public async Task Refunds_from_many_at_once_and_the_order_among_them_are_all_kept()
    {
        var one = await fixture.ServiceAsync();
        await using var two = await fixture.AnotherInstanceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 10)
            .Select(i => AdjustAsync(i % 2 == 0 ? one : two, $"r{i % 5}", "-1.00", currency: "EUR"))
            .Append(one.PostAsync("/v1/conversions", Sale(_order))));

        Assert.Equal(6, answers.Count(a => a.Status == HttpStatusCode.Created));
        Assert.Equal(5, answers.Count(a => a.Status == HttpStatusCode.OK));
        Assert.Equal("44.90", (await one.GetAsync($"/v1/conversions/shop/{_order}")).Json.GetProperty("net").GetString());
    }

    [PostgresTheory]
    [InlineData("""{"amount":"-1","reason":"refund"}""", "id", "is required")]
    [InlineData("""{"id":"x","reason":"refund"}""", "amount", "is required")]
    [InlineData("""{"id":"x","amount":"-1"}""", "reason", "is required")]
    [InlineData("""{"id":"x","amount":"-1","reason":"regret"}""", "reason", "must be 'refund'")]
    [InlineData("""{"id":"x","amount":"1","reason":"refund"}""", "amount", "must be negative for a refund")]
    [InlineData("""{"id":"x","amount":"0","reason":"correction"}""", "amount", "must not be zero")]
    [InlineData("""{"id":"x","amount":"-0.001","reason":"refund"}""", "amount", "has more decimals")]
    [InlineData("""{"id":"x","amount":"-1","reason":"refund","currency":"USD"}""", "currency", "the order is in EUR")]
    [InlineData("""{"id":"x","amount":"-1","reason":"refund","currency":"EUX"}""", "currency", "is not a currency")]
    [InlineData("""{"id":"x","amount":"-1","reason":"refund","occurredAt":"2099-01-01T00:00:00Z"}""", "occurredAt", "is in the future")]
    [InlineData("""{"id":"x","amount":"-1","reason":"refund","note":"n"}""", "note", "is not a field that is known here")]
    public async Task A_bad_adjustment_is_answered_with_field_and_reason(string body, string field, string reason)
    {
        var service = await fixture.ServiceAsync();
        await service.PostAsync("/v1/conversions", Sale(_order));

        (await service.PostAsync($"/v1/conversions/shop/{_order}/adjustments", body)).AssertFault(HttpStatusCode.BadRequest, field, reason);
    }

    [PostgresTheory]
    [InlineData("A/1")]
    [InlineData("A%2F1")]
    [InlineData("50 % off?#&=+")]
    [InlineData("Ärger 世界")]
    public async Task An_order_id_is_anything_printable(string suffix)
    {
        var service = await fixture.ServiceAsync();
        var order = $"{_order}-{suffix}";
        var ask = JsonSerializer.Serialize(new { source = "shop", orderId = order, kind = "sale", amount = "10.00", currency = "EUR" });

        var recorded = (await service.PostAsync("/v1/conversions", ask)).AssertStatus(HttpStatusCode.Created);
        (await service.PostAsync($"{recorded.Location!.OriginalString}/adjustments", """{"id":"r","amount":"-1","reason":"refund"}""")).AssertStatus(HttpStatusCode.Created);

        var read = (await service.GetAsync(recorded.Location.OriginalString)).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal((order, "9.00"), (read.GetProperty("orderId").GetString(), read.GetProperty("net").GetString()));
        Assert.Equal(recorded.Json.GetProperty("conversionId").GetString(), read.GetProperty("conversionId").GetString());
    }

    [PostgresFact]
    public async Task No_customer_is_kept_in_clear_and_every_instance_makes_the_same_key()
    {
        var one = await fixture.ServiceAsync();
        await using var two = await fixture.AnotherInstanceAsync();
        string Ask(string order, string customer) => JsonSerializer.Serialize(new { source = "shop", orderId = order, kind = "lead", customer });

        (await one.PostAsync("/v1/conversions", Ask($"{_order}-1", "Ann@Example.org"))).AssertStatus(HttpStatusCode.Created);
        (await two.PostAsync("/v1/conversions", Ask($"{_order}-2", " ann@example.org "))).AssertStatus(HttpStatusCode.Created);
        (await two.PostAsync("/v1/conversions", Ask($"{_order}-3", "bob@example.org"))).AssertStatus(HttpStatusCode.Created);

        var keys = new[] { await fixture.EventAsync($"{_order}-1"), await fixture.EventAsync($"{_order}-2"), await fixture.EventAsync($"{_order}-3") }.Select(e => e.CustomerKey).ToArray();
        Assert.Equal(keys[0], keys[1]);
        Assert.NotEqual(keys[0], keys[2]);
        Assert.Equal(0L, await fixture.ScalarAsync<long>("select count(*) from conversions.mt_events where data::text ilike '%example.org%'"));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(one.Folder, "customer.key")));
        }
    }

    [PostgresFact]
    public async Task What_is_recorded_is_handed_on()
    {
        var service = await fixture.ServiceAsync();
        (await service.PostAsync("/v1/conversions", Sale(_order))).AssertStatus(HttpStatusCode.Created);

        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        JsonElement status;
        do
        {
            await Task.Delay(20, limit.Token); // Between two looks at the status, which nothing announces.
            status = (await service.GetAsync("/v1/status", Scope.Read)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("services")[0];
        }
        while (status.GetProperty("relay").GetInt64() < status.GetProperty("log").GetInt64());

        Assert.Equal("conversions", status.GetProperty("name").GetString());
        Assert.True(status.GetProperty("log").GetInt64() > 0);
    }

    private static readonly JsonSerializerOptions RelaxedJson = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static string Sale(string order, string amount = "49.90", string visitor = "v1") =>
        $$"""{"source":"shop","orderId":"{{order}}","kind":"sale","amount":"{{amount}}","currency":"EUR","visitorId":"{{visitor}}"}""";

    private Task<Answer> AdjustAsync(TestService service, string id, string amount, string? currency = null) => service.PostAsync(
        $"/v1/conversions/shop/{_order}/adjustments",
        currency is null
            ? $$"""{"id":"{{id}}","amount":"{{amount}}","reason":"refund"}"""
            : $$"""{"id":"{{id}}","amount":"{{amount}}","reason":"refund","currency":"{{currency}}"}""");
}

/// <summary>One running service for the class.</summary>
public sealed class ConversionsFixture : IAsyncLifetime
{
    private TestService? _service;

    public Task InitializeAsync() => Task.CompletedTask;

    // Tests of a class run one after the other.
    public async Task<TestService> ServiceAsync() => _service ??= await StartAsync(besides: null);

    public async Task<TestService> AnotherInstanceAsync() => await StartAsync(await ServiceAsync());

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var connection = new NpgsqlConnection((await ServiceAsync()).Database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>The event in the log that records the order of the source <c>shop</c>.</summary>
    public async Task<ConversionRecorded> EventAsync(string order) => (ConversionRecorded)EventTypes.Deserialize(
        EventTypes.Of<ConversionRecorded>(),
        Encoding.UTF8.GetBytes(await ScalarAsync<string>($"select data::text from conversions.mt_events where id = '{Ids.Conversion("main", "shop", order)}'")));

    public async Task DisposeAsync()
    {
        if (_service is not null)
        {
            await _service.DisposeAsync();
            Directory.Delete(_service.Folder, recursive: true);
        }
    }

    private static Task<TestService> StartAsync(TestService? besides) =>
        TestService.StartAsync(builder => builder.AddConversions(), app => app.MapConversions(), besides);
}
