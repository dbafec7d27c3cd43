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

    /// <summary>Minutes after a counted touch in which the same partner's clicks are no new touches; the boundary is inside. 0: every click is a touch.</summary>
    public int RepeatMinutes { get; init; } = DefaultRepeatMinutes;

    /// <summary>Which clicks count though no person may have made them. Nothing is judged by its user agent where no list is named.</summary>
    public Bots Bots { get; init; } = Bots.Include;

    public SuspendedPartners Suspended { get; init; } = SuspendedPartners.PassOn;

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

    /// <summary>SHA-256 of <see cref="ToCanonicalJson"/>, lower-case hex.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(ToCanonicalJson()));

    /// <summary>
    /// First touch within 60 days, bots excluded by the newest list, a click again within 30 minutes is no new touch, a coupon counts
    /// where no touch does, no commission.
    /// </summary>
    public static Rules Default(BotLists lists) => new() { Name = "default", Bots = Bots.Exclude(lists.Newest), Coupon = CouponUse.Fallback };

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
            WriteModel(json);
            json.WriteNumber("windowDays", WindowDays);
            json.WriteNumber("repeatMinutes", RepeatMinutes);
            WriteBots(json);
            json.WriteString("suspended", Words.Of(Suspended));
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

    internal bool Matches(ConversionKind kind, string currency, string partnerId) =>
        (Kind is null || Kind == kind)
        && (Currency is null || Currency == currency)
        && (Partner is null || Partner == partnerId);
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
