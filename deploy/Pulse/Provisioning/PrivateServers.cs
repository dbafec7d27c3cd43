using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>A PostgreSQL and a RabbitMQ for tests, in a folder of their own that goes with them.</summary>
internal sealed class PrivateServers : IAsyncDisposable
{
    private readonly DataFolder _data;
    private readonly Supervisor _supervisor;

    private PrivateServers(DataFolder data, Supervisor supervisor, string postgres, string rabbitMq)
    {
        _data = data;
        _supervisor = supervisor;
        Postgres = postgres;
        RabbitMq = rabbitMq;
    }

    public string Postgres { get; }
    public string RabbitMq { get; }

    public static async Task<PrivateServers> StartAsync(string folder, Action<string> say, CancellationToken cancellation)
    {
        var data = DataFolder.Open(folder);
        var self = ProcessIdentity.Current;
        var state = new RunState
        {
            Mode = "servers",
            Up = new RunningProcess { Name = "up", Pid = self.Pid, Start = self.Start, Log = data.Log("up"), StopSignal = Signal.Terminate },
        };
        state.Write(data);
        var supervisor = new Supervisor(say, processes =>
        {
            state = state with { Processes = processes };
            state.Write(data);
        });
        try
        {
            // One after the other: both may have to install a package.
            var postgres = await Provisioning.Postgres.PrepareAsync(data, say, cancellation);
            var rabbitMq = await Provisioning.RabbitMq.PrepareAsync(data, say, cancellation);
            await Task.WhenAll(postgres.StartAsync(supervisor, cancellation), rabbitMq.StartAsync(supervisor, cancellation));
            (state with { Ready = true, Postgres = postgres.Address, RabbitMq = rabbitMq.Address }).Write(data);
            return new PrivateServers(data, supervisor, postgres.Address, rabbitMq.Address);
        }
        catch
        {
            await supervisor.DisposeAsync();
            Remove(data);
            throw;
        }
    }

    /// <summary>Ends and removes the servers of a process that is gone.</summary>
    public static async Task RemoveDeadAsync(string folder)
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
