using System.CommandLine;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class DownCommand
{
    public static Command Build()
    {
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("down", "End what up started, also after up was killed. What is kept on disk stays.") { data, json };
        Examples.Of(command, "./pulse down", "./pulse down --data ~/second");
        command.SetAction(async (parsed, _) => await RunAsync(DataFolder.At(parsed.GetValue(data)), parsed.GetValue(json)));
        return command;
    }

    private static async Task<int> RunAsync(DataFolder data, bool json)
    {
        var say = Terminal.Say(json);
        if (RunState.Read(data) is not { } state)
        {
            Report(json, false, $"nothing runs in {data.Path}");
            return Exit.Ok;
        }

        if (state.Up.Identity.IsAlive)
        {
            say($"stopping {state.Mode} at {state.Url}");
            await ChildProcess.StopAsync(state.Up.Identity, Signal.Terminate, TimeSpan.FromMinutes(3));
            // It may have started one more process since; and a run that ended in order has taken its file away.
            state = RunState.Read(data) ?? state with { Processes = [] };
        }

        await state.StopProcessesAsync(say);
        RunState.Delete(data);
        Report(json, true, "stopped");
        return Exit.Ok;
    }

    private static void Report(bool json, bool stopped, string message)
    {
        if (json)
        {
            Terminal.WriteJson(new { stopped });
        }
        else
        {
            AnsiConsole.MarkupLineInterpolated($"{message}");
        }
    }
}
