using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.RuleSets;

/// <summary>What became of every version of the rules, as the streams of rules and replays tell it.</summary>
internal sealed record RulesHistory
{
    public static RulesHistory Empty { get; } = new();

    public ImmutableSortedDictionary<int, RulesPublished> Published { get; private init; } = ImmutableSortedDictionary<int, RulesPublished>.Empty;

    /// <summary>By version, in the order of their requests.</summary>
    public ImmutableDictionary<int, ImmutableList<ReplayRequested>> Replays { get; private init; } = ImmutableDictionary<int, ImmutableList<ReplayRequested>>.Empty;

    /// <summary>By version, when it counted, in order.</summary>
    public ImmutableDictionary<int, ImmutableList<InForce>> Counted { get; private init; } = ImmutableDictionary<int, ImmutableList<InForce>>.Empty;

    private ImmutableDictionary<Guid, int> VersionOf { get; init; } = ImmutableDictionary<Guid, int>.Empty;

    private int Active { get; init; }

    /// <param name="From">When a replay under it was promoted.</param>
    /// <param name="By">Who promoted it; null for the first.</param>
    /// <param name="Until">When another was promoted in its place; null where it still counts.</param>
    /// <param name="ReplayId">The replay.</param>
    internal sealed record InForce(DateTimeOffset From, string? By, DateTimeOffset? Until, Guid ReplayId);

    public static RulesHistory Evolve(RulesHistory history, IEvent @event) => @event switch
    {
        RulesPublished e => history with { Published = history.Published.SetItem(e.Version, e) },
        ReplayRequested e => history with
        {
            VersionOf = history.VersionOf.SetItem(e.ReplayId, e.RulesVersion),
            Replays = history.Replays.SetItem(e.RulesVersion, history.Replays.GetValueOrDefault(e.RulesVersion, []).Add(e)),
        },
        ReplayPromoted e when history.VersionOf.TryGetValue(e.ReplayId, out var version) => history.Replaced(e.OccurredAt).InForceFrom(version, e),
        _ => history,
    };

    private RulesHistory Replaced(DateTimeOffset at) => Counted.TryGetValue(Active, out var periods)
        ? this with { Counted = Counted.SetItem(Active, periods.SetItem(periods.Count - 1, periods[^1] with { Until = at })) }
        : this;

    private RulesHistory InForceFrom(int version, ReplayPromoted e) => this with
    {
        Active = version,
        Counted = Counted.SetItem(version, Counted.GetValueOrDefault(version, []).Add(new InForce(e.OccurredAt, e.By, Until: null, e.ReplayId))),
    };
}
