using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

/// <summary>The tree of commands. Exit codes are the same for all of them, see <see cref="Exit"/>.</summary>
internal static class PulseCommand
{
    public static RootCommand Build()
    {
        var root = new RootCommand("PartnerPulse: clicks, orders, credit for partners, and replay under other rules.")
        {
            UpCommand.Build(),
            DownCommand.Build(),
            StatusCommand.Build(),
            LogsCommand.Build(),
            DemoCommand.Build(),
            WhatIfCommand.Build(),
            DoctorCommand.Build(),
            ReplayCommand.Build(),
            RulesCommand.Build(),
            KeysCommand.Build(),
            ReceiptCommand.Build(),
            VerifyCommand.Build(),
            AuditCommand.Build(),
            TestCommand.Build(),
            BenchCommand.Build(),
            ServeCommand.Build(),
            GatewayCommand.Build(),
            ServersCommand.Build(),
        };
        Examples.Of(root,
            "./pulse up                       start everything on http://localhost:8080",
            "./pulse demo                     put a believable program into it",
            "./pulse replay --model linear    what would another model pay?",
            "./pulse COMMAND --help           options and examples of a command");
        Examples.Install(root);
        return root;
    }

    public static async Task<int> RunAsync(string[] args)
    {
        Terminal.Prepare();
        var parsed = Build().Parse(args);
        var invocation = new InvocationConfiguration
        {
            EnableDefaultExceptionHandler = false,
            // Ctrl-C and SIGTERM cancel the command, which then has this long to end what it started, in order.
            ProcessTerminationTimeout = TimeSpan.FromMinutes(3),
        };
        try
        {
            var code = await parsed.InvokeAsync(invocation);
            return parsed.Errors.Count > 0 ? Exit.Usage : code;
        }
        catch (ProvisioningException fault)
        {
            Terminal.Fail(fault.Message);
            return Exit.Failed;
        }
        catch (UnreachableSystemException fault)
        {
            Terminal.Fail(fault.Message);
            return Exit.NotRunning;
        }
        catch (RefusedException fault)
        {
            Terminal.Fail(fault.Message);
            return Exit.Failed;
        }
        catch (OperationCanceledException)
        {
            return Exit.Interrupted;
        }
    }
}

internal static class Exit
{
    public const int Ok = 0;
    public const int Failed = 1;

    /// <summary>Unknown command or option.</summary>
    public const int Usage = 2;

    /// <summary>Nothing runs there, or it does not answer.</summary>
    public const int NotRunning = 3;
    public const int Interrupted = 130;

    public const string InWords = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing is running there, 130 interrupted.";
}

/// <summary>Examples under a command's help.</summary>
internal static class Examples
{
    private static readonly Dictionary<Command, string[]> s_examples = [];

    public static void Of(Command command, params string[] examples) => s_examples[command] = examples;

    public static void Install(RootCommand root)
    {
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpWithExamples((HelpAction)help.Action!);
    }

    private sealed class HelpWithExamples(HelpAction help) : SynchronousCommandLineAction
    {
        public override int Invoke(ParseResult parseResult)
        {
            var code = help.Invoke(parseResult);
            if (s_examples.TryGetValue(parseResult.CommandResult.Command, out var examples))
            {
                var output = parseResult.InvocationConfiguration.Output;
                output.WriteLine("Examples:");
                foreach (var example in examples)
                {
                    output.WriteLine("  " + example);
                }

                output.WriteLine();
                output.WriteLine(Exit.InWords);
            }

            return code;
        }
    }
}

/// <summary>Options that several commands have.</summary>
internal static class Shared
{
    public static Option<string?> Data() => new("--data") { Description = "Data folder (default: .pulse beside the launcher).", HelpName = "DIR" };

    public static Option<bool> Json() => new("--json") { Description = "One JSON document on stdout, for machines." };

    public static Option<string?> Url() => new("--url") { Description = "Address of the system (default: the one that runs in the data folder).", HelpName = "URL" };

    public static Option<string?> Key() => new("--key") { Description = "API key (default: PULSE_ADMIN_KEY, else the one in the data folder).", HelpName = "KEY" };
}

internal static class Terminal
{
    /// <summary>No colours into files and pipes.</summary>
    public static void Prepare()
    {
        var redirected = Console.IsOutputRedirected;
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(Console.Out),
            Ansi = redirected ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = redirected ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = redirected ? InteractionSupport.No : InteractionSupport.Detect,
        });
        if (redirected)
        {
            // A file has no edge at which a table would have to be folded.
            console.Profile.Width = 160;
        }

        AnsiConsole.Console = console;
    }

    /// <summary>Where progress goes: beside the JSON document, or above the result.</summary>
    public static Action<string> Say(bool json) =>
        json ? line => Console.Error.WriteLine(line) : line => AnsiConsole.MarkupLineInterpolated($"[grey]{line}[/]");

    /// <summary>The option that names the data folder in a command to copy; nothing for the default folder.</summary>
    public static string DataFlag(string path) =>
        path == DataFolder.Resolve(null) ? ""
        : path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '_' or '-') ? $" --data {path}"
        : $" --data '{path.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    /// <summary>Shows a bar while it works, where there is a terminal to show it in.</summary>
    public static async Task<T> WithBarAsync<T>(bool json, string what, Func<Action<double, double>, Task<T>> work)
    {
        if (json || Console.IsOutputRedirected)
        {
            Say(json)(what);
            return await work((_, _) => { });
        }

        return await AnsiConsole.Progress().Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                var bar = context.AddTask(what.EscapeMarkup(), maxValue: 1);
                var result = await work((done, total) =>
                {
                    bar.MaxValue = Math.Max(total, 1);
                    bar.Value = total > 0 ? done : bar.Value;
                });
                bar.Value = bar.MaxValue;
                return result;
            });
    }

    /// <summary>Not by Spectre, which would break a path or an address at the width of the terminal.</summary>
    public static void Fail(string message)
    {
        var coloured = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is null or "";
        Console.Error.WriteLine(coloured ? $"\e[31m{message}\e[0m" : message);
    }

    public static void WriteJson(object document) => Console.Out.WriteLine(System.Text.Json.JsonSerializer.Serialize(document, Api.Json));
}
