using System.CommandLine;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class StatusCommand
{
    public static Command Build()
    {
        var data = Shared.Data();
        var url = Shared.Url();
        var key = Shared.Key();
        var json = Shared.Json();
        var command = new Command("status", "Show what runs and how far each service is.") { url, key, data, json };
        Examples.Of(command, "./pulse status", "./pulse status --json | jq .settled");
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data), parsed.GetValue(json), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string? url, string? key, string? dataFolder, bool json, CancellationToken cancellation)
    {
        var run = url is null ? RunState.Read(DataFolder.At(dataFolder)) : null;
        using var api = Api.Connect(url, key, dataFolder);
        if (run is { Ready: false })
        {
            throw new UnreachableSystemException(run.Up.Identity.IsAlive
                ? "It is still being started."
                : "A run was killed before it was ready; ./pulse down clears what it left.");
        }

        var status = await api.GetAsync("/v1/status", cancellation);
        if (json)
        {
            var document = status.AsObject();
            document["url"] = api.Url;
            if (run is not null)
            {
                document["mode"] = run.Mode;
                document["processes"] = new JsonArray([.. run.Processes.Select(p => (JsonNode)new JsonObject
                {
                    ["name"] = p.Name, ["pid"] = p.Pid, ["alive"] = p.Identity.IsAlive, ["restarts"] = p.Restarts, ["address"] = p.Address,
                })]);
            }

            Terminal.WriteJson(document);
            return Exit.Ok;
        }

        AnsiConsole.MarkupLineInterpolated($"{api.Url}  {(run is null ? "" : run.Mode)}  {(status["settled"]?.GetValue<bool>() == true ? "settled" : "working")}");
        ShowServices(status["services"] as JsonArray ?? []);
        if (run is not null)
        {
            ShowProcesses(run);
        }

        return Exit.Ok;
    }

    private static void ShowServices(JsonArray services)
    {
        // Each service says what it has; a column appears when one of them has it.
        var columns = services.OfType<JsonObject>()
            .SelectMany(service => service.Where(field => field.Value is JsonValue).Select(field => field.Key))
            .Where(name => name != "name")
            .Distinct(StringComparer.Ordinal)
            .ToList();
        var table = new Table().Border(TableBorder.Simple).AddColumn("service");
        columns.ForEach(name => table.AddColumn(new TableColumn(name.EscapeMarkup()).RightAligned()));
        foreach (var service in services.OfType<JsonObject>())
        {
            table.AddRow([(service["name"]?.ToString() ?? "").EscapeMarkup(), .. columns.Select(name => (service[name]?.ToString() ?? "").EscapeMarkup())]);
        }

        AnsiConsole.Write(table);
    }

    private static void ShowProcesses(RunState run)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumns("process", "pid", "state", "restarts", "address");
        foreach (var process in run.Processes)
        {
            table.AddRow(process.Name, $"{process.Pid}", process.Identity.IsAlive ? "[green]runs[/]" : "[red]gone[/]", $"{process.Restarts}", (process.Address ?? "").EscapeMarkup());
        }

        AnsiConsole.Write(table);
    }
}
