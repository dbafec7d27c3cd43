using System.CommandLine;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class RulesCommand
{
    public static Command Build()
    {
        var command = new Command("rules", "The versions of the rules: who published them, when and why, and what they say in plain English.")
        {
            List(), Show(), Text(), Publish(),
        };
        Examples.Of(command,
            "./pulse rules list",
            "./pulse rules show active",
            "./pulse rules text 2",
            "./pulse rules text --file rules.json",
            "./pulse rules publish rules.json --why \"partners asked for a longer window\"");
        return command;
    }

    private static Command List()
    {
        var (url, key, data, json) = (Shared.Url(), Shared.Key(), Shared.Data(), Shared.Json());
        var command = new Command("list", "All versions, newest last, with what each changed.") { url, key, data, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var rules = await api.GetAsync("/v1/rules", cancellation);
            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(rules);
                return Exit.Ok;
            }

            var table = Tables.New("version", "name", "published", "by", "why", "changes");
            foreach (var version in (rules["rules"] as JsonArray ?? []).OfType<JsonNode>())
            {
                var counts = version["active"]?.GetValue<bool>() == true ? ", counts" : "";
                var changes = (version["changes"] as JsonArray ?? []).Select(change => $"{change!["words"]}");
                table.AddRow(
                    $"{version["version"]}{counts}", $"{version["name"]}".EscapeMarkup(), $"{version["publishedAt"]}"[..16].Replace('T', ' '),
                    $"{version["publishedBy"]}".EscapeMarkup(), $"{version["why"]}".EscapeMarkup(), string.Join('\n', changes).EscapeMarkup());
            }

            AnsiConsole.Write(table);
            return Exit.Ok;
        });
        return command;
    }

    private static Command Show()
    {
        var version = new Argument<string>("version") { Description = "A number, or active." };
        var (url, key, data) = (Shared.Url(), Shared.Key(), Shared.Data());
        var command = new Command("show", "One version with its document and its history, as JSON.") { version, url, key, data };
        command.Validators.Add(result => MustBeVersion(result, result.GetValue(version)));
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            Terminal.WriteJson(await api.GetAsync($"/v1/rules/{Uri.EscapeDataString(parsed.GetValue(version)!)}", cancellation));
            return Exit.Ok;
        });
        return command;
    }

    private static Command Text()
    {
        var version = new Argument<string?>("version") { Description = "A number, or active (the default).", Arity = ArgumentArity.ZeroOrOne };
        var file = new Option<string?>("--file") { Description = "A rule document, published or not.", HelpName = "FILE" };
        var (url, key, data) = (Shared.Url(), Shared.Key(), Shared.Data());
        var command = new Command("text", "Rules in plain English, with examples that the engine worked out.") { version, file, url, key, data };
        command.Validators.Add(result =>
        {
            MustBeVersion(result, result.GetValue(version));
            if (result.GetValue(version) is not null && result.GetValue(file) is not null)
            {
                result.AddError("A version and --file contradict each other; give one of them.");
            }
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            using var request = parsed.GetValue(file) is { } document
                ? new HttpRequestMessage(HttpMethod.Post, "/v1/rules/text") { Content = new StringContent(ReplayCommand.ReadRules(document).ToJsonString(), new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")) }
                : new HttpRequestMessage(HttpMethod.Get, $"/v1/rules/{await NumberAsync(api, parsed.GetValue(version), cancellation)}/text");
            using var response = await api.SendAsync(request, cancellation);
            if (!response.IsSuccessStatusCode)
            {
                await Api.ReadAsync(response, cancellation);
            }

            Console.Out.Write(await response.Content.ReadAsStringAsync(cancellation));
            return Exit.Ok;
        });
        return command;
    }

    private static Command Publish()
    {
        var file = new Argument<string>("file") { Description = "A rule document; /v1/rules/schema says what is in one." };
        var why = new Option<string?>("--why") { Description = "The reason, for those who read the history.", HelpName = "TEXT" };
        var (url, key, data, json) = (Shared.Url(), Shared.Key(), Shared.Data(), Shared.Json());
        var command = new Command("publish", "Publish a version. It decides nothing before a replay under it is promoted.") { file, why, url, key, data, json };
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var reason = parsed.GetValue(why) is { } text ? $"?why={Uri.EscapeDataString(text)}" : "";
            var published = await api.PostAsync($"/v1/rules{reason}", ReplayCommand.ReadRules(parsed.GetValue(file)!), cancellation);
            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(published);
                return Exit.Ok;
            }

            AnsiConsole.WriteLine($"Version {published["version"]}. Nothing has changed yet.\n  ./pulse replay --rules-version {published["version"]}{Terminal.DataFlag(DataFolder.Resolve(parsed.GetValue(data)))}     see what it would change");
            return Exit.Ok;
        });
        return command;
    }

    private static void MustBeVersion(System.CommandLine.Parsing.CommandResult result, string? version)
    {
        if (version is not (null or "active") && (!int.TryParse(version, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var number) || number == 0))
        {
            result.AddError($"'{version}' is not a version: a number from 1 on, or active.");
        }
    }

    private static async Task<string> NumberAsync(Api api, string? version, CancellationToken cancellation) =>
        version is null or "active" ? (await api.GetAsync("/v1/rules/active", cancellation))["version"]!.ToString() : Uri.EscapeDataString(version);
}
