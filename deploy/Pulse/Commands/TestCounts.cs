using System.Globalization;
using System.Xml.Linq;

namespace PartnerPulse.Pulse.Commands;

/// <summary>What a test run's own result file (TRX) says.</summary>
internal sealed record TestCounts
{
    private static readonly XNamespace s_trx = "http://microsoft.com/schemas/VisualStudio/TeamTest/2010";

    public int Passed { get; init; }
    public int Failed { get; init; }
    public int Skipped { get; init; }

    /// <summary>Why the run as a whole did not end as it should, where it did not.</summary>
    public string? Broken { get; init; }
    public int Total => Passed + Failed + Skipped;

    public string Line => string.Create(CultureInfo.InvariantCulture, $"{Passed} passed, {Failed} failed, {Skipped} skipped");

    public static TestCounts operator +(TestCounts left, TestCounts right) => new()
    {
        Passed = left.Passed + right.Passed, Failed = left.Failed + right.Failed, Skipped = left.Skipped + right.Skipped,
    };

    public static TestCounts Read(string file)
    {
        using var stream = File.OpenRead(file);
        return Parse(XDocument.Load(stream));
    }

    /// <summary>
    /// Counts the results one by one: the summary's counters say nothing of skipped tests. Whatever neither passed nor was
    /// left out on purpose has failed.
    /// </summary>
    public static TestCounts Parse(XDocument trx)
    {
        var outcomes = trx.Descendants(s_trx + "UnitTestResult").Select(result => (string?)result.Attribute("outcome")).ToList();
        var passed = outcomes.Count(outcome => outcome is "Passed" or "PassedButRunAborted" or "Warning");
        var skipped = outcomes.Count(outcome => outcome is "NotExecuted" or "NotRunnable");
        var failed = outcomes.Count - passed - skipped;
        var summary = trx.Descendants(s_trx + "ResultSummary").FirstOrDefault();
        var outcome = (string?)summary?.Attribute("outcome");
        var error = summary?.Descendants(s_trx + "RunInfo")
            .Where(info => (string?)info.Attribute("outcome") == "Error")
            .Select(info => info.Value.Trim())
            .FirstOrDefault();
        return new TestCounts
        {
            Passed = passed,
            Failed = failed,
            Skipped = skipped,
            Broken = summary is null ? "the result file has no summary"
                : failed == 0 && outcome is not ("Completed" or "Passed") ? $"the run ended as {outcome}. {error}".TrimEnd()
                : null,
        };
    }
}
