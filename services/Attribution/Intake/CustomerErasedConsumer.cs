using MassTransit;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Bus;

namespace PartnerPulse.Attribution.Intake;

/// <summary>Forgets a customer.</summary>
internal sealed class CustomerErasedConsumer(Erasure erasure) : IConsumer<CustomerErased>
{
    public Task Consume(ConsumeContext<CustomerErased> context) =>
        erasure.EraseAsync(context.Message, Handover.From(context), context.CancellationToken);
}
