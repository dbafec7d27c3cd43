using System.Globalization;
using PartnerPulse.Conversions.Orders;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Conversions.Imports;

/// <summary>Which column of a file says what. Files are taken with the names that shops give them.</summary>
internal sealed class ImportColumns
{
    /// <summary>
    /// Our names, each with others that mean the same, the likeliest first. Case, <c>_</c>, <c>-</c>, <c>.</c> and spaces of a name
    /// do not matter.
    /// </summary>
    private static readonly (string Name, string[] Aliases)[] s_known =
    [
        ("source", ["shop", "store"]),
        ("orderId", ["orderNumber", "orderNo", "order", "transactionId"]),
        ("kind", ["type", "conversionType"]),
        ("occurredAt", ["orderDate", "createdAt", "paidAt", "date", "timestamp", "time"]),
        ("amount", ["total", "orderTotal", "totalPrice", "grandTotal", "revenue", "price", "value"]),
        ("currency", ["currencyCode", "orderCurrency"]),
        ("visitorId", ["visitor", "pp_vid"]),
        ("clickId", ["click", "pp_click"]),
        ("customer", ["email", "customerEmail", "billingEmail", "customerId"]),
        ("coupon", ["couponCode", "discountCode", "voucherCode", "promoCode", "voucher"]),
        ("newCustomer", ["isNewCustomer"]),
        ("test", ["isTest"]),
        ("adjustmentId", ["refundId", "returnId", "creditNoteId"]),
        ("reason", ["adjustmentReason"]),
    ];

    private static readonly string s_names = string.Join(", ", s_known.Select(k => k.Name));

    // Times as databases and spreadsheets write them, beside those of ISO 8601; always with their offset.
    private static readonly string[] s_times = ["yyyy-MM-dd HH:mm:ss zzz", "yyyy-MM-dd HH:mm:sszzz", "yyyy-MM-dd HH:mm:ss.FFFFFFF zzz", "yyyy-MM-dd HH:mm:ss.FFFFFFFzzz", "yyyy-MM-dd HH:mm:ss 'UTC'", "yyyy-MM-dd HH:mm zzz"];

    /// <summary>By what it says: the index of the column in the file; -1 where there is none.</summary>
    private readonly int[] _columns;
    private readonly string?[] _values = new string?[s_known.Length];

    private ImportColumns(int[] columns, IReadOnlyList<string> ignored) => (_columns, Ignored) = (columns, ignored);

    /// <summary>Columns of the file that say nothing to us.</summary>
    public IReadOnlyList<string> Ignored { get; }

    /// <summary>Reads <c>?map=</c>: our name, a colon, the name in the file, separated by commas.</summary>
    public static IReadOnlyDictionary<string, string> ReadMap(string? text, List<FieldFault> faults)
    {
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in string.IsNullOrEmpty(text) ? [] : text.Split(','))
        {
            var colon = pair.IndexOf(':', StringComparison.Ordinal);
            var name = colon < 0 ? pair : pair[..colon].Trim();
            if (colon < 0)
            {
                faults.Add(new FieldFault("map", $"'{pair}' is not one of our names, a colon and the name in the file"));
            }
            else if (!Array.Exists(s_known, known => known.Name == name))
            {
                faults.Add(new FieldFault("map", $"'{name}' is not one of {s_names}"));
            }
            else if (!map.TryAdd(name, pair[(colon + 1)..].Trim()))
            {
                faults.Add(new FieldFault("map", $"names '{name}' twice"));
            }
        }

        return map;
    }

    /// <summary>Finds the columns by the header: by the map, else by our name, else by the first alias that is there.</summary>
    /// <returns>Null where <paramref name="faults"/> say why.</returns>
    public static ImportColumns? Of(IReadOnlyList<string> header, IReadOnlyDictionary<string, string> map, List<FieldFault> faults)
    {
        var plain = header.Select(CsvLines.Plain).ToArray();
        var columns = new int[s_known.Length];
        for (var i = 0; i < columns.Length; i++)
        {
            var (name, aliases) = s_known[i];
            if (map.TryGetValue(name, out var mapped))
            {
                columns[i] = Only(header, plain, mapped, faults);
                if (columns[i] < 0)
                {
                    faults.Add(new FieldFault("map", $"'{mapped}' is not a column of the file"));
                }

                continue;
            }

            columns[i] = -1;
            foreach (var alias in aliases.Prepend(name))
            {
                if (columns[i] < 0 && !map.Values.Contains(alias, StringComparer.Ordinal))
                {
                    columns[i] = Only(header, plain, alias, faults);
                }
            }
        }

        if (faults.Count == 0 && columns[IndexOf("orderId")] < 0)
        {
            faults.Add(new FieldFault("header", $"has no column 'orderId' nor one that is known to mean it; the columns are {s_names}; '?map=orderId:NAME' names another"));
        }

        return faults.Count > 0 ? null : new ImportColumns(columns, [.. header.Where((_, i) => !columns.Contains(i))]);
    }

    /// <summary>The report of a line.</summary>
    /// <param name="field">The text of a column by its index; empty where there is none.</param>
    /// <returns>Null where <paramref name="faults"/> say why.</returns>
    public ReportAsk? Read(Func<int, string> field, List<FieldFault> faults)
    {
        for (var i = 0; i < _values.Length; i++)
        {
            var value = _columns[i] < 0 ? null : field(_columns[i]);
            if (value?.Contains('\uFFFD', StringComparison.Ordinal) == true)
            {
                faults.Add(new FieldFault(s_known[i].Name, "is not text in UTF-8"));
            }

            _values[i] = string.IsNullOrEmpty(value) ? null : value;
        }

        var at = Time(Value("occurredAt"), faults);
        var newCustomer = Flag("newCustomer", faults);
        var test = Flag("test", faults);
        return faults.Count > 0 ? null : new ReportAsk
        {
            Source = Value("source"),
            OrderId = Value("orderId"),
            Kind = Value("kind")?.ToLowerInvariant(),
            OccurredAt = at,
            Amount = Value("amount"),
            Currency = Value("currency")?.ToUpperInvariant(),
            VisitorId = Value("visitorId"),
            ClickId = Value("clickId"),
            Customer = Value("customer"),
            Coupon = Value("coupon"),
            NewCustomer = newCustomer,
            Test = test,
            AdjustmentId = Value("adjustmentId"),
            Reason = Value("reason")?.ToLowerInvariant(),
        };
    }

    private static int Only(IReadOnlyList<string> header, string[] plain, string name, List<FieldFault> faults)
    {
        var wanted = CsvLines.Plain(name);
        var at = Array.IndexOf(plain, wanted);
        if (at >= 0 && Array.IndexOf(plain, wanted, at + 1) is >= 0 and var second)
        {
            faults.Add(new FieldFault($"column {second + 1}", $"'{header[second]}' is there twice"));
        }

        return at;
    }

    private static int IndexOf(string name) => Array.FindIndex(s_known, known => known.Name == name);

    private string? Value(string name) => _values[IndexOf(name)];

    private bool? Flag(string name, List<FieldFault> faults)
    {
        switch (Value(name)?.ToLowerInvariant())
        {
            case null:
                return null;
            case "true" or "yes" or "1":
                return true;
            case "false" or "no" or "0":
                return false;
            default:
                faults.Add(new FieldFault(name, "must be 'true' or 'false'"));
                return null;
        }
    }

    private static DateTimeOffset? Time(string? value, List<FieldFault> faults)
    {
        if (value is null)
        {
            return null;
        }

        // The kind tells a time with its offset from one that would be taken for this machine's.
        if (DateTime.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind, out var plain)
            && plain.Kind != DateTimeKind.Unspecified
            && DateTimeOffset.TryParse(value, CultureInfo.InvariantCulture, DateTimeStyles.None, out var time))
        {
            return time;
        }

        if (DateTimeOffset.TryParseExact(value, s_times, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time))
        {
            return time;
        }

        faults.Add(new FieldFault("occurredAt", "is not a time with its offset such as 2026-11-22T08:30:00+01:00"));
        return null;
    }
}
