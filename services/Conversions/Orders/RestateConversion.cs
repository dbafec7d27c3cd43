using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Orders;

/// <summary>
/// What an order amounts to as of a time, as shops say it that send whole orders again and again. The newest statement by the
/// shop's own time is in force; an older one that comes late changes nothing, so it does not matter in which order they arrive.
/// </summary>
internal static class RestateConversion
{
    /// <summary>Statements that one order may have.</summary>
    public const int MaxStatements = 1_000;

    public sealed record Asked(string Source, string OrderId, long AmountMinor, string Currency, DateTimeOffset AsOf, bool Cancelled);

    public abstract record Outcome;

    public sealed record Restated(ConversionRestated Event) : Outcome;

    /// <summary>What is in force is as new or newer.</summary>
    public sealed record Outdated : Outcome;

    public sealed record Refused(IReadOnlyList<FieldFault> Faults) : Outcome;

    public static Outcome Decide(Conversion conversion, Asked asked, string program)
    {
        if ((conversion.Order?.Currency ?? conversion.Statement?.Currency) is { } known && known != asked.Currency)
        {
            return new Refused([new FieldFault("currency", $"is '{asked.Currency}'; the order is in {known}")]);
        }

        var conversionId = Ids.Conversion(program, asked.Source, asked.OrderId);
        var statement = new ConversionRestated
        {
            EventId = Ids.Restatement(conversionId, asked.AsOf, asked.AmountMinor, asked.Cancelled),
            ProgramId = program,
            OccurredAt = asked.AsOf,
            ConversionId = conversionId,
            Source = asked.Source,
            OrderId = asked.OrderId,
            AmountMinor = asked.AmountMinor,
            Currency = asked.Currency,
            Cancelled = asked.Cancelled,
        };
        if ((conversion.Statement is { } said && !statement.Supersedes(said)) || (conversion.Order is { } order && !statement.Supersedes(order)))
        {
            return new Outdated();
        }

        return conversion.Statements < MaxStatements
            ? new Restated(statement)
            : new Refused([new FieldFault("orderId", $"would have its statement number {MaxStatements + 1}; at most {MaxStatements} are allowed")]);
    }
}
