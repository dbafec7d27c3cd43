using Microsoft.Extensions.Hosting;

namespace PartnerPulse.Hosting;

/// <summary>
/// What is done before any service of a host starts. All of them are begun one after the other, in the order of their registration, each
/// when the one before is done.
/// </summary>
public abstract class BeforeStart : IHostedLifecycleService
{
    /// <summary>Does it. The host does not start while it runs, and not at all where it throws.</summary>
    public abstract Task StartingAsync(CancellationToken cancellationToken);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
