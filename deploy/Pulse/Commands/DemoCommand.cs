using System.CommandLine;

namespace PartnerPulse.Pulse.Commands;

internal static class DemoCommand
{
    public static Command Build() => new("demo", "");
}
