using System.Diagnostics;
using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using PartnerPulse.Attribution.SetAside;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Bus;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Intake;

/// <summary>Appends facts as the bytes they came as. One that this version cannot read goes aside with its reason and stops no other.</summary>
internal sealed class FactsRecordedConsumer(
    IntakeWriter intake, Erasure erasure, [FromKeyedServices(AttributionService.Schema)] EventLog log, ILogger<FactsRecordedConsumer> logger) : IConsumer<FactsRecorded>
{
    public async Task Consume(ConsumeContext<FactsRecorded> context)
    {
        var events = new List<NewEvent>(context.Message.Facts.Count);
        var erasures = new List<(CustomerErased Erased, string? TraceParent)>();
        foreach (var fact in context.Message.Facts)
        {
            if (Read(fact, out var reason) is { } read)
            {
                if (read is CustomerErased erased)
                {
                    erasures.Add((erased, fact.TraceParent));
                }
                else
                {
                    events.Add(IntakeWriter.ToNewEvent(read) with { Data = fact.Data, TraceParent = fact.TraceParent });
                }

                continue;
            }

            // What cannot be read says not even which it is: the same bytes are the same.
            var id = Ids.Derive("unreadable", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(fact.Data.Span)));
            await SetAsideStore.AddAsync(log, new NewEvent(id, id, "", fact.Type, "", fact.Data), "intake", reason, context.CancellationToken);
            logger.EventSetAside(id, fact.Type, "intake", reason);
        }

        // The interval is remembered with the last of it. An erasure names what it concerns, before and after it alike.
        var handover = Handover.From(context);
        if (erasures.Count == 0)
        {
            await intake.AppendAsync(events, handover, context.CancellationToken);
            return;
        }

        if (events.Count > 0)
        {
            await intake.AppendAsync(events, handover: null, context.CancellationToken);
        }

        foreach (var (erased, traceParent) in erasures)
        {
            using var spans = Spans.Begin("append", ActivityKind.Consumer, [traceParent]);
            await erasure.EraseAsync(erased, handover, context.CancellationToken, spans.Next(traceParent));
            spans.Completed();
        }
    }

    private static IEvent? Read(RecordedFact fact, out string reason)
    {
        reason = "";
        if (EventTypes.Find(fact.Type) is not { } type)
        {
            reason = $"'{fact.Type}' is not an event that this version knows";
            return null;
        }

        try
        {
            return EventTypes.Deserialize(type, fact.Data.Span);
        }
        catch (JsonException e)
        {
            reason = e.Message;
            return null;
        }
    }
}
