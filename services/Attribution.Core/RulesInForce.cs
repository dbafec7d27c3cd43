using System.Collections.Immutable;

namespace PartnerPulse.Attribution.Core;

/// <summary>Rules and their version in the program.</summary>
public sealed record VersionedRules(int Version, Rules Rules);

/// <summary>
/// The versions that judge history together: a conversion is judged by the first whose <see cref="Rules.Scope"/> holds for it. The
/// last covers everything, so each conversion has one. Immutable.
/// </summary>
public sealed class RulesInForce
{
    private RulesInForce(ImmutableArray<VersionedRules> versions) => Versions = versions;

    /// <summary>The newest first.</summary>
    public ImmutableArray<VersionedRules> Versions { get; }

    /// <summary>Down to the first version that covers everything: nothing beneath it is ever asked.</summary>
    /// <exception cref="ArgumentException">None covers everything.</exception>
    public static RulesInForce Of(IEnumerable<VersionedRules> newestFirst)
    {
        var versions = ImmutableArray.CreateBuilder<VersionedRules>();
        foreach (var version in newestFirst)
        {
            versions.Add(version);
            if (version.Rules.CoverEverything)
            {
                return new RulesInForce(versions.ToImmutable());
            }
        }

        throw new ArgumentException(
            $"None of the rules versions {string.Join(", ", versions.Select(v => v.Version))} covers all history and everybody.", nameof(newestFirst));
    }

    /// <summary>One version alone, which judges everything whatever its scope says.</summary>
    public static RulesInForce Only(Rules rules, int version = 1) =>
        new([new VersionedRules(version, rules.CoverEverything ? rules : rules with { EffectiveFrom = null, Scope = RulesScope.Everything })]);
}
