using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class ReplayCommand
{
    private const string TimeDecay = "time-decay";
    private const string PositionBased = "position-based";

    public static Command Build()
    {
        var model = new Option<string?>("--model") { Description = "The active rules under another model.", HelpName = "MODEL" };
        model.AcceptOnlyFromAmong("first-touch", "last-touch", "linear", PositionBased, TimeDecay, "shapley", "markov");
        var window = new Option<int?>("--window") { Description = "With --model: days that a touch counts.", HelpName = "DAYS" };
        var first = new Option<decimal?>("--first") { Description = "With position-based: percent of the first touch.", HelpName = "PERCENT" };
        var last = new Option<decimal?>("--last") { Description = "With position-based: percent of the last touch.", HelpName = "PERCENT" };
        var halfLife = new Option<decimal?>("--half-life") { Description = "With time-decay: days after which a touch weighs half.", HelpName = "DAYS" };
        var rules = new Option<string?>("--rules") { Description = "A rule document.", HelpName = "FILE" };
        var version = new Option<int?>("--rules-version") { Description = "A published version of the rules.", HelpName = "N" };
        var id = new Option<Guid?>("--id") { Description = "An earlier replay, to look at, promote or discard.", HelpName = "ID" };
        var list = new Option<bool>("--list") { Description = "List the replays." };
        var promote = new Option<bool>("--promote") { Description = "Let its result count from now on." };
        var discard = new Option<bool>("--discard") { Description = "Throw its result away after showing the difference." };
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("replay", "Judge all history under other rules and show the difference in money; nothing counts before --promote.")
        {
            model, window, first, last, halfLife, rules, version, id, list, promote, discard, url, key, data, json,
        };
        Examples.Of(command,
            "./pulse replay --model last-touch --window 30",
            "./pulse replay --model time-decay --half-life 3 --discard",
            "./pulse replay --rules rules.json --promote",
            "./pulse replay --rules-version 1 --json | jq .diff.rows",
            "./pulse replay --list");
        command.Validators.Add(result =>
        {
            var chosen = new Option[] { model, rules, version, id, list }.Where(option => result.GetResult(option) is { Implicit: false }).Select(option => option.Name).ToList();
            if (chosen.Count != 1)
            {
                result.AddError(chosen.Count == 0
                    ? "Say under which rules: --model, --rules, --rules-version, or an earlier replay with --id (--list shows them)."
                    : $"{string.Join(" and ", chosen)} contradict each other; give one of them.");
            }

            if (result.GetValue(promote) && result.GetValue(discard))
            {
                result.AddError("--promote and --discard contradict each other.");
            }

            foreach (var (option, needed) in new (Option Option, string? Model)[] { (window, null), (first, PositionBased), (last, PositionBased), (halfLife, TimeDecay) })
            {
                // The word itself: a model that does not exist has no value to ask for.
                var kind = result.GetResult(model)?.Tokens is [var word, ..] ? word.Value : null;
                if (result.GetResult(option) is { Implicit: false } && (kind is null || (needed is not null && kind != needed)))
                {
                    result.AddError($"{option.Name} goes with --model{(needed is null ? "" : $" {needed}")} only.");
                }
            }
        });
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var asJson = parsed.GetValue(json);
            if (parsed.GetValue(list))
            {
                return await ListAsync(api, asJson, cancellation);
            }

            var replay = parsed.GetValue(id) is { } earlier ? earlier.ToString() : await StartAsync(
                api,
                parsed.GetValue(model) is { } kind
                    ? new JsonObject { ["rules"] = await UnderModelAsync(api, kind, parsed.GetValue(window), parsed.GetValue(first), parsed.GetValue(last), parsed.GetValue(halfLife), cancellation) }
                    : parsed.GetValue(rules) is { } file ? new JsonObject { ["rules"] = ReadRules(file) }
                    : new JsonObject { ["rulesVersion"] = parsed.GetValue(version) },
                cancellation);
            return await RunAsync(api, replay, Terminal.DataFlag(DataFolder.Resolve(parsed.GetValue(data))), parsed.GetValue(promote), parsed.GetValue(discard), asJson, cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(Api api, string id, string dataFlag, bool promote, bool discard, bool json, CancellationToken cancellation)
    {
        var replay = await WaitAsync(api, id, json, cancellation);
        if (replay["state"]?.ToString() is "failed" or "discarded")
        {
            throw new RefusedException($"The replay {id} is {replay["state"]}. {replay["reason"]}".TrimEnd(), System.Net.HttpStatusCode.Conflict);
        }

        var diff = await api.GetAsync($"/v1/replays/{id}/diff", cancellation);
        if (!json)
        {
            Tables.Difference(diff);
        }

        var end = "ready";
        if (promote)
        {
            replay = await api.PostAsync($"/v1/replays/{id}/promotion", new { }, cancellation);
            end = "promoted";
        }
        else if (discard)
        {
            await api.DeleteAsync($"/v1/replays/{id}", cancellation);
            end = "discarded";
        }

        if (json)
        {
            replay["state"] = end == "ready" ? replay["state"]?.ToString() : end;
            Terminal.WriteJson(new JsonObject { ["replay"] = replay.DeepClone(), ["diff"] = diff.DeepClone() });
        }
        else
        {
            AnsiConsole.WriteLine(end switch
            {
                "promoted" => "Promoted: it counts now.",
                "discarded" => "Discarded: nothing has changed.",
                _ => $"Nothing has changed yet.\n  ./pulse replay --id {id} --promote{dataFlag}     let it count\n  ./pulse replay --id {id} --discard{dataFlag}     drop it",
            });
        }

        return Exit.Ok;
    }

    public static async Task<string> StartAsync(Api api, JsonObject request, CancellationToken cancellation) =>
        (await api.PostAsync("/v1/replays", request, cancellation))["id"]!.ToString();

    /// <summary>Returns when it no longer runs.</summary>
    public static async Task<JsonNode> WaitAsync(Api api, string id, bool json, CancellationToken cancellation)
    {
        if ((await api.GetAsync($"/v1/replays/{id}", cancellation))["state"]?.ToString() == "fitting")
        {
            await WaitAsync(api, id, json, "learning from all journeys", ["fitting"], replay => (replay["fits"] as JsonArray ?? []).FirstOrDefault(fit => fit?["read"] is not null), "read", cancellation);
        }

        return await WaitAsync(api, id, json, "replaying", ["fitting", "queued", "running"], replay => replay, "done", cancellation);
    }

    /// <summary>Shows how far it is until it is in another state.</summary>
    private static Task<JsonNode> WaitAsync(
        Api api, string id, bool json, string what, string[] states, Func<JsonNode, JsonNode?> progress, string done, CancellationToken cancellation) =>
        Terminal.WithBarAsync(json, what, async report =>
        {
            while (true)
            {
                var replay = await api.GetAsync($"/v1/replays/{id}", cancellation);
                var far = progress(replay);
                report((double?)far?[done] ?? 0, (double?)far?["total"] ?? 0);
                if (!states.Contains(replay["state"]?.ToString()))
                {
                    return replay;
                }

                await Task.Delay(100, cancellation);
            }
        });

    /// <summary>The active rules with another model: what is not said stays as it is.</summary>
    public static async Task<JsonObject> UnderModelAsync(
        Api api, string kind, int? window, decimal? first, decimal? last, decimal? halfLife, CancellationToken cancellation)
    {
        var rules = (JsonObject)(await api.GetAsync("/v1/rules/active", cancellation))["rules"]!.DeepClone();
        var model = new JsonObject { ["kind"] = kind };
        if (kind == PositionBased)
        {
            model["first"] = first ?? 40;
            model["last"] = last ?? 40;
        }
        else if (kind == TimeDecay)
        {
            model["halfLifeDays"] = halfLife ?? 7;
        }

        rules["model"] = model;
        rules["windowDays"] = window ?? rules["windowDays"]?.DeepClone();
        var detail = kind switch
        {
            PositionBased => $" {model["first"]}/{model["last"]}",
            TimeDecay => $", half-life {model["halfLifeDays"]} days",
            _ => "",
        };
        rules["name"] = $"{kind}{detail}, window {rules["windowDays"]} days";
        return rules;
    }

    public static JsonNode ReadRules(string file)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(file)) ?? throw new ProvisioningException($"{file} holds null and no rule document.");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new ProvisioningException($"{file} cannot be read: {fault.Message}", fault);
        }
    }

    private static async Task<int> ListAsync(Api api, bool json, CancellationToken cancellation)
    {
        var replays = await api.GetAsync("/v1/replays", cancellation);
        if (json)
        {
            Terminal.WriteJson(replays);
            return Exit.Ok;
        }

        var table = Tables.New("id", "state", "rules", "generation", "orders");
        foreach (var replay in (replays["replays"] as JsonArray ?? []).OfType<JsonNode>())
        {
            var state = replay["active"]?.GetValue<bool>() == true ? $"{replay["state"]}, counts" : $"{replay["state"]}";
            table.AddRow($"{replay["id"]}", state.EscapeMarkup(), $"{replay["rulesVersion"]}", $"{replay["generation"]}", $"{replay["done"]}/{replay["total"]}");
        }

        AnsiConsole.Write(table);
        return Exit.Ok;
    }
}
