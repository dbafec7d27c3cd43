using System.CommandLine;

namespace PartnerPulse.Pulse.Commands;

internal static class ReplayCommand
{
    public static Command Build() => new("replay", "");
}
