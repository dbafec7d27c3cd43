using System.Net.Http.Headers;
using System.Net.Http.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using PartnerPulse.Hosting.Bus;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Hosting.Status;

/// <summary>Where one service stands. Positions count events of its own log.</summary>
public sealed record ServiceStatus
{
    public required string Name { get; init; }

    /// <summary>Position of the last event of its log or spool.</summary>
    public long Log { get; init; }

    /// <summary>Position up to which the bus has confirmed; null where the service hands nothing on.</summary>
    public long? Relay { get; init; }

    /// <summary>Name of its log on the bus, where Attribution takes everything from it.</summary>
    public string? Origin { get; init; }

    /// <summary>Per origin the position up to which everything has been appended here; null where the service takes nothing in.</summary>
    public IReadOnlyDictionary<string, long>? Intake { get; init; }

    /// <summary>Position up to which its log is folded; null where nothing is folded.</summary>
    public long? Projector { get; init; }

    /// <summary>Other figures worth seeing, by name.</summary>
    public IReadOnlyDictionary<string, long>? Figures { get; init; }
}

/// <summary>Where the whole system stands.</summary>
/// <param name="Settled">Everything accepted so far has been folded.</param>
/// <param name="Services">One a service; those that hand on come before the one that takes in.</param>
/// <param name="Unreachable">Services that did not answer. While there are any, nothing is settled.</param>
public sealed record SystemStatus(bool Settled, IReadOnlyList<ServiceStatus> Services, IReadOnlyList<string> Unreachable);

/// <summary>What a service tells of itself.</summary>
public interface IStatusSource
{
    /// <summary>Sources are read in this order: a sender before its receiver, so that what was sent is looked for later.</summary>
    int Order { get; }

    ValueTask<ServiceStatus> ReadAsync(CancellationToken cancellationToken);
}

/// <summary>The status of a service that only hands on.</summary>
internal sealed class SenderStatus(string name, ITailedLog log) : IStatusSource
{
    public int Order => 0;

    public async ValueTask<ServiceStatus> ReadAsync(CancellationToken cancellationToken) => new()
    {
        Name = name,
        Origin = log.Origin,
        Log = await log.LastPositionAsync(cancellationToken),
        Relay = await log.CheckpointAsync(cancellationToken),
    };
}

public sealed class StatusOptions
{
    /// <summary>Addresses of the other services of a distributed run.</summary>
    public IReadOnlyList<string> Peers { get; set; } = [];
}

public static class StatusExtensions
{
    /// <summary>Shows the log and the relay registered under <paramref name="key"/> as the service <paramref name="name"/>.</summary>
    public static void AddSenderStatus(this IServiceCollection services, string name, string key) =>
        services.AddSingleton<IStatusSource>(provider => new SenderStatus(name, provider.GetRequiredKeyedService<ITailedLog>($"relay:{key}")));

    /// <summary><c>GET /v1/status</c>: this host's services and its peers'; with <c>?local=true</c> this host's alone.</summary>
    public static void MapStatus(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/v1/status", ReadAsync).RequireScope(Scope.Read).WithTags("Operations");

    private static async Task<Ok<SystemStatus>> ReadAsync(
        HttpContext http,
        IEnumerable<IStatusSource> sources,
        IOptions<StatusOptions> options,
        IHttpClientFactory clients,
        ILogger<SystemStatus> logger,
        CancellationToken cancellationToken,
        bool local = false)
    {
        var services = new List<ServiceStatus>();
        var unreachable = new List<string>();
        foreach (var peer in local ? [] : options.Value.Peers)
        {
            try
            {
                services.AddRange(await ReadPeerAsync(clients.CreateClient(nameof(SystemStatus)), peer, http, cancellationToken));
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
            {
                logger.PeerNotReached(peer, e);
                unreachable.Add(peer);
            }
        }

        foreach (var source in sources.OrderBy(s => s.Order))
        {
            services.Add(await source.ReadAsync(cancellationToken));
        }

        return TypedResults.Ok(new SystemStatus(IsSettled(services, unreachable), services, unreachable));
    }

    private static async Task<IReadOnlyList<ServiceStatus>> ReadPeerAsync(HttpClient client, string peer, HttpContext http, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(new Uri(peer), "/v1/status?local=true"));
        request.Headers.Authorization = AuthenticationHeaderValue.Parse(http.Request.Headers.Authorization.ToString());
        using var response = await client.SendAsync(request, cancellationToken);
        response.EnsureSuccessStatusCode();
        var status = await response.Content.ReadFromJsonAsync<SystemStatus>(cancellationToken);
        return status?.Services ?? [];
    }

    private static bool IsSettled(List<ServiceStatus> services, List<string> unreachable)
    {
        if (unreachable.Count > 0 || services.SingleOrDefault(s => s.Intake is not null) is not { } receiver)
        {
            return false;
        }

        return receiver.Projector == receiver.Log && services
            .Where(s => s.Origin is not null)
            .All(s => s.Relay == s.Log && (s.Log == 0 || receiver.Intake!.GetValueOrDefault(s.Origin!) >= s.Log));
    }
}
