using System.Text.Json;
using MassTransit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using PartnerPulse.Attribution.SetAside;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Bus;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Intake;

/// <summary>Appends facts as the bytes they came as. One that this version cannot read goes aside with its reason and stops no other.</summary>
internal sealed class FactsRecordedConsumer(
    IntakeWriter intake, [FromKeyedServices(AttributionService.Schema)] EventLog log, ILogger<FactsRecordedConsumer> logger) : IConsumer<FactsRecorded>
{
    public async Task Consume(ConsumeContext<FactsRecorded> context)
    {
        var events = new List<NewEvent>(context.Message.Facts.Count);
        foreach (var fact in context.Message.Facts)
        {
            if (Read(fact, out var reason) is { } e)
            {
                events.Add(e);
                continue;
            }

            // What cannot be read says not even which it is: the same bytes are the same.
            var id = Ids.Derive("unreadable", Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(fact.Data.Span)));
            await SetAsideStore.AddAsync(log, new NewEvent(id, id, "", fact.Type, "", fact.Data), "intake", reason, context.CancellationToken);
            logger.EventSetAside(id, fact.Type, "intake", reason);
        }

        await intake.AppendAsync(events, Handover.From(context), context.CancellationToken);
    }

    private static NewEvent? Read(RecordedFact fact, out string reason)
    {
        reason = "";
        if (EventTypes.Find(fact.Type) is not { } type)
        {
            reason = $"'{fact.Type}' is not an event that this version knows";
            return null;
        }

        try
        {
            return IntakeWriter.ToNewEvent(EventTypes.Deserialize(type, fact.Data.Span)) with { Data = fact.Data };
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            reason = e.Message;
            return null;
        }
    }
}
