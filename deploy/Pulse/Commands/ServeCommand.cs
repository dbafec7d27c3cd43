using System.CommandLine;

namespace PartnerPulse.Pulse.Commands;

/// <summary>What <c>up</c> starts in standalone mode; configured by its environment only.</summary>
internal static class ServeCommand
{
    public static Command Build()
    {
        var command = new Command("serve", "All services in this process; what up starts, configured by the environment.") { Hidden = true };
        command.SetAction(async (_, cancellation) =>
        {
            await StandaloneHost.RunAsync([], cancellation);
            return Exit.Ok;
        });
        return command;
    }
}
