using System.Runtime.InteropServices;
using PartnerPulse.Attribution.Core;

namespace PartnerPulse.Attribution.Projection;

/// <summary>What a generation says of some conversions, as its tables hold it.</summary>
/// <param name="most">Room for so many conversions.</param>
internal sealed class JudgedRows(int most)
{
    public List<Guid> Conversions { get; } = new(most);

    public List<CreditRow> Credits { get; } = new(most);

    public List<UncreditedRow> Uncredited { get; } = new(most);

    public static JudgedRows Of(IReadOnlyList<Decision> decisions)
    {
        var rows = new JudgedRows(decisions.Count);
        foreach (var decision in decisions)
        {
            rows.Conversions.Add(decision.ConversionId);
            if (decision.Reason is { } reason)
            {
                rows.Uncredited.Add(new UncreditedRow(decision.ConversionId, decision.NetMinor, reason));
                continue;
            }

            foreach (var part in decision.Parts)
            {
                if (part.Share > 0)
                {
                    var click = part.Touch?.Click;
                    rows.Credits.Add(new CreditRow(
                        decision.ConversionId, click?.EventId ?? Guid.Empty, part.PartnerId, click?.Link, click?.Campaign?.Name, part.Share, part.AmountMinor,
                        part.CommissionMinor));
                }
            }
        }

        return rows;
    }
}

/// <summary>A part of a credited conversion. Money is in minor units.</summary>
/// <param name="ClickId">Of the touch that has it; zero where a coupon does.</param>
/// <param name="Share">0 to 1 with 18 decimals.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct CreditRow(
    Guid ConversionId, Guid ClickId, string PartnerId, string? Link, string? Campaign, decimal Share, long AmountMinor, long CommissionMinor);

/// <summary>A conversion that nobody is credited for, and why.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct UncreditedRow(Guid ConversionId, long NetMinor, string Reason);
