using MassTransit;
using PartnerPulse.Contracts;

namespace PartnerPulse.Edge;

/// <summary>Something changed at Partners: the tail reads it now. What changed is in the log, not in the message.</summary>
internal sealed class CatalogueChangedConsumer(CatalogueTail tail)
    : IConsumer<PartnerEnrolled>, IConsumer<LinkPublished>, IConsumer<LinkRetired>
{
    public Task Consume(ConsumeContext<PartnerEnrolled> context) => Nudge();

    public Task Consume(ConsumeContext<LinkPublished> context) => Nudge();

    public Task Consume(ConsumeContext<LinkRetired> context) => Nudge();

    private Task Nudge()
    {
        tail.Nudge();
        return Task.CompletedTask;
    }
}
