using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;

namespace PartnerPulse.Attribution.WhatIf;

/// <summary>Judges packed journeys into the rows of a generation, some after the other. The pack's keeper says when it may.</summary>
internal sealed class PackedJudge(JourneyPack pack, PartnerStandings standings, RulesInForce rules)
{
    private static readonly TouchName s_coupon = new(Guid.Empty, FactNames.None, FactNames.None);

    private readonly List<CreditFacts> _parts = [];
    private Judge? _judge;

    /// <summary>The next journeys in the order of their changes; no conversions where none is left.</summary>
    /// <param name="after">Where to go on.</param>
    /// <param name="position">Journeys that changed after it are left for later: the standings do not know of it.</param>
    /// <param name="max">Conversions at most.</param>
    /// <returns>The rows, and the last journey among them.</returns>
    public (JudgedRows Rows, JourneyKey Last) Next(JourneyKey after, long position, int max)
    {
        // Not before it may: it looks into the names of the pack.
        _judge ??= new Judge(pack.Names, standings, rules);
        var (rows, last) = (new JudgedRows(int.Min(max, pack.Chunks.Count * JourneyPack.ChunkSize)), after);
        foreach (var chunk in pack.Chunks)
        {
            if (!chunk.Last.IsAfter(after))
            {
                continue;
            }

            for (var slot = 0; slot < chunk.Count; slot++)
            {
                if (!chunk.TryGet(slot, out var key, out var journey) || !key.IsAfter(after))
                {
                    continue;
                }

                if (rows.Conversions.Count == max || key.ChangedAt > position)
                {
                    return (rows, last);
                }

                Add(rows, chunk, slot, key.ConversionId, journey);
                last = key;
            }
        }

        return (rows, last);
    }

    private void Add(JudgedRows rows, JourneyPack.Chunk chunk, int slot, Guid conversion, in JourneyFacts journey)
    {
        rows.Conversions.Add(conversion);
        if (!_judge!.Credits(journey))
        {
            rows.Uncredited.Add(new UncreditedRow(conversion, journey.Conversion.NetMinor, _judge.WhyNobody(journey)));
            return;
        }

        _parts.Clear();
        _judge.AddParts(journey, _parts);
        foreach (var part in _parts)
        {
            var (click, link, campaign) = part.Touch == CreditFacts.Coupon ? s_coupon : chunk.NameOf(slot, part.Touch);
            rows.Credits.Add(new CreditRow(
                conversion, click, pack.Names.PartnerId(part.Partner), pack.Names.LabelOf(link), pack.Names.LabelOf(campaign), part.Share, part.AmountMinor,
                part.CommissionMinor));
        }
    }
}
