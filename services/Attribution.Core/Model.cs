namespace PartnerPulse.Attribution.Core;

/// <summary>How a conversion is shared among its candidates t1…tn in order. A closed set: every switch over it names them all.</summary>
public abstract record Model
{
    private protected Model()
    {
    }

    /// <summary>The name in a rule document.</summary>
    public abstract string Kind { get; }
}

/// <summary>All to the first.</summary>
public sealed record FirstTouch : Model
{
    public override string Kind => "first-touch";
}

/// <summary>All to the last.</summary>
public sealed record LastTouch : Model
{
    public override string Kind => "last-touch";
}

/// <summary>The same to each.</summary>
public sealed record Linear : Model
{
    public override string Kind => "linear";
}

/// <summary>
/// A fixed part to the first and to the last, the rest evenly to those between. Of one alone all; of two the parts of first and
/// last scaled to one, or half each where both are nothing.
/// </summary>
/// <param name="FirstBasisPoints">0 to 10000.</param>
/// <param name="LastBasisPoints">0 to 10000; together with the first at most 10000.</param>
public sealed record PositionBased(int FirstBasisPoints, int LastBasisPoints) : Model
{
    public override string Kind => "position-based";
}

/// <summary>Weight 2^(−age/half-life), normalised.</summary>
/// <param name="HalfLifeDays">Days of 24 hours with at most four decimals, more than zero.</param>
public sealed record TimeDecay(decimal HalfLifeDays) : Model
{
    public override string Kind => "time-decay";

    internal long HalfLifeTicks => (long)(HalfLifeDays * TimeSpan.TicksPerDay);
}

/// <summary>
/// The same to each distinct partner: the value by Shapley of the game in which a set of partners wins the conversions whose
/// partners all lie in it. A partner's part lies on its first candidate.
/// </summary>
public sealed record Shapley : Model
{
    public override string Kind => "shapley";
}

/// <summary>
/// To each distinct partner in proportion to its removal effect: the part of all conversions that the fitted chain loses without
/// it. A partner's part lies on its first candidate.
/// </summary>
/// <param name="Order">1 to <see cref="MostOrder"/>: how many of the last partners the next step depends on.</param>
public sealed record Markov(int Order) : Model
{
    public const int MostOrder = 3;

    public override string Kind => "markov";

    /// <summary>What was learned from the journeys of the replayed scope. Null: not yet, and nothing can be weighed.</summary>
    public Fit? Fit { get; init; }
}
