using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Replays;

/// <summary>All replays of a program as their stream tells them: the state on which requests are decided.</summary>
internal sealed record ReplayHistory
{
    public static ReplayHistory Empty { get; } = new();

    public int LastGeneration { get; private init; }

    /// <summary>The generation that counts; 0 before the first.</summary>
    public int ActiveGeneration { get; private init; }

    public ImmutableDictionary<Guid, Replay> Replays { get; private init; } = ImmutableDictionary<Guid, Replay>.Empty;

    public static ReplayHistory Evolve(ReplayHistory history, IEvent @event) => @event switch
    {
        ReplayRequested e => history with
        {
            LastGeneration = Math.Max(history.LastGeneration, e.Generation),
            Replays = history.Replays.SetItem(e.ReplayId, new Replay(e.ReplayId, e.Generation, e.RulesVersion, [.. e.Under ?? []], Completed: false, Promoted: false, Discarded: false)),
        },
        ReplayCompleted e => history.With(e.ReplayId, replay => replay with { Completed = true }),
        ModelFitted => history,
        ReplayPromoted e => history.With(e.ReplayId, replay => replay with { Promoted = true }) with { ActiveGeneration = e.Generation },
        ReplayDiscarded e => history.With(e.ReplayId, replay => replay with { Discarded = true }),
        _ => throw new ArgumentException($"{@event.GetType().Name} is not of the stream of replays.", nameof(@event)),
    };

    private ReplayHistory With(Guid id, Func<Replay, Replay> change) =>
        Replays.TryGetValue(id, out var replay) ? this with { Replays = Replays.SetItem(id, change(replay)) } : this;
}

/// <param name="Id">The replay.</param>
/// <param name="Generation">That it writes.</param>
/// <param name="RulesVersion">The rules it judges by.</param>
/// <param name="Under">Versions that judge what those do not apply to.</param>
/// <param name="Completed">It has judged everything once.</param>
/// <param name="Promoted">It counts, or counted.</param>
/// <param name="Discarded">It is not wanted.</param>
internal sealed record Replay(Guid Id, int Generation, int RulesVersion, ImmutableArray<int> Under, bool Completed, bool Promoted, bool Discarded);
