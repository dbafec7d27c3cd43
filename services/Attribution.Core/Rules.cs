using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>A rule set: everything that decides credit besides the facts. Immutable; its <see cref="Hash"/> names its content.</summary>
public sealed record Rules
{
    public const int DefaultWindowDays = 60;
    public const int DefaultRepeatMinutes = 30;

    public static ImmutableArray<ConversionKind> AllKinds { get; } =
        [ConversionKind.Lead, ConversionKind.Signup, ConversionKind.Sale, ConversionKind.Renewal];

    public static ImmutableArray<Evidence> AllEvidence { get; } =
        [Core.Evidence.ClickId, Core.Evidence.VisitorCookie, Core.Evidence.Customer];

    public required string Name { get; init; }

    public Model Model { get; init; } = new FirstTouch();

    /// <summary>Days of 24 hours before the conversion; the boundary is inside.</summary>
    public int WindowDays { get; init; } = DefaultWindowDays;

    /// <summary>Windows of partners that have their own, ordinal by partner, each once.</summary>
    public ImmutableArray<PartnerWindow> PartnerWindows { get; init; } = [];

    /// <summary>Minutes after a counted touch in which the same partner's clicks are no new touches; the boundary is inside. 0: every click is a touch.</summary>
    public int RepeatMinutes { get; init; } = DefaultRepeatMinutes;

    /// <summary>Which clicks count though no person may have made them. Nothing is judged by its user agent where no list is named.</summary>
    public Bots Bots { get; init; } = Bots.Include;

    public SuspendedPartners Suspended { get; init; } = SuspendedPartners.PassOn;

    /// <summary>Whether a click counts whose visitor refused consent.</summary>
    public ConsentUse Consent { get; init; } = ConsentUse.Ignore;

    /// <summary>
    /// Whether a partner is credited for what it buys itself. Null: the rules were published before anybody could know, and include it.
    /// </summary>
    public SelfReferrals? SelfReferral { get; init; } = SelfReferrals.Include;

    /// <summary>Since when the rules apply; null where they apply to all history.</summary>
    public DateTimeOffset? EffectiveFrom { get; init; }

    public RulesScope Scope { get; init; } = RulesScope.Everything;

    /// <summary>The kinds of conversions that can be credited, in the order of the enum, each once.</summary>
    public ImmutableArray<ConversionKind> Kinds { get; init; } = AllKinds;

    /// <summary>The ways of finding a touch that count, strongest first, each once.</summary>
    public ImmutableArray<Evidence> Evidence { get; init; } = AllEvidence;

    /// <summary>
    /// What the coupon on a conversion does. Null: the rules were published before coupons counted for anything, and ignore them.
    /// </summary>
    public CouponUse? Coupon { get; init; } = CouponUse.Ignore;

    /// <summary>Whether sales and renewals take the shares of the lead that introduced the customer; null: they do not.</summary>
    public Inherit? Inherit { get; init; }

    /// <summary>First match wins; nothing matches, nothing is paid.</summary>
    public ImmutableArray<CommissionEntry> Commission { get; init; } = [];

    /// <summary>Whether every conversion is judged by these rules, whatever others lie beneath them.</summary>
    public bool CoverEverything => Scope == RulesScope.Everything;

    /// <summary>SHA-256 of <see cref="ToCanonicalJson"/>, lower-case hex.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(ToCanonicalJson()));

    /// <summary>
    /// First touch within 60 days, bots excluded by the newest list, a click again within 30 minutes is no new touch, a coupon counts
    /// where no touch does, nobody is credited for its own purchase, no commission.
    /// </summary>
    public static Rules Default(BotLists lists) => new()
    {
        Name = "default",
        Bots = Bots.Exclude(lists.Newest),
        Coupon = CouponUse.Fallback,
        SelfReferral = SelfReferrals.Exclude,
    };

    /// <summary>
    /// Reads a rule document that somebody sends, and refuses it with all its faults at once. A document that excludes bots and
    /// names no list gets the newest; its canonical text names it, so what was published never changes meaning.
    /// </summary>
    public static RulesParse Parse(JsonElement document, BotLists lists) => new RulesReader(lists).Read(document);

    /// <summary>
    /// Reads a canonical document that was published once. What it leaves out was not there to be said when it was published, and
    /// means what it meant then; its canonical text and hash come out as they were.
    /// </summary>
    public static RulesParse ReadPublished(JsonElement document, BotLists lists) => new RulesReader(lists, isPublished: true).Read(document);

    /// <summary>
    /// The one text of these rules: every field present, in one order, defaults written out. <see cref="Parse"/> and
    /// <see cref="ReadPublished"/> read it back.
    /// </summary>
    public byte[] ToCanonicalJson()
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("name", Name);
            WriteScope(json);
            WriteModel(json);
            json.WriteNumber("windowDays", WindowDays);
            WritePartnerWindows(json);
            json.WriteNumber("repeatMinutes", RepeatMinutes);
            WriteBots(json);

            // Rules that take every click say nothing of consent, as they did before it could be required.
            if (Consent != ConsentUse.Ignore)
            {
                json.WriteString("consent", Words.Of(Consent));
            }

            json.WriteString("suspended", Words.Of(Suspended));
            if (SelfReferral is { } selfReferral)
            {
                json.WriteString("selfReferral", Words.Of(selfReferral));
            }

            json.WriteStartArray("kinds");
            foreach (var kind in Kinds)
            {
                json.WriteStringValue(Words.Of(kind));
            }

            json.WriteEndArray();
            json.WriteStartArray("evidence");
            foreach (var evidence in Evidence)
            {
                json.WriteStringValue(Words.Of(evidence));
            }

            json.WriteEndArray();
            if (Coupon is { } coupon)
            {
                json.WriteString("coupon", Words.Of(coupon));
            }

            WriteInherit(json);
            json.WriteStartArray("commission");
            foreach (var entry in Commission)
            {
                WriteCommission(json, entry);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    private void WriteScope(Utf8JsonWriter json)
    {
        // Rules for all history and everybody say nothing of it: so do those that were published before there was a scope.
        if (CoverEverything)
        {
            return;
        }

        if (EffectiveFrom is { } since)
        {
            json.WriteString("effectiveFrom", RulesReader.Time(since));
        }

        json.WriteStartObject("scope");
        json.WriteString("applies", Words.Of(Scope.Applies));
        if (Scope.Partner is { } partner)
        {
            json.WriteStartObject("to");
            json.WriteString("partner", partner);
            json.WriteEndObject();
        }
        else
        {
            json.WriteString("to", Scope.NewCustomers ? RulesScope.ToNewCustomers : RulesScope.ToAll);
        }

        json.WriteEndObject();
    }

    private void WritePartnerWindows(Utf8JsonWriter json)
    {
        // Nobody has a window of its own: there is no default to write.
        if (PartnerWindows.IsEmpty)
        {
            return;
        }

        json.WriteStartObject("partnerWindows");
        foreach (var window in PartnerWindows)
        {
            json.WriteNumber(window.Partner, window.Days);
        }

        json.WriteEndObject();
    }

    private void WriteModel(Utf8JsonWriter json)
    {
        json.WriteStartObject("model");
        json.WriteString("kind", Model.Kind);
        if (Model is PositionBased position)
        {
            json.WriteNumber("first", Percent(position.FirstBasisPoints));
            json.WriteNumber("last", Percent(position.LastBasisPoints));
        }
        else if (Model is TimeDecay decay)
        {
            json.WriteNumber("halfLifeDays", Plain(decay.HalfLifeDays));
        }
        else if (Model is Markov markov)
        {
            json.WriteNumber("order", markov.Order);
        }

        json.WriteEndObject();
    }

    private void WriteBots(Utf8JsonWriter json)
    {
        if (Bots.List is not { } list)
        {
            json.WriteString("bots", Words.Of(Bots));
            return;
        }

        json.WriteStartObject("bots");
        json.WriteString("exclude", list.Version);
        json.WriteString("sha256", list.Hash);
        json.WriteStartArray("count");
        foreach (var machine in Bots.Counted)
        {
            json.WriteStringValue(Words.Of(machine));
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteInherit(Utf8JsonWriter json)
    {
        // Rules that do not inherit say nothing of it: there is no default to write.
        if (Inherit is null)
        {
            return;
        }

        json.WriteStartObject("inherit");
        json.WriteString("from", Inherit.FromLead);
        if (Inherit.Days is { } days)
        {
            json.WriteNumber("days", days);
        }

        json.WriteEndObject();
    }

    private static void WriteCommission(Utf8JsonWriter json, CommissionEntry entry)
    {
        json.WriteStartObject();
        if (entry.PercentBasisPoints is { } basisPoints)
        {
            json.WriteNumber("percent", Percent(basisPoints));
        }

        if (entry.FlatMinor is { } flat)
        {
            json.WriteString("flat", Contracts.Currency.Format(flat, entry.Currency!));
        }

        // What an entry leaves out it does not ask for: there is no default to write.
        if (entry.Currency is { } currency)
        {
            json.WriteString("currency", currency);
        }

        if (entry.Kind is { } kind)
        {
            json.WriteString("kind", Words.Of(kind));
        }

        if (entry.Partner is { } partner)
        {
            json.WriteString("partner", partner);
        }

        if (entry.Group is { } group)
        {
            json.WriteString("group", group);
        }

        if (entry.Product is { } product)
        {
            json.WriteString("product", product);
        }

        if (entry.NewCustomer is { } newCustomer)
        {
            json.WriteBoolean("newCustomer", newCustomer);
        }

        if (entry.CapMinor is { } cap)
        {
            json.WriteString("cap", Contracts.Currency.Format(cap, entry.Currency!));
        }

        if (entry.MinimumMinor is { } minimum)
        {
            json.WriteString("minimum", Contracts.Currency.Format(minimum, entry.Currency!));
        }

        json.WriteEndObject();
    }

    internal static decimal Percent(int basisPoints) => Plain(basisPoints / 100m);

    /// <summary>Without trailing zeros: 20.00 and 20 are the same rule and must be the same text.</summary>
    private static decimal Plain(decimal number) => number / 1.0000000000000000000000000000m;
}

/// <summary>What happens to the credit of a partner that was suspended at the time of the conversion.</summary>
public enum SuspendedPartners
{
    /// <summary>Its touches are no candidates: the others share.</summary>
    PassOn,

    /// <summary>Its touches compete and keep their shares, and pay nobody.</summary>
    Forfeit,
}

/// <summary>What the rules make of a visitor's refusal to be followed: consent denied, or <c>Sec-GPC: 1</c>.</summary>
public enum ConsentUse
{
    /// <summary>Nothing: the click counts as any other.</summary>
    Ignore,

    /// <summary>The click is no candidate. One whose visitor was not asked is.</summary>
    Require,
}

/// <summary>Whether a partner is credited for what it buys itself, by a click, by a coupon or by a lead.</summary>
public enum SelfReferrals
{
    Exclude,
    Include,
}

/// <summary>A window of one partner's own.</summary>
/// <param name="Partner">Its id.</param>
/// <param name="Days">Days of 24 hours before the conversion; the boundary is inside.</param>
public sealed record PartnerWindow(string Partner, int Days);

/// <summary>To which conversions rules apply; others are judged by the rules beneath them.</summary>
/// <param name="Applies">By time.</param>
/// <param name="NewCustomers">Only to those that the shop calls a new customer's.</param>
/// <param name="Partner">Only to those in which this partner competes, under these rules or under those beneath.</param>
public sealed record RulesScope(ScopeTime Applies, bool NewCustomers = false, string? Partner = null)
{
    public const string ToAll = "all";
    public const string ToNewCustomers = "new-customers";

    /// <summary>All history, everybody.</summary>
    public static RulesScope Everything { get; } = new(ScopeTime.AllHistory);
}

/// <summary>Which conversions a version applies to by time.</summary>
public enum ScopeTime
{
    /// <summary>Those that happened from <see cref="Rules.EffectiveFrom"/> on.</summary>
    ConversionsFrom,

    /// <summary>Those whose touches that count under these rules all happened from then on; without any, the conversion itself.</summary>
    TouchesFrom,

    /// <summary>All.</summary>
    AllHistory,
}

/// <summary>What the coupon on a conversion does for the partner that held it then.</summary>
public enum CouponUse
{
    /// <summary>It gets the conversion where no touch is a candidate.</summary>
    Fallback,

    /// <summary>It gets the conversion whole.</summary>
    Override,

    /// <summary>Nothing.</summary>
    Ignore,
}

/// <summary>
/// Sales and renewals take the shares of the customer's earliest credited lead or signup before them, before any touch competes.
/// </summary>
/// <param name="Days">Days of 24 hours after it, the boundary inside; null: for ever.</param>
public sealed record Inherit(int? Days)
{
    /// <summary>The only thing to inherit from: leads, and signups with them.</summary>
    public const string FromLead = "lead";
}

/// <summary>
/// One entry of the commission list: a percentage of the partner's part or a flat sum for the whole conversion, and what the
/// entry asks of a conversion and partner to match. Exactly one of percent and flat is given.
/// </summary>
public sealed record CommissionEntry
{
    /// <summary>0 to 10000.</summary>
    public int? PercentBasisPoints { get; init; }

    /// <summary>Minor units of <see cref="Currency"/>, which is then given.</summary>
    public long? FlatMinor { get; init; }

    /// <summary>Matches conversions in this currency only.</summary>
    public string? Currency { get; init; }

    public ConversionKind? Kind { get; init; }

    public string? Partner { get; init; }

    /// <summary>Matches partners that were in this group at the time of the conversion.</summary>
    public string? Group { get; init; }

    /// <summary>Pays on the items of this product only; what is left of the order goes on to the entries after it.</summary>
    public string? Product { get; init; }

    /// <summary>Matches conversions of which the shop says this; what it says nothing of matches neither.</summary>
    public bool? NewCustomer { get; init; }

    /// <summary>The most that a percentage pays one partner for one conversion: minor units of <see cref="Currency"/>, which is then given.</summary>
    public long? CapMinor { get; init; }

    /// <summary>The least, in the same way.</summary>
    public long? MinimumMinor { get; init; }

    /// <summary>Whether the entry is for every conversion and partner, with all its items.</summary>
    internal bool IsForAll => this is { Kind: null, Currency: null, Partner: null, Group: null, Product: null, NewCustomer: null };

    /// <summary>Whether the entry is for such a conversion and partner; which items it is for is another question.</summary>
    /// <param name="conversion">The conversion.</param>
    /// <param name="currency">Its currency.</param>
    /// <param name="partnerId">The partner.</param>
    /// <param name="group">The partner's group at the time of the conversion; null where it was in none.</param>
    internal bool Matches(in ConversionFacts conversion, string currency, string partnerId, string? group) =>
        (Kind is null || Kind == conversion.Kind)
        && (Currency is null || Currency == currency)
        && (Partner is null || Partner == partnerId)
        && (Group is null || Group == group)
        && (NewCustomer is null || NewCustomer == conversion.NewCustomer);
}

/// <summary>What came of reading a rule document: <see cref="RulesAccepted"/> or <see cref="RulesRefused"/>.</summary>
public abstract record RulesParse
{
    private protected RulesParse()
    {
    }
}

public sealed record RulesAccepted(Rules Rules) : RulesParse;

/// <summary>All faults, in the order of the document.</summary>
public sealed record RulesRefused(ImmutableArray<Fault> Faults) : RulesParse;

/// <summary>What is wrong with one field.</summary>
/// <param name="Field">Path such as <c>model.halfLifeDays</c> or <c>commission[1].percent</c>; <c>$</c> is the document.</param>
/// <param name="Reason">For the person who sent it.</param>
public sealed record Fault(string Field, string Reason);
