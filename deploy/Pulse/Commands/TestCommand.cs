using System.CommandLine;
using System.Diagnostics;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Commands;

internal static class TestCommand
{
    /// <summary>Set where a missing server is a failure and no reason to skip.</summary>
    public const string RequireServers = "PULSE_REQUIRE_SERVERS";

    /// <summary>Set where a missing browser is a failure and no reason to skip.</summary>
    public const string RequireBrowser = "PULSE_REQUIRE_BROWSER";

    /// <summary>The data folder whose servers the tests use.</summary>
    public const string ServersFolder = "PULSE_TEST_DATA";

    /// <summary>Set to <see cref="InContainers"/> where tests take servers from containers although there are local ones.</summary>
    public const string ServersVariable = "PULSE_TEST_SERVERS";

    /// <inheritdoc cref="ServersVariable"/>
    public const string InContainers = "containers";

    public static Command Build()
    {
        var filter = new Option<string?>("--filter") { Description = "As dotnet test takes it, such as FullyQualifiedName~Relay.", HelpName = "EXPRESSION" };
        var noServers = new Option<bool>("--no-servers") { Description = "Start no servers and install nothing; tests that need a server are skipped." };
        var longer = new Option<bool>("--long") { Description = "Also the long versions of the kill and property tests." };
        var command = new Command("test", "Run all tests, on a PostgreSQL and a RabbitMQ of their own and in a Chromium.") { filter, noServers, longer };
        Examples.Of(command, "./pulse test", "./pulse test --filter FullyQualifiedName~Attribution", "./pulse test --long");
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetValue(filter), parsed.GetValue(noServers), parsed.GetValue(longer), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string? filter, bool noServers, bool longer, CancellationToken cancellation)
    {
        var root = Environment.GetEnvironmentVariable("PULSE_ROOT") ?? Environment.CurrentDirectory;
        var projects = Directory.GetFiles(Path.Combine(root, "tests"), "*Tests.csproj", SearchOption.AllDirectories).Order(StringComparer.Ordinal).ToList();
        var results = Path.Combine(root, "TestResults", $"run-{Environment.ProcessId}");
        ForgetEarlierResults(Path.Combine(root, "TestResults"));
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        if (longer)
        {
            environment["PULSE_LONG"] = "1";
        }

        var inCi = Environment.GetEnvironmentVariable("CI") is "true" or "1";
        if (inCi)
        {
            environment[RequireServers] = "1";
            environment[RequireBrowser] = "1";
        }

        // The tests start them then, each server when the first test asks for it.
        var inContainers = !noServers && await AreInContainersAsync(cancellation);
        if (inContainers)
        {
            environment[ServersVariable] = InContainers;
            environment[RequireServers] = "1";
        }

        await PrivateServers.RemoveDeadAsync(root);
        var folder = PrivateServers.Folder(root, Environment.ProcessId);
        var total = new TestCounts();
        var broken = new List<string>();
        // A block of its own: the servers are gone before the last line is printed.
        {
            await using var servers = noServers || inContainers ? null : await StartServersAsync(folder, inCi ? broken : null, cancellation);
            if (servers is not null)
            {
                environment[ServersFolder] = folder;
                environment[RequireServers] = "1";
            }

            if (!noServers && await FindBrowserAsync(inCi ? broken : null, cancellation) is { } browser)
            {
                environment[Chromium.Variable] = browser;
                environment[RequireBrowser] = "1";
            }

            var ran = 0;
            foreach (var project in projects)
            {
                var name = Path.GetFileNameWithoutExtension(project);
                var trx = Path.Combine(results, name + ".trx");
                var code = await RunProjectAsync(project, trx, filter, longer, environment, cancellation);
                var counts = File.Exists(trx) ? TestCounts.Read(trx) : null;
                total += counts ?? new TestCounts();
                ran += counts?.Total ?? 0;
                if (counts is null or { Total: 0 } && filter is null)
                {
                    broken.Add($"{name} ran no test");
                }
                else if (code != 0 && counts is null or { Failed: 0 })
                {
                    broken.Add($"{name} ended with exit code {code} though no test of it failed");
                }
                else if (counts is { Broken: { } reason })
                {
                    broken.Add($"{name}: {reason}");
                }
            }

            if (ran == 0 && broken.Count == 0)
            {
                broken.Add(filter is null ? "no test ran" : $"no test matches '{filter}'");
            }
        }
        broken.ForEach(Terminal.Fail);
        // A project that broke off is a failure that no test could count.
        total = total with { Failed = total.Failed + broken.Count };
        Console.Out.WriteLine(total.Line);
        return total.Failed == 0 && !cancellation.IsCancellationRequested ? Exit.Ok : Exit.Failed;
    }

    /// <summary>Where it is asked for, and where there is an engine and neither local servers nor the right to install them.</summary>
    private static async Task<bool> AreInContainersAsync(CancellationToken cancellation) =>
        Environment.GetEnvironmentVariable(ServersVariable) == InContainers
        || (!(Postgres.IsAtHand && RabbitMq.IsAtHand) && !DistributionPackage.MayInstall && await Docker.WorksAsync(cancellation));

    /// <summary>On a laptop without servers the tests that need one are skipped; in CI their absence is a failure.</summary>
    private static async Task<PrivateServers?> StartServersAsync(string folder, List<string>? broken, CancellationToken cancellation)
    {
        try
        {
            return await PrivateServers.StartAsync(folder, Servers.Both, Terminal.Say(json: false), cancellation);
        }
        catch (ProvisioningException fault)
        {
            Terminal.Fail(fault.Message);
            broken?.Add("the servers did not start");
            return null;
        }
    }

    /// <summary>The same for the browser.</summary>
    private static async Task<string?> FindBrowserAsync(List<string>? broken, CancellationToken cancellation)
    {
        try
        {
            return await Chromium.PrepareAsync(Terminal.Say(json: false), cancellation);
        }
        catch (ProvisioningException fault)
        {
            Terminal.Fail(fault.Message);
            broken?.Add("there is no browser");
            return null;
        }
    }

    private static async Task<int> RunProjectAsync(
        string project, string trx, string? filter, bool longer, Dictionary<string, string> environment, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(Shell.Find("dotnet") ?? "dotnet") { UseShellExecute = false };
        string[] arguments =
        [
            "test", project, "--configuration", "Release", "--no-build", "--nologo",
            "--logger", "console;verbosity=minimal", "--logger", $"trx;LogFileName={Path.GetFileName(trx)}", "--results-directory", Path.GetDirectoryName(trx)!,
            // A test that hangs is named and ends the run.
            "--blame-hang-timeout", longer ? "60m" : "15m", "--blame-hang-dump-type", "none",
            .. filter is null ? Array.Empty<string>() : ["--filter", filter],
        ];
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var run = Process.Start(start)!;
        try
        {
            await run.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            // In a terminal Ctrl-C has reached it too; a SIGTERM has not.
            Signals.Send(run.Id, Signal.Interrupt);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
            try
            {
                await run.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                run.Kill(entireProcessTree: true);
            }

            throw;
        }

        return run.ExitCode;
    }

    /// <summary>The result files of this run stay, for whoever reads them afterwards; those of runs that are over go.</summary>
    private static void ForgetEarlierResults(string folder)
    {
        foreach (var earlier in Directory.Exists(folder) ? Directory.GetDirectories(folder, "run-*") : [])
        {
            if (!int.TryParse(Path.GetFileName(earlier)["run-".Length..], out var owner) || ProcessIdentity.Of(owner) is null)
            {
                Directory.Delete(earlier, recursive: true);
            }
        }
    }
}
