using System.Diagnostics;
using System.Numerics;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// What each model says, as whole weights: a candidate's share is exactly its weight over their sum. Rounding comes later and
/// once, in <see cref="Split"/>. A sum of weights is more than zero and at most 2^62.
/// </summary>
internal static class Weights
{
    /// <param name="terms">How to weigh.</param>
    /// <param name="candidates">Who competes.</param>
    /// <param name="weights">One for each candidate; all of it is written.</param>
    /// <exception cref="InvalidOperationException">The model has to be fitted and is not.</exception>
    public static void Of(Terms terms, Candidates candidates, Span<long> weights)
    {
        weights.Clear();
        switch (terms.Rules.Model)
        {
            case FirstTouch:
                weights[0] = 1;
                break;
            case LastTouch:
                weights[^1] = 1;
                break;
            case Linear:
                weights.Fill(1);
                break;
            case PositionBased position:
                ByPosition(position, weights);
                break;
            case TimeDecay decay:
                ByAge(decay, candidates.Ticks, weights);
                break;
            case Shapley:
                ByPartner(terms, candidates, weights);
                break;
            case Markov { Fit: not null }:
                ByPartner(terms, candidates, weights);
                break;
            case Markov:
                throw new InvalidOperationException("The model markov has not been fitted.");
            default:
                throw new UnreachableException(terms.Rules.Model.ToString());
        }
    }

    /// <summary>
    /// All of a partner's part on its first candidate: money that is split over touches is then never more than one minor unit
    /// away from a partner's exact part, and how often a partner was clicked moves nothing.
    /// </summary>
    private static void ByPartner(Terms terms, Candidates candidates, Span<long> weights)
    {
        var next = 0;
        for (var i = 0; i < weights.Length; i++)
        {
            if (candidates.Partner[i] == next)
            {
                weights[i] = terms.WeightOf(candidates.Partners[next]);
                next++;
            }
        }
    }

    private static void ByPosition(PositionBased model, Span<long> weights)
    {
        long first = model.FirstBasisPoints;
        long last = model.LastBasisPoints;
        switch (weights.Length)
        {
            case 1:
                weights[0] = 1;
                break;
            case 2 when first + last == 0:
                weights.Fill(1);
                break;
            case 2:
                weights[0] = first;
                weights[1] = last;
                break;
            default:
                // Everything times the number between, so that an even part of the rest is a whole number.
                var between = weights.Length - 2;
                weights.Fill(10_000 - first - last);
                weights[0] = first * between;
                weights[^1] = last * between;
                break;
        }
    }

    /// <summary>
    /// Ages count from the youngest candidate: the shares are the same, and the youngest always weighs 2^k, so an old journey
    /// never weighs nothing at all. k leaves room for the sum.
    /// </summary>
    private static void ByAge(TimeDecay model, ReadOnlySpan<long> times, Span<long> weights)
    {
        var halfLife = model.HalfLifeTicks;
        var bits = Split.MaxTotalBits - (BitOperations.Log2((uint)weights.Length) + (BitOperations.IsPow2(weights.Length) ? 0 : 1));
        var youngest = times[^1];
        for (var i = 0; i < weights.Length; i++)
        {
            weights[i] = Halving.Weight(youngest - times[i], halfLife, bits);
        }
    }
}
