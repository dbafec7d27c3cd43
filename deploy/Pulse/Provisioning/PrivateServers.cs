using System.Globalization;
using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Provisioning;

[Flags]
internal enum Servers
{
    None = 0,
    Postgres = 1,
    RabbitMq = 2,
    Both = Postgres | RabbitMq,
}

/// <summary>
/// A PostgreSQL and a RabbitMQ for tests, in a folder of their own that goes with them. Where they are is in the folder's
/// <c>run.json</c>.
/// </summary>
internal sealed class PrivateServers : IAsyncDisposable
{
    private readonly DataFolder _data;
    private readonly Supervisor _supervisor;

    private PrivateServers(DataFolder data, Supervisor supervisor)
    {
        _data = data;
        _supervisor = supervisor;
    }

    /// <summary>The folder of the servers of a process. The name tells the next one whether the owner still lives.</summary>
    public static string Folder(string root, int owner, string suffix = "") => Path.Combine(root, ".pulse", $"test-{owner}{suffix}");

    public static async Task<PrivateServers> StartAsync(string folder, Servers wanted, Action<string> say, CancellationToken cancellation)
    {
        var data = DataFolder.Open(folder);
        var self = ProcessIdentity.Current;
        var state = new RunState
        {
            Mode = "servers",
            Up = new RunningProcess { Name = "up", Pid = self.Pid, Start = self.Start, Log = data.Log("up"), StopSignal = Signal.Terminate },
        };
        state.Write(data);
        var writing = new Lock();
        var supervisor = new Supervisor(say, processes =>
        {
            lock (writing)
            {
                state = state with { Processes = processes };
                state.Write(data);
            }
        });
        try
        {
            // One after the other: both may have to install a package.
            var postgres = wanted.HasFlag(Servers.Postgres) ? await Postgres.PrepareAsync(data, say, cancellation) : null;
            var rabbitMq = wanted.HasFlag(Servers.RabbitMq) ? await RabbitMq.PrepareAsync(data, say, cancellation) : null;
            await Task.WhenAll(new[] { postgres, rabbitMq }.OfType<PreparedServer>().Select(server => server.StartAsync(supervisor, cancellation)));
            lock (writing)
            {
                state = state with { Ready = true, Postgres = postgres?.Address, RabbitMq = rabbitMq?.Address };
                state.Write(data);
            }

            return new PrivateServers(data, supervisor);
        }
        catch
        {
            await supervisor.DisposeAsync();
            Remove(data);
            throw;
        }
    }

    /// <summary>A run that was killed leaves its servers; the next one ends and removes them.</summary>
    public static async Task RemoveDeadAsync(string root)
    {
        var pulse = Path.Combine(root, ".pulse");
        foreach (var folder in Directory.Exists(pulse) ? Directory.GetDirectories(pulse, "test-*") : [])
        {
            if (int.TryParse(Path.GetFileName(folder).Split('-')[1], NumberStyles.None, CultureInfo.InvariantCulture, out var owner) && ProcessIdentity.Of(owner) is null)
            {
                await RemoveOneAsync(folder);
            }
        }
    }

    private static async Task RemoveOneAsync(string folder)
    {
        var data = DataFolder.At(folder);
        if (RunState.Read(data) is { } state)
        {
            if (state.Up.Identity.IsAlive)
            {
                return;
            }

            await state.StopProcessesAsync(_ => { });
        }

        Remove(data);
    }

    private static void Remove(DataFolder data)
    {
        // The cluster may lie elsewhere; see Postgres.
        var place = data.File("postgres.place");
        if (File.Exists(place) && File.ReadAllText(place).Trim() is var cluster && Directory.Exists(cluster))
        {
            Directory.Delete(cluster, recursive: true);
        }

        Directory.Delete(data.Path, recursive: true);
    }

    public async ValueTask DisposeAsync()
    {
        await _supervisor.DisposeAsync();
        Remove(_data);
    }
}
