using System.Net;
using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>A customer is forgotten, and the books stay as they are.</summary>
public sealed class ErasureTests
{
    private const string Ann = "ann@example.org";

    private static string Ago(double days) => TimeProvider.System.GetUtcNow().AddDays(-days).ToString("O");

    private static object Order(string id, string kind, double daysAgo, string? visitor = null) =>
        new { source = "shop", orderId = id, kind, amount = "10.00", currency = "EUR", customer = Ann, visitorId = visitor, occurredAt = Ago(daysAgo) };

    private static ConversionRecorded Recorded(string order, string key, string? visitor = null) => new()
    {
        EventId = Ids.Conversion("main", "shop", order), ConversionId = Ids.Conversion("main", "shop", order), ProgramId = "main",
        OccurredAt = TimeProvider.System.GetUtcNow(), Kind = ConversionKind.Sale, Source = "shop", OrderId = order, CustomerKey = key, VisitorId = visitor,
        AmountMinor = 1_000, Currency = "EUR",
    };

    private static VisitorIdentified Identified(string key, string visitor) => new()
    {
        EventId = Ids.Identity("main", key, visitor, clickId: null), ProgramId = "main", OccurredAt = TimeProvider.System.GetUtcNow(), CustomerKey = key, VisitorId = visitor,
    };

    [PostgresFact]
    public async Task Nothing_leads_to_the_customer_any_more_and_every_credit_stays_also_after_a_rebuild_and_a_replay()
    {
        await using var system = await ThreeServices.StartAsync();
        var rules = new { name = "linear", model = new { kind = "linear" }, inherit = new { from = "lead" } };
        await system.UseRulesAsync(rules);
        await system.ClickAsync("acme", "phone", daysAgo: 20);
        await system.ClickAsync("bravo", "tablet", daysAgo: 19);
        var key = (await system.PostAsync("/v1/identities", new { customer = Ann, visitorId = "phone" }, HttpStatusCode.Created)).Json.GetProperty("customerKey").GetString()!;
        await system.PostAsync("/v1/conversions", Order("lead", "lead", 10, "tablet"), HttpStatusCode.Created);
        var sale = Order("sale", "sale", 5);
        await system.PostAsync("/v1/conversions", sale, HttpStatusCode.Created);
        string[] before = ["acme 10.00", "bravo 10.00", "nobody 0"];
        Assert.Equal(before, await system.CreditsAsync());
        Assert.Equal(
            ["attribution.journeys", "attribution.mt_events", "conversions.mt_events"], await system.TablesThatHoldAsync(key));

        var erased = (await system.Service.CallAsync(HttpMethod.Delete, $"/v1/customers?customer={Uri.EscapeDataString(" ANN@example.org")}")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal("""{"orders":2,"identities":1}""", erased.Text);
        await system.SettleAsync();

        // Neither the key nor what is derived from it is anywhere.
        Assert.Empty(await system.TablesThatHoldAsync(key));
        Assert.Empty(await system.TablesThatHoldAsync($"{Ids.Customer("main", key)}"));
        var identity = $"{Ids.Identity("main", key, "phone", clickId: null)}";
        await Waits.UntilAsync("the tie is nowhere else", async () => (await system.TablesThatHoldAsync(identity)) is [] or ["attribution.erasures"]);
        Assert.Equal(before, await system.CreditsAsync());
        await system.AssertIsOneFoldAsync();
        Assert.Equal("erased", (await system.ReceiptAsync("sale")).GetProperty("conversion").GetProperty("customer").GetString());

        await system.RebuildAsync();
        Assert.Equal(before, await system.CreditsAsync());
        var replay = await system.ReplayAsync(new { name = "linear again", model = new { kind = "linear" }, inherit = new { from = "lead" } });
        Assert.Equal(0, (await system.Service.GetAsync($"/v1/replays/{replay}/diff")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("conversionsChanged").GetInt64());

        // The shop sends the old order again: it is recorded, and brings nobody back. A new one is somebody else's.
        Assert.Equal("already-recorded", (await system.PostAsync("/v1/conversions", sale, HttpStatusCode.OK)).Json.GetProperty("status").GetString());
        await system.PostAsync("/v1/conversions", Order("new", "sale", 0), HttpStatusCode.Created);
        Assert.Equal(["acme 10.00", "bravo 10.00", "nobody 1"], await system.CreditsAsync());
        Assert.False((await system.ReceiptAsync("new")).GetProperty("conversion").TryGetProperty("customer", out _));
        await system.AssertIsOneFoldAsync();

        Assert.Equal("""{"orders":1,"identities":0}""", (await system.Service.DeleteAsync($"/v1/customers/{key}")).AssertStatus(HttpStatusCode.OK).Text);
        Assert.Equal("""{"orders":0,"identities":0}""", (await system.Service.DeleteAsync($"/v1/customers/{key}")).AssertStatus(HttpStatusCode.OK).Text);
        Assert.Equal(["acme 10.00", "bravo 10.00", "nobody 1"], await system.CreditsAsync());
        Assert.Empty(await system.TablesThatHoldAsync(key));
    }

    [PostgresFact]
    public async Task What_was_under_way_takes_the_token_and_what_came_after_stays_apart_whatever_overtakes_what()
    {
        await using var system = await ThreeServices.StartAsync();
        var key = $"c1.{new string('k', 43)}";
        await system.ClickAsync("acme", "phone", daysAgo: 3);
        await system.ClickAsync("bravo", "laptop", daysAgo: 2);
        var erased = new CustomerErased
        {
            EventId = Guid.CreateVersion7(TimeProvider.System.GetUtcNow()), ProgramId = "main", OccurredAt = TimeProvider.System.GetUtcNow(), Token = "e1.token",
            Conversions = [Recorded("here", key).ConversionId, Recorded("late", key).ConversionId], Identities = [Identified(key, "phone").EventId],
        };

        // One order is here, one is late, and the customer's new order has overtaken the erasure.
        await system.TakeInAsync(Recorded("here", key));
        await system.TakeInAsync(Recorded("new", key, "laptop"));
        await system.SettleAsync();
        await system.Erasure.EraseAsync(erased, handover: null, CancellationToken.None);
        await system.TakeInAsync(Recorded("late", key));
        await system.TakeInAsync(Identified(key, "phone"));
        await system.SettleAsync();
        await system.Erasure.EraseAsync(erased, handover: null, CancellationToken.None);
        await system.TakeInAsync(Identified(key, "phone"));
        await system.SettleAsync();

        Assert.Equal(["acme 20.00", "bravo 10.00", "nobody 0"], await system.CreditsAsync());
        Assert.Equal(
            ["here e1.token", "late e1.token", $"new {key}"],
            JsonSerializer.Deserialize<string[]>(await system.ScalarAsync<string>(
                "select json_agg(data ->> 'orderId' || ' ' || (data ->> 'customerKey') order by data ->> 'orderId')::text from attribution.mt_events where type = 'conversion_recorded'"))!);
        Assert.Equal(1L, await system.ScalarAsync<long>("select count(*) from attribution.mt_events where type = 'visitor_identified'"));
        await system.AssertIsOneFoldAsync();
        await system.RebuildAsync();
        await system.AssertIsOneFoldAsync();
    }

    [PostgresFact]
    public async Task What_identities_of_orders_compare_holds_nothing_of_the_customer_and_finds_the_other_orders_all_the_same()
    {
        await using var system = await ThreeServices.StartAsync();
        (await system.Service.PutAsync("/v1/order-identities", """
            [{"sources":["shop","crm"],"fields":["customer"],"withinHours":48},{"sources":["shop","crm"],"fields":["orderId"],"withinHours":48}]
            """)).AssertStatus(HttpStatusCode.OK);
        await system.PostAsync("/v1/conversions", Order("twice", "sale", 0.2), HttpStatusCode.Created);
        const string Keys = "select json_agg(key order by key)::text from conversions.order_keys where order_id = 'twice'";
        await Waits.UntilAsync("its keys are kept", async () => await system.ScalarAsync<long>("select count(*) from conversions.order_keys where order_id = 'twice'") == 2);
        var before = JsonSerializer.Deserialize<Guid[]>(await system.ScalarAsync<string>(Keys))!;

        (await system.Service.DeleteAsync($"/v1/customers?customer={Ann}")).AssertStatus(HttpStatusCode.OK);

        var after = JsonSerializer.Deserialize<Guid[]>(await system.ScalarAsync<string>(Keys))!;
        Assert.Equal((2, 1), (after.Length, after.Intersect(before).Count()));
        await system.PostAsync(
            "/v1/conversions", new { source = "crm", orderId = "twice", kind = "sale", amount = "10.00", currency = "EUR", occurredAt = Ago(0.1) }, HttpStatusCode.Created);
        await Waits.UntilAsync("they are merged", async () => await system.ScalarAsync<long>("select count(*) from conversions.merges") == 1);
    }

    [PostgresFact]
    public async Task Only_an_admin_erases_and_what_is_no_key_is_told()
    {
        await using var system = await ThreeServices.StartAsync();
        (await system.Service.DeleteAsync("/v1/customers/ann")).AssertFault(HttpStatusCode.BadRequest, "key", "is not the key of a customer");
        (await system.Service.DeleteAsync("/v1/customers?customer=%20")).AssertFault(HttpStatusCode.BadRequest, "customer", "is required");
        Assert.Equal(HttpStatusCode.Forbidden, (await system.Service.CallAsync(HttpMethod.Delete, $"/v1/customers?customer={Ann}", scope: "conversions:write")).Status);
    }
}
