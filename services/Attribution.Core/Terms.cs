using System.Collections.Immutable;
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
    private readonly Dictionary<string, long> _windows;
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

        _windows = rules.PartnerWindows.ToDictionary(w => w.Partner, w => w.Days * TimeSpan.TicksPerDay, StringComparer.Ordinal);
        EffectiveTicks = rules.EffectiveFrom?.UtcTicks ?? 0;
        HasProducts = rules.Commission.Any(e => e.Product is not null);
        PercentOfAll = rules.Commission is [{ PercentBasisPoints: { } percent, IsForAll: true, CapMinor: null, MinimumMinor: null }] ? percent : null;
        RepeatTicks = rules.RepeatMinutes * TimeSpan.TicksPerMinute;
        PassesOn = rules.Suspended == SuspendedPartners.PassOn;

        // Which touch is the last that counts depends on those before it where clicks can be repeats.
        TakesLast = rules.Model is LastTouch && rules.RepeatMinutes == 0;
        TakesOne = rules.Model is FirstTouch || TakesLast;
    }

    public Rules Rules { get; }

    /// <summary>0: every click is a touch.</summary>
    public long RepeatTicks { get; }

    /// <summary>A suspended partner's touches are no candidates; otherwise they compete and pay nobody.</summary>
    public bool PassesOn { get; }

    /// <summary>Since when the rules apply; 0 where they always do.</summary>
    public long EffectiveTicks { get; }

    /// <summary>Some commission is for items of one product.</summary>
    public bool HasProducts { get; }

    /// <summary>Basis points, where all commission there is are these of every part of every conversion.</summary>
    public int? PercentOfAll { get; }

    /// <summary>The model gives all to one touch, which can be found without the others: the first, or see <see cref="TakesLast"/>.</summary>
    public bool TakesOne { get; }

    public bool TakesLast { get; }

    public bool Counts(ConversionKind kind) => (_kinds & (1u << (int)kind)) != 0;

    public bool Counts(Evidence evidence) => (_evidence & (1u << (int)evidence)) != 0;

    public bool IsSuspended(int partner, long ticks) => PartnerAt(partner).Standing?.IsSuspended(ticks) ?? false;

    /// <summary>What the model says of a partner, whatever its touches; 1 where it says nothing.</summary>
    public long WeightOf(int partner) => PartnerAt(partner).Weight;

    public string PartnerId(int partner) => PartnerAt(partner).Id;

    /// <summary>Ticks before the conversion in which touches of the partner count; the boundary is inside.</summary>
    public long WindowTicks(int partner) => PartnerAt(partner).WindowTicks;

    /// <summary>The group that the partner was in; null where it was in none.</summary>
    public string? GroupAt(int partner, long ticks) => PartnerAt(partner).Standing?.GroupAt(ticks);

    /// <summary>Whether it is the partner that the rules are for, where they are for one.</summary>
    public bool IsInScope(int partner) => PartnerAt(partner).IsInScope;

    /// <summary>What keeps a partner from a conversion, whatever it has to show; <see cref="Stop.None"/> where nothing does.</summary>
    /// <param name="partner">The partner.</param>
    /// <param name="conversion">The conversion.</param>
    /// <param name="forfeits">Its share is kept and not paid.</param>
    public Stop StopOf(int partner, in ConversionFacts conversion, out bool forfeits)
    {
        forfeits = IsSuspended(partner, conversion.Ticks);
        return forfeits && PassesOn ? Stop.SuspendedPartner
            : Rules.SelfReferral == SelfReferrals.Exclude && _names.IsOwnPurchaseOf(conversion.OwnPurchase, partner) ? Stop.SelfReferral
            : Stop.None;
    }

    /// <summary>The items of a conversion that has some.</summary>
    public ImmutableArray<ItemFacts> ItemsOf(in ConversionFacts conversion) => _names.ItemsOf(conversion.Items);

    /// <summary>The reason of the bots or of consent that stops what said this of itself; <see cref="Stop.None"/> where it may compete.</summary>
    public Stop Judged(int request)
    {
        var judged = (uint)request < (uint)_requests.Length ? _requests[request] : Stop.NotAsked;
        return judged == Stop.NotAsked ? Judge(request) : judged;
    }

    private Stop Judge(int request)
    {
        if ((uint)request >= (uint)_requests.Length)
        {
            // What is beyond the old end is not judged yet; NotAsked says so.
            var before = _requests.Length;
            Array.Resize(ref _requests, int.Max(_names.Requests, request + 1));
            _requests.AsSpan(before).Fill(Stop.NotAsked);
        }

        return _requests[request] = Judged(_names.RequestOf(request));
    }

    private Stop Judged(ClickRequest request) =>
        Rules.Bots.Judge(request) is { } verdict ? StopReason.Of(verdict.Reason)
        : Rules.Consent == ConsentUse.Require && request.Signals is ({ Consent: false } or { Gpc: true }) ? Stop.NoConsent
        : Stop.None;

    private ref readonly PartnerTerms PartnerAt(int partner)
    {
        if ((uint)partner >= (uint)_partners.Length)
        {
            AddPartners(partner);
        }

        return ref _partners[partner];
    }

    // Apart, so that the look-up is small enough to be part of its callers.
    private void AddPartners(int last)
    {
        var before = _partners.Length;
        Array.Resize(ref _partners, int.Max(_names.Partners, last + 1));
        for (var i = before; i < _partners.Length; i++)
        {
            var (program, id) = (_names.ProgramOf(i), _names.PartnerId(i));
            _partners[i] = new PartnerTerms(
                id, _standings.Of(program, id), _windows.GetValueOrDefault(id, Rules.WindowDays * TimeSpan.TicksPerDay), id == Rules.Scope.Partner,
                (Rules.Model as Markov)?.Fit?.WeightOf(program, id) ?? 1);
        }
    }

    private readonly record struct PartnerTerms(string Id, PartnerStanding? Standing, long WindowTicks, bool IsInScope, long Weight);
}
