namespace PartnerPulse.Attribution.Core;

/// <summary>
/// The touches of a journey that compete under the rules. The rules are asked in the order of <see cref="StopReason"/>; the
/// first that fails names the reason. Used again from journey to journey: it allocates only to become larger.
/// </summary>
internal sealed class Candidates
{
    /// <summary>In <see cref="Touch"/>: the claim is the coupon's, and no touch stands for it.</summary>
    public const int Coupon = -1;

    private int[] _touch = [];
    private int[] _partner = [];
    private long[] _ticks = [];
    private int[] _partnerNumber = [];
    private bool[] _forfeits = [];
    private long[] _lastCounted = [];

    // By the partner's number in the table of names: its number in here, good where the journey is this one.
    private (int Journey, int Number)[] _numbers = [];
    private int _journey;

    public int Count { get; private set; }

    /// <summary>Index in the journey of each candidate, in order; <see cref="Coupon"/> for the coupon's partner.</summary>
    public ReadOnlySpan<int> Touch => _touch.AsSpan(0, Count);

    /// <summary>Number in here of the partner of each candidate.</summary>
    public ReadOnlySpan<int> Partner => _partner.AsSpan(0, Count);

    /// <summary>When each candidate clicked.</summary>
    public ReadOnlySpan<long> Ticks => _ticks.AsSpan(0, Count);

    public int PartnerCount { get; private set; }

    /// <summary>The partners in order of their first candidate, by their numbers in <see cref="FactNames"/>.</summary>
    public ReadOnlySpan<int> Partners => _partnerNumber.AsSpan(0, PartnerCount);

    /// <summary>By number of the partner in here: keeps its share and is not paid.</summary>
    public ReadOnlySpan<bool> Forfeits => _forfeits.AsSpan(0, PartnerCount);

    /// <summary>Forgets the journey before, and makes room for one of so many touches.</summary>
    public void Clear(int most)
    {
        if (_touch.Length < most)
        {
            most = int.Max(most, 2 * _touch.Length);
            (_touch, _partner, _ticks) = (new int[most], new int[most], new long[most]);
            (_partnerNumber, _forfeits, _lastCounted) = (new int[most], new bool[most], new long[most]);
        }

        (Count, PartnerCount) = (0, 0);
        _journey++;
    }

    /// <summary>Picks the candidates of one conversion, and says of every touch what stops it.</summary>
    /// <param name="conversion">The conversion.</param>
    /// <param name="touches">Its touches.</param>
    /// <param name="terms">The rules.</param>
    /// <param name="stops">As long as the touches; all of it is written where <paramref name="why"/> is asked.</param>
    /// <param name="why">Whether every touch needs its reason. Otherwise the one touch is enough to which the model gives all.</param>
    public void Pick(in ConversionFacts conversion, ReadOnlySpan<TouchFacts> touches, Terms terms, Span<Stop> stops, bool why)
    {
        Clear(touches.Length);
        if (!terms.Counts(conversion.Kind))
        {
            stops.Fill(Stop.KindNotCredited);
            return;
        }

        if (!why && terms.TakesOne)
        {
            PickOne(conversion, touches, terms);
            return;
        }

        for (var i = 0; i < touches.Length; i++)
        {
            ref readonly var touch = ref touches[i];
            var stop = StoppedBy(touch, conversion, terms);
            stops[i] = stop == Stop.None ? Admit(i, touch, conversion, terms) : stop;
        }
    }

    private void PickOne(in ConversionFacts conversion, ReadOnlySpan<TouchFacts> touches, Terms terms)
    {
        for (var n = 0; n < touches.Length && Count == 0; n++)
        {
            var i = terms.TakesLast ? touches.Length - 1 - n : n;
            ref readonly var touch = ref touches[i];
            if (StoppedBy(touch, conversion, terms) == Stop.None)
            {
                Admit(i, touch, conversion, terms);
            }
        }
    }

    /// <summary>Adds one that has passed all rules elsewhere.</summary>
    /// <param name="touch">Its index, or <see cref="Coupon"/>.</param>
    /// <param name="partnerNumber">Number of its partner in <see cref="FactNames"/>.</param>
    /// <param name="forfeits">The partner keeps its share and is not paid.</param>
    /// <param name="ticks">When it was clicked; of no meaning for <see cref="Coupon"/>.</param>
    public void Add(int touch, int partnerNumber, bool forfeits, long ticks)
    {
        var partner = NumberOf(partnerNumber);
        Put(touch, partner < 0 ? AddPartner(partnerNumber, forfeits) : partner, ticks);
    }

    /// <summary>The rules that look at one touch alone.</summary>
    private static Stop StoppedBy(in TouchFacts touch, in ConversionFacts conversion, Terms terms)
    {
        if (!terms.Counts(touch.Evidence))
        {
            return Stop.EvidenceNotCounted;
        }

        if (touch.OtherTraffic)
        {
            return Stop.Test;
        }

        if (touch.OtherProgram)
        {
            return Stop.WrongProgram;
        }

        if (touch.Ticks > conversion.Ticks)
        {
            return Stop.AfterConversion;
        }

        return conversion.Ticks - touch.Ticks > terms.WindowTicks(touch.Partner) ? Stop.OutsideWindow : terms.Judged(touch.Request);
    }

    /// <summary>The rules that look at the partner and its earlier touches; a touch that passes is counted.</summary>
    private Stop Admit(int index, in TouchFacts touch, in ConversionFacts conversion, Terms terms)
    {
        if (terms.StopOf(touch.Partner, conversion, out var forfeits) is var stop and not Stop.None)
        {
            return stop;
        }

        var partner = NumberOf(touch.Partner);
        if (partner < 0)
        {
            partner = AddPartner(touch.Partner, forfeits);
        }
        else if (terms.RepeatTicks > 0 && touch.Ticks - _lastCounted[partner] <= terms.RepeatTicks)
        {
            return Stop.RepeatClick;
        }

        _lastCounted[partner] = touch.Ticks;
        Put(index, partner, touch.Ticks);
        return Stop.None;
    }

    private void Put(int touch, int partner, long ticks)
    {
        (_touch[Count], _partner[Count], _ticks[Count]) = (touch, partner, ticks);
        Count++;
    }

    private int AddPartner(int partnerNumber, bool forfeits)
    {
        (_partnerNumber[PartnerCount], _forfeits[PartnerCount]) = (partnerNumber, forfeits);
        _numbers[partnerNumber] = (_journey, PartnerCount);
        return PartnerCount++;
    }

    private int NumberOf(int partnerNumber)
    {
        if ((uint)partnerNumber >= (uint)_numbers.Length)
        {
            Array.Resize(ref _numbers, int.Max(partnerNumber + 1, 2 * _numbers.Length));
        }

        var (journey, number) = _numbers[partnerNumber];
        return journey == _journey ? number : -1;
    }
}
