using PartnerPulse.Attribution.Core;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Projection;

/// <summary>What was reported of some conversions: each as it was recorded, and all that was said of it since.</summary>
/// <param name="most">It lets go of everything when it is given more facts than these.</param>
internal sealed class ReportedConversions(int most = int.MaxValue)
{
    private readonly Dictionary<Guid, ConversionRecorded> _conversions = [];
    private readonly Dictionary<Guid, List<ConversionAdjusted>> _adjustments = [];
    private readonly Dictionary<Guid, List<ConversionRestated>> _restatements = [];
    private readonly Dictionary<Guid, List<IEvent>> _identities = [];
    private int _count;

    /// <summary>Whether it has all that it was given.</summary>
    public bool IsWhole => _count <= most;

    /// <summary>Names of the events that it takes.</summary>
    public static IReadOnlyList<string> Types { get; } =
    [
        EventTypes.Of<ConversionRecorded>().Name, EventTypes.Of<ConversionAdjusted>().Name, EventTypes.Of<ConversionRestated>().Name,
        EventTypes.Of<ConversionMerged>().Name, EventTypes.Of<ConversionSeparated>().Name,
    ];

    /// <summary>Takes the facts that are of conversions, once each; the others say nothing here.</summary>
    public void Add(IEnumerable<IEvent> facts)
    {
        foreach (var fact in facts)
        {
            if (!IsWhole)
            {
                return;
            }

            Add(fact);
        }
    }

    /// <inheritdoc cref="Add(IEnumerable{IEvent})"/>
    public void Add(IEvent fact)
    {
        switch (fact)
        {
            case ConversionRecorded conversion:
                _conversions[conversion.ConversionId] = conversion;
                break;
            case ConversionAdjusted adjustment:
                _adjustments.Under(adjustment.ConversionId).Add(adjustment);
                break;
            case ConversionRestated statement:
                _restatements.Under(statement.ConversionId).Add(statement);
                break;
            case ConversionMerged merged:
                _identities.Under(merged.ConversionId).Add(merged);
                break;
            case ConversionSeparated separated:
                _identities.Under(separated.ConversionId).Add(separated);
                break;
            default:
                return;
        }

        _count++;
        if (!IsWhole)
        {
            _conversions.Clear();
            _adjustments.Clear();
            _restatements.Clear();
            _identities.Clear();
        }
    }

    public ConversionRecorded? Find(Guid conversionId) => _conversions.GetValueOrDefault(conversionId);

    public IReadOnlyList<ConversionAdjusted> AdjustmentsOf(Guid conversionId) => _adjustments.GetValueOrDefault(conversionId, []);

    public IReadOnlyList<ConversionRestated> RestatementsOf(Guid conversionId) => _restatements.GetValueOrDefault(conversionId, []);

    /// <summary>Merges and separations.</summary>
    public IReadOnlyList<IEvent> IdentitiesOf(Guid conversionId) => _identities.GetValueOrDefault(conversionId, []);
}
