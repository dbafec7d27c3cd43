using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using Polly;

namespace PartnerPulse.Outbound;

/// <summary>
/// Sends what is due. A delivery is claimed for a time, sent, and what came of it is kept; whoever is killed in between has sent
/// once too often at worst. Subscribers that fail have places of their own, so that waiting for them keeps nobody else waiting.
/// </summary>
internal sealed class Sender : BackgroundService
{
    /// <summary>Of an answer so much is read and kept, in bytes.</summary>
    private const int MaxAnswer = 1_024;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(200);
    private static readonly UriCreationOptions s_asWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };
    private static readonly ProductInfoHeaderValue s_userAgent = new("PartnerPulse-Webhooks", "1");

    private readonly Deliveries _deliveries;
    private readonly Subscriptions _subscriptions;
    private readonly OutboundOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<Sender> _logger;
    private readonly HttpMessageInvoker _http;
    private readonly ResiliencePipeline _pipeline;
    private readonly AppendSignal _woken = new();
    private readonly Dictionary<Guid, int> _working = [];
    private readonly Dictionary<Guid, int> _failing = [];
    private readonly Lock _counting = new();

    public Sender(
        Deliveries deliveries, Subscriptions subscriptions, PublicConnection connection, IOptions<OutboundOptions> options, TimeProvider time, ILogger<Sender> logger)
    {
        (_deliveries, _subscriptions, _options, _time, _logger) = (deliveries, subscriptions, options.Value, time, logger);
        _http = new HttpMessageInvoker(connection.Handler());
        _pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(5), (attempt, fault) => logger.SenderRetries(attempt, fault))
            .Build();
    }

    /// <summary>There may be something due.</summary>
    public void Wake() => _woken.Set();

    public override void Dispose()
    {
        _http.Dispose();
        base.Dispose();
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => _pipeline.KeepWorkingAsync(
        () => _woken.Next,
        s_poll,
        async cancellation =>
            await ClaimAsync(_working, failing: false, _options.PerSubscriber, stoppingToken, cancellation)
            + await ClaimAsync(_failing, failing: true, perSubscriber: 1, stoppingToken, cancellation) > 0,
        stoppingToken);

    /// <summary>Claims what there is room for, and begins to send it.</summary>
    private async Task<int> ClaimAsync(
        Dictionary<Guid, int> underWay, bool failing, int perSubscriber, CancellationToken stoppingToken, CancellationToken cancellationToken)
    {
        Dictionary<Guid, int> busy;
        lock (_counting)
        {
            busy = new Dictionary<Guid, int>(underWay);
        }

        var room = _options.AtOnce - busy.Values.Sum();
        if (room <= 0)
        {
            OutboundMetrics.Full.Add(1);
            return 0;
        }

        var claimed = await _deliveries.ClaimAsync(failing, perSubscriber, busy, room, _time.GetUtcNow(), _options.Lease, cancellationToken);
        if (claimed.Count == 0)
        {
            return 0;
        }

        var subscriptions = (await _subscriptions.FindAsync(claimed.Select(d => d.SubscriptionId).ToHashSet(), cancellationToken)).ToDictionary(s => s.Id);
        foreach (var delivery in claimed)
        {
            // Removed in this moment, and its deliveries with it.
            if (subscriptions.TryGetValue(delivery.SubscriptionId, out var subscription))
            {
                Count(underWay, delivery.SubscriptionId, +1);
                _ = DeliverAsync(delivery, subscription, underWay, stoppingToken);
            }
        }

        return claimed.Count;
    }

    private void Count(Dictionary<Guid, int> underWay, Guid subscription, int change)
    {
        lock (_counting)
        {
            var count = underWay.GetValueOrDefault(subscription) + change;
            if (count == 0)
            {
                underWay.Remove(subscription);
            }
            else
            {
                underWay[subscription] = count;
            }
        }
    }

    private async Task DeliverAsync(Delivery delivery, Subscription subscription, Dictionary<Guid, int> underWay, CancellationToken stoppingToken)
    {
        try
        {
            var began = _time.GetUtcNow();
            var answer = await AttemptAsync(delivery, subscription, began, stoppingToken);
            var now = _time.GetUtcNow();
#pragma warning disable CA5394 // It spreads attempts over time; nobody gains from guessing it.
            var verdict = Verdict.Decide(delivery.Attempts + 1, delivery.FirstAttemptAt ?? began, answer, now, Random.Shared.NextDouble(), _options);
#pragma warning restore CA5394
            var disabled = await _deliveries.FinishAsync(delivery, answer, verdict, began, now, _options.DisableAfter, stoppingToken);
            Tell(delivery, verdict, disabled);
        }
        catch (Exception fault) when (!stoppingToken.IsCancellationRequested)
        {
            // The database is away: the lease ends by itself, and the receiver knows the delivery by its id.
            _logger.OutcomeNotKept(delivery.Id, fault);
        }
        catch (OperationCanceledException)
        {
            // This process ends; another one sends it when the lease has ended.
        }
        finally
        {
            Count(underWay, delivery.SubscriptionId, -1);
            _woken.Set();
        }
    }

    private void Tell(Delivery delivery, Verdict verdict, string? disabled)
    {
        if (verdict is Verdict.Taken)
        {
            OutboundMetrics.Delivered.Add(1);
            return;
        }

        OutboundMetrics.Failed.Add(1);
        if (verdict is Verdict.GivenUp or Verdict.Gone)
        {
            OutboundMetrics.Dead.Add(1);
            _logger.DeadLetter(delivery.Id, delivery.SubscriptionId, delivery.Attempts + 1);
        }

        if (disabled is not null)
        {
            OutboundMetrics.Disabled.Add(1);
            _logger.SubscriptionDisabled(delivery.SubscriptionId, disabled);
        }
    }

    private async Task<Answer> AttemptAsync(Delivery delivery, Subscription subscription, DateTimeOffset now, CancellationToken stoppingToken)
    {
        using var activity = Trace(delivery);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        patience.CancelAfter(_options.Timeout);
        try
        {
            using var request = Request(delivery, subscription, now);
            using var response = await _http.SendAsync(request, patience.Token);
            var status = (int)response.StatusCode;
            activity?.SetTag("http.response.status_code", status).SetStatus(response.IsSuccessStatusCode ? ActivityStatusCode.Unset : ActivityStatusCode.Error);
            var text = await TextAsync(response, patience.Token);
            return new Answer(
                status,
                status is >= 300 and < 400 ? $"redirects are not followed; it leads to {Clean(response.Headers.Location?.OriginalString ?? "nowhere")}" : text,
                RetryAfter(response, now));
        }
        catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            return new Answer(null, $"no answer within {_options.Timeout.TotalSeconds} s");
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException or UriFormatException)
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            return new Answer(null, Clean(fault.InnerException is AddressRefusedException refused ? refused.Message : fault.Message));
        }
    }

    /// <summary>The attempt in the trace of its event. Strangers are not told of the trace.</summary>
    private static Activity? Trace(Delivery delivery) =>
        delivery.TraceParent is { } context && ActivityContext.TryParse(context, null, isRemote: true, out var parent)
            ? Diagnostics.Source.StartActivity("deliver", ActivityKind.Client, parent, [new KeyValuePair<string, object?>("pulse.delivery", delivery.Id)])
            : null;

    private static HttpRequestMessage Request(Delivery delivery, Subscription subscription, DateTimeOffset now)
    {
        HttpRequestMessage request;
        if (subscription.Kind == Subscription.Postback)
        {
            var values = JsonSerializer.Deserialize(delivery.Body.Span, OutboundJson.Default.DictionaryStringString)!;
            request = new HttpRequestMessage(HttpMethod.Get, new Uri(Macros.Render(subscription.Url, values), s_asWritten));
        }
        else
        {
            request = new HttpRequestMessage(HttpMethod.Post, new Uri(subscription.Url));
            var seconds = now.ToUnixTimeSeconds();
            request.Content = new ReadOnlyMemoryContent(delivery.Body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
            request.Headers.Add("webhook-timestamp", $"{seconds}");
            request.Headers.Add("webhook-signature", Signature.Of(delivery.MessageId, seconds, delivery.Body.Span, subscription.SecretsAt(now)));
        }

        request.Version = HttpVersion.Version11;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionOrLower;
        request.Headers.Add("webhook-id", delivery.MessageId);
        request.Headers.UserAgent.Add(s_userAgent);
        return request;
    }

    /// <summary>The beginning of the answer. What cannot be read changes nothing: the status has been said.</summary>
    private static async Task<string> TextAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var buffer = new byte[MaxAnswer];
        var length = 0;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            while (length < MaxAnswer && await body.ReadAsync(buffer.AsMemory(length), cancellationToken) is var read and > 0)
            {
                length += read;
            }
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException or OperationCanceledException)
        {
            // It is cut off here.
        }

        return Clean(Encoding.UTF8.GetString(buffer, 0, length));
    }

    /// <summary>A stranger's text as it may be kept and shown: PostgreSQL holds no NUL, and a terminal should not be steered.</summary>
    private static string Clean(string text) => string.Concat(text.Take(MaxAnswer).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? ' ' : c)).Trim();

    private static TimeSpan? RetryAfter(HttpResponseMessage response, DateTimeOffset now) =>
        response.StatusCode is not (HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable) ? null
        : response.Headers.RetryAfter is not { } after ? null
        : after.Delta ?? after.Date - now;
}
