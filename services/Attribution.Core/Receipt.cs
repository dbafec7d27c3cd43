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
    public required int Generation { get; init; }

    /// <summary>Position in the attribution log up to which the facts are taken into account.</summary>
    public required long LogPosition { get; init; }

    /// <summary>Every touch considered, in order.</summary>
    public required ImmutableArray<ReceiptTouch> Touches { get; init; }

    /// <summary>Who has something, ordered by partner id.</summary>
    public required ImmutableArray<ReceiptPartner> Partners { get; init; }

    /// <summary>In order.</summary>
    public required ImmutableArray<ReceiptAdjustment> Adjustments { get; init; }
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
    public required int Version { get; init; }
    public required string Hash { get; init; }
    public required string Name { get; init; }

    /// <summary>Kind of the model.</summary>
    public required string Model { get; init; }
    public required int WindowDays { get; init; }
    public required int RepeatMinutes { get; init; }

    /// <summary>Version of the bot list that judged user agents; <c>include</c> where none did.</summary>
    public required string Bots { get; init; }
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

    /// <summary>The commission entry that matched; absent where none did, or where the share is forfeited.</summary>
    public ReceiptCommission? By { get; init; }
}

public sealed record ReceiptCommission
{
    /// <summary>Index in the rules' list, from 0.</summary>
    public required int Entry { get; init; }
    public decimal? Percent { get; init; }

    /// <summary>For the whole conversion, before a refund takes it down and before it is split.</summary>
    public string? Flat { get; init; }
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

/// <summary>The one serializer of receipts: camelCase, absent instead of null.</summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(ConversionReceipt))]
public sealed partial class ReceiptJson : JsonSerializerContext;

/// <summary>Writes receipts. The same inputs give the same bytes.</summary>
public static class Receipt
{
    /// <summary>The operator's receipt: everything.</summary>
    /// <param name="journey">What <paramref name="decision"/> was decided from.</param>
    /// <param name="decision">By <see cref="Crediting.Decide"/> under <paramref name="rules"/>.</param>
    /// <param name="rules">The rules.</param>
    /// <param name="rulesVersion">Their version in the program.</param>
    /// <param name="logPosition">Position in the attribution log up to which the facts are taken into account.</param>
    /// <param name="generation">The generation that holds the credit.</param>
    public static ConversionReceipt Of(Journey journey, Decision decision, Rules rules, int rulesVersion, long logPosition, int generation)
    {
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
                Version = rulesVersion,
                Hash = rules.Hash,
                Name = rules.Name,
                Model = rules.Model.Kind,
                WindowDays = rules.WindowDays,
                RepeatMinutes = rules.RepeatMinutes,
                Bots = Words.Of(rules.Bots),
            },
            EngineVersion = Engine.Version,
            Generation = generation,
            LogPosition = logPosition,
            Touches = Touches(decision, rules),
            Partners = Partners(journey, decision, rules),
            Adjustments = Adjustments(journey),
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
            Touches = [.. receipt.Touches.Select(touch => touch.Partner == partnerId ? touch : Anonymous(touch))],
            Partners = own,
            Adjustments = seesMoney ? receipt.Adjustments : [.. receipt.Adjustments.Select(a => a with { Amount = null, Net = null })],
        };
    }

    public static byte[] ToJson(ConversionReceipt receipt) =>
        JsonSerializer.SerializeToUtf8Bytes(receipt, ReceiptJson.Default.ConversionReceipt);

    private static ReceiptTouch Anonymous(ReceiptTouch touch) => new()
    {
        Partner = "another partner",
        OccurredAt = touch.OccurredAt,
        Evidence = touch.Evidence,
        StoppedBy = touch.StoppedBy,
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
            var click = verdict.Touch.Click;
            var touch = new ReceiptTouch
            {
                ClickId = click.EventId,
                Partner = click.PartnerId,
                Link = click.Link,
                Campaign = click.Campaign?.Name,
                OccurredAt = click.OccurredAt,
                Evidence = Words.Of(verdict.Touch.Evidence),
                StoppedBy = verdict.StoppedBy,
                Sign = rules.Bots.Judge(click) is { } judged && judged.Reason == verdict.StoppedBy ? judged.Sign : null,
            };
            touches.Add(verdict.StoppedBy is not null ? touch : touch with
            {
                Forfeited = verdict.Forfeited ? true : null,
                Share = verdict.Share,
                Amount = Currency.Format(verdict.AmountMinor, decision.Currency),
                Commission = Currency.Format(verdict.CommissionMinor, decision.Currency),
                QuotaMinor = Fraction(new BigInteger(decision.NetMinor) * verdict.Weight, total),
                RemainderMinor = verdict.AmountMinor - Split.Quota(decision.NetMinor, verdict.Weight, total).Quotient,
            });
        }

        return touches.MoveToImmutable();
    }

    private static ImmutableArray<ReceiptPartner> Partners(Journey journey, Decision decision, Rules rules)
    {
        var partners = ImmutableArray.CreateBuilder<ReceiptPartner>(decision.Partners.Length);
        foreach (var credit in decision.Partners)
        {
            var forfeited = decision.Touches.Any(v => v.Forfeited && v.Touch.Click.PartnerId == credit.PartnerId);
            var match = forfeited ? -1 : Commission.IndexOfMatch(rules, journey.Conversion, credit.PartnerId);
            partners.Add(new ReceiptPartner
            {
                Partner = credit.PartnerId,
                Share = credit.Share,
                Amount = Currency.Format(credit.AmountMinor, decision.Currency),
                Commission = Currency.Format(credit.CommissionMinor, decision.Currency),
                By = match < 0 ? null : new ReceiptCommission
                {
                    Entry = match,
                    Percent = rules.Commission[match].PercentBasisPoints is { } basisPoints ? Rules.Percent(basisPoints) : null,
                    Flat = rules.Commission[match].FlatMinor is { } flat ? Currency.Format(flat, decision.Currency) : null,
                },
            });
        }

        return partners.MoveToImmutable();
    }

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

    private static string Fraction(BigInteger numerator, BigInteger denominator)
    {
        var divisor = BigInteger.GreatestCommonDivisor(numerator, denominator);
        return divisor == denominator ? $"{numerator / divisor}" : $"{numerator / divisor}/{denominator / divisor}";
    }
}
