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
    [InlineData("keys create shop --scope conversions:write --scope read --purpose orders --expires 90d")]
    [InlineData("keys create acme --partner acme --program main --file keys.json --json")]
    [InlineData("keys list --json")]
    [InlineData("keys rotate shop --grace 0")]
    [InlineData("keys rotate edge --grace 7d")]
    [InlineData("keys revoke shop")]
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
    [InlineData("keys create shop", "--scope: say what")]
    [InlineData("keys create shop --scope reed", "--scope: 'reed' is not a scope")]
    [InlineData("keys create Shop! --scope read", "name: 'Shop!' must be")]
    [InlineData("keys create edge --scope read", "name: 'edge' is the name of a key that ./pulse up makes")]
    [InlineData("keys create shop --scope read --partner acme", "--partner: a partner's key")]
    [InlineData("keys create shop --scope read --expires soon", "--expires is 'soon'")]
    [InlineData("keys create shop --scope read --expires 2020-01-01", "--expires is 2020-01-01, which is past")]
    [InlineData("keys rotate shop --grace long", "--grace is 'long'")]
    [InlineData("keys rotate shop --grace 99999d", "--grace is '99999d'")]
    [InlineData("keys revoke", "revoke")]
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
