using System.CommandLine;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using PartnerPulse.Pulse.Provisioning;
using PartnerPulse.Pulse.Running;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

internal static class UpCommand
{
    public const int DefaultPort = 8080;

    public static Command Build()
    {
        var distributed = new Option<bool>("--distributed") { Description = "Every service its own process, on RabbitMQ." };
        var port = new Option<int>("--port")
        {
            Description = "Port of the system; --distributed uses the five after it as well.", DefaultValueFactory = _ => DefaultPort, HelpName = "PORT",
        };
        port.Validators.Add(result =>
        {
            if (result.Tokens is [var word, ..] && int.TryParse(word.Value, out var number) && number is < 1 or > 65_000)
            {
                result.AddError("--port must lie between 1 and 65000.");
            }
        });
        var listen = new Option<string>("--listen")
        {
            Description = "Address to listen on; 0.0.0.0 for every interface.", DefaultValueFactory = _ => "localhost", HelpName = "ADDRESS",
        };
        listen.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: var address }, ..] && address != "localhost" && !IPAddress.TryParse(address, out _))
            {
                result.AddError($"--listen: '{address}' is neither localhost nor an IP address.");
            }
        });
        var detach = new Option<bool>("--detach", "-d") { Description = "Return when ready and leave it running; ./pulse down ends it." };
        var owner = new Option<int?>("--while") { Hidden = true };
        var unattended = new Option<bool>("--unattended") { Hidden = true };
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("up", "Start the system: servers, services, keys. Ctrl-C ends all of it.") { distributed, port, listen, detach, owner, unattended, data, json };
        Examples.Of(command,
            "./pulse up",
            "./pulse up --distributed --detach",
            "./pulse up --port 9000 --data ~/second     a second one beside the first",
            "PULSE_POSTGRES='Host=db;Username=pp;Password=…' ./pulse up");
        command.SetAction((parsed, cancellation) =>
        {
            var wanted = new Wanted(
                parsed.GetValue(distributed), parsed.GetValue(port), parsed.GetValue(listen)!, DataFolder.Open(parsed.GetValue(data)), parsed.GetValue(json), parsed.GetValue(unattended));
            return parsed.GetValue(detach) ? DetachAsync(wanted, cancellation) : RunAsync(wanted, parsed.GetValue(owner), cancellation);
        });
        return command;
    }

    /// <param name="Unattended">Standard output is a log: nobody is greeted there, and no key is told.</param>
    internal sealed record Wanted(bool Distributed, int Port, string Listen, DataFolder Data, bool Json, bool Unattended = false)
    {
        public string Mode => Distributed ? "distributed" : "standalone";
        public string Url => $"http://{(Listen is "localhost" or "0.0.0.0" or "::" ? "localhost" : Listen.Contains(':', StringComparison.Ordinal) ? $"[{Listen}]" : Listen)}:{Port}";
    }

    /// <param name="wanted">What to run.</param>
    /// <param name="owner">A process with which the run ends; null where it ends by itself.</param>
    /// <param name="cancellation">Ends the run.</param>
    private static async Task<int> RunAsync(Wanted wanted, int? owner, CancellationToken cancellation)
    {
        var data = wanted.Data;
        var say = Terminal.Say(wanted.Json);
        using var held = TryLock(data);
        if (held is null)
        {
            return AlreadyRuns(wanted, Exit.Failed);
        }

        using var hangUp = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        // A closed terminal ends the run as Ctrl-C does; by default it would leave the children behind.
        using var registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            hangUp.Cancel();
        });
        cancellation = hangUp.Token;
        if (owner is { } pid)
        {
            _ = EndWithAsync(pid, hangUp);
        }

        if (RunState.Read(data) is { } left)
        {
            // The lock is free, so that up is gone; what it started may not be.
            await left.StopProcessesAsync(name => say($"left behind by a run that was killed: {name}"));
            RunState.Delete(data);
        }

        RefuseTakenPorts(wanted);
        var state = new RunState { Mode = wanted.Mode, Url = wanted.Url, Up = Describe(ProcessIdentity.Current, data) };
        var writing = new Lock();
        void Change(Func<RunState, RunState> change)
        {
            lock (writing)
            {
                state = change(state);
                state.Write(data);
            }
        }

        Change(now => now);
        try
        {
            await using var supervisor = new Supervisor(say, processes => Change(now => now with { Processes = processes }));
            try
            {
                var adminKey = await RunKeys.ProvideAsync(data, cancellation);
                var postgres = await Postgres.PrepareAsync(data, say, cancellation);
                await StartServerAsync("PostgreSQL", postgres, supervisor, say, cancellation);
                var connections = await DatabaseRoles.ProvideAsync(data, postgres.Address, say, cancellation);
                PreparedServer? rabbitMq = null;
                if (wanted.Distributed)
                {
                    rabbitMq = await RabbitMq.PrepareAsync(data, say, cancellation);
                    await StartServerAsync("RabbitMQ", rabbitMq, supervisor, say, cancellation);
                }

                Change(now => now with { Postgres = postgres.Address, RabbitMq = rabbitMq?.Address });
                var services = Services.For(wanted, connections, rabbitMq?.Address);
                say(wanted.Distributed ? "starting the services" : "starting the service");
                await Task.WhenAll(services.Select(service => supervisor.StartAsync(service, cancellation)));
                if (wanted.Distributed)
                {
                    await supervisor.StartAsync(Services.Gateway(wanted), cancellation);
                }

                Change(now => now with { Ready = true });
                if (!wanted.Unattended)
                {
                    Welcome(wanted, adminKey, detached: false);
                }

                while (true)
                {
                    await Task.Delay(TimeSpan.FromSeconds(10), cancellation);
                    LogFiles.Bound(data.Logs);
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                say("stopping");
            }
        }
        finally
        {
            RunState.Delete(data);
        }

        return Exit.Ok;
    }

    /// <summary>Ends the run when its owner is gone: a test runner is killed without a chance to end what it started.</summary>
    private static async Task EndWithAsync(int owner, CancellationTokenSource run)
    {
        var living = ProcessIdentity.Of(owner);
        while (living is { IsAlive: true })
        {
            await Task.Delay(TimeSpan.FromMilliseconds(500), run.Token);
        }

        await run.CancelAsync();
    }

    private static async Task StartServerAsync(string name, PreparedServer server, Supervisor supervisor, Action<string> say, CancellationToken cancellation)
    {
        say($"{(server.Processes.Count > 0 ? "starting" : "using")} {name} ({server.From})");
        await server.StartAsync(supervisor, cancellation);
    }

    private static void Welcome(Wanted wanted, string adminKey, bool detached)
    {
        if (wanted.Json)
        {
            Terminal.WriteJson(new { url = wanted.Url, mode = wanted.Mode, adminKey, data = wanted.Data.Path, pid = Environment.ProcessId });
            return;
        }

        var flag = Terminal.DataFlag(wanted.Data.Path);
        AnsiConsole.WriteLine();
        AnsiConsole.MarkupLineInterpolated($"[green]ready[/]  {wanted.Url}  ({wanted.Mode})");
        // Written plainly: a line that is copied must not be broken at the width of the terminal.
        Console.Out.WriteLine($"export PULSE_ADMIN_KEY={adminKey}");
        Console.Out.WriteLine();
        Console.Out.WriteLine($"next, in another shell:  ./pulse demo{flag}");
        Console.Out.WriteLine(detached ? $"./pulse down{flag} ends it." : "Ctrl-C ends it.");
    }

    private static async Task<int> DetachAsync(Wanted wanted, CancellationToken cancellation)
    {
        var data = wanted.Data;
        using (var held = TryLock(data))
        {
            if (held is null)
            {
                return AlreadyRuns(wanted, Exit.Ok);
            }
        }

        string[] again =
        [
            "up", "--port", $"{wanted.Port}", "--listen", wanted.Listen, "--data", data.Path, "--json", "--unattended", .. wanted.Distributed ? ["--distributed"] : Array.Empty<string>(),
        ];
        File.Delete(data.Log("up"));
        // Its log holds what it prints; of the keys nothing.
        using (new FileStream(data.Log("up"), new FileStreamOptions
        {
            Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
        }

        var (fileName, arguments) = Services.Self(again);
        using var up = ChildProcess.Start(new ProcessSpec
        {
            Name = "up", FileName = fileName, Arguments = arguments, LogFile = data.Log("up"), WorkingDirectory = Environment.CurrentDirectory,
        });
        var say = Terminal.Say(wanted.Json);
        say($"starting; its log is {data.Log("up")}");
        try
        {
            while (true)
            {
                if (up.HasExited)
                {
                    throw new ProvisioningException($"It did not start:\n{string.Join('\n', LogFiles.Tail(data.Log("up"), 30))}");
                }

                if (RunState.Read(data) is { Ready: true } state && state.Up.Identity == up.Identity)
                {
                    Welcome(wanted, AdminKey.Find(data)!, detached: true);
                    return Exit.Ok;
                }

                await Task.Delay(100, cancellation);
            }
        }
        catch (OperationCanceledException)
        {
            await ChildProcess.StopAsync(up.Identity, Signal.Terminate, TimeSpan.FromMinutes(2));
            throw;
        }
    }

    /// <summary>Held as long as this process lives: one run a data folder. Null where another holds it.</summary>
    internal static FileStream? TryLock(DataFolder data)
    {
        try
        {
            return new FileStream(data.File("up.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static int AlreadyRuns(Wanted wanted, int code)
    {
        var state = RunState.Read(wanted.Data);
        var where = state is { Ready: true } ? $"It already runs at {state.Url}" : "It is already being started";
        if (wanted.Json && state is not null && code == Exit.Ok)
        {
            Terminal.WriteJson(new { url = state.Url, mode = state.Mode, adminKey = AdminKey.Find(wanted.Data), data = wanted.Data.Path, pid = state.Up.Pid });
        }
        else
        {
            Terminal.Fail($"{where} (process {state?.Up.Pid}, {wanted.Data.Path}). ./pulse down ends it; --port and --data start another beside it.");
        }

        return code;
    }

    private static RunningProcess Describe(ProcessIdentity up, DataFolder data) =>
        new() { Name = "up", Pid = up.Pid, Start = up.Start, Log = data.Log("up"), StopSignal = Signal.Terminate };

    private static void RefuseTakenPorts(Wanted wanted)
    {
        var outer = wanted.Listen == "localhost" ? [IPAddress.Loopback, IPAddress.IPv6Loopback] : new[] { IPAddress.Parse(wanted.Listen) };
        var needed = outer.Where(address => address.AddressFamily != AddressFamily.InterNetworkV6 || Socket.OSSupportsIPv6)
            .Select(address => (Address: address, wanted.Port))
            .Concat(wanted.Distributed ? Enumerable.Range(1, Services.PortsBehindTheGateway).Select(i => (Address: IPAddress.Loopback, Port: wanted.Port + i)) : []);
        foreach (var (address, port) in needed)
        {
            if (!Ports.IsFree(address, port))
            {
                throw new ProvisioningException($"Port {port} of {address} is taken by another program, or may not be used. Choose others with --port.");
            }
        }
    }
}
