using System.Collections.Concurrent;
using MassTransit;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.IntegrationTests.Hosting;

/// <summary>What came over a bus, and what is to be refused.</summary>
internal sealed class Received
{
    private readonly ConcurrentQueue<(PartnerEnrolled Event, Handover? Handover)> _all = new();

    /// <summary>An event that its consumer can never take in.</summary>
    public Guid? Poison { get; init; }

    public const string WhyPoison = "no partner can be called that";

    /// <summary>In the order of arrival, with repetitions.</summary>
    public IReadOnlyList<(PartnerEnrolled Event, Handover? Handover)> All => [.. _all];

    public IReadOnlyList<Guid> Ids => [.. _all.Select(r => r.Event.EventId).Distinct().Order()];

    public void Take(PartnerEnrolled message, Handover? handover)
    {
        if (message.EventId == Poison)
        {
            throw new InvalidDataException(WhyPoison);
        }

        _all.Enqueue((message, handover));
    }
}

internal sealed class ReceivingConsumer(Received received) : IConsumer<FactsRecorded>
{
    public Task Consume(ConsumeContext<FactsRecorded> context)
    {
        foreach (var fact in context.Message.Facts)
        {
            received.Take((PartnerEnrolled)EventTypes.Deserialize(EventTypes.Find(fact.Type)!, fact.Data.Span), Handover.From(context));
        }

        return Task.CompletedTask;
    }
}
