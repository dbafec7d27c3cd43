using System.Collections.Immutable;
using System.Numerics;
using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// Why a conversion has the credit it has, written down so that anyone can follow it by hand. Amounts are decimal strings in the
/// currency's own decimals. Holds no visitor id and no customer key: the kind of evidence says enough.
/// </summary>
public sealed record ConversionReceipt
{
    /// <summary>The partner whose view this is; absent in the operator's.</summary>
    public string? Partner { get; init; }

    public required ReceiptConversion Conversion { get; init; }

    /// <summary><c>credited</c> or <c>not-credited</c>.</summary>
    public required string Decision { get; init; }

    /// <summary>Why nobody is credited: one of <see cref="StopReason"/>.</summary>
    public string? Reason { get; init; }

    /// <summary>One plain sentence.</summary>
    public required string Summary { get; init; }

    /// <summary>The conversion that is kept, where this one is the same sale.</summary>
    public ReceiptSameOrder? SameOrder { get; init; }

    public required ReceiptRules Rules { get; init; }
    public required string EngineVersion { get; init; }

    /// <summary>The coupon, where a partner held it when the conversion happened.</summary>
    public ReceiptCoupon? Coupon { get; init; }

    /// <summary>The lead or signup whose shares it took; absent where it has its own.</summary>
    public ReceiptInheritance? InheritedFrom { get; init; }

    /// <summary>What the model had learned of those who compete; absent where it learns nothing, and where none of its own touches competes.</summary>
    public ReceiptFit? Fit { get; init; }

    /// <summary>Every touch considered, in order.</summary>
    public required ImmutableArray<ReceiptTouch> Touches { get; init; }

    /// <summary>Who has something, ordered by partner id.</summary>
    public required ImmutableArray<ReceiptPartner> Partners { get; init; }

    /// <summary>In order.</summary>
    public required ImmutableArray<ReceiptAdjustment> Adjustments { get; init; }

    /// <summary>What the shop said of the amount, in order, from what was recorded on; absent where it said it once.</summary>
    public IReadOnlyList<ReceiptStatement>? Statements { get; init; }

    /// <summary>What was told of its credit while it came to this; absent where a receipt is made without the log.</summary>
    public ReceiptHistory? History { get; init; }
}

public sealed record ReceiptConversion
{
    public required Guid Id { get; init; }
    public required string ProgramId { get; init; }
    public required string Kind { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string Currency { get; init; }

    /// <summary>Absent in the view of a partner that has nothing of it.</summary>
    public string? Amount { get; init; }

    /// <summary>The amount after adjustments. Absent where the amount is.</summary>
    public string? Net { get; init; }

    public bool Test { get; init; }

    /// <summary>Absent, or <c>erased</c>: the customer asked to be forgotten, and the facts hold no key of it any more.</summary>
    public string? Customer { get; init; }
}

/// <summary>The coupon on the conversion. The code is absent where it is another partner's, as is everything with an amount.</summary>
public sealed record ReceiptCoupon
{
    public string? Code { get; init; }
    public required string Partner { get; init; }

    /// <summary>Always <c>coupon</c>: how the partner was found.</summary>
    public required string Evidence { get; init; }

    /// <summary>What the rules say of coupons: <c>fallback</c>, <c>override</c> or <c>ignore</c>.</summary>
    public required string Rule { get; init; }

    /// <summary>Why it has nothing; absent where the conversion is the coupon's.</summary>
    public string? StoppedBy { get; init; }
    public bool? Forfeited { get; init; }
    public decimal? Share { get; init; }
    public string? Amount { get; init; }
    public string? Commission { get; init; }
}

/// <summary>The conversion that introduced the customer, and what of it earns this one.</summary>
public sealed record ReceiptInheritance
{
    /// <summary>Absent, as source and order id, in the view of a partner that has nothing of it.</summary>
    public Guid? ConversionId { get; init; }

    /// <summary><c>lead</c> or <c>signup</c>.</summary>
    public required string Kind { get; init; }
    public string? Source { get; init; }
    public string? OrderId { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>The version that judged it; absent where it is the one that judged the conversion.</summary>
    public int? RulesVersion { get; init; }

    /// <summary>What the model that judged it had learned of those who have a part; absent where it learns nothing, or where its coupon has it.</summary>
    public ReceiptFit? Fit { get; init; }

    /// <summary>Its touches that have a part, in order, with their parts of this conversion. Empty where its coupon has it.</summary>
    public required ImmutableArray<ReceiptTouch> Touches { get; init; }

    /// <summary>Where its coupon has it.</summary>
    public ReceiptCoupon? Coupon { get; init; }
}

/// <summary>What a data-driven model learned before the replay began, as far as it weighs in this conversion.</summary>
public sealed record ReceiptFit
{
    /// <summary>How many of the last partners the next step depends on.</summary>
    public required int Order { get; init; }

    /// <summary>Journeys that ended in a conversion credited to its touches. Absent in a partner's view, for they are the whole program's.</summary>
    public long? Converted { get; init; }

    /// <summary>Journeys that did not. Absent in a partner's view.</summary>
    public long? NotConverted { get; init; }

    /// <summary>Who competes, ordered by partner id; in a partner's view that partner alone.</summary>
    public required ImmutableArray<ReceiptEffect> Effects { get; init; }
}

public sealed record ReceiptEffect
{
    public required string Partner { get; init; }

    /// <summary>The part of all conversions that would be lost without the partner, 0 to 1 with 12 decimals; absent where it came after the fit.</summary>
    public decimal? RemovalEffect { get; init; }

    /// <summary>The same in units of 2^-40, and at least 1: the partner's share is this over the sum of those who compete.</summary>
    public required long Weight { get; init; }
}

public sealed record ReceiptSameOrder
{
    public required Guid Id { get; init; }
    public required string Source { get; init; }
    public required string OrderId { get; init; }

    /// <summary>What is equal in both.</summary>
    public required ImmutableArray<OrderField> Fields { get; init; }

    /// <summary>Hours that may lie between them.</summary>
    public required int WithinHours { get; init; }
}

public sealed record ReceiptRules
{
    /// <summary>The version that judged this conversion.</summary>
    public required int Version { get; init; }
    public required string Hash { get; init; }
    public required string Name { get; init; }

    /// <summary>Kind of the model.</summary>
    public required string Model { get; init; }
    public required int WindowDays { get; init; }
    public required int RepeatMinutes { get; init; }

    /// <summary>Version of the bot list that judged user agents; <c>include</c> where none did.</summary>
    public required string Bots { get; init; }

    /// <summary>Since when this version applies; absent where it applies to all history.</summary>
    public DateTimeOffset? EffectiveFrom { get; init; }

    /// <summary>
    /// The versions that judge history together, the newest first; absent where one judges it all. Those before <see cref="Version"/>
    /// do not apply to this conversion.
    /// </summary>
    public IReadOnlyList<int>? Stack { get; init; }
}

public sealed record ReceiptTouch
{
    /// <summary>Absent for another partner's touch in a partner's view, as are link, campaign and everything with an amount.</summary>
    public Guid? ClickId { get; init; }
    public required string Partner { get; init; }
    public string? Link { get; init; }
    public string? Campaign { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string Evidence { get; init; }

    /// <summary>Why it does not compete; absent for a candidate.</summary>
    public string? StoppedBy { get; init; }

    /// <summary>The partner's own window in days; only where the touch is outside of it.</summary>
    public int? WindowDays { get; init; }

    /// <summary>What showed that no person clicked, in words; only where that stopped it.</summary>
    public string? Sign { get; init; }

    /// <summary>True where a suspended partner keeps the share unpaid.</summary>
    public bool? Forfeited { get; init; }

    public decimal? Share { get; init; }
    public string? Amount { get; init; }
    public string? Commission { get; init; }

    /// <summary>The exact part of the net in minor units before rounding, as a whole number or a fraction: <c>4990/3</c>.</summary>
    public string? QuotaMinor { get; init; }

    /// <summary>Minor units that rounding by largest remainder added to the whole units of the quota: 0 or 1.</summary>
    public long? RemainderMinor { get; init; }
}

public sealed record ReceiptPartner
{
    public required string Partner { get; init; }
    public required decimal Share { get; init; }
    public required string Amount { get; init; }
    public required string Commission { get; init; }

    /// <summary>The commission entries that pay, in order; absent where none does, or where the share is forfeited.</summary>
    public IReadOnlyList<ReceiptCommission>? By { get; init; }
}

public sealed record ReceiptCommission
{
    /// <summary>Index in the rules' list, from 0.</summary>
    public required int Entry { get; init; }
    public decimal? Percent { get; init; }

    /// <summary>For the whole conversion, before a refund takes it down and before it is split.</summary>
    public string? Flat { get; init; }

    /// <summary>The product whose items it pays on.</summary>
    public string? Product { get; init; }

    /// <summary>The most and the least that the percentage comes to, before a refund takes them down.</summary>
    public string? Cap { get; init; }
    public string? Minimum { get; init; }

    /// <summary>The piece of the partner's amount that it pays on.</summary>
    public required string Of { get; init; }
    public required string Commission { get; init; }
}

public sealed record ReceiptAdjustment
{
    public required string Id { get; init; }
    public required DateTimeOffset OccurredAt { get; init; }
    public required string Reason { get; init; }
    public string? Amount { get; init; }
    public required string Currency { get; init; }

    /// <summary>False where the currency is not the conversion's: it has no effect.</summary>
    public required bool Counted { get; init; }

    /// <summary>The conversion's net after this one.</summary>
    public string? Net { get; init; }
}

/// <summary>One statement of the shop about the conversion's amount before adjustments.</summary>
public sealed record ReceiptStatement
{
    /// <summary>The shop's own time of it; absent for an order that was recorded without.</summary>
    public DateTimeOffset? AsOf { get; init; }

    /// <summary>Absent where the conversion's is.</summary>
    public string? Amount { get; init; }
    public required string Currency { get; init; }

    /// <summary>The order was called off as of then.</summary>
    public bool Cancelled { get; init; }

    /// <summary>True for the one that says what the conversion amounts to.</summary>
    public required bool InForce { get; init; }
}

/// <summary>The one serializer of receipts: camelCase, absent instead of null.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(ConversionReceipt))]
public sealed partial class ReceiptJson : JsonSerializerContext;

/// <summary>Writes receipts. The same inputs give the same bytes.</summary>
public static class Receipt
{
    private const string AnotherPartner = "another partner";

    /// <summary>The operator's receipt: everything.</summary>
    /// <param name="journey">What <paramref name="decision"/> was decided from.</param>
    /// <param name="decision">By <see cref="Crediting"/> under <paramref name="inForce"/>.</param>
    /// <param name="inForce">The rules.</param>
    public static ConversionReceipt Of(Journey journey, Decision decision, RulesInForce inForce)
    {
        var (version, rules) = inForce.Versions[decision.Place];
        var conversion = journey.Conversion;
        var receipt = new ConversionReceipt
        {
            Conversion = new ReceiptConversion
            {
                Id = conversion.ConversionId,
                ProgramId = conversion.ProgramId,
                Kind = Words.Of(conversion.Kind),
                Source = conversion.Source,
                OrderId = conversion.OrderId,
                OccurredAt = conversion.OccurredAt,
                Currency = decision.Currency,
                Amount = Currency.Format(decision.OriginalMinor, decision.Currency),
                Net = Currency.Format(decision.NetMinor, decision.Currency),
                Test = conversion.Test,
                Customer = ErasedCustomers.Is(conversion.CustomerKey) ? "erased" : null,
            },
            Decision = decision.Credited ? "credited" : "not-credited",
            Reason = decision.Reason,
            Summary = string.Empty,
            SameOrder = journey.SameOrder is not { } same ? null : new ReceiptSameOrder
            {
                Id = same.Into,
                Source = same.IntoSource,
                OrderId = same.IntoOrderId,
                Fields = [.. same.Rule.Fields],
                WithinHours = same.Rule.WithinHours,
            },
            Rules = new ReceiptRules
            {
                Version = version,
                Hash = rules.Hash,
                Name = rules.Name,
                Model = rules.Model.Kind,
                WindowDays = rules.WindowDays,
                RepeatMinutes = rules.RepeatMinutes,
                Bots = Words.Of(rules.Bots),
                EffectiveFrom = rules.EffectiveFrom,
                Stack = inForce.Versions.Length == 1 ? null : [.. inForce.Versions.Select(v => v.Version)],
            },
            EngineVersion = Engine.Version,
            Coupon = Coupon(journey, decision, rules),
            InheritedFrom = InheritedFrom(journey, decision, inForce),
            Fit = decision.Credited && decision.Given.IsEmpty ? FitOf(rules, journey.Conversion, decision.Parts) : null,
            Touches = Touches(decision, rules),
            Partners = Partners(decision, rules),
            Adjustments = Adjustments(journey),
            Statements = Statements(journey),
        };
        return receipt with { Summary = ReceiptSentences.ForOperator(receipt) };
    }

    /// <summary>
    /// One partner's view of an operator's receipt: the others' names, links and amounts are gone, and the sentence says why, or
    /// why not, to that partner. Who has nothing of the conversion does not see its amounts, for they are then the others'.
    /// </summary>
    public static ConversionReceipt ForPartner(ConversionReceipt receipt, string partnerId)
    {
        var own = receipt.Partners.Where(p => p.Partner == partnerId).ToImmutableArray();
        var seesMoney = own.Length > 0;
        return receipt with
        {
            Partner = partnerId,
            Summary = ReceiptSentences.ForPartner(receipt, partnerId),
            Conversion = seesMoney ? receipt.Conversion : receipt.Conversion with { Amount = null, Net = null },
            Coupon = Anonymous(receipt.Coupon, partnerId),
            InheritedFrom = receipt.InheritedFrom is { } lead ? Redacted(lead, partnerId, seesMoney) : null,
            Fit = Own(receipt.Fit, partnerId),
            Touches = [.. receipt.Touches.Select(touch => touch.Partner == partnerId ? touch : Anonymous(touch))],
            Partners = own,
            Adjustments = seesMoney ? receipt.Adjustments : [.. receipt.Adjustments.Select(a => a with { Amount = null, Net = null })],
            Statements = seesMoney ? receipt.Statements : receipt.Statements?.Select(s => s with { Amount = null }).ToArray(),
            History = receipt.History is { } history ? ReceiptHistory.ForPartner(history, partnerId, credited: seesMoney) : null,
        };
    }

    public static byte[] ToJson(ConversionReceipt receipt) =>
        JsonSerializer.SerializeToUtf8Bytes(receipt, ReceiptJson.Default.ConversionReceipt);

    private static ReceiptTouch Anonymous(ReceiptTouch touch) => new()
    {
        Partner = AnotherPartner,
        OccurredAt = touch.OccurredAt,
        Evidence = touch.Evidence,
        StoppedBy = touch.StoppedBy,
    };

    private static ReceiptInheritance Redacted(ReceiptInheritance lead, string partnerId, bool seesMoney) => lead with
    {
        ConversionId = seesMoney ? lead.ConversionId : null,
        Source = seesMoney ? lead.Source : null,
        OrderId = seesMoney ? lead.OrderId : null,
        Fit = Own(lead.Fit, partnerId),
        Touches = [.. lead.Touches.Select(touch => touch.Partner == partnerId ? touch : Anonymous(touch))],
        Coupon = Anonymous(lead.Coupon, partnerId),
    };

    private static ReceiptFit? Own(ReceiptFit? fit, string partnerId) =>
        fit?.Effects.FirstOrDefault(effect => effect.Partner == partnerId) is { } own ? new ReceiptFit { Order = fit.Order, Effects = [own] } : null;

    private static ReceiptCoupon? Anonymous(ReceiptCoupon? coupon, string partnerId) => coupon is null || coupon.Partner == partnerId ? coupon : new ReceiptCoupon
    {
        Partner = AnotherPartner,
        Evidence = coupon.Evidence,
        Rule = coupon.Rule,
        StoppedBy = coupon.StoppedBy,
    };

    private static ReceiptCoupon? Coupon(Journey journey, Decision decision, Rules rules)
    {
        if (decision.Coupon is not { } verdict)
        {
            return null;
        }

        var coupon = CouponOf(verdict.PartnerId, journey.Conversion, rules) with { StoppedBy = verdict.StoppedBy };
        return verdict.StoppedBy is null ? WithPart(coupon, decision.Given[0], decision) : coupon;
    }

    private static ReceiptCoupon CouponOf(string partner, ConversionRecorded conversion, Rules rules) => new()
    {
        Code = CouponCode.Of(conversion.Coupon!),
        Partner = partner,
        Evidence = "coupon",
        Rule = Words.Of(rules.Coupon ?? CouponUse.Ignore),
    };

    private static ReceiptCoupon WithPart(ReceiptCoupon coupon, CreditPart part, Decision decision) => coupon with
    {
        Forfeited = part.Forfeited ? true : null,
        Share = part.Share,
        Amount = Currency.Format(part.AmountMinor, decision.Currency),
        Commission = Currency.Format(part.CommissionMinor, decision.Currency),
    };

    private static ReceiptInheritance? InheritedFrom(Journey journey, Decision decision, RulesInForce inForce)
    {
        if (decision.InheritedFrom is not { } lead)
        {
            return null;
        }

        var of = inForce.Versions[decision.InheritedPlace!.Value];
        var total = decision.Given.Aggregate(BigInteger.Zero, (sum, part) => sum + part.Weight);
        return new ReceiptInheritance
        {
            ConversionId = lead.ConversionId,
            Kind = Words.Of(lead.Kind),
            Source = lead.Source,
            OrderId = lead.OrderId,
            OccurredAt = lead.OccurredAt,
            RulesVersion = decision.InheritedPlace == decision.Place ? null : of.Version,
            Fit = decision.Given is [{ Touch: null }] ? null : FitOf(of.Rules, lead, decision.Given),
            Touches = [.. decision.Given.Where(part => part.Touch is not null).Select(part => WithPart(TouchOf(part.Touch!), part, (long)total, decision))],
            Coupon = decision.Given is [{ Touch: null } part] ? WithPart(CouponOf(part.PartnerId, lead, of.Rules), part, decision) : null,
        };
    }

    /// <param name="rules">That gave the weights.</param>
    /// <param name="conversion">Whose touches compete.</param>
    /// <param name="parts">The parts of those touches.</param>
    private static ReceiptFit? FitOf(Rules rules, ConversionRecorded conversion, IEnumerable<CreditPart> parts) =>
        (rules.Model as Markov)?.Fit is not { } fit ? null : new ReceiptFit
        {
            Order = fit.Order,
            Converted = fit.Converted,
            NotConverted = fit.NotConverted,
            Effects =
            [
                .. parts.GroupBy(part => part.PartnerId, StringComparer.Ordinal).OrderBy(own => own.Key, StringComparer.Ordinal).Select(own => new ReceiptEffect
                {
                    Partner = own.Key,
                    RemovalEffect = fit.UnitsOf(conversion.ProgramId, own.Key) is { } units ? decimal.Round((decimal)units / Fit.Unit, 12) : null,
                    Weight = own.Sum(part => part.Weight),
                }),
            ],
        };

    private static ReceiptTouch TouchOf(Touch touch) => new()
    {
        ClickId = touch.Click.EventId,
        Partner = touch.Click.PartnerId,
        Link = touch.Click.Link,
        Campaign = touch.Click.Campaign?.Name,
        OccurredAt = touch.Click.OccurredAt,
        Evidence = Words.Of(touch.Evidence),
    };

    private static ReceiptTouch WithPart(ReceiptTouch touch, CreditPart part, long total, Decision decision) => touch with
    {
        Forfeited = part.Forfeited ? true : null,
        Share = part.Share,
        Amount = Currency.Format(part.AmountMinor, decision.Currency),
        Commission = Currency.Format(part.CommissionMinor, decision.Currency),
        QuotaMinor = Fraction(new BigInteger(decision.NetMinor) * part.Weight, total),
        RemainderMinor = part.AmountMinor - Split.Quota(decision.NetMinor, part.Weight, total).Quotient,
    };

    private static ImmutableArray<ReceiptTouch> Touches(Decision decision, Rules rules)
    {
        long total = 0;
        foreach (var verdict in decision.Touches)
        {
            total += verdict.Weight;
        }

        var touches = ImmutableArray.CreateBuilder<ReceiptTouch>(decision.Touches.Length);
        foreach (var verdict in decision.Touches)
        {
            var judged = verdict.StoppedBy is null ? null : rules.Bots.Judge(verdict.Touch.Click);
            var touch = TouchOf(verdict.Touch) with
            {
                StoppedBy = verdict.StoppedBy,
                WindowDays = verdict.StoppedBy == StopReason.OutsideWindow
                    ? rules.PartnerWindows.FirstOrDefault(w => w.Partner == verdict.Touch.Click.PartnerId)?.Days
                    : null,
                Sign = judged is { } bot && bot.Reason == verdict.StoppedBy ? bot.Sign : null,
            };
            touches.Add(verdict.StoppedBy is not null ? touch : WithPart(
                touch,
                new CreditPart(
                    verdict.Touch, verdict.Touch.Click.PartnerId, verdict.Forfeited, verdict.Weight, verdict.Share, verdict.AmountMinor, verdict.CommissionMinor),
                total,
                decision));
        }

        return touches.MoveToImmutable();
    }

    private static ImmutableArray<ReceiptPartner> Partners(Decision decision, Rules rules) =>
    [
        .. decision.Partners.Select(credit => new ReceiptPartner
        {
            Partner = credit.PartnerId,
            Share = credit.Share,
            Amount = Currency.Format(credit.AmountMinor, decision.Currency),
            Commission = Currency.Format(credit.CommissionMinor, decision.Currency),
            By = decision.Paid.Where(p => p.PartnerId == credit.PartnerId).Select(p => By(p, rules.Commission[p.Entry], decision)).ToArray() is { Length: > 0 } by ? by : null,
        }),
    ];

    private static ReceiptCommission By(PaidPart paid, CommissionEntry entry, Decision decision) => new()
    {
        Entry = paid.Entry,
        Percent = entry.PercentBasisPoints is { } basisPoints ? Rules.Percent(basisPoints) : null,
        Flat = Format(entry.FlatMinor, decision),
        Product = entry.Product,
        Cap = Format(entry.CapMinor, decision),
        Minimum = Format(entry.MinimumMinor, decision),
        Of = Currency.Format(paid.AmountMinor, decision.Currency),
        Commission = Currency.Format(paid.CommissionMinor, decision.Currency),
    };

    private static string? Format(long? minor, Decision decision) => minor is { } sum ? Currency.Format(sum, decision.Currency) : null;

    private static ImmutableArray<ReceiptAdjustment> Adjustments(Journey journey)
    {
        var adjustments = ImmutableArray.CreateBuilder<ReceiptAdjustment>(journey.Adjustments.Length);
        var sum = Int128.Zero;
        foreach (var adjustment in journey.Adjustments)
        {
            var counts = Net.Counts(adjustment, journey.Conversion);
            sum += counts ? adjustment.AmountMinor : 0;
            adjustments.Add(new ReceiptAdjustment
            {
                Id = adjustment.AdjustmentId,
                OccurredAt = adjustment.OccurredAt,
                Reason = Words.Of(adjustment.Reason),
                Amount = Currency.Format(adjustment.AmountMinor, adjustment.Currency),
                Currency = adjustment.Currency,
                Counted = counts,
                Net = Currency.Format(Net.Bounded(journey.Conversion, sum), journey.Conversion.Currency),
            });
        }

        return adjustments.MoveToImmutable();
    }

    private static ReceiptStatement[]? Statements(Journey journey)
    {
        if (journey.Restated is not { } restated)
        {
            return null;
        }

        var recorded = new ReceiptStatement
        {
            AsOf = restated.RecordedAsOf,
            Amount = Currency.Format(restated.RecordedMinor, journey.Conversion.Currency),
            Currency = journey.Conversion.Currency,
            InForce = restated.InForce is null,
        };
        return
        [
            recorded,
            .. restated.Statements.Select(s => new ReceiptStatement
            {
                AsOf = s.OccurredAt,
                Amount = Currency.Format(s.AmountMinor, s.Currency),
                Currency = s.Currency,
                Cancelled = s.Cancelled,
                InForce = s == restated.InForce,
            }),
        ];
    }

    private static string Fraction(BigInteger numerator, BigInteger denominator)
    {
        var divisor = BigInteger.GreatestCommonDivisor(numerator, denominator);
        return divisor == denominator ? $"{numerator / divisor}" : $"{numerator / divisor}/{denominator / divisor}";
    }
}
