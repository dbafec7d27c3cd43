using System.Net;
using System.Text.Json;
using PartnerPulse.Contracts;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>Partners that buy themselves, groups of partners and rules for a part of history, from the request to the receipt.</summary>
public sealed class TermsOfPartnersTests
{
    private static string Ago(double days) => TimeProvider.System.GetUtcNow().AddDays(-days).ToString("O");

    private static object Order(string id, double daysAgo, string visitor, string? customer = null) =>
        new { source = "shop", orderId = id, kind = "sale", amount = "10.00", currency = "EUR", visitorId = visitor, customer, occurredAt = Ago(daysAgo) };

    [PostgresFact]
    public async Task A_partner_has_nothing_of_its_own_order_whenever_that_becomes_known_and_also_once_it_is_forgotten()
    {
        await using var system = await ThreeServices.StartAsync();
        await system.ClickAsync("acme", "v-1", daysAgo: 3);
        await system.ClickAsync("bravo", "v-1", daysAgo: 2);
        await system.PostAsync("/v1/conversions", Order("own", 1, "v-1", "Owner@acme.example"), HttpStatusCode.Created);
        Assert.Equal(["acme 10.00", "nobody 0"], await system.CreditsAsync());

        var tie = new { customer = "owner@acme.example", partner = "acme" };
        var key = (await system.PostAsync("/v1/identities", tie, HttpStatusCode.Created)).Json.GetProperty("customerKey").GetString()!;
        await system.PostAsync("/v1/identities", tie, HttpStatusCode.OK);
        Assert.Equal(["bravo 10.00", "nobody 0"], await system.CreditsAsync());
        var mine = await system.ReceiptAsync("own", "&partner=acme");
        Assert.Equal("self-referral", mine.GetProperty("touches")[0].GetProperty("stoppedBy").GetString());
        Assert.EndsWith("the customer is the partner itself, and the rules credit nobody for its own purchase.", mine.GetProperty("summary").GetString(), StringComparison.Ordinal);

        var erased = (await system.Service.CallAsync(HttpMethod.Delete, $"/v1/customers/{key}")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal("""{"orders":1,"identities":1}""", erased.Text);
        await system.SettleAsync();
        Assert.Empty(await system.TablesThatHoldAsync(key));
        Assert.Empty(await system.TablesThatHoldAsync($"{Ids.Customer("main", key)}"));
        await Waits.UntilAsync("the tie is nowhere else", async () => (await system.TablesThatHoldAsync($"{Ids.PartnerIdentity("main", key, "acme")}")) is [] or ["attribution.erasures"]);
        Assert.Equal(["bravo 10.00", "nobody 0"], await system.CreditsAsync());
        await system.AssertIsOneFoldAsync();
        await system.RebuildAsync();
        Assert.Equal(["bravo 10.00", "nobody 0"], await system.CreditsAsync());
        await system.AssertIsOneFoldAsync();
    }

    [PostgresFact]
    public async Task Rules_with_a_date_judge_what_came_from_then_on_and_pay_the_group_that_a_partner_was_in()
    {
        await using var system = await ThreeServices.StartAsync();
        await system.EnrolAsync("bravo");
        foreach (var (visitor, days) in new[] { ("then", 12), ("now", 2) })
        {
            await system.ClickAsync("acme", visitor, days);
            await system.ClickAsync("bravo", visitor, days - 0.5);
            await system.PostAsync("/v1/conversions", Order(visitor, days - 1, visitor), HttpStatusCode.Created);
        }

        Assert.Equal(["acme 20.00", "nobody 0"], await system.CreditsAsync());
        var rules = new
        {
            name = "from now on", model = new { kind = "last-touch" }, effectiveFrom = Ago(5), commission = new[] { new { percent = 10, group = "gold" } },
        };
        var refused = await system.PostAsync("/v1/replays", new { rules = new { name = "x", scope = new { applies = "conversions-from" } } }, HttpStatusCode.BadRequest);
        Assert.Contains("effectiveFrom does not say since when", refused.Text, StringComparison.Ordinal);

        await system.UseRulesAsync(rules);
        Assert.Equal(["acme 10.00", "bravo 10.00", "nobody 0"], await system.CreditsAsync());
        var (before, after) = (await system.ReceiptAsync("then"), await system.ReceiptAsync("now"));
        Assert.Equal((1, 2), (Version(before), Version(after)));
        Assert.Equal("[2,1]", after.GetProperty("rules").GetProperty("stack").GetRawText());
        Assert.Equal("0.00", after.GetProperty("partners")[0].GetProperty("commission").GetString());

        // A group counts from its date on, also where it becomes known later.
        var grouped = (await system.Service.CallAsync(HttpMethod.Put, "/v1/partners/bravo/group", $$"""{"group":"gold","occurredAt":"{{Ago(4)}}"}""")).AssertStatus(HttpStatusCode.OK);
        Assert.Equal("gold", grouped.Json.GetProperty("group").GetString());
        await system.SettleAsync();
        Assert.Equal("1.00", (await system.ReceiptAsync("now")).GetProperty("partners")[0].GetProperty("commission").GetString());
        (await system.Service.CallAsync(HttpMethod.Put, "/v1/partners/bravo/group", $$"""{"group":"silver","occurredAt":"{{Ago(9)}}"}"""))
            .AssertStatus(HttpStatusCode.BadRequest);
        await system.AssertIsOneFoldAsync();

        // The same rules again judge by the same versions, and change nothing.
        var again = await system.ReplayAsync(rules);
        Assert.Equal("[1]", (await system.Service.GetAsync($"/v1/replays/{again}")).Json.GetProperty("under").GetRawText());
        Assert.Equal(0, (await system.Service.GetAsync($"/v1/replays/{again}/diff")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("conversionsChanged").GetInt64());
        await system.RebuildAsync();
        await system.AssertIsOneFoldAsync();
    }

    private static int Version(JsonElement receipt) => receipt.GetProperty("rules").GetProperty("version").GetInt32();
}
