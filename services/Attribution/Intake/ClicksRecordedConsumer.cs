using MassTransit;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Attribution.Intake;

/// <summary>Appends a batch of clicks as they came.</summary>
internal sealed class ClicksRecordedConsumer(IntakeWriter intake) : IConsumer<ClicksRecorded>
{
    public Task Consume(ConsumeContext<ClicksRecorded> context)
    {
        var clicks = context.Message.Clicks;
        var events = new EventStore.NewEvent[clicks.Count];
        for (var i = 0; i < events.Length; i++)
        {
            events[i] = IntakeWriter.ToNewEvent(clicks[i]);
        }

        return intake.AppendAsync(events, Handover.From(context), context.CancellationToken);
    }
}
