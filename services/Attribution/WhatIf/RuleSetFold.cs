using System.Runtime.InteropServices;
using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>
/// One thread's pass over chunks of a pack: every journey judged by every rule set, and summed by partner and currency. It allocates
/// for partners that it has not met, and for nothing else.
/// </summary>
internal sealed class RuleSetFold
{
    /// <summary>In <see cref="Sums"/>: of conversions that nobody is credited for.</summary>
    public const int Nobody = -1;

    private readonly Judge[] _judges;
    private readonly long _from;
    private readonly long _to;
    private readonly int _currencies;

    // By (partner + 1) * currencies + currency: where its sums are, less one. Most partners sell in one currency of many.
    private readonly int[] _places;
    private readonly List<int> _keys = [];
    private readonly bool[] _credited;
    private readonly long[] _difference;
    private Cell[] _cells;

    /// <param name="names">Of the pack; nothing is added to them meanwhile.</param>
    /// <param name="standings">Who was suspended when.</param>
    /// <param name="ruleSets">At least one.</param>
    /// <param name="from">Conversions from then on, in ticks of UTC.</param>
    /// <param name="to">Conversions before it.</param>
    public RuleSetFold(FactNames names, PartnerStandings standings, IReadOnlyList<RulesInForce> ruleSets, long from, long to)
    {
        _judges = [.. ruleSets.Select(rules => new Judge(names, standings, rules))];
        (_from, _to, _currencies) = (from, to, names.Currencies);
        _places = new int[(names.Partners + 1) * _currencies];
        _credited = new bool[_judges.Length];
        _difference = new long[names.Partners];
        _cells = new Cell[64 * _judges.Length];
        Exchanged = new Exchange[_currencies];
    }

    public long Conversions { get; private set; }

    public long ConversionsChanged { get; private set; }

    /// <summary>Between the first and the last rule set, by number of the currency.</summary>
    public Exchange[] Exchanged { get; }

    /// <summary>By number of the partner, or <see cref="Nobody"/>, number of the currency, and place of the rule set.</summary>
    public IEnumerable<(int Partner, int Currency, int Set, Sum Sum)> Sums()
    {
        for (var place = 0; place < _keys.Count; place++)
        {
            for (var set = 0; set < _judges.Length; set++)
            {
                yield return ((_keys[place] / _currencies) - 1, _keys[place] % _currencies, set, _cells[(place * _judges.Length) + set].Sum);
            }
        }
    }

    public void Add(JourneyPack.Chunk chunk)
    {
        for (var slot = 0; slot < chunk.Count; slot++)
        {
            if (chunk.TryGet(slot, out var journey) && journey.Conversion.Ticks >= _from && journey.Conversion.Ticks < _to)
            {
                Add(journey);
            }
        }
    }

    private void Add(in JourneyFacts journey)
    {
        Conversions++;
        ref readonly var conversion = ref journey.Conversion;
        for (var set = 0; set < _judges.Length; set++)
        {
            var judge = _judges[set];
            if (_credited[set] = judge.Credits(journey))
            {
                var partners = judge.Partners;
                var shares = judge.Shares;
                for (var i = 0; i < partners.Length; i++)
                {
                    if (shares[i] != 0)
                    {
                        CellOf(partners[i], conversion.Currency, set).Add(shares[i], judge.AmountsMinor[i], judge.CommissionsMinor[i]);
                    }
                }
            }
            else
            {
                CellOf(Nobody, conversion.Currency, set).Add(0, conversion.NetMinor, 0);
            }
        }

        if (_judges.Length > 1)
        {
            Compare(conversion);
        }
    }

    /// <summary>What changes between the first and the last rule set.</summary>
    private void Compare(in ConversionFacts conversion)
    {
        var (before, after) = (_judges[0], _judges[^1]);
        ref var exchanged = ref Exchanged[conversion.Currency];
        switch (_credited[0], _credited[^1])
        {
            case (false, false):
                break;
            case (false, true):
                ConversionsChanged++;
                exchanged = exchanged.Plus(new Exchange(1, conversion.NetMinor, 0, 0, 0));
                break;
            case (true, false):
                ConversionsChanged++;
                exchanged = exchanged.Plus(new Exchange(0, 0, 1, conversion.NetMinor, 0));
                break;
            default:
                if (!IsSame(before, after))
                {
                    ConversionsChanged++;
                    exchanged = exchanged with { MovedMinor = checked(exchanged.MovedMinor + Moved(before, after)) };
                }

                break;
        }
    }

    /// <summary>The same partners with the same parts; in another order it is the same as well, and <see cref="Moved"/> finds nothing.</summary>
    private static bool IsSame(Judge before, Judge after)
    {
        if (before.Partners.SequenceEqual(after.Partners))
        {
            return before.Shares.SequenceEqual(after.Shares) && before.AmountsMinor.SequenceEqual(after.AmountsMinor)
                && before.CommissionsMinor.SequenceEqual(after.CommissionsMinor);
        }

        var held = 0;
        for (var i = 0; i < before.Partners.Length; i++)
        {
            if (before.Shares[i] == 0)
            {
                continue;
            }

            held++;
            var at = after.Partners.IndexOf(before.Partners[i]);
            if (at < 0 || (after.Shares[at], after.AmountsMinor[at], after.CommissionsMinor[at]) != (before.Shares[i], before.AmountsMinor[i], before.CommissionsMinor[i]))
            {
                return false;
            }
        }

        return held == after.Shares.Length - after.Shares.Count(0);
    }

    /// <summary>What some partners have more after, which others have less: both add up to the net.</summary>
    private long Moved(Judge before, Judge after)
    {
        if (before.Partners.Length == 1 && after.Partners.Length == 1)
        {
            return before.Partners[0] == after.Partners[0] ? 0 : after.AmountsMinor[0];
        }

        for (var i = 0; i < before.Partners.Length; i++)
        {
            _difference[before.Partners[i]] -= before.AmountsMinor[i];
        }

        for (var i = 0; i < after.Partners.Length; i++)
        {
            _difference[after.Partners[i]] += after.AmountsMinor[i];
        }

        long moved = 0;
        foreach (var partner in after.Partners)
        {
            moved += long.Max(0, _difference[partner]);
            _difference[partner] = 0;
        }

        foreach (var partner in before.Partners)
        {
            _difference[partner] = 0;
        }

        return moved;
    }

    private ref Cell CellOf(int partner, int currency, int set)
    {
        var key = ((partner + 1) * _currencies) + currency;
        var place = _places[key] - 1;
        if (place < 0)
        {
            place = _keys.Count;
            _keys.Add(key);
            _places[key] = place + 1;
            if (_keys.Count * _judges.Length > _cells.Length)
            {
                Array.Resize(ref _cells, 2 * _cells.Length);
            }
        }

        return ref _cells[(place * _judges.Length) + set];
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Cell
    {
        private long _conversions;
        private long _wholeShares;
        private Int128 _shareUnits;
        private long _amountMinor;
        private long _commissionMinor;

        public readonly Sum Sum => new(_conversions, _shareUnits + ((Int128)_wholeShares * Whole), _amountMinor, _commissionMinor);

        private const long Whole = 1_000_000_000_000_000_000;

        public void Add(long shareUnits, long amountMinor, long commissionMinor)
        {
            checked
            {
                _conversions++;
                _amountMinor += amountMinor;
                _commissionMinor += commissionMinor;
            }

            if (shareUnits == Whole)
            {
                _wholeShares++;
            }
            else
            {
                _shareUnits += shareUnits;
            }
        }
    }
}
