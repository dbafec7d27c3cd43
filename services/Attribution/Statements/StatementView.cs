using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using PartnerPulse.Attribution.Ledger;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Rows;

namespace PartnerPulse.Attribution.Statements;

/// <summary>A statement as it is shown. Amounts are decimal strings in the currency's own decimals.</summary>
/// <param name="Id">Id of the closing; absent while the month is open, and then everything is as if it were closed now.</param>
/// <param name="Period">The month.</param>
/// <param name="State"><c>open</c> or <c>closed</c>.</param>
/// <param name="ClosedAt">When it was closed.</param>
/// <param name="By">Name of the key that closed it.</param>
/// <param name="Basis">What it can be recomputed from; absent while it is open.</param>
/// <param name="HoldDays">Days that commission is held.</param>
/// <param name="PayableAsOf">The day whose payable commission it pays.</param>
/// <param name="Totals">Of all partners that are shown, a currency.</param>
/// <param name="Balances">One a partner and currency, ordered by both.</param>
/// <param name="Entries">Of the one partner that is shown: the first of its entries, adjustments of earlier months among them.</param>
/// <param name="Ledger">Path of all entries.</param>
internal sealed record StatementView(
    Guid? Id, string Period, string State, DateTimeOffset? ClosedAt, string? By, StatementBasis? Basis, int HoldDays, string PayableAsOf,
    IReadOnlyList<TotalView> Totals, IReadOnlyList<BalanceView> Balances, IReadOnlyList<EntryView>? Entries, string Ledger);

/// <param name="Position">Position in the attribution log up to which facts are judged.</param>
/// <param name="Generation">The generation that counted.</param>
/// <param name="RulesVersion">Its rules.</param>
/// <param name="RulesHash">SHA-256 of their canonical text.</param>
/// <param name="EngineVersion">What judged.</param>
internal sealed record StatementBasis(long Position, int Generation, int RulesVersion, string RulesHash, string EngineVersion);

/// <param name="Currency">ISO 4217.</param>
/// <param name="Amount">Credited amounts of orders.</param>
/// <param name="Opening">Carried over from the statement before.</param>
/// <param name="Earned">Commission of the month's own conversions.</param>
/// <param name="Adjusted">Commission of conversions of earlier months.</param>
/// <param name="Held">Not payable yet.</param>
/// <param name="Payable">Paid by it.</param>
/// <param name="Carried">Carried on to the next: what is held, and as a negative amount what is owed.</param>
internal sealed record TotalView(string Currency, string Amount, string Opening, string Earned, string Adjusted, string Held, string Payable, string Carried)
{
    public static IReadOnlyList<TotalView> Of(IEnumerable<StatementBalance> balances) =>
        [.. balances.GroupBy(b => b.Currency, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g =>
        {
            string Sum(Func<StatementBalance, long> of) => Contracts.Currency.Format(g.Sum(of), g.Key);
            return new TotalView(
                g.Key, Sum(b => b.AmountMinor), Sum(b => b.OpeningMinor), Sum(b => b.EarnedMinor), Sum(b => b.AdjustedMinor), Sum(b => b.HeldMinor),
                Sum(b => b.PayableMinor), Sum(b => b.CarriedMinor));
        })];
}

/// <summary>One partner in one currency; the fields of <see cref="TotalView"/>.</summary>
/// <param name="Partner">The partner.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Note">Where something is not paid: why, in words.</param>
internal sealed record BalanceView(
    string Partner, string Currency, string Amount, string Opening, string Earned, string Adjusted, string Held, string Payable, string Carried, string? Note)
{
    public static BalanceView Of(StatementBalance b)
    {
        var note = b.CarriedMinor < 0 ? $"owes {Text(-b.CarriedMinor)} {b.Currency}, which the next statement carries on"
            : b.CarriedMinor > 0 ? $"{Text(b.CarriedMinor)} {b.Currency} is held and goes on to the next statement"
            : null;
        return new BalanceView(
            b.PartnerId, b.Currency, Text(b.AmountMinor), Text(b.OpeningMinor), Text(b.EarnedMinor), Text(b.AdjustedMinor), Text(b.HeldMinor), Text(b.PayableMinor),
            Text(b.CarriedMinor), note);

        string Text(long minor) => Contracts.Currency.Format(minor, b.Currency);
    }
}

/// <summary>One line of a payout. Amounts as in <see cref="BalanceView"/>.</summary>
/// <param name="Partner">Who is paid.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="Commission">Commission of the month, adjustments of earlier months included.</param>
/// <param name="Opening">Carried over from the statement before.</param>
/// <param name="Held">Not payable on <paramref name="AsOf"/>.</param>
/// <param name="Payable">What to pay.</param>
/// <param name="Carried">What the next statement begins with.</param>
/// <param name="Period">The month.</param>
/// <param name="AsOf">The day of the payout.</param>
/// <param name="Statement">Id of the statement, for the reference of the payment; absent while the month is open.</param>
internal sealed record PayoutView(
    string Partner, string Currency, string Commission, string Opening, string Held, string Payable, string Carried, string Period, string AsOf, Guid? Statement)
{
    public static IReadOnlyList<Column<PayoutView>> Columns { get; } =
    [
        new("partner", p => p.Partner), new("currency", p => p.Currency), new("commission", p => Number(p.Commission)), new("opening", p => Number(p.Opening)),
        new("held", p => Number(p.Held)), new("payable", p => Number(p.Payable)), new("carried", p => Number(p.Carried)), new("period", p => p.Period),
        new("as_of", p => p.AsOf), new("statement", p => p.Statement),
    ];

    public static PayoutView Of(StatementBalance b, string period, string asOf, Guid? statement)
    {
        return new PayoutView(
            b.PartnerId, b.Currency, Text(b.EarnedMinor + b.AdjustedMinor), Text(b.OpeningMinor), Text(b.HeldMinor), Text(b.PayableMinor), Text(b.CarriedMinor), period, asOf,
            statement);

        string Text(long minor) => Contracts.Currency.Format(minor, b.Currency);
    }

    private static decimal Number(string amount) => decimal.Parse(amount, CultureInfo.InvariantCulture);
}

/// <param name="Period">The month.</param>
/// <param name="State"><c>open</c> or <c>closed</c>.</param>
/// <param name="AsOf">The day of the payout.</param>
/// <param name="Rows">Ordered by partner and currency; with nothing to pay where something is held or owed.</param>
internal sealed record Payouts(string Period, string State, string AsOf, IReadOnlyList<PayoutView> Rows);

/// <param name="Period">The month.</param>
/// <param name="Id">Id of its closing.</param>
/// <param name="ClosedAt">When.</param>
/// <param name="Position">Position in the log up to which facts are judged in it.</param>
/// <param name="RulesVersion">The rules that counted.</param>
/// <param name="Partners">Partners with a balance.</param>
/// <param name="Totals">A currency.</param>
internal sealed record StatementRow(string Period, Guid Id, DateTimeOffset ClosedAt, long Position, int RulesVersion, int Partners, IReadOnlyList<TotalView> Totals);

/// <param name="Statements">Closed months, the latest first.</param>
/// <param name="Next">The month that can be closed next, once it is over; absent where it may be any.</param>
internal sealed record StatementList(IReadOnlyList<StatementRow> Statements, string? Next);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PayoutView))]
internal sealed partial class StatementsJson : JsonSerializerContext;
