using System.Runtime.InteropServices;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Credits;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>What rule sets give to partners, summed over journeys. Pure.</summary>
internal sealed class RuleSetSums
{
    private const decimal UnitsOfAShare = 1_000_000_000_000_000_000m;

    private readonly int _sets;
    private readonly Dictionary<(string Partner, string Currency), Sum[]> _partners = [];
    private readonly Dictionary<string, Sum[]> _nobody = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Exchange> _exchanged = new(StringComparer.Ordinal);

    public RuleSetSums(int sets) => _sets = sets;

    /// <summary>Conversions that were judged.</summary>
    public long Conversions { get; private set; }

    /// <summary>Conversions that the first and the last rule set judge differently in any share, amount or commission.</summary>
    public long ConversionsChanged { get; private set; }

    /// <summary>Between the first and the last rule set, by currency.</summary>
    public IReadOnlyDictionary<string, Exchange> Exchanged => _exchanged;

    /// <summary>Judges everything that the pack holds of conversions in a time, on all cores.</summary>
    /// <param name="pack">Nobody changes it meanwhile.</param>
    /// <param name="standings">Who was suspended when.</param>
    /// <param name="ruleSets">At least one.</param>
    /// <param name="from">Conversions from then on.</param>
    /// <param name="to">Conversions before it.</param>
    /// <param name="cancellationToken">Between two chunks.</param>
    public static RuleSetSums Of(
        JourneyPack pack, PartnerStandings standings, IReadOnlyList<RulesInForce> ruleSets, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var sums = new RuleSetSums(ruleSets.Count);
        sums.Add(pack, standings, ruleSets, from, to, cancellationToken);
        return sums;
    }

    /// <summary>Adds what another pack holds.</summary>
    public void Add(
        JourneyPack pack, PartnerStandings standings, IReadOnlyList<RulesInForce> ruleSets, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        var (fromTicks, toTicks) = (from.UtcTicks, to.UtcTicks);
        var all = new Lock();
        Parallel.ForEach(
            pack.Chunks,
            options,
            () => new RuleSetFold(pack.Names, standings, ruleSets, fromTicks, toTicks),
            (chunk, _, fold) =>
            {
                fold.Add(chunk);
                return fold;
            },
            fold =>
            {
                lock (all)
                {
                    Add(fold, pack.Names);
                }
            });
    }

    /// <summary>What one rule set gives each partner.</summary>
    /// <param name="set">Its place among the rule sets.</param>
    public IReadOnlyList<Group> Groups(int set) =>
        [.. _partners.Where(p => p.Value[set].Conversions > 0).GroupBy(p => p.Key.Partner, StringComparer.Ordinal).OrderBy(p => p.Key, StringComparer.Ordinal)
            .Select(partner => new Group(
                partner.Key,
                partner.Sum(p => p.Value[set].Conversions),
                partner.Sum(p => (decimal)p.Value[set].ShareUnits / UnitsOfAShare),
                [.. partner.OrderBy(p => p.Key.Currency, StringComparer.Ordinal)
                    .Select(p => Money(p.Key.Currency, p.Value[set]))]))];

    /// <summary>What one rule set credits to nobody.</summary>
    public Unattributed Unattributed(int set) => new(
        _nobody.Values.Sum(n => n[set].Conversions),
        [.. _nobody.Where(n => n.Value[set].Conversions > 0).OrderBy(n => n.Key, StringComparer.Ordinal)
            .Select(n => new UnattributedAmount(n.Key, Contracts.Currency.Format(n.Value[set].AmountMinor, n.Key)))]);

    private static GroupMoney Money(string currency, Sum sum) =>
        new(currency, sum.Conversions, (decimal)sum.ShareUnits / UnitsOfAShare, sum.AmountMinor, sum.CommissionMinor);

    private void Add(RuleSetFold fold, FactNames names)
    {
        Conversions += fold.Conversions;
        ConversionsChanged += fold.ConversionsChanged;
        foreach (var (partner, currency, set, sum) in fold.Sums())
        {
            var code = names.CurrencyCode(currency);
            var sums = partner == RuleSetFold.Nobody ? Of(_nobody, code) : Of(_partners, (names.PartnerId(partner), code));
            sums[set] = sums[set].Plus(sum);
        }

        for (var currency = 0; currency < fold.Exchanged.Length; currency++)
        {
            var code = names.CurrencyCode(currency);
            _exchanged[code] = _exchanged.GetValueOrDefault(code).Plus(fold.Exchanged[currency]);
        }
    }

    private Sum[] Of<TKey>(Dictionary<TKey, Sum[]> sums, TKey key)
        where TKey : notnull
    {
        if (!sums.TryGetValue(key, out var found))
        {
            sums.Add(key, found = new Sum[_sets]);
        }

        return found;
    }
}

/// <param name="Conversions">In which there is a share; of nobody: that have none.</param>
/// <param name="ShareUnits">10^18 to a whole share.</param>
/// <param name="AmountMinor">Minor units of the currency.</param>
/// <param name="CommissionMinor">Minor units of the currency.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Sum(long Conversions, Int128 ShareUnits, long AmountMinor, long CommissionMinor)
{
    public Sum Plus(Sum other) => checked(new(
        Conversions + other.Conversions, ShareUnits + other.ShareUnits, AmountMinor + other.AmountMinor, CommissionMinor + other.CommissionMinor));
}

/// <summary>Amounts of one currency that change hands between two rule sets, in minor units.</summary>
/// <param name="Entered">Conversions credited only after.</param>
/// <param name="EnteredMinor">Their net.</param>
/// <param name="Left">Conversions credited only before.</param>
/// <param name="LeftMinor">Their net.</param>
/// <param name="MovedMinor">From some partners to others within conversions that are credited both times.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Exchange(long Entered, long EnteredMinor, long Left, long LeftMinor, long MovedMinor)
{
    public Exchange Plus(Exchange other) => checked(new(
        Entered + other.Entered, EnteredMinor + other.EnteredMinor, Left + other.Left, LeftMinor + other.LeftMinor, MovedMinor + other.MovedMinor));
}
