using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Contracts;

namespace PartnerPulse.Outbound;

/// <summary>The body of every webhook.</summary>
/// <param name="Type">Name of the event, see <see cref="EventNames"/>.</param>
/// <param name="Id">Id of the event: the same for every subscriber.</param>
/// <param name="Timestamp">When it happened, in UTC.</param>
/// <param name="Program">The program it belongs to.</param>
/// <param name="Test">Test traffic, or a delivery that was asked for to try the receiver out: nothing to book.</param>
/// <param name="Data">What happened; amounts are decimal strings in the currency's own decimals.</param>
internal sealed record Message(string Type, Guid Id, DateTimeOffset Timestamp, string Program, bool Test, object Data);

internal sealed record ConversionData(
    Guid ConversionId, string Source, string OrderId, ConversionKind Kind, string Amount, string Currency, Guid? ClickId, string? Coupon, bool? NewCustomer);

internal sealed record AdjustmentData(Guid ConversionId, string Source, string OrderId, string AdjustmentId, string Amount, string Currency, AdjustmentReason Reason);

/// <param name="Partners">One a partner whose part changed.</param>
internal sealed record CreditData(
    Guid ConversionId, string? Source, string? OrderId, ConversionKind? Kind, string Currency, int Generation, IReadOnlyList<PartnerChange> Partners);

/// <param name="Id">What <c>/v1/statements/{id}</c> takes.</param>
/// <param name="Period">The month.</param>
/// <param name="PayableAsOf">The day up to which commission had to become payable.</param>
/// <param name="Balances">One a partner and currency.</param>
internal sealed record StatementData(Guid Id, string Period, string PayableAsOf, IReadOnlyList<BalanceData> Balances);

/// <summary>Opening, earned and adjusted make up what is due; payable is paid of it, and carried goes on to the next statement.</summary>
internal sealed record BalanceData(string Partner, string Currency, string Opening, string Earned, string Adjusted, string Held, string Payable, string Carried)
{
    public static BalanceData Of(StatementBalance balance)
    {
        return new BalanceData(
            balance.PartnerId, balance.Currency, Text(balance.OpeningMinor), Text(balance.EarnedMinor), Text(balance.AdjustedMinor), Text(balance.HeldMinor),
            Text(balance.PayableMinor), Text(balance.CarriedMinor));

        string Text(long minor) => Money.Format(minor, balance.Currency);
    }
}

internal sealed record PartnerChange(string Partner, Part Before, Part After)
{
    /// <summary>Partners whose part of the conversion is another one now, in their order.</summary>
    public static IReadOnlyList<PartnerChange> Of(CreditsRevised revised) =>
        Sides(revised).Select(s => new PartnerChange(s.Partner, Part.Of(s.Before, revised.Currency), Part.Of(s.After, revised.Currency))).ToArray();

    public static IEnumerable<(string Partner, PartnerCredit? Before, PartnerCredit? After)> Sides(CreditsRevised revised) =>
        revised.Before.Concat(revised.After).Select(credit => credit.PartnerId).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .Select(partner => (
                partner,
                Before: revised.Before.SingleOrDefault(credit => credit.PartnerId == partner),
                After: revised.After.SingleOrDefault(credit => credit.PartnerId == partner)))
            .Where(sides => sides.Before != sides.After);
}

/// <param name="Share">Fraction of the conversion as a decimal string.</param>
internal sealed record Part(string Share, string Amount, string Commission)
{
    public static Part Of(PartnerCredit? credit, string currency) => new(
        Money.Plain(credit?.Share ?? 0), Money.Format(credit?.AmountMinor ?? 0, currency), Money.Format(credit?.CommissionMinor ?? 0, currency));
}

/// <summary>Amounts as the outside reads them.</summary>
internal static class Money
{
    public static string Format(long minor, string currency) => Currency.Format(minor, currency);

    /// <summary>Without the zeros that only say how exact it is.</summary>
    public static string Plain(decimal number) => (number / 1.0000000000000000000000000000m).ToString(System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>What is known of the conversion and the clicks that an event speaks of.</summary>
internal sealed record Surroundings(ConversionRecorded? Conversion, IReadOnlyDictionary<Guid, ClickRecorded> Clicks)
{
    public static readonly Surroundings None = new(null, new Dictionary<Guid, ClickRecorded>());
}

/// <summary>Events as webhooks and postbacks tell them. Nothing of the customer or the visitor is among it.</summary>
internal static class Payload
{
    public static byte[] Webhook(IEvent @event, ConversionRecorded? conversion, bool test = false) =>
        JsonSerializer.SerializeToUtf8Bytes(
            new Message(EventNames.Of(@event), @event.EventId, @event.OccurredAt, @event.ProgramId, test || IsTest(@event, conversion), Data(@event, conversion)),
            OutboundJson.Default.Message);

    /// <summary>Test orders, and what became of them.</summary>
    public static bool IsTest(IEvent @event, ConversionRecorded? conversion) => (@event as ConversionRecorded ?? conversion)?.Test == true;

    /// <summary>The values of the macros of a partner's postback, by name.</summary>
    /// <param name="revised">What changed.</param>
    /// <param name="partner">Whose part.</param>
    /// <param name="before">What the partner had; null for nothing.</param>
    /// <param name="after">What it has now.</param>
    /// <param name="around">The conversion and the clicks.</param>
    public static byte[] Postback(CreditsRevised revised, string partner, PartnerCredit? before, PartnerCredit? after, Surroundings around)
    {
        // Of several clicks that have a part, the last: the one that the partner's system has seen last.
        var click = (revised.Clicks ?? []).Where(c => c.PartnerId == partner).Select(c => around.Clicks.GetValueOrDefault(c.ClickId)).OfType<ClickRecorded>()
            .OrderByDescending(c => c.OccurredAt).ThenByDescending(c => c.EventId, Comparer<Guid>.Create(Ids.CompareBytes)).FirstOrDefault();
        var values = new Dictionary<string, string?>(StringComparer.Ordinal)
        {
            [Macros.ClickId] = click?.EventId.ToString(),
            [Macros.Payout] = Money.Format(after?.CommissionMinor ?? 0, revised.Currency),
            [Macros.PayoutChange] = Money.Format((after?.CommissionMinor ?? 0) - (before?.CommissionMinor ?? 0), revised.Currency),
            [Macros.Amount] = Money.Format(after?.AmountMinor ?? 0, revised.Currency),
            [Macros.Share] = Money.Plain(after?.Share ?? 0),
            [Macros.Currency] = revised.Currency,
            [Macros.OrderId] = around.Conversion?.OrderId,
            [Macros.Source] = around.Conversion?.Source,
            [Macros.ConversionId] = revised.ConversionId.ToString(),
            [Macros.Partner] = partner,
            [Macros.Kind] = around.Conversion is { } conversion ? JsonNamingPolicy.CamelCase.ConvertName(conversion.Kind.ToString()) : null,
            [Macros.Status] = before is null ? "approved" : after is null ? "reversed" : "changed",
            [Macros.Link] = click?.Link,
            [Macros.Time] = revised.OccurredAt.ToUniversalTime().ToString("yyyy-MM-ddTHH:mm:ssZ", System.Globalization.CultureInfo.InvariantCulture),
            [Macros.EventId] = revised.EventId.ToString(),
        };
        foreach (var name in Macros.SubIds)
        {
            values[name] = click?.SubIds?.GetValueOrDefault(name);
        }

        return JsonSerializer.SerializeToUtf8Bytes(
            values.Where(v => v.Value is not null).ToDictionary(v => v.Key, v => v.Value!, StringComparer.Ordinal), OutboundJson.Default.DictionaryStringString);
    }

    private static object Data(IEvent @event, ConversionRecorded? conversion) => @event switch
    {
        ConversionRecorded e => new ConversionData(
            e.ConversionId, e.Source, e.OrderId, e.Kind, Money.Format(e.AmountMinor, e.Currency), e.Currency, e.ClickId, e.Coupon, e.NewCustomer),
        ConversionAdjusted e => new AdjustmentData(
            e.ConversionId, e.Source, e.OrderId, e.AdjustmentId, Money.Format(e.AmountMinor, e.Currency), e.Currency, e.Reason),
        CreditsRevised e => new CreditData(
            e.ConversionId, conversion?.Source, conversion?.OrderId, conversion?.Kind, e.Currency, e.Generation, PartnerChange.Of(e)),
        StatementClosed e => new StatementData(e.EventId, e.Period, e.PayableAsOf, e.Balances.Select(BalanceData.Of).ToArray()),
        var other => throw new UnreachableException(other.GetType().Name),
    };
}

/// <summary>Bodies and answers as they are written and read.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    AllowDuplicateProperties = false,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(Message))]
[JsonSerializable(typeof(ConversionData))]
[JsonSerializable(typeof(AdjustmentData))]
[JsonSerializable(typeof(CreditData))]
[JsonSerializable(typeof(StatementData))]
[JsonSerializable(typeof(Dictionary<string, string>))]
[JsonSerializable(typeof(RegisterWebhookAsk))]
[JsonSerializable(typeof(ChangeWebhookAsk))]
[JsonSerializable(typeof(RotateSecretAsk))]
[JsonSerializable(typeof(TestWebhookAsk))]
[JsonSerializable(typeof(SetPostbackAsk))]
[JsonSerializable(typeof(WebhookBody))]
[JsonSerializable(typeof(WebhookList))]
[JsonSerializable(typeof(PostbackBody))]
[JsonSerializable(typeof(PostbackList))]
[JsonSerializable(typeof(DeliveryBody))]
[JsonSerializable(typeof(DeliveryPage))]
[JsonSerializable(typeof(Redelivered))]
internal sealed partial class OutboundJson : JsonSerializerContext;
