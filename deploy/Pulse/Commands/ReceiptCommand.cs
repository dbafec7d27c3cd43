using System.CommandLine;

namespace PartnerPulse.Pulse.Commands;

internal static class ReceiptCommand
{
    public static Command Build() => new("receipt", "");
}
