using System.Globalization;
using System.Text.RegularExpressions;

namespace PartnerPulse.Attribution.Ledger;

/// <summary>A calendar month in UTC. Written <c>2026-10</c>, which orders as the months do.</summary>
internal readonly partial record struct Period : IComparable<Period>
{
    private Period(DateOnly first) => First = first;

    /// <summary>The first day.</summary>
    public DateOnly First { get; }

    public DateTimeOffset Start => new(First.Year, First.Month, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>The first instant that is not in it.</summary>
    public DateTimeOffset End => Next.Start;

    public Period Next => new(First.AddMonths(1));

    public Period Previous => new(First.AddMonths(-1));

    public static Period Of(DateTimeOffset time) => new(new DateOnly(time.UtcDateTime.Year, time.UtcDateTime.Month, 1));

    /// <summary>The month that is written so; null where the text is none.</summary>
    public static Period? Parse(string text) => Written().IsMatch(text)
        ? new Period(DateOnly.ParseExact(text + "-01", "yyyy-MM-dd", CultureInfo.InvariantCulture))
        : null;

    public static Period Later(Period left, Period right) => left >= right ? left : right;

    public static bool operator <(Period left, Period right) => left.CompareTo(right) < 0;

    public static bool operator >(Period left, Period right) => left.CompareTo(right) > 0;

    public static bool operator <=(Period left, Period right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Period left, Period right) => left.CompareTo(right) >= 0;

    public int CompareTo(Period other) => First.CompareTo(other.First);

    public override string ToString() => First.ToString("yyyy-MM", CultureInfo.InvariantCulture);

    // The last month has no next one, and nothing was sold before 2000.
    [GeneratedRegex("^[2-8][0-9]{3}-(0[1-9]|1[0-2])$", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Written();
}
