using System.Globalization;
using System.Text.Json;
using Npgsql;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.IntegrationTests.EndToEnd;

/// <summary>Decisions and credits as lines in order, so that a difference shows as the first line that differs.</summary>
internal static class Ledger
{
    /// <summary>What the rules make of a history.</summary>
    public static IReadOnlyList<string> Of(History history, Rules rules) => Of(history, RulesInForce.Only(rules));

    public static IReadOnlyList<string> Of(History history, RulesInForce rules)
    {
        var lines = new List<string>();
        foreach (var journey in history.Journeys)
        {
            var decision = Crediting.Decide(journey, history.Standings, rules);
            lines.Add(Line(decision.ConversionId, decision.NetMinor, decision.Currency, decision.Credited, decision.Reason));
            lines.AddRange(decision.Parts.Where(t => t.Share > 0).Select(t =>
                Line(decision.ConversionId, t.Touch?.Click.EventId ?? Guid.Empty, t.PartnerId, t.Share, t.AmountMinor, t.CommissionMinor)));
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    /// <summary>What the tables of a generation hold.</summary>
    public static async Task<IReadOnlyList<string>> ReadAsync(NpgsqlDataSource database, int generation)
    {
        var lines = new List<string>();
        await using var decisions = database.CreateCommand(
            $"""
             select o.conversion_id, coalesce(u.net_minor, o.net_minor), o.currency, u.reason is null, u.reason
               from attribution.orders o left join attribution.uncredited u on u.generation = {generation} and u.conversion_id = o.conversion_id
              where u.reason is not null or exists (select from attribution.credits c where c.generation = {generation} and c.conversion_id = o.conversion_id)
             """);
        await using (var reader = await decisions.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                lines.Add(Line(reader.GetGuid(0), reader.GetInt64(1), reader.GetString(2), reader.GetBoolean(3), reader.IsDBNull(4) ? null : reader.GetString(4)));
            }
        }

        await using var credits = database.CreateCommand(
            $"select conversion_id, click_id, partner_id, share, amount_minor, commission_minor from attribution.credits where generation = {generation}");
        await using (var reader = await credits.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                lines.Add(Line(reader.GetGuid(0), reader.GetGuid(1), reader.GetString(2), reader.GetDecimal(3), reader.GetInt64(4), reader.GetInt64(5)));
            }
        }

        lines.Sort(StringComparer.Ordinal);
        return lines;
    }

    /// <summary>The rows of <c>GET /v1/credits?groupBy=partner</c> and what nobody is credited for, as the rules make them of a history.</summary>
    public static IReadOnlyList<string> CreditsOf(History history, Rules rules)
    {
        var decisions = history.Journeys.Where(j => !j.Conversion.Test).Select(j => Crediting.Decide(j, history.Standings, rules)).ToArray();
        var parts = decisions.SelectMany(d => d.Parts.Where(t => t.Share > 0).Select(t => (Decision: d, Touch: t))).ToArray();
        var lines = parts.GroupBy(p => p.Touch.PartnerId).Select(partner => PartnerLine(
            partner.Key,
            partner.Select(p => p.Decision.ConversionId).Distinct().Count(),
            partner.Sum(p => p.Touch.Share),
            partner.GroupBy(p => p.Decision.Currency).Select(money => (
                money.Key,
                Currency.Format(money.Sum(m => m.Touch.AmountMinor), money.Key),
                Currency.Format(money.Sum(m => m.Touch.CommissionMinor), money.Key)))));
        var rest = decisions.Where(d => !d.Credited).ToArray();
        return Sorted(lines.Append(NobodyLine(
            rest.Length, rest.GroupBy(d => d.Currency).Select(money => (money.Key, Currency.Format(money.Sum(d => d.NetMinor), money.Key))))));
    }

    /// <summary>The same lines of an answer.</summary>
    public static IReadOnlyList<string> Partners(this JsonElement credits)
    {
        var lines = credits.GetProperty("rows").EnumerateArray().Select(row => PartnerLine(
            row.GetProperty("partner").GetString()!,
            row.GetProperty("conversions").GetInt32(),
            row.GetProperty("shares").GetDecimal(),
            row.GetProperty("amounts").EnumerateArray().Select(a => (Text(a, "currency"), Text(a, "amount"), Text(a, "commission")))));
        var rest = credits.GetProperty("unattributed");
        return Sorted(lines.Append(NobodyLine(
            rest.GetProperty("conversions").GetInt32(), rest.GetProperty("amounts").EnumerateArray().Select(a => (Text(a, "currency"), Text(a, "amount"))))));
    }

    private static string Line(Guid conversion, long net, string currency, bool credited, string? reason) =>
        $"{conversion} net {net} {currency} {credited} {reason}";

    private static string Line(Guid conversion, Guid click, string partner, decimal share, long amount, long commission) =>
        string.Create(CultureInfo.InvariantCulture, $"{conversion} {click} {partner} {share:F18} {amount} {commission}");

    private static string PartnerLine(string partner, int conversions, decimal shares, IEnumerable<(string Currency, string Amount, string Commission)> money) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{partner}: {conversions} conversions, {shares:F18} shares, {string.Join(", ", money.OrderBy(m => m.Currency, StringComparer.Ordinal).Select(m => $"{m.Amount} {m.Currency} pays {m.Commission}"))}");

    private static string NobodyLine(int conversions, IEnumerable<(string Currency, string Amount)> money) =>
        $"(nobody): {conversions} conversions, {string.Join(", ", money.OrderBy(m => m.Currency, StringComparer.Ordinal).Select(m => $"{m.Amount} {m.Currency}"))}";

    private static IReadOnlyList<string> Sorted(IEnumerable<string> lines) => [.. lines.Order(StringComparer.Ordinal)];

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
}
