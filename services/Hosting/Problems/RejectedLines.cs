namespace PartnerPulse.Hosting.Problems;

/// <summary>A line that was refused. Lines count from 1; a header is a line.</summary>
public sealed record RejectedLine(long Line, string Field, string Reason);

/// <summary>What was refused of a body that is taken in line by line.</summary>
public sealed class RejectedLines
{
    /// <summary>Faults that are told; more of them only count.</summary>
    public const int MaxShown = 1_000;

    private readonly List<RejectedLine> _shown = [];

    /// <summary>The first faults.</summary>
    public IReadOnlyList<RejectedLine> Shown => _shown;

    /// <summary>Lines with faults.</summary>
    public long Total { get; private set; }

    public void Add(long line, IReadOnlyList<FieldFault> faults)
    {
        Total++;
        foreach (var fault in faults)
        {
            if (_shown.Count < MaxShown)
            {
                _shown.Add(new RejectedLine(line, fault.Field, fault.Reason));
            }
        }
    }

    /// <summary>The faults that are told, each under its line.</summary>
    public FieldFault[] Faults() => [.. _shown.Select(r => new FieldFault($"line {r.Line}: {r.Field}", r.Reason))];
}
