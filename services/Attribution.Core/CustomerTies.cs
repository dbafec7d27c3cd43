using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>
/// What ties visitors to one customer of one program: identifications, and the visitors and clicks of the customer's conversions.
/// When a tie became known does not matter.
/// </summary>
public sealed class CustomerTies
{
    /// <summary>
    /// A key that is tied to more visitors and clicks than this is no person (a shop's account for guests, a team's login): its ties
    /// then tie nobody. The count only grows, so what crosses it stays across whatever the order of arrival.
    /// </summary>
    public const int Most = 256;

    private readonly HashSet<string> _visitors = new(StringComparer.Ordinal);
    private readonly HashSet<Guid> _clicks = [];

    /// <summary>Nobody is tied.</summary>
    public static CustomerTies None { get; } = new();

    /// <summary>Too many to be one person.</summary>
    public bool IsCrowd => _visitors.Count + _clicks.Count > Most;

    /// <summary>Adds a tie; the same again changes nothing.</summary>
    public void Add(string? visitorId, Guid? clickId)
    {
        if (visitorId is not null)
        {
            _visitors.Add(visitorId);
        }

        if (clickId is { } click)
        {
            _clicks.Add(click);
        }
    }

    internal bool HasClicks => _clicks.Count > 0 && !IsCrowd;

    internal IEnumerable<string> Visitors => IsCrowd ? [] : _visitors;

    internal bool TiesClick(Guid clickId) => _clicks.Contains(clickId) && !IsCrowd;
}
