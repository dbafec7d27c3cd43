using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// What the model markov learned: the removal effect of every partner, as whole numbers, so that whoever reads them weighs alike.
/// Immutable.
/// </summary>
public sealed class Fit
{
    /// <summary>A removal effect of 1: everything is lost without the partner. Sums of 2^22 effects stay below the bound of weights.</summary>
    public const long Unit = 1L << 40;

    private readonly Dictionary<(string Program, string Partner), long> _unitsOf;

    /// <param name="order">Of the chain.</param>
    /// <param name="converted">Journeys that ended in a conversion credited to its touches.</param>
    /// <param name="notConverted">Journeys that did not.</param>
    /// <param name="states">States beside the start and the two ends.</param>
    /// <param name="effects">Of each partner once.</param>
    public Fit(int order, long converted, long notConverted, int states, IEnumerable<RemovalEffect> effects)
    {
        (Order, Converted, NotConverted, States) = (order, converted, notConverted, states);
        Effects = [.. effects.OrderBy(e => e.ProgramId, StringComparer.Ordinal).ThenBy(e => e.PartnerId, StringComparer.Ordinal)];
        _unitsOf = Effects.ToDictionary(e => (e.ProgramId, e.PartnerId), e => e.Units);
    }

    /// <summary>What was written down of it.</summary>
    public static Fit Of(ModelFitted fitted) => new(fitted.Order, fitted.Converted, fitted.NotConverted, fitted.States, fitted.Effects);

    public int Order { get; }

    public long Converted { get; }

    public long NotConverted { get; }

    public int States { get; }

    /// <summary>Ordered by program, then partner id, ordinal.</summary>
    public ImmutableArray<RemovalEffect> Effects { get; }

    /// <summary>The partner's removal effect in units of 2^-40; null where it is on none of the journeys.</summary>
    public long? UnitsOf(string programId, string partnerId) => _unitsOf.TryGetValue((programId, partnerId), out var units) ? units : null;

    /// <summary>
    /// The partner's weight. Whoever came after the fit, or without whom nothing was lost, has the smallest there is: a candidate
    /// is never worth nothing, and where all partners of a conversion are such ones they share it evenly.
    /// </summary>
    public long WeightOf(string programId, string partnerId) => Math.Max(1, UnitsOf(programId, partnerId) ?? 0);
}
