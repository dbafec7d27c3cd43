using System.Net;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Doctor;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary><c>./pulse doctor</c> on whole systems: what works passes, and what was broken on purpose is named.</summary>
[Collection(WholeSystems.Name)]
public sealed class DoctorTests(RunningSystems systems)
{
    [ServersFact]
    public async Task A_distributed_system_passes_as_often_as_one_asks_and_no_total_or_webhook_hears_of_it()
    {
        var system = await systems.GetAsync(Mode.Distributed);
        var before = (await system.GetAsync("/v1/credits")).AssertStatus(HttpStatusCode.OK).Json;
        var hook = (await system.PostAsync("/v1/webhooks", new { url = "https://books.example/hook", events = new[] { "credit.revised", "conversion.recorded", "conversion.adjusted" } }))
            .AssertStatus(HttpStatusCode.Created).Json.GetProperty("id").GetString();

        var first = await ExamineAsync(system);
        AssertHealthy(first);
        Assert.Contains(first.Checks, check => check is { Name: "the rest refunded", Result: DoctorCheck.Passed });
        Assert.Contains(first.Checks, check => check is { Name: "login: clicked on the phone, bought on the laptop", Result: DoctorCheck.Passed });
        Assert.Contains(first.Checks, check => check is { Name: "cookie", Result: DoctorCheck.Skipped });
        Assert.Equal(0, await PulseCommand.RunAsync(["doctor", "--data", system.Data, "--json"]));

        var after = (await system.GetAsync("/v1/credits")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(before.GetProperty("rows").GetRawText(), after.GetProperty("rows").GetRawText());
        Assert.Equal(before.GetProperty("unattributed").GetRawText(), after.GetProperty("unattributed").GetRawText());
        Assert.DoesNotContain("doctor", (await system.GetAsync($"/v1/webhooks/{hook}/deliveries")).AssertStatus(HttpStatusCode.OK).Text, StringComparison.Ordinal);
        (await system.SendAsync(HttpMethod.Delete, $"/v1/webhooks/{hook}")).AssertStatus(HttpStatusCode.NoContent);

        // And the log of all this is sealed.
        await system.UntilAsync("the log is sealed", TimeSpan.FromSeconds(30), async () => await PulseCommand.RunAsync(["verify", "--data", system.Data, "--json"]) == 0 ? "" : null);
    }

    [ServersFact]
    public async Task Cookies_and_landings_are_examined_and_a_suspended_partner_or_rules_that_credit_nothing_are_named()
    {
        await using var system = await PulseSystem.StartAsync(Mode.Standalone, settings: new Dictionary<string, string?>(StringComparer.Ordinal) { ["Edge__Cookie__Mode"] = "host" });
        await system.ConfigureAsync(["https://shop.example"]);

        var healthy = await ExamineAsync(system);
        AssertHealthy(healthy);
        foreach (var name in new[] { "cookie", "order after cookies were cleared, by a customer who logged in before", "landing page", "order after a landing", "a retired link" })
        {
            Assert.Contains(healthy.Checks, check => check.Name == name && check.Result == DoctorCheck.Passed);
        }

        (await system.PostAsync("/v1/partners/doctor-alpha/suspension")).AssertStatus(HttpStatusCode.OK);
        AssertFails(await ExamineAsync(system), "partners", "DELETE /v1/partners/doctor-alpha/suspension");
        (await system.SendAsync(HttpMethod.Delete, "/v1/partners/doctor-alpha/suspension")).AssertStatus(HttpStatusCode.OK);

        Assert.Equal(0, await PulseCommand.RunAsync(["replay", "--model", "last-touch", "--window", "7", "--promote", "--data", system.Data, "--json"]));
        AssertHealthy(await ExamineAsync(system));

        var rules = Path.Combine(system.Data, "rules.json");
        await File.WriteAllTextAsync(rules, """{"name":"leads alone","kinds":["lead"]}""");
        Assert.Equal(0, await PulseCommand.RunAsync(["replay", "--rules", rules, "--promote", "--data", system.Data, "--json"]));
        AssertFails(await ExamineAsync(system), "Chrome on Windows: order with its click id", "credit nobody");
        Assert.Equal(1, await PulseCommand.RunAsync(["doctor", "--data", system.Data, "--json"]));
    }

    [ServersFact]
    public async Task A_cookie_for_another_domain_is_named()
    {
        await using var system = await PulseSystem.StartAsync(Mode.Standalone, settings: new Dictionary<string, string?>(StringComparer.Ordinal) { ["Edge__Cookie__Domain"] = "shop.example" });

        AssertFails(await ExamineAsync(system), "cookie", "its cookie is for shop.example and the edge is localhost");
    }

    private static async Task<DoctorReport> ExamineAsync(PulseSystem system)
    {
        var url = system.Http.BaseAddress!.GetLeftPart(UriPartial.Authority);
        using var api = new Api(url, system.AdminKey);
        using var visitors = new Api(url, key: null);
        return await new RunDoctor(api, visitors, botLists: null, TimeSpan.FromSeconds(20), json: true).RunAsync(TimeProvider.System.GetUtcNow(), CancellationToken.None);
    }

    private static void AssertHealthy(DoctorReport report) =>
        Assert.True(report.Healthy && report.Checks.Count > 20, string.Join('\n', report.Checks.Select(check => $"{check.Result} {check.Name}: {check.Said}")));

    private static void AssertFails(DoctorReport report, string name, string said)
    {
        Assert.False(report.Healthy);
        Assert.Contains(report.Checks, check => check.Name == name && check.Result == DoctorCheck.Failed && check.Said.Contains(said, StringComparison.Ordinal));
    }
}
