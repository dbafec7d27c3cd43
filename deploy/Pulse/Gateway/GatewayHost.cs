namespace PartnerPulse.Pulse.Gateway;

/// <summary>One port in front of the services of <c>up --distributed</c>.</summary>
internal static class GatewayHost
{
    public static WebApplication Build(string[] args)
    {
        var builder = WebApplication.CreateBuilder(args);
        var upstreams = Enum.GetValues<Upstream>().ToDictionary(upstream => upstream, upstream =>
            Uri.TryCreate(builder.Configuration[$"Gateway:{upstream}"], UriKind.Absolute, out var address)
                ? address
                : throw new InvalidOperationException($"Gateway:{upstream} is not the address of a service: '{builder.Configuration[$"Gateway:{upstream}"]}'."));
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // How large a body may be is for the service to say.
            kestrel.Limits.MaxRequestBodySize = null;
        });
        builder.Services.AddProblemDetails();
        builder.Services.AddHttpClient();
        builder.Services.AddSingleton(services => new Forwarder(upstreams, services.GetRequiredService<ILogger<Forwarder>>()));
        var app = builder.Build();
        app.MapGet("/live", () => TypedResults.Ok(new { live = true }));
        app.MapGet("/ready", (IHttpClientFactory http, CancellationToken cancellation) => ReadyAsync(http, upstreams, cancellation));
        app.MapFallback("{**path}", (HttpContext context, Forwarder forwarder) => forwarder.ForwardAsync(context));
        return app;
    }

    /// <summary>Ready when every service is; else which is not, and why.</summary>
    private static async Task<IResult> ReadyAsync(IHttpClientFactory http, Dictionary<Upstream, Uri> upstreams, CancellationToken cancellation)
    {
        using var client = http.CreateClient();
        client.Timeout = TimeSpan.FromSeconds(5);
        var reasons = await Task.WhenAll(upstreams.Select(async upstream =>
        {
            try
            {
                using var response = await client.GetAsync(new Uri(upstream.Value, "/ready"), cancellation);
                return response.IsSuccessStatusCode ? null : $"{upstream.Key}: {await response.Content.ReadAsStringAsync(cancellation)}";
            }
            catch (Exception fault) when (fault is HttpRequestException or TaskCanceledException && !cancellation.IsCancellationRequested)
            {
                return $"{upstream.Key}: {fault.Message}";
            }
        }));
        var faults = reasons.OfType<string>().ToList();
        return faults.Count == 0
            ? TypedResults.Ok(new { ready = true })
            : TypedResults.Problem(string.Join("; ", faults), statusCode: StatusCodes.Status503ServiceUnavailable, title: "Not ready");
    }
}
