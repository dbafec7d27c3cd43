using System.Diagnostics;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using PartnerPulse.Contracts;
using Polly;
using Polly.Timeout;

namespace PartnerPulse.Hosting.Bus;

/// <summary>
/// The arrow of the whole system: reads a log after its checkpoint, hands on, waits until the bus has confirmed, and only then
/// moves the checkpoint. Killed in between it hands on again; receivers append by event id, so the effect is once.
/// </summary>
internal sealed class Relay : BackgroundService
{
    /// <summary>Events in flight between two checkpoints, at most.</summary>
    public const int PageSize = 4_000;

    /// <summary>Bytes of events in one message, until the one that reaches it; brokers refuse messages of many megabytes.</summary>
    private const int MaxBytes = 1024 * 1024;

    private static readonly string s_click = EventTypes.Of<ClickRecorded>().Name;

    // A log can also be appended to by another process, which wakes nobody here.
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    // What comes close behind is handed on together: a page of hundreds costs little more than a page of one.
    private static readonly TimeSpan s_gather = TimeSpan.FromMilliseconds(20);

    // A publish that was under way when the connection broke never completes, so that this is also how long the relay takes to
    // get over a broker that was killed. Each failure doubles it, because a broker may also just be slow.
    private static readonly TimeSpan s_leastPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_mostPatience = TimeSpan.FromSeconds(60);

    private readonly ITailedLog _log;
    private readonly IPublishEndpoint _bus;
    private readonly ResiliencePipeline _pipeline;
    private TimeSpan _patience = s_leastPatience;

    public Relay(ITailedLog log, IPublishEndpoint bus, ILogger<Relay> logger)
    {
        (_log, _bus) = (log, bus);
        _pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(5), (attempt, fault) =>
            {
                _patience = TimeSpan.FromTicks(Math.Min(_patience.Ticks * 2, s_mostPatience.Ticks));
                RelayMetrics.Retries.Add(1, new KeyValuePair<string, object?>("origin", log.Origin));
                logger.RelayRetries(log.Origin, attempt, fault);
            })
            .AddTimeout(new TimeoutStrategyOptions { TimeoutGenerator = _ => new(_patience) })
            .Build();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var position = await _pipeline.ExecuteAsync(_log.CheckpointAsync, stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            var next = _log.NextAppend;
            var from = position;
            position = await _pipeline.ExecuteAsync(cancellation => HandOnAsync(from, cancellation), stoppingToken);
            _patience = s_leastPatience;
            if (position == from)
            {
                await Task.WhenAny(next, Task.Delay(s_poll, stoppingToken));
            }
            else if (position - from < PageSize)
            {
                await Task.Delay(s_gather, stoppingToken);
            }
        }
    }

    private async ValueTask<long> HandOnAsync(long position, CancellationToken cancellationToken)
    {
        var page = await _log.ReadAsync(position, PageSize, cancellationToken);
        if (page.To == position)
        {
            return position;
        }

        using var spans = Spans.Begin("relay", ActivityKind.Producer, page.Events.Select(e => e.TraceParent), ("pulse.origin", _log.Origin));
        await Task.WhenAll(Messages(page, position, spans).Select(message => PublishAsync(message, cancellationToken)));
        await _log.SaveCheckpointAsync(page.To, cancellationToken);
        spans.Completed();
        RelayMetrics.Events.Add(page.Events.Count, new KeyValuePair<string, object?>("origin", _log.Origin));
        return page.To;
    }

    /// <summary>Cuts the page into messages whose intervals lie end to end from <paramref name="after"/> to the page's end.</summary>
    private IEnumerable<(object Message, Handover Handover, string? TraceParent)> Messages(TailPage page, long after, Spans spans)
    {
        for (var i = 0; i < page.Events.Count;)
        {
            var kind = KindOf(page.Events[i].Type);
            var (first, bytes) = (i, 0);
            do
            {
                bytes += page.Events[i++].Data.Length;
            }
            while (i < page.Events.Count && i - first < MostTogether(kind) && bytes < MaxBytes && KindOf(page.Events[i].Type) == kind);

            var some = page.Events.Skip(first).Take(i - first);
            object message = kind switch
            {
                Kind.Clicks => new ClicksRecorded { Clicks = [.. some.Select(e => spans.Next(e.TraceParent) is { } context ? TracedLine.With(e.Data, context) : e.Data)] },
                Kind.Facts => new FactsRecorded { Facts = [.. some.Select(e => new RecordedFact(e.Type, e.Data, spans.Next(e.TraceParent)))] },
                Kind.Announcement => EventTypes.Deserialize(EventTypes.Find(page.Events[first].Type)!, page.Events[first].Data.Span),
                var other => throw new UnreachableException(other.ToString()),
            };
            var to = i < page.Events.Count ? page.Events[i - 1].Position : page.To;
            yield return (message, new Handover(_log.Origin, after, to), kind == Kind.Announcement ? spans.Next(page.Events[first].TraceParent) : null);
            after = to;
        }
    }

    private static Kind KindOf(string type) => type == s_click ? Kind.Clicks : Topology.Announcements.Contains(type) ? Kind.Announcement : Kind.Facts;

    private static int MostTogether(Kind kind) => kind switch { Kind.Clicks => ClicksRecorded.MaxClicks, Kind.Facts => FactsRecorded.MaxFacts, _ => 1 };

    private Task PublishAsync((object Message, Handover Handover, string? TraceParent) message, CancellationToken cancellationToken) =>
        _bus.Publish(
            message.Message,
            message.Message.GetType(),
            Pipe.Execute<PublishContext>(context =>
            {
                // The same part of a log is the same message, however often it is handed on.
                context.MessageId = Ids.Derive("handover", message.Handover.Origin, $"{message.Handover.After}", $"{message.Handover.To}");
                context.Durable = true;
                if (context.TryGetPayload(out RabbitMqSendContext? rabbit))
                {
                    // The broker confirms a message that no queue takes, unless it is told to hand it back.
                    rabbit.Mandatory = Topology.HasQueue(message.Message.GetType());
                    if (message.Message is ClicksRecorded or FactsRecorded)
                    {
                        rabbit.Serializer = LinesSerializer.Instance;
                    }
                }

                message.Handover.Write(context.Headers);
                if (message.TraceParent is not null)
                {
                    context.Headers.Set("traceparent", message.TraceParent);
                }
            }),
            cancellationToken);

    private enum Kind
    {
        Clicks,
        Facts,
        Announcement,
    }
}
