using System.CommandLine;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using PartnerPulse.Pulse.Provisioning;
using Spectre.Console;

namespace PartnerPulse.Pulse.Commands;

/// <summary>The month's books in one folder: what was earned, paid, leaked and claimed, and whether it all adds up.</summary>
internal static class AuditCommand
{
    private const string Csv = "text/csv";
    private const string Ndjson = "application/x-ndjson";

    /// <summary>Something that must hold of a month, and whether it does.</summary>
    private sealed record Check(string Name, bool Holds, string Says);

    public static Command Build()
    {
        var month = new Argument<string>("month") { Description = "The month, such as 2026-10." };
        var output = new Option<string?>("--out") { Description = "Folder for the report (default: audit-MONTH here).", HelpName = "DIR" };
        var partner = new Option<string?>("--partner") { Description = "With --claims: whose list it is.", HelpName = "ID" };
        var claims = new Option<FileInfo?>("--claims") { Description = "A partner's list as CSV, to be reconciled first.", HelpName = "FILE" };
        var currency = new Option<string?>("--currency") { Description = "With --claims: the currency of lines that name none.", HelpName = "CODE" };
        var url = Shared.Url();
        var key = Shared.Key();
        var data = Shared.Data();
        var json = Shared.Json();
        var command = new Command("audit", "The books of a month: statement, payouts, ledger, leakage and reconciliations, and whether they add up.")
        {
            month, output, partner, claims, currency, url, key, data, json,
        };
        command.Validators.Add(parsed =>
        {
            if (parsed.GetValue(month) is { } text && FirstDay(text) is null)
            {
                parsed.AddError($"'{text}' is not a month such as 2026-10.");
            }

            if (parsed.GetValue(claims) is not null != parsed.GetValue(partner) is not null)
            {
                parsed.AddError("--claims and --partner belong together.");
            }
        });
        Examples.Of(command, "./pulse audit 2026-10", "./pulse audit 2026-10 --partner acme --claims acme-october.csv", "./pulse audit 2026-10 --json | jq .checks");
        command.SetAction(async (parsed, cancellation) =>
        {
            using var api = Api.Connect(parsed.GetValue(url), parsed.GetValue(key), parsed.GetValue(data));
            var period = parsed.GetValue(month)!;
            var folder = Path.GetFullPath(parsed.GetValue(output) ?? $"audit-{period}");
            if (parsed.GetValue(claims) is { } file)
            {
                await ClaimAsync(api, period, parsed.GetValue(partner)!, file, parsed.GetValue(currency), cancellation);
            }

            var (report, checks) = await AuditAsync(api, period, folder, cancellation);
            if (parsed.GetValue(json))
            {
                Terminal.WriteJson(report);
            }
            else
            {
                Show(period, folder, checks);
            }

            return checks.All(c => c.Holds) ? Exit.Ok : Exit.Failed;
        });
        return command;
    }

    private static DateOnly? FirstDay(string month) =>
        DateOnly.TryParseExact(month + "-01", "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) ? day : null;

    private static async Task ClaimAsync(Api api, string period, string partner, FileInfo file, string? currency, CancellationToken cancellation)
    {
        string text;
        try
        {
            text = await File.ReadAllTextAsync(file.FullName, cancellation);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new ProvisioningException($"{file} cannot be read: {fault.Message}", fault);
        }

        var (from, to) = Range(period);
        await api.SendBodyAsync(
            HttpMethod.Post,
            $"/v1/reconciliations?partner={Uri.EscapeDataString(partner)}&from={from}&to={to}{(currency is null ? "" : $"&currency={Uri.EscapeDataString(currency)}")}",
            text, Csv, cancellation);
    }

    private static (string From, string To) Range(string period)
    {
        var first = FirstDay(period)!.Value;
        return (Day(first), Day(first.AddMonths(1)));
    }

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static async Task<(JsonObject Report, IReadOnlyList<Check> Checks)> AuditAsync(Api api, string period, string folder, CancellationToken cancellation)
    {
        var (from, to) = Range(period);
        Directory.CreateDirectory(folder);
        var status = await api.GetAsync("/v1/status", cancellation);
        var statement = await api.GetAsync($"/v1/statements/{period}", cancellation);
        var closed = statement["state"]?.ToString() == "closed";
        var verification = closed ? await api.SendBodyAsync(HttpMethod.Post, $"/v1/statements/{period}/verification", "", "application/json", cancellation) : null;
        var credits = await api.GetAsync($"/v1/credits?groupBy=partner&from={from}&to={to}", cancellation);
        var leakage = await api.GetAsync($"/v1/leakage?from={from}&to={to}&limit=1", cancellation);
        var billed = await LinesAsync(api, $"/v1/ledger?period={period}", cancellation);
        var booked = await LinesAsync(api, $"/v1/ledger?from={from}&to={to}", cancellation);
        var reconciliations = await ReconciliationsAsync(api, from, to, cancellation);

        await SaveAsync(api, $"/v1/statements/{period}/payouts", Path.Combine(folder, "payouts.csv"), cancellation);
        await SaveAsync(api, $"/v1/ledger?period={period}", Path.Combine(folder, "ledger.csv"), cancellation);
        await SaveAsync(api, $"/v1/leakage?from={from}&to={to}", Path.Combine(folder, "leakage.csv"), cancellation);
        foreach (var reconciliation in reconciliations)
        {
            await SaveAsync(api, $"/v1/reconciliations/{reconciliation["id"]}", Path.Combine(folder, ReconciliationFile(reconciliation)), cancellation);
        }

        var checks = new List<Check>
        {
            Holds("Everything is folded", status["settled"]?.GetValue<bool>() == true, "all that was taken in is judged", "some of what was taken in is not judged yet; run it again"),
            Same("Ledger and credits", Sums(booked, "commission"), CreditSums(credits, "commission"), "the entries of the month's orders add up to their commissions"),
            Same("Ledger and credited amounts", Sums(booked, "amount"), CreditSums(credits, "amount"), "the entries of the month's orders add up to what is credited of them"),
            Same("Statement and ledger", StatementSums(statement), Sums(billed, "commission"), "what the statement says is earned and adjusted is what its entries say"),
            Same("Leakage and credits", LeakageSums(leakage), UnattributedSums(credits), "the causes of uncredited orders add up to what nobody is credited for"),
            Holds("Balances", BalancesHold(statement), "opening, earned and adjusted are paid or carried on, to the last minor unit", "a balance is neither paid nor carried on"),
        };
        checks.AddRange(reconciliations.Select(r => Holds(
            $"Reconciliation of {r["partner"]}",
            List(r["totals"]).Sum(t => t["lines"]!.GetValue<long>()) == r["lines"]!.GetValue<long>() + r["notListed"]!.GetValue<long>(),
            "its verdicts add up to its lines", "its verdicts do not add up to its lines")));
        if (verification is not null)
        {
            checks.Add(Holds(
                "Verification", verification["equal"]?.GetValue<bool>() == true,
                $"the statement is what {verification["conversions"]} orders of the raw log say under rules {verification["basis"]?["rulesVersion"]}",
                string.Join("; ", List(verification["differences"]).Select(d => $"{d["partner"]} {d["field"]} {d["recorded"]} is {d["recomputed"]} {d["currency"]}"))));
        }

        var report = new JsonObject
        {
            ["month"] = period,
            ["folder"] = folder,
            ["checks"] = new JsonArray([.. checks.Select(c => (JsonNode)new JsonObject { ["name"] = c.Name, ["holds"] = c.Holds, ["says"] = c.Says })]),
            ["statement"] = statement.DeepClone(),
            ["verification"] = verification?.DeepClone(),
            ["leakage"] = leakage["summary"]?.DeepClone(),
            ["reconciliations"] = new JsonArray([.. reconciliations.Select(r => r.DeepClone())]),
        };
        await File.WriteAllTextAsync(Path.Combine(folder, "audit.json"), report.ToJsonString(Api.Json), cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "summary.md"), Markdown(period, status, statement, leakage, reconciliations, checks), cancellation);
        return (report, checks);
    }

    private static string ReconciliationFile(JsonNode reconciliation) =>
        $"reconciliation-{string.Concat(reconciliation["partner"]!.ToString().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'))}-{reconciliation["id"]}.csv";

    private static Check Holds(string name, bool holds, string says, string otherwise) => new(name, holds, holds ? says : otherwise);

    private static Check Same(string name, Dictionary<string, decimal> left, Dictionary<string, decimal> right, string says)
    {
        var differing = left.Keys.Union(right.Keys).Order(StringComparer.Ordinal)
            .Where(k => left.GetValueOrDefault(k) != right.GetValueOrDefault(k))
            .Select(k => string.Create(CultureInfo.InvariantCulture, $"{k}: {left.GetValueOrDefault(k)} and {right.GetValueOrDefault(k)}")).ToArray();
        return new Check(name, differing.Length == 0, differing.Length == 0 ? says : string.Join("; ", differing));
    }

    private static Dictionary<string, decimal> Sums(IEnumerable<JsonNode> entries, string field) =>
        Sum(entries.Select(e => ($"{e["partner"]} {e["currency"]}", Number(e[field]))));

    private static Dictionary<string, decimal> CreditSums(JsonNode credits, string field) =>
        Sum(List(credits["rows"]).SelectMany(row => List(row["amounts"]).Select(a => ($"{row["partner"]} {a["currency"]}", Number(a[field])))));

    private static Dictionary<string, decimal> StatementSums(JsonNode statement) =>
        Sum(List(statement["balances"]).Select(b => ($"{b["partner"]} {b["currency"]}", Number(b["earned"]) + Number(b["adjusted"]))));

    private static Dictionary<string, decimal> LeakageSums(JsonNode leakage) =>
        Sum(List(leakage["summary"]?["causes"]).Select(c => (c["currency"]!.ToString(), Number(c["amount"]))));

    private static Dictionary<string, decimal> UnattributedSums(JsonNode credits) =>
        Sum(List(credits["unattributed"]?["amounts"]).Select(a => (a["currency"]!.ToString(), Number(a["amount"]))));

    private static bool BalancesHold(JsonNode statement) => List(statement["balances"]).All(b =>
        Number(b["opening"]) + Number(b["earned"]) + Number(b["adjusted"]) == Number(b["payable"]) + Number(b["carried"]) && Number(b["payable"]) >= 0);

    private static Dictionary<string, decimal> Sum(IEnumerable<(string Key, decimal Value)> values)
    {
        var sums = new Dictionary<string, decimal>(StringComparer.Ordinal);
        foreach (var (key, value) in values)
        {
            sums[key] = sums.GetValueOrDefault(key) + value;
        }

        return sums;
    }

    private static decimal Number(JsonNode? amount) => amount is null ? 0 : decimal.Parse(amount.ToString(), CultureInfo.InvariantCulture);

    private static IEnumerable<JsonNode> List(JsonNode? node) => (node as JsonArray ?? []).OfType<JsonNode>();

    /// <summary>Reconciliations that looked at the month.</summary>
    private static async Task<IReadOnlyList<JsonNode>> ReconciliationsAsync(Api api, string from, string to, CancellationToken cancellation)
    {
        var (start, end) = (Time(from), Time(to));
        return [.. List((await api.GetAsync("/v1/reconciliations", cancellation))["reconciliations"])
            .Where(r => r["from"] is { } first && r["to"] is { } last && Time(first.ToString()) < end && Time(last.ToString()) > start)];

        static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
    }

    private static async Task<IReadOnlyList<JsonNode>> LinesAsync(Api api, string path, CancellationToken cancellation)
    {
        using var response = await AskAsync(api, path, Ndjson, cancellation);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation));
        var lines = new List<JsonNode>();
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            lines.Add(JsonNode.Parse(line)!);
        }

        return lines;
    }

    private static async Task SaveAsync(Api api, string path, string file, CancellationToken cancellation)
    {
        using var response = await AskAsync(api, path, Csv, cancellation);
        await using var to = File.Create(file);
        await response.Content.CopyToAsync(to, cancellation);
    }

    private static async Task<HttpResponseMessage> AskAsync(Api api, string path, string type, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(type));
        var response = await api.SendAsync(request, cancellation, streamed: true);
        if (!response.IsSuccessStatusCode)
        {
            await Api.ReadAsync(response, cancellation);
        }

        return response;
    }

    private static string Markdown(
        string period, JsonNode status, JsonNode statement, JsonNode leakage, IReadOnlyList<JsonNode> reconciliations, IReadOnlyList<Check> checks)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"# Audit of {period}").AppendLine();
        var basis = statement["basis"];
        text.AppendLine(basis is null
            ? $"The month is open: everything is as if it were closed now, paid as of {statement["payableAsOf"]}."
            : $"Closed {statement["closedAt"]} by {statement["by"]}, paid as of {statement["payableAsOf"]}; rules {basis["rulesVersion"]} (`{basis["rulesHash"]}`), engine {basis["engineVersion"]}, log position {basis["position"]}.")
            .AppendLine();
        Table(text, "Does it add up?", ["", "check", "says"], checks.Select(c => new[] { c.Holds ? "yes" : "**no**", c.Name, c.Says }));
        string[] sums = ["opening", "earned", "adjusted", "held", "payable", "carried"];
        Table(text, "Statement", ["partner", "currency", .. sums, "note"],
            List(statement["balances"]).Select(b => new[] { Cell(b["partner"]), Cell(b["currency"]) }.Concat(sums.Select(s => Cell(b[s]))).Append(Cell(b["note"])).ToArray())
                .Concat(List(statement["totals"]).Select(t => new[] { "**all**", Cell(t["currency"]) }.Concat(sums.Select(s => Cell(t[s]))).Append("").ToArray())));
        var summary = leakage["summary"];
        Table(text, "Orders that nobody is credited for", ["cause", "currency", "orders", "worth"],
            List(summary?["causes"]).Select(c => new[] { Cell(c["cause"]), Cell(c["currency"]), Cell(c["conversions"]), Cell(c["amount"]) }));
        Table(text, "What other rules would have credited besides", ["what", "currency", "orders more", "worth", "commission", "orders less"],
            List(summary?["counterfactuals"]).SelectMany(v => List(v["recovered"]).Select(r => new[] { Cell(v["says"]), Cell(r["currency"]), Cell(r["conversions"]), Cell(r["amount"]), Cell(r["commission"]), Cell(r["lost"]) })));
        Table(text, "Who would have gained or lost commission", ["what", "partner", "currency", "commission"],
            List(summary?["counterfactuals"]).SelectMany(v => List(v["partners"]).Take(10).Select(p => new[] { Cell(v["says"]), Cell(p["partner"]), Cell(p["currency"]), Cell(p["commission"]) })));
        foreach (var r in reconciliations)
        {
            Table(text, $"Reconciliation of {Cell(r["partner"])}, {r["createdAt"]} (`{ReconciliationFile(r)}`)", ["verdict", "currency", "lines", "claimed", "credited", "commission"],
                List(r["totals"]).Select(t => new[] { Cell(t["verdict"]), Cell(t["currency"]), Cell(t["lines"]), Cell(t["claimedAmount"]), Cell(t["amount"]), Cell(t["commission"]) }));
            if (r["rejected"]!.GetValue<long>() > 0)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"{r["rejected"]} lines could not be read.").AppendLine();
            }
        }

        var aside = List(status["services"]).Sum(s => s["figures"]?["setAside"]?.GetValue<long>() ?? 0);
        text.AppendLine(CultureInfo.InvariantCulture, $"{summary?["conversions"] ?? 0} orders in the month; {summary?["erased"] ?? 0} of customers who asked to be forgotten; {aside} events set aside in all.");
        return text.ToString();
    }

    private static void Table(StringBuilder text, string title, string[] columns, IEnumerable<string[]> rows)
    {
        var lines = rows.ToArray();
        text.AppendLine(CultureInfo.InvariantCulture, $"## {title}").AppendLine();
        if (lines.Length == 0)
        {
            text.AppendLine("None.").AppendLine();
            return;
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"| {string.Join(" | ", columns)} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"|{string.Concat(columns.Select(_ => " --- |"))}");
        foreach (var line in lines)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"| {string.Join(" | ", line)} |");
        }

        text.AppendLine();
    }

    // A partner may be named so that it would end the cell.
    private static string Cell(JsonNode? node) => (node?.ToString() ?? "").Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ");

    private static void Show(string period, string folder, IReadOnlyList<Check> checks)
    {
        AnsiConsole.MarkupLineInterpolated($"[bold]Audit of {period}[/]");
        foreach (var check in checks)
        {
            var mark = check.Holds ? "[green]yes[/]" : "[red] no[/]";
            AnsiConsole.MarkupLine($"{mark}  {check.Name.EscapeMarkup()}: {check.Says.EscapeMarkup()}");
        }

        // Not by Spectre, which would break the path at the width of the terminal.
        Console.Out.WriteLine(Path.Combine(folder, "summary.md"));
    }
}
