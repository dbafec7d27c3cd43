using System.CommandLine;
using PartnerPulse.Pulse.Gateway;

namespace PartnerPulse.Pulse.Commands;

/// <summary>What <c>up --distributed</c> puts in front of the services; configured by its environment only.</summary>
internal static class GatewayCommand
{
    public static Command Build()
    {
        var command = new Command("gateway", "One port in front of the services; what up --distributed starts.") { Hidden = true };
        command.SetAction(async (_, cancellation) =>
        {
            await using var app = GatewayHost.Build([]);
            await app.StartAsync(cancellation);
            // The host ends on SIGTERM by itself as well; whoever comes first.
            await app.WaitForShutdownAsync(cancellation);
            return Exit.Ok;
        });
        return command;
    }
}
