using System.CommandLine;
using PartnerPulse.Pulse.Doctor;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class DoctorCommand
{
    public static Command Build()
    {
        var edge = new Option<string?>("--edge") { Description = "Address of the links, where it is another than the system's.", HelpName = "URL" };
        var botLists = new Option<string?>("--bot-lists") { Description = "Folder with the operator's own bot lists, where the active rules name one.", HelpName = "DIR" };
        var patience = new Option<int>("--wait") { Description = "Seconds that a click or an order may take to its credit.", DefaultValueFactory = _ => 30, HelpName = "SECONDS" };
        patience.Validators.Add(result =>
        {
            if (result.Tokens is [var word, ..] && int.TryParse(word.Value, out var seconds) && seconds is < 1 or > 600)
            {
                result.AddError("--wait must lie between 1 and 600.");
            }
        });
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("doctor", "Examine a tracking set-up from click to credit, with test traffic that counts nowhere.") { edge, botLists, patience, url, key, data, json };
        Examples.Of(command, "./pulse doctor", "./pulse doctor --url https://pulse.example --edge https://go.shop.example --key $PULSE_ADMIN_KEY", "./pulse doctor --json | jq '.checks[] | select(.result == \"failed\")'");
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            // A visitor has no key.
            using var visitors = new Api(parsed.GetValue(edge) ?? api.Url, key: null);
            var asJson = parsed.GetValue(json);
            var report = await new RunDoctor(api, visitors, parsed.GetValue(botLists), TimeSpan.FromSeconds(parsed.GetValue(patience)), asJson)
                .RunAsync(TimeProvider.System.GetUtcNow(), cancellation);
            if (asJson)
            {
                Terminal.WriteJson(report);
            }
            else
            {
                Show(report);
            }

            return report.Healthy ? Exit.Ok : Exit.Failed;
        });
        return command;
    }

    private static void Show(DoctorReport report)
    {
        var table = Tables.New("", "what was tried", "what came of it", "receipt");
        foreach (var check in report.Checks)
        {
            var mark = check.Result switch
            {
                DoctorCheck.Passed => "[green]passed[/]",
                DoctorCheck.Failed => "[red]failed[/]",
                _ => "[grey]skipped[/]",
            };
            table.AddRow(mark, check.Name.EscapeMarkup(), check.Said.EscapeMarkup(), (check.Receipt ?? "").EscapeMarkup());
        }

        AnsiConsole.Write(table);
        var failed = report.Checks.Where(check => check.Result == DoctorCheck.Failed).ToArray();
        Console.Out.WriteLine(
            $"{report.Checks.Count(check => check.Result == DoctorCheck.Passed)} passed, {failed.Length} failed, {report.Checks.Count(check => check.Result == DoctorCheck.Skipped)} skipped, "
            + $"against {report.Url} under rules {report.Rules}. ({report.Seconds:0.0} s)");
        foreach (var check in failed)
        {
            Terminal.Fail($"{check.Name}: {check.Said}");
        }
    }
}
