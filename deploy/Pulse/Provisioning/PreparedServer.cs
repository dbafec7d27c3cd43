using PartnerPulse.Pulse.Running;

namespace PartnerPulse.Pulse.Provisioning;

/// <summary>A server that is ready to be started, or that runs already.</summary>
/// <param name="Address">Connection string, or AMQP address.</param>
/// <param name="Processes">To be started in this order; none where somebody else runs the server.</param>
/// <param name="From">Where it was found, for people.</param>
internal sealed record PreparedServer(string Address, IReadOnlyList<ProcessSpec> Processes, string From)
{
    /// <summary>Starts what has to be started.</summary>
    public async Task StartAsync(Supervisor supervisor, CancellationToken cancellation)
    {
        foreach (var process in Processes)
        {
            await supervisor.StartAsync(process, cancellation);
        }
    }
}
