using System.Globalization;
using MassTransit;

namespace PartnerPulse.Hosting.Bus;

/// <summary>
/// Which part of a sender's log a message carries: everything after <paramref name="After"/> up to and with
/// <paramref name="To"/>. A receiver that appends what it carries and remembers the interval can prove that nothing is missing.
/// </summary>
/// <param name="Origin">Name of the sender's log.</param>
/// <param name="After">Position before the first.</param>
/// <param name="To">Position of the last.</param>
public sealed record Handover(string Origin, long After, long To)
{
    private const string OriginHeader = "pulse-origin";
    private const string AfterHeader = "pulse-after";
    private const string ToHeader = "pulse-to";

    /// <summary>Names of the headers that say it.</summary>
    public static IReadOnlyList<string> Headers { get; } = [OriginHeader, AfterHeader, ToHeader];

    /// <summary>Null for a message that did not come from a relay.</summary>
    public static Handover? From(ConsumeContext context) =>
        context.Headers.TryGetHeader(OriginHeader, out var origin)
        && context.Headers.TryGetHeader(AfterHeader, out var after)
        && context.Headers.TryGetHeader(ToHeader, out var to)
            ? new Handover(origin.ToString()!, long.Parse(after.ToString()!, CultureInfo.InvariantCulture), long.Parse(to.ToString()!, CultureInfo.InvariantCulture))
            : null;

    internal void Write(SendHeaders headers)
    {
        headers.Set(OriginHeader, Origin);
        headers.Set(AfterHeader, After.ToString(CultureInfo.InvariantCulture));
        headers.Set(ToHeader, To.ToString(CultureInfo.InvariantCulture));
    }
}
