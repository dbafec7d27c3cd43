using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting;
using Polly;
using static PartnerPulse.EventStore.Db;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Outbound;

/// <summary>
/// Follows Attribution's log for the subscriptions: reads after their position, makes their deliveries and moves the position, all in
/// one transaction. Those at the same place are served by one reading. Several instances share the work by locked rows.
/// </summary>
internal sealed class FanOut : BackgroundService
{
    private const int PageSize = 5_000;

    /// <summary>Places in the log that are read from in one round.</summary>
    private const int MaxPlaces = 16;

    private const string S = OutboundService.Schema;
    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(250);

    private readonly NpgsqlDataSource _database;
    private readonly EventLog _source;
    private readonly OutboundOptions _options;
    private readonly Sender _sender;
    private readonly TimeProvider _time;
    private readonly ILogger<FanOut> _logger;
    private readonly ResiliencePipeline _pipeline;
    private string? _fault;

    public FanOut(
        NpgsqlDataSource database, [FromKeyedServices(OutboundService.Source)] EventLog source, IOptions<OutboundOptions> options, Sender sender, TimeProvider time,
        ILogger<FanOut> logger)
    {
        (_database, _source, _options, _sender, _time, _logger) = (database, source, options.Value, sender, time, logger);
        _pipeline = new ResiliencePipelineBuilder()
            .AddRetryForEver(TimeSpan.FromSeconds(5), (attempt, fault) =>
            {
                Volatile.Write(ref _fault, fault.Message);
                logger.FanOutRetries(attempt, fault);
            })
            .Build();
    }

    /// <summary>Why it does not get on; null while it does.</summary>
    public string? Fault => Volatile.Read(ref _fault);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => _pipeline.KeepWorkingAsync(
        () => _source.NextAppend,
        s_poll,
        async cancellation =>
        {
            var moved = await RoundAsync(cancellation);
            Volatile.Write(ref _fault, null);
            if (moved)
            {
                _sender.Wake();
            }

            return moved;
        },
        stoppingToken);

    /// <summary>
    /// One page from each place where subscriptions are, so that one far behind does not hold up those at the end. Of very many places some
    /// by chance: those that may not move on are among them for as long as it takes.
    /// </summary>
    private async Task<bool> RoundAsync(CancellationToken cancellationToken)
    {
        var places = new List<long>();
        await using (var command = _database.Sql(
            $"""
             select position from (
                 select distinct position from {S}.subscriptions
                  where enabled and position < (select coalesce(max(seq_id), 0) from {_source.Schema}.mt_events)) places
              order by random() limit $1
             """,
            P(MaxPlaces)))
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                places.Add(reader.GetInt64(0));
            }
        }

        var moved = false;
        foreach (var place in places)
        {
            moved |= await StepAsync(place, cancellationToken);
        }

        return moved;
    }

    private async Task<bool> StepAsync(long position, CancellationToken cancellationToken)
    {
        await using var connection = await _database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        IReadOnlyList<Subscription> subscriptions;
        await using (var command = connection.Sql(
            $"select {Subscriptions.Columns} from {S}.subscriptions where enabled and position = $1 for update skip locked", P(position)))
        {
            subscriptions = await Subscriptions.ReadAsync(command, cancellationToken);
        }

        subscriptions = await WithRoomAsync(connection, subscriptions, cancellationToken);
        if (subscriptions.Count == 0)
        {
            return false;
        }

        var (events, to) = await ReadAsync(connection, position, cancellationToken);
        if (to == position)
        {
            return false;
        }

        var deliveries = await DeliveriesAsync(subscriptions, events, cancellationToken);
        var contexts = Diagnostics.Source.HasListeners()
            ? await _source.Traces.FindAsync(connection, deliveries.Select(d => d.EventId).ToHashSet(), cancellationToken)
            : new Dictionary<Guid, string>();
        using var spans = Spans.Begin("fan out", ActivityKind.Producer, contexts.Values);
        if (deliveries.Count > 0)
        {
            await Deliveries.AddAsync(
                connection, [.. deliveries.Select(d => d with { TraceParent = spans.Next(contexts.GetValueOrDefault(d.EventId)) })], _time.GetUtcNow(), cancellationToken);
        }

        await connection.Sql($"update {S}.subscriptions set position = $2 where id = any($1)", P(subscriptions.Select(s => s.Id).ToArray()), P(to))
            .RunAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        spans.Completed();
        return true;
    }

    /// <summary>Those that have not too much waiting. The others stay where they are until something has been taken.</summary>
    private async Task<IReadOnlyList<Subscription>> WithRoomAsync(
        NpgsqlConnection connection, IReadOnlyList<Subscription> subscriptions, CancellationToken cancellationToken)
    {
        var full = new HashSet<Guid>();
        await using var command = connection.Sql(
            $"""
             select s.id from unnest($1::uuid[]) s(id)
              where (select count(*) from (select from {S}.deliveries d where d.subscription_id = s.id and d.state = 'waiting' limit $2) w) >= $2
             """,
            P(subscriptions.Select(s => s.Id).ToArray()), P(_options.MaxWaiting));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            full.Add(reader.GetGuid(0));
        }

        OutboundMetrics.HeldBack.Add(full.Count);
        return full.Count == 0 ? subscriptions : subscriptions.Where(s => !full.Contains(s.Id)).ToArray();
    }

    /// <summary>A page of the log, of which only what somebody may subscribe to is read.</summary>
    private async Task<(IReadOnlyList<IEvent> Events, long To)> ReadAsync(NpgsqlConnection connection, long position, CancellationToken cancellationToken)
    {
        await using var command = connection.Sql(
            $"select seq_id, type, case when type = any($3) then data end from {_source.Schema}.mt_events where seq_id > $1 order by seq_id limit $2",
            P(position), P(PageSize), P(EventNames.Logged));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var events = new List<IEvent>();
        while (await reader.ReadAsync(cancellationToken))
        {
            position = reader.GetInt64(0);
            if (reader.IsDBNull(2) || EventTypes.Find(reader.GetString(1)) is not { } type)
            {
                continue;
            }

            try
            {
                events.Add(EventTypes.Deserialize(type, reader.GetFieldValue<byte[]>(2)));
            }
            catch (JsonException e)
            {
                // Attribution has set it aside as well; nobody is told what nobody can read.
                OutboundMetrics.Unreadable.Add(1);
                _logger.EventNotTold(type.Name, position, e.Message);
            }
        }

        return (events, position);
    }

    private async Task<IReadOnlyList<NewDelivery>> DeliveriesAsync(
        IReadOnlyList<Subscription> subscriptions, IReadOnlyList<IEvent> events, CancellationToken cancellationToken)
    {
        var webhooks = subscriptions.Where(s => s.Kind == Subscription.Webhook).ToLookup(s => s.Program, StringComparer.Ordinal);
        var postbacks = subscriptions.Where(s => s.Kind == Subscription.Postback).ToDictionary(s => (s.Program, s.Partner!));
        var conversions = await ConversionsAsync(events, cancellationToken);
        var clicks = postbacks.Count == 0 ? [] : await ClicksAsync(events.OfType<CreditsRevised>(), postbacks, cancellationToken);
        var deliveries = new List<NewDelivery>();
        foreach (var @event in events)
        {
            var conversion = ConversionOf(@event) is { } id ? conversions.GetValueOrDefault(id) : null;
            var (name, test) = (EventNames.Of(@event), Payload.IsTest(@event, conversion));
            if (TestTraffic.IsDoctors(@event as ConversionRecorded ?? conversion))
            {
                continue;
            }

            byte[]? body = null;
            foreach (var webhook in webhooks[@event.ProgramId].Where(s => s.Events.Contains(name, StringComparer.Ordinal)))
            {
                body ??= Payload.Webhook(@event, conversion);
                deliveries.Add(new NewDelivery(Delivery.IdOf(webhook.Id, @event.EventId), webhook.Id, @event.EventId, name, test, body));
            }

            // A partner's own system knows no test orders; it would pay for them.
            if (postbacks.Count == 0 || test || @event is not CreditsRevised revised)
            {
                continue;
            }

            foreach (var (partner, before, after) in PartnerChange.Sides(revised))
            {
                if (postbacks.TryGetValue((revised.ProgramId, partner), out var postback))
                {
                    deliveries.Add(new NewDelivery(
                        Delivery.IdOf(postback.Id, revised.EventId), postback.Id, revised.EventId, name, Test: false,
                        Payload.Postback(revised, partner, before, after, new Surroundings(conversion, clicks))));
                }
            }
        }

        return deliveries;
    }

    /// <summary>The conversions that events speak of without repeating them. An adjustment may have come before its conversion.</summary>
    private async Task<Dictionary<Guid, ConversionRecorded>> ConversionsAsync(IReadOnlyList<IEvent> events, CancellationToken cancellationToken)
    {
        var wanted = events.Select(ConversionOf).OfType<Guid>().ToHashSet();
        return wanted.Count == 0 ? [] : await FindAsync<ConversionRecorded>(wanted, cancellationToken);
    }

    private async Task<Dictionary<Guid, ClickRecorded>> ClicksAsync(
        IEnumerable<CreditsRevised> revisions, Dictionary<(string, string), Subscription> postbacks, CancellationToken cancellationToken)
    {
        var wanted = revisions.SelectMany(r => (r.Clicks ?? []).Where(c => postbacks.ContainsKey((r.ProgramId, c.PartnerId))).Select(c => c.ClickId)).ToHashSet();
        return wanted.Count == 0 ? [] : await FindAsync<ClickRecorded>(wanted, cancellationToken);
    }

    private async Task<Dictionary<Guid, T>> FindAsync<T>(IReadOnlyCollection<Guid> ids, CancellationToken cancellationToken) where T : class, IEvent
    {
        var type = EventTypes.Of<T>();
        return (await _source.FindAsync(ids, cancellationToken)).Where(stored => stored.Type == type.Name)
            .ToDictionary(stored => stored.Id, stored => (T)EventTypes.Deserialize(type, stored.Data.Span));
    }

    private static Guid? ConversionOf(IEvent @event) => @event switch
    {
        CreditsRevised e => e.ConversionId,
        ConversionAdjusted e => e.ConversionId,
        _ => null, // Others say everything themselves.
    };
}
