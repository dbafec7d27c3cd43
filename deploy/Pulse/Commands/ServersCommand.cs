using System.CommandLine;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Commands;

/// <summary>
/// Servers for a test run that was not started by <c>./pulse test</c>. A process of its own, because a test runner is ended
/// without a chance to clean up; this one sees that, and ends what it started.
/// </summary>
internal static class ServersCommand
{
    public static Command Build()
    {
        var folder = new Argument<string>("folder");
        var wanted = new Option<Servers>("--servers") { DefaultValueFactory = _ => Servers.Both };
        var owner = new Option<int>("--while") { Required = true };
        var command = new Command("servers", "Private servers for as long as another process lives.") { folder, wanted, owner };
        command.Hidden = true;
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetValue(folder)!, parsed.GetValue(wanted), parsed.GetValue(owner), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string folder, Servers wanted, int owner, CancellationToken cancellation)
    {
        var living = ProcessIdentity.Of(owner) ?? throw new ProvisioningException($"There is no process {owner}.");
        await using var servers = await PrivateServers.StartAsync(folder, wanted, Terminal.Say(json: false), cancellation);
        while (living.IsAlive && !cancellation.IsCancellationRequested)
        {
            await Task.Delay(200, CancellationToken.None);
        }

        return Exit.Ok;
    }
}
