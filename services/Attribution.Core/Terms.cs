using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// One rule set as it applies to numbered facts: what it says of a partner or a request is worked out once for each, and looked up
/// from then on. Not for two threads at once.
/// </summary>
internal sealed class Terms
{
    private readonly FactNames _names;
    private readonly PartnerStandings _standings;
    private readonly uint _kinds;
    private readonly uint _evidence;
    private PartnerTerms[] _partners = [];
    private Stop[] _requests = [];

    public Terms(FactNames names, PartnerStandings standings, Rules rules)
    {
        (_names, _standings, Rules) = (names, standings, rules);
        foreach (var kind in rules.Kinds)
        {
            _kinds |= 1u << (int)kind;
        }

        foreach (var evidence in rules.Evidence)
        {
            _evidence |= 1u << (int)evidence;
        }

        WindowTicks = rules.WindowDays * TimeSpan.TicksPerDay;
        RepeatTicks = rules.RepeatMinutes * TimeSpan.TicksPerMinute;
        PassesOn = rules.Suspended == SuspendedPartners.PassOn;
    }

    public Rules Rules { get; }

    /// <summary>Ticks before the conversion in which touches count; the boundary is inside.</summary>
    public long WindowTicks { get; }

    /// <summary>0: every click is a touch.</summary>
    public long RepeatTicks { get; }

    /// <summary>A suspended partner's touches are no candidates; otherwise they compete and pay nobody.</summary>
    public bool PassesOn { get; }

    public bool Counts(ConversionKind kind) => (_kinds & (1u << (int)kind)) != 0;

    public bool Counts(Evidence evidence) => (_evidence & (1u << (int)evidence)) != 0;

    public bool IsSuspended(int partner, long ticks) => PartnerAt(partner).Standing?.IsSuspended(ticks) ?? false;

    /// <summary>What the model says of a partner, whatever its touches; 1 where it says nothing.</summary>
    public long WeightOf(int partner) => PartnerAt(partner).Weight;

    public string PartnerId(int partner) => PartnerAt(partner).Id;

    /// <summary>The reason of the bots that stops what said this of itself; <see cref="Stop.None"/> where it may compete.</summary>
    public Stop Judged(int request)
    {
        if ((uint)request >= (uint)_requests.Length)
        {
            // What is beyond the old end is not judged yet; NotAsked says so.
            var before = _requests.Length;
            Array.Resize(ref _requests, int.Max(_names.Requests, request + 1));
            _requests.AsSpan(before).Fill(Stop.NotAsked);
        }

        var judged = _requests[request];
        return judged == Stop.NotAsked
            ? _requests[request] = Rules.Bots.Judge(_names.RequestOf(request)) is { } verdict ? StopReason.Of(verdict.Reason) : Stop.None
            : judged;
    }

    private ref readonly PartnerTerms PartnerAt(int partner)
    {
        if ((uint)partner >= (uint)_partners.Length)
        {
            var before = _partners.Length;
            Array.Resize(ref _partners, int.Max(_names.Partners, partner + 1));
            for (var i = before; i < _partners.Length; i++)
            {
                var (program, id) = (_names.ProgramOf(i), _names.PartnerId(i));
                _partners[i] = new PartnerTerms(id, _standings.Of(program, id), (Rules.Model as Markov)?.Fit?.WeightOf(program, id) ?? 1);
            }
        }

        return ref _partners[partner];
    }

    private readonly record struct PartnerTerms(string Id, PartnerStanding? Standing, long Weight);
}
