using System.Collections.Immutable;
using System.Diagnostics;
using PartnerPulse.Contracts;

namespace PartnerPulse.Conversions;

/// <summary>What is true of one order: the fold of its stream. Adjustments may come before the order is known.</summary>
internal sealed record Conversion
{
    public static Conversion Unknown { get; } = new();

    /// <summary>The order; null while only adjustments of it are known.</summary>
    public ConversionRecorded? Order { get; init; }

    public ImmutableArray<ConversionAdjusted> Adjustments { get; init; } = [];

    /// <summary>The newest statement of the amount beside what was recorded; may come before the order is known.</summary>
    public ConversionRestated? Statement { get; init; }

    /// <summary>Statements there were.</summary>
    public int Statements { get; init; }

    /// <summary>The statement that says what the order amounts to; null where it is still what was recorded.</summary>
    public ConversionRestated? InForce => Order is null || Statement is null ? null : ConversionRestated.InForce(Order, [Statement]);

    /// <summary>The amount in force before adjustments, in minor units; null while the order is not known.</summary>
    public long? AmountMinor => InForce?.AmountMinor ?? Order?.AmountMinor;

    /// <summary>Other conversions that are the same sale, each of which keeps the credit.</summary>
    public ImmutableArray<ConversionMerged> Merges { get; init; } = [];

    /// <summary>That it is a sale of its own, whatever the merges say.</summary>
    public ConversionSeparated? Separated { get; init; }

    /// <summary>
    /// The amount after its adjustments in minor units, never below zero nor above the amount in force; null while the order is
    /// not known. Adjustments in another currency have no effect.
    /// </summary>
    public long? NetMinor => AmountMinor is not { } amount
        ? null
        : Math.Clamp(amount + Adjustments.Where(a => a.Currency == Order!.Currency).Sum(a => a.AmountMinor), 0, amount);

    public ConversionAdjusted? FindAdjustment(string id) => Adjustments.FirstOrDefault(a => a.AdjustmentId == id);

    /// <exception cref="UnreachableException">The event does not belong into the stream of an order.</exception>
    public static Conversion Evolve(Conversion conversion, IEvent @event) => @event switch
    {
        ConversionRecorded e => conversion with { Order = e },
        ConversionAdjusted e => conversion with { Adjustments = conversion.Adjustments.Add(e) },
        ConversionRestated e => conversion with
        {
            Statement = conversion.Statement is { } said && !e.Supersedes(said) ? said : e,
            Statements = conversion.Statements + 1,
        },
        ConversionMerged e => conversion with { Merges = conversion.Merges.Add(e) },
        ConversionSeparated e => conversion with { Separated = e },
        _ => throw new UnreachableException($"{@event} in the stream of an order"),
    };
}
