using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;

namespace PartnerPulse.Edge;

/// <summary>A page of <c>GET /v1/catalogue</c>.</summary>
/// <param name="Position">Ask after this one next.</param>
/// <param name="Events">In the order of the log.</param>
/// <param name="Last">Where the log ends.</param>
internal sealed record CataloguePage(long Position, IReadOnlyList<CatalogueEvent> Events, long Last);

internal sealed record CatalogueEvent(long Position, string Type, JsonElement Data);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(CataloguePage))]
internal sealed partial class CatalogueJson : JsonSerializerContext;

/// <summary>
/// Follows the log of Partners: reads after its position, takes in, moves on, several times a second. It does not listen to the
/// bus, so that links change while the broker is away.
/// </summary>
internal sealed class CatalogueTail(
    IHttpClientFactory clients, IOptions<EdgeOptions> options, Catalogue catalogue, CatalogueFile file, ILogger<CatalogueTail> logger) : BackgroundService
{
    private const int PageSize = 5_000;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly AppendSignal _nudged = new();
    private readonly AppendSignal _caughtUp = new();
    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>(IsTransient).Handle<Polly.Timeout.TimeoutRejectedException>(),
            MaxRetryAttempts = 3,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = TimeSpan.FromMilliseconds(100),
            MaxDelay = TimeSpan.FromSeconds(1),
        })
        .AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>().Handle<Polly.Timeout.TimeoutRejectedException>(),
            FailureRatio = 0.9,
            MinimumThroughput = 8,
            SamplingDuration = TimeSpan.FromSeconds(10),
            BreakDuration = TimeSpan.FromSeconds(1),
        })
        .AddTimeout(TimeSpan.FromSeconds(15))
        .Build();

    // An event without its slug is none, whatever the contract's serializer takes from a log of our own.
    private static readonly ContractsJson s_strict = new(new JsonSerializerOptions(ContractsJson.Default.Options) { RespectNullableAnnotations = true });

    private long _unusable;
    private string? _failure = "has not been read from Partners yet";

    /// <summary>Why the last attempt failed; null where the edge has caught up since its start.</summary>
    public string? Failure => Volatile.Read(ref _failure);

    /// <summary>Events since the start that were not what their name says, and were passed over.</summary>
    public long Unusable => Interlocked.Read(ref _unusable);

    /// <summary>Reads at once and waits until all that was published before this call is known, or for <paramref name="patience"/>.</summary>
    public async Task RefreshAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(options.Value.Partners.Url))
        {
            return;
        }

        // A read that runs already may have begun before the change; the second end from here is of one that began after it.
        var deadline = Task.Delay(patience, cancellationToken);
        for (var round = 0; round < 2 && !deadline.IsCompleted; round++)
        {
            var next = _caughtUp.Next;
            _nudged.Set();
            await Task.WhenAny(next, deadline);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (string.IsNullOrEmpty(options.Value.Partners.Url))
        {
            logger.CatalogueNotTailed();
            Volatile.Write(ref _failure, catalogue.Position == 0 ? "is empty and Edge:Partners:Url is not set" : null);
            return;
        }

        var url = new Uri(options.Value.Partners.Url);
        while (!stoppingToken.IsCancellationRequested)
        {
            var nudged = _nudged.Next;
            try
            {
                await CatchUpAsync(url, stoppingToken);
                Volatile.Write(ref _failure, null);
                _caughtUp.Set();
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                // Whatever a page holds and whatever the disk says, links lead where they led; the next attempt is a moment away.
                Metrics.CatalogueFailures.Add(1);
                if (e is not BrokenCircuitException)
                {
                    logger.CatalogueNotReached(url, catalogue.Position, e);
                    Volatile.Write(ref _failure, $"cannot be read from {url}: {e.Message}");
                }
            }

            await Task.WhenAny(nudged, Task.Delay(s_poll, stoppingToken));
        }
    }

    private static bool IsTransient(HttpRequestException e) => e.StatusCode is null or >= System.Net.HttpStatusCode.InternalServerError;

    private async Task CatchUpAsync(Uri url, CancellationToken cancellationToken)
    {
        while (true)
        {
            var after = catalogue.Position;
            var page = await _pipeline.ExecuteAsync(async cancellation => await ReadAsync(url, after, cancellation), cancellationToken);
            if (page.Last < after)
            {
                logger.CatalogueStartsOver(page.Last, after);
                file.Apply([], position: 0);
                continue;
            }

            if (page.Position > after)
            {
                file.Apply([.. Known(page.Events)], page.Position);
            }

            if (page.Position >= page.Last || page.Position <= after)
            {
                return;
            }
        }
    }

    /// <summary>What can be taken in. One event that cannot must not keep the edge from all that come after it.</summary>
    private IEnumerable<IEvent> Known(IReadOnlyList<CatalogueEvent> events)
    {
        foreach (var @event in events)
        {
            if (EventTypes.Find(@event.Type) is not { } type)
            {
                logger.CatalogueEventUnknown(@event.Type, @event.Position);
                continue;
            }

            IEvent? known = null;
            try
            {
                known = @event.Data.Deserialize(s_strict.GetTypeInfo(type.ClrType)!) as IEvent ?? throw new JsonException("It is null.");
            }
            catch (JsonException e)
            {
                Interlocked.Increment(ref _unusable);
                Metrics.CatalogueEventsUnusable.Add(1);
                logger.CatalogueEventUnusable(@event.Type, @event.Position, e.Message);
            }

            if (known is not null)
            {
                yield return known;
            }
        }
    }

    private async Task<CataloguePage> ReadAsync(Uri url, long after, CancellationToken cancellationToken)
    {
        using var client = clients.CreateClient(nameof(CatalogueTail));
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(url, $"/v1/catalogue?after={after}&limit={PageSize}"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", CallersKey.Read(options.Value.Partners.Key, options.Value.Partners.KeyFile));
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        response.EnsureSuccessStatusCode();
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        return await JsonSerializer.DeserializeAsync(body, CatalogueJson.Default.CataloguePage, cancellationToken) ?? throw new JsonException("The page is null.");
    }
}
