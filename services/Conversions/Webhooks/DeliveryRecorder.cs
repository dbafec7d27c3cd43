using PartnerPulse.Contracts;
using PartnerPulse.Conversions.Orders;

namespace PartnerPulse.Conversions.Webhooks;

/// <summary>
/// Records what a delivery says of one order, in one append: an order with its refunds is there whole or not at all. Decides again
/// where the order moved meanwhile.
/// </summary>
internal sealed class DeliveryRecorder(ConversionLog log, HookSources sources)
{
    public string Program => log.Program;

    /// <param name="asked">What was said.</param>
    /// <param name="payment">A payment that belongs to the order.</param>
    /// <param name="isPayment">The order id is a payment's, which may belong to an order of another id.</param>
    /// <returns>What became of it, and the id of the order that it concerned in the end.</returns>
    public async Task<(TakeDelivery.Outcome Outcome, string OrderId)> RecordAsync(
        TakeDelivery.Asked asked, string? payment, bool isPayment, CancellationToken cancellationToken)
    {
        if (payment is not null && payment != asked.OrderId)
        {
            await sources.TieAsync(asked.Source, payment, asked.OrderId, cancellationToken);
        }

        var outcome = await RecordAsync(asked, cancellationToken);
        if (outcome is not TakeDelivery.Taken)
        {
            return (outcome, asked.OrderId);
        }

        // The tie is committed before the payment is read, and what is said of a payment before its ties are: whichever comes
        // first, one of the two sees the other.
        if (payment is not null && payment != asked.OrderId)
        {
            return (await CopyAsync(asked, payment, asked.OrderId, outcome, cancellationToken), asked.OrderId);
        }

        var orderId = asked.OrderId;
        if (isPayment)
        {
            foreach (var tied in await sources.OrdersOfAsync(asked.Source, asked.OrderId, cancellationToken))
            {
                (outcome, orderId) = (await CopyAsync(asked, asked.OrderId, tied, outcome, cancellationToken), tied);
                if (outcome is not TakeDelivery.Taken)
                {
                    break;
                }
            }
        }

        return (outcome, orderId);
    }

    /// <summary>Says of the order what is known of its payment.</summary>
    private async Task<TakeDelivery.Outcome> CopyAsync(
        TakeDelivery.Asked asked, string payment, string orderId, TakeDelivery.Outcome before, CancellationToken cancellationToken)
    {
        var (paid, _) = await log.LoadAsync(Ids.Conversion(log.Program, asked.Source, payment), cancellationToken);
        var copied = await RecordAsync(
            new TakeDelivery.Asked(
                asked.Source,
                orderId,
                Order: null,
                Statement: null,
                [
                    .. paid.Adjustments.Select(a => new AdjustConversion.Asked(
                        asked.Source, orderId, a.AdjustmentId, Currency.Format(a.AmountMinor, a.Currency), a.Currency, a.Reason, a.OccurredAt, TimeGiven: false)),
                ],
                Refunded: null,
                Compare: false),
            cancellationToken);
        return copied is TakeDelivery.Taken { Events.Count: 0 } known && before is TakeDelivery.Taken said ? known with { Status = said.Status }
            : copied is TakeDelivery.Taken more && before is TakeDelivery.Taken { Events.Count: > 0 } first ? more with { Status = first.Status }
            : copied;
    }

    private async Task<TakeDelivery.Outcome> RecordAsync(TakeDelivery.Asked asked, CancellationToken cancellationToken)
    {
        var (outcome, _) = await log.ChangeAsync<TakeDelivery.Outcome>(
            Ids.Conversion(log.Program, asked.Source, asked.OrderId),
            conversion =>
            {
                var outcome = TakeDelivery.Decide(conversion, asked, log.Program);
                return (outcome, outcome is TakeDelivery.Taken taken ? taken.Events : []);
            },
            cancellationToken);
        return outcome ?? new TakeDelivery.Contended();
    }
}
