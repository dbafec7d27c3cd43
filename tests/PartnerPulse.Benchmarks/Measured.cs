using System.Text.Json.Serialization;

namespace PartnerPulse.Benchmarks;

/// <summary>One figure of a run: what we do, the plainest thing that does the same work, and the ratio, pair by pair.</summary>
/// <param name="Benchmark">Name of the benchmark.</param>
/// <param name="What">What was measured.</param>
/// <param name="Unit">Unit of <paramref name="Ours"/> and <paramref name="Baseline"/>.</param>
/// <param name="Ours">Median of the rounds.</param>
/// <param name="Against">The baseline.</param>
/// <param name="Baseline">Median of the rounds.</param>
/// <param name="Ratio">Median of the ratios of each round, so that a machine that drifts drifts under both.</param>
/// <param name="Aim">What we aim at: at least for throughput, at most for a latency.</param>
public sealed record Measured(string Benchmark, string What, string Unit, double Ours, string Against, double Baseline, double Ratio, double? Aim)
{
    public static Measured Of(
        string benchmark, string what, string unit, IReadOnlyList<double> ours, string against, IReadOnlyList<double> baseline, double? aim) =>
        new(benchmark, what, unit, Median(ours), against, Median(baseline), Median(ours.Zip(baseline, (a, b) => a / b).ToArray()), aim);

    private static double Median(IReadOnlyList<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}

[JsonSourceGenerationOptions(System.Text.Json.JsonSerializerDefaults.Web, WriteIndented = true)]
[JsonSerializable(typeof(Report))]
internal sealed partial class ReportJson : JsonSerializerContext;

/// <summary>All figures of one run and the machine they were measured on.</summary>
internal sealed record Report(string Machine, int Rounds, IReadOnlyList<Measured> Results);
