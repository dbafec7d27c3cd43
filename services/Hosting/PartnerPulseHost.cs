using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using Npgsql;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Status;

namespace PartnerPulse.Hosting;

/// <summary>What every service has.</summary>
public static class PartnerPulseHost
{
    /// <summary>Bytes of a body that an endpoint takes unless it says otherwise.</summary>
    public const long MaxBodyBytes = 1024 * 1024;

    /// <summary>Keys, problem details, health, status, telemetry, the clock and the database. All faults of the options are told at start.</summary>
    public static void AddPartnerPulse(this WebApplicationBuilder builder)
    {
        // Settings that are secret, a file each: the environment of a container is there for all who may look at it.
        if (builder.Configuration["Pulse:Secrets"] is { Length: > 0 } secrets)
        {
            builder.Configuration.AddKeyPerFile(secrets);
        }

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        });
        // A line a request would be most of the log, and of the work; traces and metrics carry it.
        builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning).AddFilter("System.Net.Http.HttpClient", LogLevel.Warning);
        // Its line has the address, and an address may carry a key (postback): not even where the rest of the framework is turned up. And
        // where anything of it is logged, the framework makes an activity for each request.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        builder.Services.TryAddSingleton(TimeProvider.System);
        AddLogLines(builder);
        builder.Services.AddApiKeys();
        builder.Services.AddProblemDetails();
        builder.Services.AddExceptionHandler<ProblemExceptionHandler>();
        builder.Services.AddHealthChecks();
        builder.Services.AddHttpClient(nameof(SystemStatus), client => client.Timeout = TimeSpan.FromSeconds(3));
        builder.Services.AddOptions<StatusOptions>().BindConfiguration("Status")
            .Validate(options => options.Peers.All(peer => Uri.TryCreate(peer, UriKind.Absolute, out _)), "Status:Peers must be absolute addresses.")
            .ValidateOnStart();
        builder.Services.AddOptions<ProgramOptions>().BindConfiguration("Pulse")
            .Validate(options => options.Program is { Length: > 0 and <= 64 }, "Pulse:Program must be 1 to 64 characters.")
            .ValidateOnStart();
        builder.Services.AddOptions<TelemetryOptions>().BindConfiguration("Telemetry")
            .Validate(options => options.TracesPerSecond >= 0, "Telemetry:TracesPerSecond must be 0 or more.")
            .ValidateOnStart();
        builder.Services.AddSingleton<RequestSpans>();
        builder.Services.AddSingleton<IStartupFilter>(provider => provider.GetRequiredService<RequestSpans>());
        builder.Services.AddHostedService<TelemetryService>();
        builder.Services.AddHostedService<FiguresService>();
        builder.Services.AddOpenApi();
    }

    /// <summary>Logs for people, or as JSON for what collects them.</summary>
    private static void AddLogLines(WebApplicationBuilder builder)
    {
        switch (builder.Configuration["Pulse:Logs"])
        {
            case null or "" or "text":
                break;
            case "json":
                builder.Logging.AddConsoleFormatter<JsonLogLines, ConsoleFormatterOptions>();
                builder.Services.Configure<ConsoleLoggerOptions>(console => console.FormatterName = JsonLogLines.FormatterName);
                break;
            case var other:
                throw new InvalidOperationException($"Pulse:Logs is '{other}'; it must be 'text' or 'json'.");
        }
    }

    /// <summary>Connections to PostgreSQL by <c>ConnectionStrings:Postgres</c>.</summary>
    public static void AddPostgres(this WebApplicationBuilder builder)
    {
        var connection = builder.Configuration.GetConnectionString("Postgres");
        if (string.IsNullOrWhiteSpace(connection))
        {
            throw new InvalidOperationException("ConnectionStrings:Postgres is required: the connection string of the database that keeps the logs.");
        }

        if (builder.Services.Any(service => service.ServiceType == typeof(NpgsqlDataSource)))
        {
            return; // Several services of one host share the connections.
        }

        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(connection));
        builder.Services.AddHealthChecks().AddCheck<PostgresCheck>("postgres");
    }

    /// <summary>Problem details for every fault, keys, <c>/live</c>, <c>/ready</c>, <c>/v1/status</c>, <c>/openapi.json</c>.</summary>
    public static void UsePartnerPulse(this WebApplication app)
    {
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.Use(async (context, next) =>
        {
            context.Response.Headers.XContentTypeOptions = "nosniff";
            context.Response.Headers["Referrer-Policy"] = "no-referrer-when-downgrade";
            await next(context);
        });
        app.UseAuthentication();
        app.UseAuthorization();
        app.MapHealthChecks("/live", new HealthCheckOptions { Predicate = _ => false });
        app.MapHealthChecks("/ready", new HealthCheckOptions { ResponseWriter = WriteReadinessAsync });
        app.MapOpenApi("/openapi.json");
        app.MapStatus();
    }

    private static Task WriteReadinessAsync(HttpContext context, HealthReport report) =>
        context.Response.WriteAsJsonAsync(
            new
            {
                ready = report.Status != HealthStatus.Unhealthy,
                reasons = report.Entries.Where(e => e.Value.Status != HealthStatus.Healthy)
                    .ToDictionary(e => e.Key, e => e.Value.Description ?? e.Value.Exception?.Message),
            },
            JsonSerializerOptions.Web);

    private sealed class PostgresCheck(NpgsqlDataSource dataSource) : IHealthCheck
    {
        public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
        {
            try
            {
                await using var command = dataSource.CreateCommand("select 1");
                command.CommandTimeout = 3;
                await command.ExecuteScalarAsync(cancellationToken);
                return HealthCheckResult.Healthy();
            }
            catch (Exception e) when (e is NpgsqlException or TimeoutException)
            {
                return HealthCheckResult.Unhealthy($"PostgreSQL does not answer: {e.Message}");
            }
        }
    }
}

/// <summary>The partner program that this deployment runs.</summary>
public sealed class ProgramOptions
{
    public string Program { get; set; } = "main";
}
