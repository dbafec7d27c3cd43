namespace PartnerPulse.Pulse;

/// <summary>All services in one process, on one port.</summary>
internal static class StandaloneHost
{
    public static async Task RunAsync(string[] args, CancellationToken cancellation)
    {
        var builder = WebApplication.CreateBuilder(args);
        await using var app = builder.Build();
        app.MapGet("/live", () => TypedResults.Ok());
        app.MapGet("/ready", () => TypedResults.Ok());
        await app.RunAsync(cancellation);
    }
}
