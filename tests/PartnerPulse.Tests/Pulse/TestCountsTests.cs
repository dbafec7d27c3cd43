using System.Xml.Linq;
using PartnerPulse.Pulse.Commands;

namespace PartnerPulse.Tests.Pulse;

public class TestCountsTests
{
    [Fact]
    public void Results_are_counted_one_by_one_because_the_summary_does_not_know_the_skipped()
    {
        var counts = TestCounts.Parse(Trx("Failed", "Passed", "Passed", "Failed", "NotExecuted"));

        Assert.Equal("2 passed, 1 failed, 1 skipped", counts.Line);
        Assert.Null(counts.Broken);
    }

    [Theory]
    [InlineData("Error")]
    [InlineData("Timeout")]
    [InlineData("Aborted")]
    [InlineData("SomethingNew")]
    public void What_neither_passed_nor_was_left_out_has_failed(string outcome) =>
        Assert.Equal("1 passed, 1 failed, 0 skipped", TestCounts.Parse(Trx("Failed", "Passed", outcome)).Line);

    [Fact]
    public void A_run_that_broke_off_is_broken_though_every_test_that_ran_passed()
    {
        var counts = TestCounts.Parse(Trx("Failed", "Passed"));

        Assert.Equal("the run ended as Failed. The active test run was aborted.", counts.Broken);
    }

    [Fact]
    public void A_file_without_a_summary_was_cut_short() =>
        Assert.NotNull(TestCounts.Parse(XDocument.Parse("""<TestRun xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010"/>""")).Broken);

    [Fact]
    public void Counts_of_projects_add_up()
    {
        var sum = TestCounts.Parse(Trx("Completed", "Passed", "NotExecuted")) + TestCounts.Parse(Trx("Failed", "Failed", "Passed"));

        Assert.Equal("2 passed, 1 failed, 1 skipped", sum.Line);
    }

    // As vstest writes it, names and ids left out; its counters call a skipped test neither notExecuted nor anything else.
    private static XDocument Trx(string outcome, params string[] results) => XDocument.Parse(
        $"""
         <?xml version="1.0" encoding="utf-8"?>
         <TestRun id="1" xmlns="http://microsoft.com/schemas/VisualStudio/TeamTest/2010">
           <Results>{string.Concat(results.Select((result, i) => $"<UnitTestResult testName=\"t{i}\" outcome=\"{result}\" />"))}</Results>
           <ResultSummary outcome="{outcome}">
             <Counters total="{results.Length}" executed="{results.Length}" notExecuted="0" />
             <RunInfos><RunInfo outcome="Error"><Text>The active test run was aborted.</Text></RunInfo></RunInfos>
           </ResultSummary>
         </TestRun>
         """);
}
