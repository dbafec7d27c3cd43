using System.Net;
using System.Text.Json;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary><c>./pulse keys</c> on a distributed system: every service follows at its next request, and none is started again.</summary>
[Collection(WholeSystems.Name)]
public sealed class KeysTests(RunningSystems systems)
{
    /// <summary>One endpoint of each service that the scope <c>read</c> opens; an edge has none but the status of its own.</summary>
    private static readonly string[] s_services = ["/v1/partners", "/v1/conversions/shop/none", "/v1/credits", "/v1/postbacks"];

    [ServersFact]
    public async Task A_key_is_made_rotated_and_revoked_and_every_service_follows_at_once()
    {
        var system = await systems.GetAsync(Mode.Distributed);
        var restarts = Restarts(system);
        var name = $"books-{Guid.NewGuid():N}";

        var first = Secret(await KeysAsync(system, "create", name, "--scope", "read", "--purpose", "the books"));
        await AssertKnownAsync(system, first, known: true);
        var second = Secret(await KeysAsync(system, "rotate", name));
        await AssertKnownAsync(system, first, known: true);
        await AssertKnownAsync(system, second, known: true);
        var third = Secret(await KeysAsync(system, "rotate", name, "--grace", "0"));
        await AssertKnownAsync(system, first, known: false);
        await AssertKnownAsync(system, second, known: false);
        await AssertKnownAsync(system, third, known: true);

        var listed = (await KeysAsync(system, "list")).GetProperty("keys").EnumerateArray().Single(key => key.GetProperty("name").GetString() == name);
        Assert.Equal(("valid", "the books", "main"), (listed.GetProperty("state").GetString(), listed.GetProperty("purpose").GetString(), listed.GetProperty("program").GetString()));
        Assert.DoesNotContain("sha256", listed.GetRawText(), StringComparison.OrdinalIgnoreCase);

        await KeysAsync(system, "revoke", name);
        foreach (var secret in new[] { first, second, third })
        {
            await AssertKnownAsync(system, secret, known: false);
        }

        Assert.Equal(restarts, Restarts(system));
    }

    [ServersFact]
    public async Task Services_call_each_other_with_keys_that_may_do_that_alone_and_go_on_when_they_are_rotated()
    {
        var system = await systems.GetAsync(Mode.Distributed);
        var restarts = Restarts(system);
        var data = DataFolder.At(system.Data);
        var (edge, conversions) = (Read(RunKeys.EdgeFile(data)), Read(RunKeys.ConversionsFile(data)));
        (await system.GetAsync("/v1/catalogue", edge)).AssertStatus(HttpStatusCode.OK);
        (await system.PostAsync("/v1/matches", new { orders = Array.Empty<object>() }, edge)).AssertStatus(HttpStatusCode.Forbidden);
        (await system.GetAsync("/v1/catalogue", conversions)).AssertStatus(HttpStatusCode.Forbidden);
        foreach (var path in s_services.Append("/v1/status"))
        {
            (await system.GetAsync(path, edge)).AssertStatus(HttpStatusCode.Forbidden);
            (await system.GetAsync(path, conversions)).AssertStatus(HttpStatusCode.Forbidden);
        }

        await KeysAsync(system, "rotate", "edge", "--grace", "0");
        await KeysAsync(system, "rotate", "conversions", "--grace", "0");
        (await system.GetAsync("/v1/catalogue", edge)).AssertStatus(HttpStatusCode.Unauthorized);
        Assert.NotEqual(edge, Read(RunKeys.EdgeFile(data)));

        // The edge reads the new partner's link with its new key, and an order learns whether it has a click.
        var slug = await system.EnrolAsync($"keys-{Guid.NewGuid():N}"[..20]);
        var click = await system.FollowAsync(slug);
        await system.SettleAsync();
        await system.UntilAsync("an order is matched", TimeSpan.FromSeconds(30), async () =>
            (await system.PostAsync("/v1/conversions", new { kind = "sale", source = "shop", orderId = $"{Guid.NewGuid():N}", amount = "10.00", currency = "EUR", clickId = click, test = true }))
                .AssertStatus(HttpStatusCode.Created).Json.TryGetProperty("matched", out var matched) && matched.GetBoolean() ? "" : null);
        Assert.Equal(restarts, Restarts(system));
    }

    private static async Task AssertKnownAsync(PulseSystem system, string key, bool known)
    {
        foreach (var path in s_services)
        {
            var status = (await system.GetAsync(path, key)).Status;
            Assert.True(known == status is not HttpStatusCode.Unauthorized, $"{path}: {(int)status}");
        }

        // An edge knows it and refuses what it may not.
        Assert.Equal(known ? HttpStatusCode.Forbidden : HttpStatusCode.Unauthorized, (await system.ImportTextAsync("", key)).Status);
    }

    private static async Task<JsonElement> KeysAsync(PulseSystem system, params string[] arguments)
    {
        var (fileName, all) = Services.Self(["keys", .. arguments, "--data", system.Data, "--json"]);
        var answer = await Shell.RunAsync(fileName, all, CancellationToken.None);
        Assert.True(answer.Succeeded, answer.Output);
        return JsonDocument.Parse(answer.Output).RootElement;
    }

    private static string Secret(JsonElement answer) => answer.GetProperty("secret").GetString()!;

    private static string Read(string file) => File.ReadAllText(file).Trim();

    private static string Restarts(PulseSystem system) => string.Join(' ', new[] { "partners", "conversions", "attribution", "edge", "outbound" }.Select(name => $"{name} {system.Process(name).Restarts}"));
}
