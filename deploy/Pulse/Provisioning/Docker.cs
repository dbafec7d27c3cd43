namespace PartnerPulse.Pulse.Provisioning;

/// <summary>The last resort for a server: its official image.</summary>
internal static class Docker
{
    public static async Task<bool> WorksAsync(CancellationToken cancellation)
    {
        if (Shell.Find("docker") is not { } docker)
        {
            return false;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(10));
        try
        {
            return (await Shell.RunAsync(docker, ["info", "--format", "{{.ServerVersion}}"], limit.Token)).Succeeded;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>A container may outlive the client that ran it; a missing one is fine.</summary>
    public static Task RemoveAsync(string container, CancellationToken cancellation) =>
        Shell.RunAsync("docker", ["rm", "--force", container], cancellation);
}
