using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using PartnerPulse.Hosting.Problems;
using PartnerPulse.Hosting.Rows;

namespace PartnerPulse.Attribution.Reconciliations;

/// <summary>A request that would make the record say what the partner claims, where the claim is right.</summary>
/// <param name="Method">HTTP method.</param>
/// <param name="Path">Path of the request.</param>
/// <param name="Body">Its body, as JSON.</param>
/// <param name="When">When it is right to send it.</param>
internal sealed record Correction(string Method, string Path, JsonObject Body, string When);

/// <summary>One line of a reconciliation. Amounts are decimal strings in the currency's own decimals.</summary>
/// <param name="Number">From 1, in the order of the list; orders that were not listed come last.</param>
/// <param name="Line">Of the partner's file; absent for an order that it does not list.</param>
/// <param name="Verdict">See <see cref="Reconciliations.Verdict"/>.</param>
/// <param name="Sentence">Why, in words to the partner.</param>
/// <param name="Source">Where the order came from.</param>
/// <param name="OrderId">The shop's id of the order; the claimed one where it is not known.</param>
/// <param name="ClickId">The click that was claimed.</param>
/// <param name="OccurredAt">When the order happened; as claimed where it is not known.</param>
/// <param name="Currency">ISO 4217: of the order, else of the claim.</param>
/// <param name="ClaimedAmount">What the partner says the order is worth.</param>
/// <param name="ClaimedCommission">What it expects of it.</param>
/// <param name="Net">What the order is worth after refunds; absent in the view of a partner that has nothing of it.</param>
/// <param name="Share">The partner's share.</param>
/// <param name="Amount">The partner's part.</param>
/// <param name="Commission">The partner's commission.</param>
/// <param name="Receipt">Path of the receipt.</param>
/// <param name="Correction">What to send if the partner is right; absent where there is nothing to mend.</param>
internal sealed record ReconciledLine(
    int Number, long? Line, string Verdict, string Sentence, string? Source, string? OrderId, string? ClickId, DateTimeOffset? OccurredAt, string? Currency,
    string? ClaimedAmount, string? ClaimedCommission, string? Net, decimal? Share, string? Amount, string? Commission, string? Receipt, Correction? Correction)
{
    public static IReadOnlyList<Column<ReconciledLine>> Columns { get; } =
    [
        new("number", l => l.Number), new("line", l => l.Line), new("verdict", l => l.Verdict), new("sentence", l => l.Sentence), new("source", l => l.Source),
        new("order_id", l => l.OrderId), new("click_id", l => l.ClickId), new("occurred_at", l => l.OccurredAt), new("currency", l => l.Currency),
        new("claimed_amount", l => Money(l.ClaimedAmount)), new("claimed_commission", l => Money(l.ClaimedCommission)), new("net", l => Money(l.Net)),
        new("share", l => l.Share), new("amount", l => Money(l.Amount)), new("commission", l => Money(l.Commission)), new("receipt", l => l.Receipt),
        new("correction", l => l.Correction is { } c ? $"{c.Method} {c.Path} {c.Body.ToJsonString()}" : null),
    ];

    /// <summary>As the partner may see it: who has nothing of an order does not see its money, for that is the others'.</summary>
    public ReconciledLine ForPartner() => this with { Net = Commission is null ? null : Net, Correction = null };

    private static decimal? Money(string? amount) => amount is null ? null : decimal.Parse(amount, CultureInfo.InvariantCulture);
}

/// <summary>Lines of one verdict in one currency; amounts are their sums.</summary>
/// <param name="Verdict">The verdict.</param>
/// <param name="Currency">ISO 4217; empty where neither the claim nor an order has one.</param>
/// <param name="Lines">How many.</param>
/// <param name="ClaimedAmount">What was claimed to be ordered.</param>
/// <param name="ClaimedCommission">What was expected.</param>
/// <param name="Amount">The partner's parts.</param>
/// <param name="Commission">The partner's commissions.</param>
internal sealed record VerdictTotal(string Verdict, string Currency, long Lines, string? ClaimedAmount, string? ClaimedCommission, string? Amount, string? Commission);

/// <summary>A reconciliation: all but its lines.</summary>
/// <param name="Id">Of the reconciliation.</param>
/// <param name="Partner">Whose list it was.</param>
/// <param name="CreatedAt">When.</param>
/// <param name="By">Name of the key that sent it.</param>
/// <param name="From">Orders that were not listed are looked for from here; absent where nothing was found to look around.</param>
/// <param name="To">And up to here, exclusive.</param>
/// <param name="Position">Position in the log up to which facts are taken into account.</param>
/// <param name="Generation">The generation that counts.</param>
/// <param name="RulesVersion">Its rules.</param>
/// <param name="Lines">Lines that were judged.</param>
/// <param name="NotListed">Orders that the partner is credited for and did not list.</param>
/// <param name="Rejected">Lines that cannot be read.</param>
/// <param name="Faults">What is wrong with them; the first thousand.</param>
/// <param name="IgnoredColumns">Columns that say nothing to us.</param>
/// <param name="Totals">A verdict and currency. Their lines add up to those that were judged and those that were not listed.</param>
internal sealed record ReconciliationSummary(
    Guid Id, string Partner, DateTimeOffset CreatedAt, string By, DateTimeOffset? From, DateTimeOffset? To, long Position, int Generation, int RulesVersion, long Lines,
    long NotListed, long Rejected, IReadOnlyList<RejectedLine> Faults, IReadOnlyList<string> IgnoredColumns, IReadOnlyList<VerdictTotal> Totals);

/// <param name="Summary">All but the lines.</param>
/// <param name="Lines">A page of them.</param>
/// <param name="Next">Ask again with <c>after</c> set to it; absent at the end.</param>
internal sealed record ReconciliationView(ReconciliationSummary Summary, IReadOnlyList<ReconciledLine> Lines, int? Next);

/// <param name="Reconciliations">The latest first.</param>
internal sealed record ReconciliationList(IReadOnlyList<ReconciliationSummary> Reconciliations);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ReconciliationView))]
[JsonSerializable(typeof(ReconciliationList))]
internal sealed partial class ReconciliationsJson : JsonSerializerContext;
