using System.Net;
using PartnerPulse.Attribution;
using PartnerPulse.IntegrationTests.Hosting;
using PartnerPulse.IntegrationTests.Servers;
using PartnerPulse.Pulse.Commands;

namespace PartnerPulse.IntegrationTests.Attribution;

/// <summary>Versions of the rules as people read them: who, when, why, what changed, and in plain English.</summary>
public sealed class RulesTests
{
    [PostgresFact]
    public async Task A_version_tells_who_published_it_why_what_it_changed_and_when_it_counted()
    {
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        const string Shorter = """{"name":"shorter","windowDays":30,"model":{"kind":"linear"}}""";
        var published = (await service.PostAsync("/v1/rules?why=partners%20asked%20for%20it", Shorter)).AssertStatus(HttpStatusCode.Created).Json;
        Assert.Equal(2, published.GetProperty("version").GetInt32());
        Assert.Equal(2, (await service.PostAsync("/v1/rules", Shorter)).AssertStatus(HttpStatusCode.Created).Json.GetProperty("version").GetInt32());
        (await service.PostAsync($"/v1/rules?why={new string('x', 501)}", Shorter)).AssertFault(HttpStatusCode.BadRequest, "why", "1 to 500 characters");

        var replay = await service.ReplayAsync("""{"rulesVersion":2}""");
        (await service.PostAsync($"/v1/replays/{replay}/promotion", body: null)).AssertStatus(HttpStatusCode.OK);
        var versions = (await service.GetAsync("/v1/rules", scope: "read")).AssertStatus(HttpStatusCode.OK).Json.GetProperty("rules").EnumerateArray().ToArray();
        Assert.Equal(2, versions.Length);
        Assert.Equal("partners asked for it", versions[1].GetProperty("why").GetString());
        Assert.NotNull(versions[1].GetProperty("publishedBy").GetString());
        Assert.Equal(
            ["name: default → shorter", "model.kind: first-touch → linear", "windowDays: 60 → 30"],
            versions[1].GetProperty("changes").EnumerateArray().Select(c => c.GetProperty("words").GetString()!));
        Assert.Equal(replay, versions[1].GetProperty("replays")[0].GetProperty("id").GetGuid());
        Assert.True(versions[1].GetProperty("active").GetBoolean());
        Assert.False(versions[1].GetProperty("inForce")[0].TryGetProperty("until", out var open) && open.ValueKind != System.Text.Json.JsonValueKind.Null);
        Assert.Equal(
            versions[1].GetProperty("inForce")[0].GetProperty("from").GetDateTimeOffset(), versions[0].GetProperty("inForce")[0].GetProperty("until").GetDateTimeOffset());
    }

    [PostgresFact]
    public async Task The_command_line_says_publishes_and_tries_rules_and_a_fault_is_a_failure()
    {
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        await service.ProjectedAsync();
        var folder = Directory.CreateTempSubdirectory("pulse-rules-").FullName;
        string File(string name, string text)
        {
            var path = Path.Combine(folder, name);
            System.IO.File.WriteAllText(path, text);
            return path;
        }

        var good = File("good.json", """{"name":"shorter","windowDays":30,"model":{"kind":"linear"}}""");
        var bad = File("bad.json", """{"name":"","windowDays":0}""");
        Task<int> PulseAsync(params string[] line) => PulseCommand.RunAsync([.. line, "--url", service.Address.ToString(), "--key", "key-of-admin", "--data", folder]);

        Assert.Equal(Exit.Ok, await PulseAsync("what-if", good));
        Assert.Equal(Exit.Ok, await PulseAsync("what-if", good, "--from", "2026-10-01", "--to", "2026-11-01", "--json"));
        Assert.Equal(Exit.Ok, await PulseAsync("rules", "publish", good, "--why", "partners asked for it"));
        var published = (await service.GetAsync("/v1/rules/2")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal(("shorter", "partners asked for it"), (published.GetProperty("name").GetString(), published.GetProperty("why").GetString()));
        foreach (var line in new[] { "list", "list --json", "show 2", "show active", "text", "text 2", $"text --file {good}" })
        {
            Assert.Equal(Exit.Ok, await PulseAsync(["rules", .. line.Split(' ')]));
        }

        foreach (var line in new[] { $"what-if {bad}", $"what-if {folder}/none.json", $"what-if {good} --from yesterday", $"rules publish {bad}", $"rules text --file {bad}", "rules show 9", "rules text 9" })
        {
            Assert.Equal(Exit.Failed, await PulseAsync(line.Split(' ')));
        }

        Assert.Equal(Exit.Usage, await PulseAsync("rules", "show", "one"));
        Assert.Equal(Exit.Failed, await PulseCommand.RunAsync(["rules", "list", "--url", service.Address.ToString(), "--key", "nobody"]));
        Assert.Equal(Exit.NotRunning, await PulseCommand.RunAsync(["what-if", good, "--data", folder]));
        Assert.Equal(HttpStatusCode.NotFound, (await service.GetAsync("/v1/rules/3")).Status);
        Directory.Delete(folder, recursive: true);
    }

    [PostgresFact]
    public async Task Rules_are_told_in_plain_English_and_described_by_a_schema()
    {
        await using var service = await TestService.StartAsync(builder => builder.AddAttribution(), app => app.MapAttribution());
        while ((await service.GetAsync("/v1/rules/active")).Status != HttpStatusCode.OK)
        {
            await Task.Delay(20); // The first version is in the log, and not projected yet.
        }

        var text = (await service.GetAsync("/v1/rules/1/text", scope: "read")).AssertStatus(HttpStatusCode.OK);
        Assert.StartsWith("Rules \"default\"", text.Text, StringComparison.Ordinal);
        Assert.Contains("Examples, worked out by the engine", text.Text, StringComparison.Ordinal);
        (await service.GetAsync("/v1/rules/7/text")).AssertFault(HttpStatusCode.NotFound, "version", "'7' is not a version of the rules");
        Assert.Contains(
            "at most 14 days before", (await service.PostAsync("/v1/rules/text", """{"name":"x","windowDays":14}""", scope: "read")).AssertStatus(HttpStatusCode.OK).Text, StringComparison.Ordinal);
        (await service.PostAsync("/v1/rules/text", """{"name":"x","windowDays":0}""")).AssertFault(HttpStatusCode.BadRequest, "windowDays", "must be 1 to 3650");

        var schema = (await service.GetAsync("/v1/rules/schema", scope: "read")).AssertStatus(HttpStatusCode.OK).Json;
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", schema.GetProperty("$schema").GetString());
        Assert.Contains("2026-11", schema.GetProperty("$defs").GetProperty("botList").GetProperty("enum").EnumerateArray().Select(v => v.GetString()));
    }
}
