using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>What a shop said of a conversion's amount after, or before, it was recorded.</summary>
/// <param name="RecordedMinor">The amount that the conversion was recorded with.</param>
/// <param name="RecordedAsOf">As of when; null: before all others.</param>
/// <param name="Statements">All others, by (as of, event id as bytes).</param>
/// <param name="InForce">The one of them that says what the conversion amounts to; null where that is still what was recorded.</param>
public sealed record Restatements(
    long RecordedMinor, DateTimeOffset? RecordedAsOf, ImmutableArray<ConversionRestated> Statements, ConversionRestated? InForce)
{
    /// <summary>From a superset in any order and with duplicates; null where nothing more was said of this conversion.</summary>
    public static Restatements? Of(ConversionRecorded conversion, IEnumerable<ConversionRestated> statements)
    {
        List<ConversionRestated>? own = null;
        foreach (var statement in statements)
        {
            if (statement.ConversionId == conversion.ConversionId)
            {
                (own ??= []).Add(statement);
            }
        }

        if (own is null)
        {
            return null;
        }

        var inOrder = Journey.InOrder(own, s => s);
        return new Restatements(conversion.AmountMinor, conversion.AmountAsOf, inOrder, ConversionRestated.InForce(conversion, inOrder));
    }

    /// <summary>The conversion with the amount in force.</summary>
    public ConversionRecorded Apply(ConversionRecorded conversion) =>
        InForce is null ? conversion : conversion with { AmountMinor = InForce.AmountMinor, AmountAsOf = InForce.OccurredAt };
}
