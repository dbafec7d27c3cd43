using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading.Channels;
using Microsoft.Extensions.Options;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace PartnerPulse.Conversions.Orders;

/// <summary>Whether Attribution knows a click or a coupon by which an order could be credited. For the answer to whoever reports it; nothing is decided by it.</summary>
/// <param name="Matched">Null where Attribution could not be asked.</param>
/// <param name="Reason">Why not, or why it is not known.</param>
internal sealed record Match(bool? Matched, string? Reason = null);

/// <summary>
/// Asks Attribution, for all orders that wait at once: while one question is on its way the next ones gather, as they do for a
/// commit. An answer that does not come soon is none: an order never waits for it longer than <see cref="s_patience"/>.
/// </summary>
internal sealed class Matches(IHttpClientFactory clients, IOptions<ConversionsOptions> options, ILogger<Matches> logger) : BackgroundService
{
    private const int MaxWaiting = 10_000;
    private const int MaxOrders = 5_000;

    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(750);

    private static readonly Match s_away = new(Matched: null, "Attribution could not be asked");

    private readonly Channel<Question> _waiting = Channel.CreateBounded<Question>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder()
        .AddCircuitBreaker(new CircuitBreakerStrategyOptions
        {
            ShouldHandle = new PredicateBuilder().Handle<HttpRequestException>().Handle<TimeoutRejectedException>().Handle<JsonException>(),
            FailureRatio = 0.5,
            MinimumThroughput = 4,
            SamplingDuration = TimeSpan.FromSeconds(10),
            BreakDuration = TimeSpan.FromSeconds(2),
        })
        .AddTimeout(s_patience)
        .Build();

    /// <summary>One answer an order, in their order.</summary>
    public async Task<IReadOnlyList<Match>> FindAsync(IReadOnlyList<ConversionRecorded> orders, CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(options.Value.Attribution.Url))
        {
            return [.. orders.Select(_ => new Match(Matched: null, Reason: null))];
        }

        var question = new Question([.. orders.Select(order => new MatchOrder(order.ClickId, order.VisitorId, order.CustomerKey, order.Coupon))]);
        return _waiting.Writer.TryWrite(question)
            ? await question.Answer.Task.WaitAsync(cancellationToken)
            : [.. orders.Select(_ => s_away)];
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var gathered = new List<Question>();
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                gathered.Clear();
                var orders = 0;
                while (_waiting.Reader.TryPeek(out var next) && (orders == 0 || orders + next.Orders.Count <= MaxOrders) && _waiting.Reader.TryRead(out next))
                {
                    gathered.Add(next);
                    orders += next.Orders.Count;
                }

                var answers = await AskAsync([.. gathered.SelectMany(question => question.Orders)], stoppingToken);
                var at = 0;
                foreach (var question in gathered)
                {
                    question.Answer.TrySetResult(answers[at..(at + question.Orders.Count)]);
                    at += question.Orders.Count;
                }
            }
        }
        finally
        {
            _waiting.Writer.Complete();
            while (_waiting.Reader.TryRead(out var question))
            {
                gathered.Add(question);
            }

            foreach (var question in gathered)
            {
                question.Answer.TrySetResult([.. question.Orders.Select(_ => s_away)]);
            }
        }
    }

    private async Task<Match[]> AskAsync(MatchOrder[] orders, CancellationToken cancellationToken)
    {
        try
        {
            return await _pipeline.ExecuteAsync(async cancellation => await SendAsync(orders, cancellation), cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UnauthorizedAccessException or TimeoutRejectedException or BrokenCircuitException or JsonException)
        {
            if (e is not BrokenCircuitException)
            {
                logger.MatchesNotFound(options.Value.Attribution.Url!, e);
            }

            return [.. orders.Select(_ => s_away)];
        }
    }

    private async Task<Match[]> SendAsync(MatchOrder[] orders, CancellationToken cancellationToken)
    {
        using var client = clients.CreateClient(nameof(Matches));
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(new Uri(options.Value.Attribution.Url!), "/v1/matches"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", CallersKey.Read(options.Value.Attribution.Key, options.Value.Attribution.KeyFile));
        request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(new MatchesAsked(orders), MatchesJson.Default.MatchesAsked));
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var response = await client.SendAsync(request, cancellationToken);
        response.EnsureSuccessStatusCode();
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var answered = await JsonSerializer.DeserializeAsync(body, MatchesJson.Default.MatchesAnswered, cancellationToken);
        return answered?.Orders.Length == orders.Length
            ? answered.Orders
            : throw new JsonException($"{answered?.Orders.Length} answers to {orders.Length} orders.");
    }

    private sealed record Question(IReadOnlyList<MatchOrder> Orders)
    {
        public TaskCompletionSource<Match[]> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

internal sealed record MatchOrder(Guid? ClickId, string? VisitorId, string? CustomerKey, string? Coupon);

internal sealed record MatchesAsked(MatchOrder[] Orders);

internal sealed record MatchesAnswered(Match[] Orders);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(MatchesAsked))]
[JsonSerializable(typeof(MatchesAnswered))]
internal sealed partial class MatchesJson : JsonSerializerContext;
