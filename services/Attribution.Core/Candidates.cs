using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// The touches of a journey that compete under the rules. The rules are asked in the order of <see cref="StopReason"/>; the
/// first that fails names the reason.
/// </summary>
internal sealed class Candidates
{
    private const int LookThrough = 16;

    private readonly List<long> _lastCounted = [];
    private Dictionary<string, int>? _numbers;

    private Candidates(int most)
    {
        Touch = new int[most];
        Partner = new int[most];
    }

    public int Count { get; private set; }

    /// <summary>Index in the journey of each candidate, in order.</summary>
    public int[] Touch { get; }

    /// <summary>Number of the partner of each candidate.</summary>
    public int[] Partner { get; }

    /// <summary>The partners in order of their first candidate.</summary>
    public List<string> PartnerIds { get; } = [];

    /// <summary>By number of the partner: keeps its share and is not paid.</summary>
    public List<bool> Forfeits { get; } = [];

    /// <summary>Picks the candidates and writes the verdict of every other touch.</summary>
    public static Candidates Pick(Journey journey, PartnerStandings standings, Rules rules, TouchVerdict[] verdicts)
    {
        var candidates = new Candidates(journey.Touches.Length);
        var kindCounts = rules.Kinds.Contains(journey.Conversion.Kind);
        for (var i = 0; i < journey.Touches.Length; i++)
        {
            var touch = journey.Touches[i];
            var stoppedBy = journey.SameOrder is not null ? StopReason.SameOrder
                : kindCounts
                ? StoppedBy(touch, journey.Conversion, rules) ?? candidates.Admit(i, touch.Click, journey.Conversion, standings, rules)
                : StopReason.KindNotCredited;
            if (stoppedBy is not null)
            {
                verdicts[i] = new TouchVerdict { Touch = touch, StoppedBy = stoppedBy };
            }
        }

        return candidates;
    }

    /// <summary>The rules that look at one touch alone.</summary>
    private static string? StoppedBy(Touch touch, ConversionRecorded conversion, Rules rules)
    {
        var click = touch.Click;
        if (!rules.Evidence.Contains(touch.Evidence))
        {
            return StopReason.EvidenceNotCounted;
        }

        if (click.Test != conversion.Test)
        {
            return StopReason.Test;
        }

        if (click.ProgramId != conversion.ProgramId)
        {
            return StopReason.WrongProgram;
        }

        if (click.OccurredAt > conversion.OccurredAt)
        {
            return StopReason.AfterConversion;
        }

        if (conversion.OccurredAt.UtcTicks - click.OccurredAt.UtcTicks > rules.WindowDays * TimeSpan.TicksPerDay)
        {
            return StopReason.OutsideWindow;
        }

        return rules.Bots.Judge(click)?.Reason;
    }

    /// <summary>The rules that look at the partner and its earlier touches; a touch that passes is counted.</summary>
    private string? Admit(int index, ClickRecorded click, ConversionRecorded conversion, PartnerStandings standings, Rules rules)
    {
        var suspended = standings.IsSuspended(click.ProgramId, click.PartnerId, conversion.OccurredAt);
        if (suspended && rules.Suspended == SuspendedPartners.PassOn)
        {
            return StopReason.SuspendedPartner;
        }

        var at = click.OccurredAt.UtcTicks;
        var partner = NumberOf(click.PartnerId);
        if (partner < 0)
        {
            partner = PartnerIds.Count;
            PartnerIds.Add(click.PartnerId);
            Forfeits.Add(suspended);
            _lastCounted.Add(at);
            _numbers?.Add(click.PartnerId, partner);
        }
        else if (rules.RepeatMinutes > 0 && at - _lastCounted[partner] <= rules.RepeatMinutes * TimeSpan.TicksPerMinute)
        {
            return StopReason.RepeatClick;
        }

        _lastCounted[partner] = at;
        Touch[Count] = index;
        Partner[Count] = partner;
        Count++;
        return null;
    }

    /// <summary>Almost every journey has a handful of partners, which are found faster by looking than by hashing.</summary>
    private int NumberOf(string partnerId)
    {
        if (PartnerIds.Count <= LookThrough)
        {
            return PartnerIds.IndexOf(partnerId);
        }

        if (_numbers is null)
        {
            _numbers = new Dictionary<string, int>(StringComparer.Ordinal);
            for (var i = 0; i < PartnerIds.Count; i++)
            {
                _numbers.Add(PartnerIds[i], i);
            }
        }

        return _numbers.GetValueOrDefault(partnerId, -1);
    }
}
