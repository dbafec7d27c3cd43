using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Npgsql;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Problems;
using Polly;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;

namespace PartnerPulse.Conversions.Queue;

/// <summary>
/// Takes orders from the queue <c>orders</c>. What waits is recorded together, and a message is acknowledged after the commit that
/// holds its orders. Of a message that is at fault the valid neighbours are recorded, and the whole goes to <c>orders_error</c> with
/// field and reason: put back, it changes nothing that is recorded.
/// </summary>
internal sealed class OrdersQueue : BackgroundService, IFigures
{
    /// <summary>Messages that are on their way at once.</summary>
    private const ushort MaxMessages = 200;

    /// <summary>Faults that a refused message names.</summary>
    private const int MaxFaults = 20;

    /// <summary>Characters of a reason in a header.</summary>
    private const int MaxReason = 500;

    /// <summary>Counting what waits takes a connection of its own.</summary>
    private static readonly TimeSpan s_countEvery = TimeSpan.FromSeconds(30);

    private static readonly Counter<long> s_messages =
        Diagnostics.Meter.CreateCounter<long>("pulse.orders.messages", "{message}", "Messages of the queue orders, by what became of them");

    private static readonly Gauge<long> s_waiting =
        Diagnostics.Meter.CreateGauge<long>("pulse.orders.waiting", "{message}", "Messages of the queue orders that nobody has taken yet");

    private static readonly Gauge<long> s_refused =
        Diagnostics.Meter.CreateGauge<long>("pulse.orders.refused", "{message}", "Messages that were refused and lie in orders_error until somebody puts them back");

    private readonly OrdersBroker _broker;
    private readonly ReportReader _reader;
    private readonly ReportWriter _writer;
    private readonly TimeProvider _time;
    private readonly ILogger<OrdersQueue> _logger;
    private readonly ResiliencePipeline _connecting;
    private readonly ResiliencePipeline _recording;
    private long _counted;

    public OrdersQueue(OrdersBroker broker, ReportReader reader, ReportWriter writer, TimeProvider time, ILogger<OrdersQueue> logger)
    {
        (_broker, _reader, _writer, _time, _logger) = (broker, reader, writer, time, logger);
        _connecting = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(5), (attempt, fault) => logger.OrdersQueueRetries(OrdersBroker.Orders, attempt, fault))
            .Build();
        _recording = new ResiliencePipelineBuilder()
            .AddRetryForEver(
                TimeSpan.FromSeconds(5),
                (attempt, fault) => logger.OrdersWait(attempt, fault),
                when: fault => fault is TimeoutException or NpgsqlException && !IsDataFault(fault))
            .Build();
    }

    /// <summary>Whether the queue is listened to now.</summary>
    public bool IsListening { get; private set; }

    bool IFigures.AreWanted => IsListening && s_waiting.Enabled && (_counted == 0 || _time.GetElapsedTime(_counted) > s_countEvery);

    /// <summary>Not by the connection that listens, which is busy.</summary>
    async Task IFigures.RecordAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _broker.ConnectAsync(cancellationToken);
        await using var channel = await OrdersBroker.OpenAsync(connection, cancellationToken);
        _counted = _time.GetTimestamp();
        s_waiting.Record(await channel.MessageCountAsync(OrdersBroker.Orders, cancellationToken));
        s_refused.Record(await channel.MessageCountAsync(OrdersBroker.Errors, cancellationToken));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            // It returns when a connection that stood has ended: the next one is tried at once.
            await _connecting.ExecuteAsync(async cancellation => await ListenAsync(cancellation), stoppingToken);
        }
    }

    private async Task ListenAsync(CancellationToken cancellationToken)
    {
        await using var connection = await _broker.ConnectAsync(cancellationToken);
        await using var channel = await OrdersBroker.OpenAsync(connection, cancellationToken);
        var deliveries = Channel.CreateBounded<Delivery>(new BoundedChannelOptions(MaxMessages) { SingleReader = true });
        var consumer = new AsyncEventingBasicConsumer(channel);
        consumer.ReceivedAsync += async (_, delivery) =>
            await deliveries.Writer.WriteAsync(new Delivery(delivery.DeliveryTag, delivery.BasicProperties, delivery.Body.ToArray()), cancellationToken);
        consumer.UnregisteredAsync += (_, _) => End();
        channel.ChannelShutdownAsync += (_, _) => End();
        await channel.BasicQosAsync(prefetchSize: 0, MaxMessages, global: false, cancellationToken);
        await channel.BasicConsumeAsync(OrdersBroker.Orders, autoAck: false, consumer, cancellationToken);
        IsListening = true;
        try
        {
            var group = new List<Delivery>();
            while (await deliveries.Reader.WaitToReadAsync(cancellationToken))
            {
                group.Clear();
                while (group.Count < MaxMessages && deliveries.Reader.TryRead(out var delivery))
                {
                    group.Add(delivery);
                }

                await TakeAsync(channel, group, cancellationToken);
            }
        }
        finally
        {
            IsListening = false;
        }

        Task End()
        {
            deliveries.Writer.TryComplete();
            return Task.CompletedTask;
        }
    }

    private async Task TakeAsync(IChannel channel, IReadOnlyList<Delivery> group, CancellationToken cancellationToken)
    {
        using var span = Diagnostics.Source.StartActivity("take orders", ActivityKind.Consumer, parentContext: default, links: Links(group));
        var read = group.Select(Read).ToArray();
        try
        {
            await RecordAsync(read, cancellationToken);
        }
        catch (PostgresException e) when (IsDataFault(e))
        {
            // One of them is what no database can hold; it shows when each is on its own.
            foreach (var one in read)
            {
                try
                {
                    await RecordAsync([one], cancellationToken);
                }
                catch (PostgresException fault) when (IsDataFault(fault))
                {
                    one.Faults.Add(new FieldFault("body", $"cannot be recorded: {fault.MessageText}"));
                }
            }
        }

        foreach (var taken in read)
        {
            if (taken.Faults.Count > 0)
            {
                await RefuseAsync(channel, taken.Message, taken.Faults, cancellationToken);
            }

            await channel.BasicAckAsync(taken.Message.Tag, multiple: false, cancellationToken);
            s_messages.Add(1, new KeyValuePair<string, object?>("outcome", taken.Faults.Count > 0 ? "refused" : "taken"));
        }
    }

    /// <summary>The traces of who put the messages there, where they say.</summary>
    private static ActivityLink[] Links(IReadOnlyList<Delivery> group) => !Diagnostics.Source.HasListeners() ? [] :
        [.. group.Select(delivery => Link(Header(delivery, "traceparent"))).OfType<ActivityLink>()];

    private static ActivityLink? Link(string? context) => ActivityContext.TryParse(context, null, out var parsed) ? new ActivityLink(parsed) : null;

    private static string? Header(Delivery delivery, string name) =>
        delivery.Properties.Headers is { } headers && headers.TryGetValue(name, out var value) ? OrderMessage.Text(value) : null;

    private Taken Read(Delivery delivery)
    {
        var properties = delivery.Properties;
        var message = OrderMessage.Read(delivery.Body, properties.ContentType, properties.ContentEncoding, name => Header(delivery, name));
        var taken = new Taken(delivery, [], [.. message.Faults]);
        foreach (var (path, ask) in message.Reports)
        {
            var checks = new Checks(_time);
            if (_reader.Read(ask, checks) is { } report)
            {
                taken.Reports.Add((path, ask, report));
            }
            else
            {
                taken.Add(path, ask, checks.Faults);
            }
        }

        return taken;
    }

    private async Task RecordAsync(IReadOnlyList<Taken> messages, CancellationToken cancellationToken)
    {
        var reports = messages.SelectMany(m => m.Reports.Select(r => (Message: m, r.Path, r.Ask, r.Report))).ToArray();
        var outcomes = await _recording.ExecuteAsync(async cancellation => await _writer.RecordAsync([.. reports.Select(r => r.Report)], cancellation), cancellationToken);
        for (var i = 0; i < reports.Length; i++)
        {
            if (outcomes[i] is ReportOutcome.Refused refused)
            {
                reports[i].Message.Add(reports[i].Path, reports[i].Ask, refused.Faults);
            }
        }
    }

    private async Task RefuseAsync(IChannel channel, Delivery message, List<FieldFault> faults, CancellationToken cancellationToken)
    {
        var shown = faults.Take(MaxFaults).Select(f => new FieldFault(Short(f.Field), Short(f.Reason))).ToArray();
        var now = _time.GetUtcNow();
        var id = $"{Guid.CreateVersion7(now):N}";
        await OrdersBroker.PutAsync(
            channel, OrdersBroker.Errors, message.Properties, message.Body,
            [
                (OrdersBroker.IdHeader, id),
                (OrdersBroker.FieldHeader, shown[0].Field),
                (OrdersBroker.ReasonHeader, shown[0].Reason),
                (OrdersBroker.FaultsHeader, JsonSerializer.Serialize(shown, ConversionsJson.Default.IReadOnlyListFieldFault)),
                (OrdersBroker.RefusedAtHeader, now.ToString("O")),
            ],
            cancellationToken);
        // Field and reason may be words of the message, and so a customer's.
        _logger.OrderRefused(OrdersBroker.Orders, shown.Length, id);
    }

    private static string Short(string text) => text.Length <= MaxReason ? text : string.Concat(text.AsSpan(0, MaxReason), "…");

    /// <summary>Class 22 of SQL states: the value itself is the fault, trying again cannot help.</summary>
    private static bool IsDataFault(Exception e) => e is PostgresException { SqlState: ['2', '2', ..] };

    private sealed record Delivery(ulong Tag, IReadOnlyBasicProperties Properties, byte[] Body);

    private sealed record Taken(Delivery Message, List<(string Path, ReportAsk Ask, Report Report)> Reports, List<FieldFault> Faults)
    {
        public void Add(string path, ReportAsk ask, IReadOnlyList<FieldFault> faults) =>
            Faults.AddRange(ReportReader.InTermsOf(ask, faults).Select(f => f with { Field = path + f.Field }));
    }
}

/// <summary>Degraded, not unhealthy: orders by HTTP are taken all the same.</summary>
internal sealed class OrdersQueueCheck(OrdersQueue queue) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(queue.IsListening ? HealthCheckResult.Healthy() : HealthCheckResult.Degraded($"The queue '{OrdersBroker.Orders}' is not listened to: the broker does not answer."));
}
