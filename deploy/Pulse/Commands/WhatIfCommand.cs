using System.CommandLine;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class WhatIfCommand
{
    public static Command Build()
    {
        var file = new Argument<string>("file") { Description = "A rule document." };
        var from = new Option<string?>("--from") { Description = "Orders from then on.", HelpName = "DAY" };
        var to = new Option<string?>("--to") { Description = "Orders before then.", HelpName = "DAY" };
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("what-if", "Who would gain and lose under other rules, from memory; nothing is written.") { file, from, to, url, key, data, json };
        Examples.Of(command, "./pulse what-if rules.json", "./pulse what-if rules.json --from 2026-10-01 --to 2026-11-01", "./pulse what-if rules.json --json | jq .totals");
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var answer = await api.PostAsync(
                $"/v1/what-if?from={Uri.EscapeDataString(parsed.GetValue(from) ?? "")}&to={Uri.EscapeDataString(parsed.GetValue(to) ?? "")}",
                ReplayCommand.ReadRules(parsed.GetValue(file)!), cancellation);
            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(answer);
            }
            else
            {
                Tables.Movers(answer);
                AnsiConsole.MarkupLineInterpolated($"[grey]Nothing has changed. ./pulse replay --rules {parsed.GetValue(file)}{Terminal.DataFlag(DataFolder.Resolve(parsed.GetValue(data)))} writes it down for every order.[/]");
            }

            return Exit.Ok;
        });
        return command;
    }
}
