using PartnerPulse.Pulse.Commands;

namespace PartnerPulse.Tests.Pulse;

public class PulseCommandTests
{
    [Theory]
    [InlineData("up")]
    [InlineData("up --distributed --port 9000 --data /tmp/x --detach --json")]
    [InlineData("down --data /tmp/x")]
    [InlineData("logs edge -f")]
    [InlineData("test --filter Name~Relay --long")]
    [InlineData("bench --json --seconds 3")]
    [InlineData("status --url http://localhost:1 --key k --json")]
    [InlineData("replay --model time-decay --half-life 3 --window 30 --promote")]
    [InlineData("replay --rules rules.json --discard")]
    [InlineData("receipt shop 1001")]
    [InlineData("audit 2026-10")]
    [InlineData("audit 2026-10 --partner acme --claims list.csv")]
    [InlineData("rules list --json")]
    [InlineData("rules show active")]
    [InlineData("rules text")]
    [InlineData("rules text --file rules.json")]
    [InlineData("rules publish rules.json --why longer")]
    [InlineData("what-if rules.json --from 2026-10-01 --to 2026-11-01")]
    [InlineData("demo --seed 7 --url http://localhost:1")]
    public void These_are_understood(string line) => Assert.Empty(Parse(line));

    [Theory]
    [InlineData("up --port 70000", "--port")]
    [InlineData("up --port many", "many")]
    [InlineData("up --listen example.org", "--listen")]
    [InlineData("demo --seed -1", "--seed")]
    [InlineData("replay --model linear --half-life 3", "--half-life")]
    [InlineData("up 8080", "8080")]
    [InlineData("replay", "--model")]
    [InlineData("replay --model linear --rules-version 3", "--model")]
    [InlineData("replay --model best", "best")]
    [InlineData("replay --model linear --promote --discard", "--promote")]
    [InlineData("receipt shop", "receipt")]
    [InlineData("audit october", "is not a month")]
    [InlineData("audit 2026-10 --partner acme", "belong together")]
    [InlineData("rules text 2 --file rules.json", "--file")]
    [InlineData("rules publish", "publish")]
    [InlineData("rules show one", "'one' is not a version")]
    [InlineData("rules show 0", "'0' is not a version")]
    [InlineData("rules text -1", "'-1' is not a version")]
    [InlineData("what-if", "what-if")]
    public void These_are_refused_and_the_fault_is_named(string line, string named) =>
        Assert.Contains(Parse(line), error => error.Contains(named, StringComparison.Ordinal));

    [Fact]
    public void Every_command_that_a_person_sees_has_a_description_and_examples()
    {
        foreach (var command in PulseCommand.Build().Subcommands.Where(command => !command.Hidden))
        {
            var output = new StringWriter();
            PulseCommand.Build().Parse([command.Name, "--help"]).Invoke(new System.CommandLine.InvocationConfiguration { Output = output });

            Assert.False(string.IsNullOrWhiteSpace(command.Description), command.Name);
            Assert.Contains($"./pulse {command.Name}", output.ToString(), StringComparison.Ordinal);
        }
    }

    private static IEnumerable<string> Parse(string line) => PulseCommand.Build().Parse(line.Split(' ')).Errors.Select(error => error.Message);
}
