using System.Net;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Partners;

namespace PartnerPulse.IntegrationTests.Partners;

/// <summary>Coupons over HTTP against a real database.</summary>
public sealed class CouponsTests(PartnersFixture fixture) : IClassFixture<PartnersFixture>
{
    private readonly string _id = $"p{Guid.NewGuid():N}"[..12];
    private readonly string _code = $"C{Guid.NewGuid():N}"[..12].ToUpperInvariant();

    [PostgresFact]
    public async Task A_coupon_is_one_partners_at_a_time_and_its_history_is_kept()
    {
        var service = await EnrolledAsync();

        var first = (await AssignAsync(service, "a", ""","from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z" """)).AssertStatus(HttpStatusCode.Created);
        (await AssignAsync(service, "a", ""","from":"2026-01-01T00:00:00Z","until":"2026-02-01T00:00:00Z" """, code: $" {_code.ToLowerInvariant()} ")).AssertStatus(HttpStatusCode.OK);
        (await AssignAsync(service, "b", ""","from":"2026-01-31T00:00:00Z" """)).AssertFault(
            HttpStatusCode.Conflict, "code", $"'{_code}' is held by '{_id}-a' from 2026-01-01T00:00:00.0000000+00:00 until 2026-02-01");
        (await AssignAsync(service, "a", ""","from":"2026-01-01T00:00:00Z" """)).AssertFault(HttpStatusCode.Conflict, "until", "is recorded as '2026-02-01");
        (await AssignAsync(service, "b", ""","from":"2026-02-01T00:00:00Z" """)).AssertStatus(HttpStatusCode.Created);
        (await AssignAsync(service, "b")).AssertStatus(HttpStatusCode.OK);
        (await service.DeleteAsync($"/v1/coupons/{_code.ToLowerInvariant()}")).AssertStatus(HttpStatusCode.NoContent);
        (await service.DeleteAsync($"/v1/coupons/{_code}")).AssertStatus(HttpStatusCode.NoContent);
        (await AssignAsync(service, "a")).AssertStatus(HttpStatusCode.Created);

        Assert.Equal(_code, first.Json.GetProperty("code").GetString());
        var coupon = (await service.GetAsync("/v1/coupons?limit=1000", Scope.Read)).AssertStatus(HttpStatusCode.OK).Json.GetProperty("coupons").EnumerateArray()
            .Single(c => c.GetProperty("code").GetString() == _code);
        Assert.Equal($"{_id}-a", coupon.GetProperty("partner").GetString());
        Assert.Equal(
            [($"{_id}-a", true, false), ($"{_id}-b", false, true), ($"{_id}-a", false, false)],
            coupon.GetProperty("assignments").EnumerateArray()
                .Select(a => (a.GetProperty("partner").GetString()!, a.TryGetProperty("until", out _), a.TryGetProperty("withdrawnAt", out _))));
    }

    [PostgresFact]
    public async Task Of_many_who_want_it_at_once_on_several_instances_one_gets_it()
    {
        var one = await EnrolledAsync();
        await using var two = await fixture.AnotherInstanceAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => AssignAsync(i % 2 == 0 ? one : two, i % 2 == 0 ? "a" : "b")));

        Assert.Single(answers, a => a.Status == HttpStatusCode.Created);
        Assert.Equal(4, answers.Count(a => a.Status == HttpStatusCode.OK));
        Assert.All(answers.Where(a => a.Status is not (HttpStatusCode.Created or HttpStatusCode.OK)), a => a.AssertFault(HttpStatusCode.Conflict, "code", "is held by"));
    }

    [PostgresFact]
    public async Task Lists_come_in_pages()
    {
        await using var service = await fixture.OfItsOwnAsync();
        await EnrolAsync(service);
        foreach (var code in new[] { "ONE", "TWO", "THREE" })
        {
            (await AssignAsync(service, "a", code: code)).AssertStatus(HttpStatusCode.Created);
        }

        var first = (await service.GetAsync("/v1/coupons?limit=2")).AssertStatus(HttpStatusCode.OK).Json;
        var second = (await service.GetAsync($"/v1/coupons?limit=2&after={first.GetProperty("next").GetString()}")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(["ONE", "TWO", "THREE"], first.GetProperty("coupons").EnumerateArray().Concat(second.GetProperty("coupons").EnumerateArray()).Select(c => c.GetProperty("code").GetString()));
        Assert.False(second.TryGetProperty("next", out _));
    }

    [PostgresFact]
    public async Task Bad_requests_are_answered_with_field_and_reason()
    {
        var service = await EnrolledAsync();

        (await service.PostAsync("/v1/coupons", "{}")).AssertFault(HttpStatusCode.BadRequest, "code", "is required");
        (await service.PostAsync("/v1/coupons", "{}")).AssertFault(HttpStatusCode.BadRequest, "partner", "is required");
        (await AssignAsync(service, "none")).AssertFault(HttpStatusCode.NotFound, "partner", "is no partner");
        (await AssignAsync(service, "a", code: "A/B")).AssertFault(HttpStatusCode.BadRequest, "code", "must not contain '/'");
        (await AssignAsync(service, "a", code: new string('x', 65))).AssertFault(HttpStatusCode.BadRequest, "code", "has 65 characters");
        (await AssignAsync(service, "a", ""","until":"2020-01-01T00:00:00Z" """)).AssertFault(HttpStatusCode.BadRequest, "until", "is not after from");
        (await AssignAsync(service, "a", ""","from":"1999-01-01T00:00:00Z" """)).AssertFault(HttpStatusCode.BadRequest, "from", "must lie between");
        (await AssignAsync(service, "a", ""","colour":"red" """)).AssertFault(HttpStatusCode.BadRequest, "colour", "is not a field that is known here");
        (await service.DeleteAsync($"/v1/coupons/{_code}-none")).AssertFault(HttpStatusCode.NotFound, "code", "was never assigned");
        (await service.GetAsync("/v1/coupons?limit=0")).AssertFault(HttpStatusCode.BadRequest, "limit", "must be 1 to 1000");
        (await service.PostAsync("/v1/coupons", "{}", Scope.Read)).AssertFault(HttpStatusCode.Forbidden, "Authorization", "needs the scope catalogue:write");
    }

    private async Task<TestService> EnrolledAsync()
    {
        var service = await fixture.ServiceAsync();
        await EnrolAsync(service);
        return service;
    }

    private async Task EnrolAsync(TestService service)
    {
        foreach (var partner in new[] { "a", "b" })
        {
            (await service.PostAsync("/v1/partners", $$"""{"id":"{{_id}}-{{partner}}","name":"P","destination":"https://shop.example/"}""")).AssertStatus(HttpStatusCode.Created);
        }
    }

    private Task<Answer> AssignAsync(TestService service, string partner, string more = "", string? code = null) =>
        service.PostAsync("/v1/coupons", $$"""{"code":"{{code ?? _code}}","partner":"{{_id}}-{{partner}}"{{more}}}""");
}
