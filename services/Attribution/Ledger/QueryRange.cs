using System.Globalization;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Ledger;

/// <summary>The range of time that a list is asked for: the start inclusive, the end exclusive.</summary>
internal static class QueryRange
{
    /// <param name="from">A time with offset, or a day, which begins at midnight UTC; absent: from the first.</param>
    /// <param name="to">The same; absent: to the last.</param>
    /// <param name="faults">What is wrong is added; then both are null.</param>
    public static (DateTimeOffset? From, DateTimeOffset? To) Read(string? from, string? to, List<FieldFault> faults)
    {
        var (start, end) = (Time("from", from, faults), Time("to", to, faults));
        if (start >= end)
        {
            faults.Add(new FieldFault("to", "must be after 'from'"));
            return (null, null);
        }

        return (start, end);
    }

    private static DateTimeOffset? Time(string field, string? text, List<FieldFault> faults)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time))
        {
            return time;
        }

        faults.Add(new FieldFault(field, $"'{text}' is not a time such as 2026-03-01 or 2026-03-01T12:00:00Z"));
        return null;
    }
}
