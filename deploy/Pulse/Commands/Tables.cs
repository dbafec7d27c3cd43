using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

/// <summary>What the API answers, as tables for people.</summary>
internal static class Tables
{
    public static void Credits(JsonNode credits)
    {
        AnsiConsole.MarkupLineInterpolated($"[bold]Credit per partner[/]  rules version {credits["rulesVersion"]}, generation {credits["generation"]}");
        var table = New("partner", "orders", "shares", "amount", "commission");
        foreach (var row in List(credits["rows"]))
        {
            table.AddRow(Text(row["partner"]), Text(row["conversions"]), Shares(row["shares"]), Money(row["amounts"], "amount"), Money(row["amounts"], "commission"));
        }

        if (credits["unattributed"] is { } nobody)
        {
            table.AddEmptyRow();
            table.AddRow("[grey]nobody[/]", Text(nobody["conversions"]), "", Money(nobody["amounts"], "amount"), "");
        }

        AnsiConsole.Write(table);
    }

    public static void Difference(JsonNode diff)
    {
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]What would change[/]  rules version {diff["againstRulesVersion"]} → {diff["rulesVersion"]}; {diff["conversionsChanged"]} orders differ");
        var table = New("partner", "shares now", "then", "commission now", "then", "difference");
        var rows = List(diff["rows"]).ToList();
        foreach (var row in rows)
        {
            table.AddRow(
                Text(row["partner"]),
                Shares(row["before"]?["shares"]), Shares(row["after"]?["shares"]),
                Money(row["before"]?["amounts"], "commission"), Money(row["after"]?["amounts"], "commission"),
                Money(row["difference"]?["amounts"], "commission", signed: true));
        }

        if (rows.Count == 0)
        {
            AnsiConsole.MarkupLine("Nothing.");
            return;
        }

        AnsiConsole.Write(table);
    }

    /// <summary>What a what-if answers: who gains and loses, and that nothing is lost on the way.</summary>
    public static void Movers(JsonNode answer)
    {
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]What would change[/]  {answer["conversionsChanged"]} of {answer["conversions"]} orders differ; {answer["winners"]} partners win, {answer["losers"]} lose");
        var rows = List(answer["rows"]).Where(row => row["outcome"]?.ToString() != "even").ToList();
        if (rows.Count == 0)
        {
            AnsiConsole.MarkupLine("Nobody gains or loses.");
            return;
        }

        var table = New("partner", "orders now", "then", "amount now", "then", "difference", "commission");
        foreach (var row in rows)
        {
            table.AddRow(
                Text(row["partner"]), Text(row["before"]?["conversions"]), Text(row["after"]?["conversions"]),
                Money(row["before"]?["amounts"], "amount"), Money(row["after"]?["amounts"], "amount"),
                Money(row["difference"]?["amounts"], "amount", signed: true), Money(row["difference"]?["amounts"], "commission", signed: true));
        }

        AnsiConsole.Write(table);
        foreach (var total in List(answer["totals"]))
        {
            AnsiConsole.MarkupLineInterpolated(
                $"{total["currency"]}: {total["moved"]} moves between partners, {total["entered"]?["amount"]} comes in from nobody, {total["left"]?["amount"]} goes to nobody");
        }
    }

    public static void Receipt(JsonNode receipt)
    {
        var order = receipt["conversion"];
        AnsiConsole.MarkupLineInterpolated($"[bold]Receipt[/]  order {order?["orderId"]} of {order?["source"]}, {Day(order?["occurredAt"])}");
        AnsiConsole.MarkupLineInterpolated($"{receipt["summary"]}");
        var currency = order?["currency"]?.ToString() ?? "";
        if (order?["amount"] is { } amount)
        {
            AnsiConsole.MarkupLineInterpolated($"amount {amount} {currency}, net of refunds {order["net"]} {currency}");
        }

        var rules = receipt["rules"];
        AnsiConsole.MarkupLineInterpolated($"[grey]rules {rules?["version"]} ({rules?["name"]}): {rules?["model"]}, {rules?["windowDays"]} days; engine {receipt["engineVersion"]}[/]");
        var table = New("touch", "partner", "link", "found by", "share", $"amount {currency}", $"commission {currency}");
        foreach (var touch in List(receipt["touches"]))
        {
            table.AddRow(
                Day(touch["occurredAt"]), Text(touch["partner"]), Text(touch["link"]), Text(touch["evidence"]),
                touch["stoppedBy"] is { } reason ? $"[grey]{Text(reason)}[/]" : Shares(touch["share"]), Text(touch["amount"]), Text(touch["commission"]));
        }

        AnsiConsole.Write(table);
        foreach (var effect in List(receipt["fit"]?["effects"]))
        {
            var lost = decimal.TryParse(effect["removalEffect"]?.ToString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var part)
                ? $"without it {(100 * part).ToString("0.##", CultureInfo.InvariantCulture)} % of all conversions would be lost"
                : "came after the fit";
            AnsiConsole.MarkupLineInterpolated($"removal effect of {effect["partner"]}: {lost}");
        }

        foreach (var statement in List(receipt["statements"]))
        {
            var inForce = statement["inForce"]?.GetValue<bool>() == true ? ", in force" : "";
            AnsiConsole.MarkupLineInterpolated($"amount as of {(statement["asOf"] is { } asOf ? Day(asOf) : "the first record")}: {statement["amount"]} {statement["currency"]}{inForce}");
        }

        foreach (var adjustment in List(receipt["adjustments"]))
        {
            AnsiConsole.MarkupLineInterpolated($"{adjustment["reason"]} {adjustment["id"]}, {Day(adjustment["occurredAt"])}: {adjustment["amount"]} {adjustment["currency"]}");
        }
    }

    /// <summary>Columns of text are aligned to the left, every column that holds a number to the right. What people wrote is folded where it is too long.</summary>
    public static Table New(params string[] columns)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (var column in columns)
        {
            var isProse = column is "name" or "why" or "changes" or "purpose";
            var isText = isProse || column is "id" or "partner" or "link" or "touch" or "found by" or "process" or "state" or "address" or "service" or "published" or "by" or "may" or "program" or "created" or "rotated" or "expires";
            var added = new TableColumn(column.EscapeMarkup()) { NoWrap = !isProse };
            table.AddColumn(isText ? added : added.RightAligned());
        }

        return table;
    }

    private static string Money(JsonNode? amounts, string field, bool signed = false) => string.Join('\n', List(amounts).Select(amount =>
    {
        var value = amount[field]?.ToString() ?? "";
        var sign = signed && decimal.TryParse(value, CultureInfo.InvariantCulture, out var sum) ? Math.Sign(sum) : 0;
        var text = $"{(sign > 0 ? "+" : "")}{value} {amount["currency"]}".EscapeMarkup();
        return sign switch { > 0 => $"[green]{text}[/]", < 0 => $"[red]{text}[/]", _ => text };
    }));

    // Shares come unrounded; two decimals are what a person compares.
    private static string Shares(JsonNode? shares) =>
        decimal.TryParse(shares?.ToString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value.ToString("0.00", CultureInfo.InvariantCulture) : "";

    private static string Day(JsonNode? time) =>
        DateTimeOffset.TryParse(time?.ToString(), CultureInfo.InvariantCulture, out var at) ? at.ToUniversalTime().ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture) : "";

    private static string Text(JsonNode? node) => (node?.ToString() ?? "").EscapeMarkup();

    private static IEnumerable<JsonNode> List(JsonNode? node) => (node as JsonArray ?? []).OfType<JsonNode>();
}
