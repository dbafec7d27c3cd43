using System.CommandLine;
using System.Diagnostics;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Pulse.Commands;

/// <summary>Hands on to the benchmarks; their options are their own.</summary>
internal static class BenchCommand
{
    public static Command Build()
    {
        var arguments = new Argument<string[]>("arguments") { Description = "Handed to the benchmarks as they are (try: bench --json).", Arity = ArgumentArity.ZeroOrMore };
        var command = new Command("bench", "Measure against the plainest thing that could do the same work, side by side.") { arguments };
        command.TreatUnmatchedTokensAsErrors = false;
        Examples.Of(command, "./pulse bench", "./pulse bench --json");
        command.SetAction(async (parsed, cancellation) => await RunAsync(
            [.. parsed.GetValue(arguments) ?? [], .. parsed.UnmatchedTokens], cancellation));
        return command;
    }

    private static async Task<int> RunAsync(IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var root = Environment.GetEnvironmentVariable("PULSE_ROOT") ?? Environment.CurrentDirectory;
        var assembly = Path.Combine(root, "tests/PartnerPulse.Benchmarks/bin/Release/net10.0/PartnerPulse.Benchmarks.dll");
        if (!File.Exists(assembly))
        {
            throw new ProvisioningException($"The benchmarks are not built: {assembly} is missing. ./pulse bench builds them.");
        }

        var start = new ProcessStartInfo(Shell.Find("dotnet") ?? "dotnet") { UseShellExecute = false };
        start.ArgumentList.Add(assembly);
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var bench = Process.Start(start)!;
        // Ctrl-C reaches it as well: it shares the terminal. Here only its end is awaited.
        await bench.WaitForExitAsync(CancellationToken.None);
        cancellation.ThrowIfCancellationRequested();
        return bench.ExitCode;
    }
}
