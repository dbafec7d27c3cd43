using System.Net;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Servers;

namespace PartnerPulse.IntegrationTests.Conversions;

/// <summary>Ties over HTTP against a real database.</summary>
public sealed class IdentitiesTests(ConversionsFixture fixture) : IClassFixture<ConversionsFixture>
{
    private readonly string _visitor = $"v{Guid.NewGuid():N}";

    [PostgresFact]
    public async Task A_tie_is_recorded_once_however_the_customer_is_written()
    {
        var service = await fixture.ServiceAsync();

        var first = (await service.PostAsync(
            "/v1/identities", $$"""{"customer":"Ann@Example.org","visitorId":"{{_visitor}}","occurredAt":"2026-11-01T10:00:00Z"}""", Scope.WriteConversions)).AssertStatus(HttpStatusCode.Created);
        var again = (await service.PostAsync("/v1/identities", $$"""{"customer":" ann@example.org ","visitorId":"{{_visitor}}"}""")).AssertStatus(HttpStatusCode.OK);
        (await service.PostAsync("/v1/identities", $$"""{"customer":"a.nn+x@example.org","visitorId":"{{_visitor}}"}""")).AssertStatus(HttpStatusCode.Created);

        Assert.Equal(("recorded", "already-recorded"), (first.Json.GetProperty("status").GetString(), again.Json.GetProperty("status").GetString()));
        var key = first.Json.GetProperty("customerKey").GetString()!;
        Assert.Equal(key, again.Json.GetProperty("customerKey").GetString());
        Assert.Equal(
            $"{Ids.Identity("main", key, _visitor, clickId: null)} 2026-11-01T10:00:00+00:00",
            await fixture.ScalarAsync<string>($"select id || ' ' || (data ->> 'occurredAt') from conversions.mt_events where data ->> 'customerKey' = '{key}'"));
        Assert.Equal(2L, await fixture.ScalarAsync<long>($"select count(*) from conversions.mt_events where data ->> 'visitorId' = '{_visitor}'"));
    }

    [PostgresFact]
    public async Task A_list_is_answered_in_order_and_a_click_ties_as_a_visitor_does()
    {
        var service = await fixture.ServiceAsync();

        var answer = (await service.PostAsync("/v1/identities", $$"""
            [{"customer":"bob","clickId":"{{_visitor}}-click"}, {"customer":"bob"}, {"customer":"bob","clickId":"{{_visitor}}-click"}, 7]
            """)).AssertStatus(HttpStatusCode.OK);

        Assert.Equal(["recorded", "rejected", "already-recorded", "rejected"], answer.Json.EnumerateArray().Select(a => a.GetProperty("status").GetString()));
        Assert.Equal("""[{"field":"visitorId","reason":"is required, or clickId, or partner"}]""", answer.Json[1].GetProperty("errors").GetRawText());
        Assert.Equal(1L, await fixture.ScalarAsync<long>(
            $"select count(*) from conversions.mt_events where type = 'visitor_identified' and data ->> 'clickId' = '{Ids.Click("main", $"{_visitor}-click")}'"));
    }

    [PostgresTheory]
    [InlineData("""{"visitorId":"v"}""", "customer", "is required")]
    [InlineData("""{"customer":"  ","visitorId":"v"}""", "customer", "is required")]
    [InlineData("""{"customer":"ann"}""", "visitorId", "is required, or clickId, or partner")]
    [InlineData("""{"customer":"ann","partner":"Acme"}""", "partner", "must be lower-case letters, digits, '-' and '_'")]
    [InlineData("""{"customer":"ann","partner":"acme","clickId":"c"}""", "partner", "is given beside visitorId or clickId; an item says one of them")]
    [InlineData("""{"partner":"acme"}""", "customer", "is required")]
    [InlineData("""{"customer":"ann","visitorId":"v","occurredAt":"2099-01-01T00:00:00Z"}""", "occurredAt", "is in the future")]
    [InlineData("""{"customer":"ann","visitorId":"v","email":"x"}""", "email", "is not a field that is known here")]
    public async Task What_is_no_tie_is_answered_with_field_and_reason(string body, string field, string reason)
    {
        var service = await fixture.ServiceAsync();
        (await service.PostAsync("/v1/identities", body)).AssertFault(HttpStatusCode.BadRequest, field, reason);
    }
}
