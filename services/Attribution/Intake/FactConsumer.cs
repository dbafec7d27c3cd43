using MassTransit;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Attribution.Intake;

/// <summary>Appends one event as it came.</summary>
internal sealed class FactConsumer<T>(IntakeWriter intake) : IConsumer<T>
    where T : class, IEvent
{
    public Task Consume(ConsumeContext<T> context) =>
        intake.AppendAsync([IntakeWriter.ToNewEvent(context.Message)], Handover.From(context), context.CancellationToken);
}
