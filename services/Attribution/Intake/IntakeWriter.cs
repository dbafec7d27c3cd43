using System.Diagnostics;
using System.Threading.Channels;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Intake;

/// <summary>
/// Appends what the consumers take in. All consumers that wait share one transaction (a commit each would bind the intake to
/// the speed of the disk); each is let go when its part is committed, so a message is acknowledged only then.
/// </summary>
internal sealed class IntakeWriter(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, ILogger<IntakeWriter> logger) : BackgroundService
{
    /// <summary>The kind of stream that clicks lie in.</summary>
    public const string VisitorStream = "visitor";

    private const int MaxEventsPerCommit = 10_000;

    private readonly Channel<Part> _waiting = Channel.CreateBounded<Part>(new BoundedChannelOptions(1_000) { SingleReader = true });

    /// <summary>Completes when the events and the interval they cover are committed.</summary>
    public async Task AppendAsync(IReadOnlyList<NewEvent> events, Handover? handover, CancellationToken cancellationToken)
    {
        var part = new Part(events, handover);
        await _waiting.Writer.WriteAsync(part, cancellationToken);
        await part.Committed.Task.WaitAsync(cancellationToken);
    }

    public static NewEvent ToNewEvent(IEvent @event)
    {
        var type = EventTypes.Of(@event);
        var (stream, streamType) = StreamOf(@event);
        return new NewEvent(@event.EventId, stream, streamType, type.Name, type.DotnetType, EventTypes.Serialize(@event));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var parts = new List<Part>();
        while (await _waiting.Reader.WaitToReadAsync(stoppingToken))
        {
            parts.Clear();
            for (var events = 0; events < MaxEventsPerCommit && _waiting.Reader.TryRead(out var part); events += part.Events.Count)
            {
                parts.Add(part);
            }

            await CommitAsync(parts, stoppingToken);
        }
    }

    private async Task CommitAsync(IReadOnlyList<Part> parts, CancellationToken cancellationToken)
    {
        try
        {
            await AppendAsync(parts, cancellationToken);
            foreach (var part in parts)
            {
                part.Committed.TrySetResult();
            }
        }
        catch (PostgresException e) when (IsDataFault(e) && parts.Count > 1)
        {
            foreach (var part in parts)
            {
                await CommitAsync([part], cancellationToken);
            }
        }
        catch (PostgresException e) when (IsDataFault(e))
        {
            await SetAsideBadOnesAsync(parts[0], cancellationToken);
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            // The consumers see it, and the bus delivers again.
            foreach (var part in parts)
            {
                part.Committed.TrySetException(e);
            }
        }
    }

    /// <summary>Appends the events one by one; those that the database can never hold go aside with its reason.</summary>
    private async Task SetAsideBadOnesAsync(Part part, CancellationToken cancellationToken)
    {
        try
        {
            foreach (var e in part.Events)
            {
                try
                {
                    await AppendAsync([new Part([e], Handover: null)], cancellationToken);
                }
                catch (PostgresException fault) when (IsDataFault(fault))
                {
                    await SetAside.SetAsideStore.AddAsync(log, e, "intake", fault.MessageText, cancellationToken);
                    logger.EventSetAside(e.Id, e.Type, "intake", fault.MessageText);
                }
            }

            await AppendAsync([part with { Events = [] }], cancellationToken);
            part.Committed.TrySetResult();
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            part.Committed.TrySetException(e);
        }
    }

    private async Task AppendAsync(IReadOnlyList<Part> parts, CancellationToken cancellationToken)
    {
        var taken = parts.Count == 1 ? parts[0].Events : [.. parts.SelectMany(p => p.Events)];
        using var spans = Spans.Begin("append", ActivityKind.Consumer, taken.Select(e => e.TraceParent));
        if (spans.Any)
        {
            taken = [.. taken.Select(e => e with { TraceParent = spans.Next(e.TraceParent) })];
        }

        await using var connection = await log.DataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var events = await Erasure.WithTokensAsync(connection, log, taken, cancellationToken);
        var added = await log.AppendAsync(connection, events, cancellationToken);
        foreach (var handover in Intervals.Merge(parts.Select(p => p.Handover)))
        {
            await IntakeProgress.RememberAsync(connection, log.Schema, handover, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        spans.Completed();
        log.SignalAppended();
        AttributionMetrics.Appended.Add(added);
        AttributionMetrics.Duplicates.Add(events.Count - added);
    }

    /// <summary>Class 22 of SQL states: the value itself is the fault, trying again cannot help.</summary>
    private static bool IsDataFault(PostgresException e) => e.SqlState.StartsWith("22", StringComparison.Ordinal);

    private static (Guid Stream, string Type) StreamOf(IEvent @event) => @event switch
    {
        ClickRecorded click => (Ids.ClickStream(click), VisitorStream),
        ConversionRecorded conversion => (conversion.ConversionId, "conversion"),
        ConversionAdjusted adjustment => (adjustment.ConversionId, "conversion"),
        ConversionRestated statement => (statement.ConversionId, "conversion"),
        ConversionMerged merged => (merged.ConversionId, "conversion"),
        ConversionSeparated separated => (separated.ConversionId, "conversion"),
        OrderIdentitiesDeclared declared => (Ids.OrderIdentities(declared.ProgramId), "order-identities"),
        CreditsRevised revised => (revised.ConversionId, "conversion"),
        PartnerEnrolled partner => (Ids.PartnerStream(partner.ProgramId, partner.PartnerId), "partner"),
        PartnerSuspended partner => (Ids.PartnerStream(partner.ProgramId, partner.PartnerId), "partner"),
        PartnerReinstated partner => (Ids.PartnerStream(partner.ProgramId, partner.PartnerId), "partner"),
        PartnerGrouped partner => (Ids.PartnerStream(partner.ProgramId, partner.PartnerId), "partner"),
        LinkPublished link => (Ids.PartnerStream(link.ProgramId, link.PartnerId), "partner"),
        LinkRetired link => (Ids.PartnerStream(link.ProgramId, link.PartnerId), "partner"),
        ProgramConfigured program => (Ids.Derive("program", program.ProgramId), "program"),
        CouponAssigned coupon => (Ids.CouponStream(coupon.ProgramId, coupon.Code), "coupon"),
        CouponWithdrawn coupon => (Ids.CouponStream(coupon.ProgramId, coupon.Code), "coupon"),
        VisitorIdentified identity => (Ids.Customer(identity.ProgramId, identity.CustomerKey), "customer"),
        PartnerIdentified identity => (Ids.Customer(identity.ProgramId, identity.CustomerKey), "customer"),
        CustomerErased erased => (Ids.Customer(erased.ProgramId, erased.Token), "customer"),
        RulesPublished rules => (Ids.Derive("rules", rules.ProgramId), "rules"),
        ReplayRequested replay => (Ids.Derive("replays", replay.ProgramId), "replays"),
        ModelFitted fitted => (Ids.Derive("replays", fitted.ProgramId), "replays"),
        ReplayCompleted replay => (Ids.Derive("replays", replay.ProgramId), "replays"),
        ReplayPromoted replay => (Ids.Derive("replays", replay.ProgramId), "replays"),
        ReplayDiscarded replay => (Ids.Derive("replays", replay.ProgramId), "replays"),
        StatementClosed statement => (Ids.Derive("statements", statement.ProgramId), "statements"),
        var other => throw new ArgumentException($"{other.GetType().Name} has no stream in the attribution log.", nameof(@event)),
    };

    private sealed record Part(IReadOnlyList<NewEvent> Events, Handover? Handover)
    {
        public TaskCompletionSource Committed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
