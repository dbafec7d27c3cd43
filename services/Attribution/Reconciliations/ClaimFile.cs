using System.Globalization;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Reconciliations;

/// <summary>One line of a partner's list: an order that it claims, by whatever it knows of it.</summary>
/// <param name="Line">Of the file, from 1; the header is a line.</param>
/// <param name="Source">Where the order came from, where the partner knows it.</param>
/// <param name="OrderId">The shop's id of the order.</param>
/// <param name="ClickId">The click as the partner's system calls it.</param>
/// <param name="OccurredAt">When it was ordered.</param>
/// <param name="IsDay">That is a day and not an instant.</param>
/// <param name="AmountMinor">The order's amount, in minor units of <paramref name="Currency"/>.</param>
/// <param name="CommissionMinor">The commission that is expected.</param>
/// <param name="Currency">ISO 4217.</param>
/// <param name="CustomerKey">The customer's key as Conversions gives it for an e-mail hash.</param>
internal sealed record ClaimLine(
    long Line, string? Source, string? OrderId, string? ClickId, DateTimeOffset? OccurredAt, bool IsDay, long? AmountMinor, long? CommissionMinor, string? Currency,
    string? CustomerKey);

/// <summary>A list that was read: its lines, and what of it could not be read.</summary>
internal sealed record Claims(IReadOnlyList<ClaimLine> Lines, RejectedLines Rejected, IReadOnlyList<string> IgnoredColumns);

/// <summary>Reads a partner's list as CSV, with columns by their names in any order.</summary>
internal static class ClaimFile
{
    /// <summary>Lines of one list.</summary>
    public const int MaxLines = 50_000;

    private const int MaxText = 256;

    /// <summary>Our names, each with others that mean the same. Case, <c>_</c>, <c>-</c>, <c>.</c> and spaces of a name do not matter.</summary>
    private static readonly (string Name, string[] Aliases)[] s_columns =
    [
        ("source", ["shop", "store"]),
        ("orderId", ["orderNumber", "orderNo", "order", "transactionId"]),
        ("clickId", ["click", "subId", "pp_click"]),
        ("occurredAt", ["date", "orderDate", "createdAt", "time", "timestamp"]),
        ("amount", ["total", "orderTotal", "saleAmount", "revenue", "value"]),
        ("currency", ["currencyCode"]),
        ("commission", ["payout", "earnings"]),
        ("customerKey", []),
    ];

    /// <summary>The lines that can be read; the others by line and column. Null with a fault where none can.</summary>
    /// <param name="body">The file.</param>
    /// <param name="currency">Of lines that name none.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    public static async Task<(Claims? Claims, FieldFault? Fault)> ReadAsync(Stream body, string? currency, CancellationToken cancellationToken)
    {
        await using var csv = new CsvLines(body);
        if (await csv.ReadHeaderAsync(cancellationToken) is { } unreadable)
        {
            return (null, new FieldFault("body", unreadable));
        }

        var header = csv.Headers.Select(CsvLines.Plain).ToArray();
        var columns = Array.ConvertAll(s_columns, known => Array.FindIndex(header, name => name == CsvLines.Plain(known.Name) || known.Aliases.Any(alias => name == CsvLines.Plain(alias))));
        if (columns[1] < 0 && columns[2] < 0 && columns[7] < 0 && (columns[3] < 0 || columns[4] < 0))
        {
            return (null, new FieldFault("header", $"has neither orderId, nor clickId, nor customerKey, nor occurredAt with amount; it has {string.Join(", ", csv.Headers)}"));
        }

        var (lines, rejected) = (new List<ClaimLine>(), new RejectedLines());
        await foreach (var line in csv.ReadAsync(cancellationToken))
        {
            if (line.Stopped is { } stopped)
            {
                return (null, new FieldFault("body", stopped));
            }

            if (line.Fault is { } broken)
            {
                rejected.Add(line.Number, [broken]);
                continue;
            }

            var faults = new List<FieldFault>();
            var claim = Read(line.Number, i => columns[i] < 0 ? null : csv.Field(columns[i]).Trim() is { Length: > 0 } text ? text : null, currency, faults);
            if (faults.Count > 0)
            {
                rejected.Add(line.Number, faults);
                continue;
            }

            if (lines.Count == MaxLines)
            {
                return (null, new FieldFault("body", $"has more than {MaxLines} lines; send it in parts"));
            }

            lines.Add(claim);
        }

        return (new Claims(lines, rejected, [.. csv.Headers.Where((_, i) => !columns.Contains(i))]), null);
    }

    /// <summary>One line; what is wrong with it goes into <paramref name="faults"/>.</summary>
    public static ClaimLine Read(long number, Func<int, string?> field, string? currency, List<FieldFault> faults)
    {
        var texts = new string?[s_columns.Length];
        for (var i = 0; i < texts.Length; i++)
        {
            texts[i] = field(i);
            if (texts[i] is { } text && (text.Length > MaxText || text.Any(char.IsControl)))
            {
                faults.Add(new FieldFault(s_columns[i].Name, text.Length > MaxText ? $"has {text.Length} characters; at most {MaxText} are allowed" : "holds a control character"));
            }
        }

        var money = texts[5]?.ToUpperInvariant() ?? currency;
        var (at, isDay) = Time(texts[3], faults);
        var claim = new ClaimLine(
            number, texts[0], texts[1], texts[2], at, isDay, Amount("amount", texts[4], money, faults), Amount("commission", texts[6], money, faults), money, texts[7]);
        if (faults.Count == 0 && claim is { OrderId: null, ClickId: null, CustomerKey: null } && (claim.OccurredAt is null || claim.AmountMinor is null))
        {
            faults.Add(new FieldFault("line", "names no order, no click, no customer, and not both a time and an amount"));
        }

        return claim;
    }

    private static (DateTimeOffset? At, bool IsDay) Time(string? text, List<FieldFault> faults)
    {
        if (text is null)
        {
            return (null, false);
        }

        if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
        {
            return (new DateTimeOffset(day.ToDateTime(TimeOnly.MinValue), TimeSpan.Zero), true);
        }

        // Without its offset it would be another instant on every machine.
        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var time)
            && DateTime.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var plain) && plain.Kind != DateTimeKind.Unspecified)
        {
            return (time.ToUniversalTime(), false);
        }

        faults.Add(new FieldFault("occurredAt", $"'{text}' is not a day such as 2026-10-31 or a time with its offset such as 2026-10-31T12:00:00Z"));
        return (null, false);
    }

    private static long? Amount(string field, string? text, string? currency, List<FieldFault> faults)
    {
        if (text is null)
        {
            return null;
        }

        if (currency is null)
        {
            faults.Add(new FieldFault("currency", $"is needed to read {field} '{text}'; give the column, or '?currency=' for all lines"));
            return null;
        }

        if (Currency.TryParse(text, currency, out var minor, out var reason))
        {
            return minor;
        }

        faults.Add(new FieldFault(field, reason!));
        return null;
    }
}
