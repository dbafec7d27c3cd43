using System.Text.RegularExpressions;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Pulse.Commands;
using PartnerPulse.Pulse.Provisioning;

namespace PartnerPulse.Tests.House;

/// <summary>What <c>SECURITY.md</c> says of scopes, roles and secrets is what the code has.</summary>
public sealed partial class SecurityPageTests
{
    private static readonly string s_page = File.ReadAllText(Path.Combine(Fixtures.Checkout, "SECURITY.md"));

    [Fact]
    public void It_names_every_scope() =>
        Assert.Equal(Scope.All.Append(Scope.PartnerPrefix + "<id>").Order(StringComparer.Ordinal), FirstColumn("| scope |").Order(StringComparer.Ordinal));

    [Fact]
    public void It_names_every_secret_that_a_run_makes()
    {
        var sources = Directory.EnumerateFiles(Path.Combine(Fixtures.Checkout, "deploy", "Pulse"), "*.cs", SearchOption.AllDirectories)
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal)).Select(File.ReadAllText);
        var made = sources.SelectMany(text => Secrets().Matches(text)).Select(match => match.Groups["name"].Value)
            .Concat(RunKeys.Names.Select(name => name + ".key"))
            .Append(Path.GetFileName(Services.SealKeyFile(DataFolder.At("/nowhere"))))
            .Append(DatabaseRoles.SecretName("<service>"));

        Assert.Equal(made.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal), FirstColumn("| file |").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void It_names_every_database_role()
    {
        Assert.Equal(
            DatabaseRoles.Services.Select(service => $"{Postgres.Database}_{service}").Order(StringComparer.Ordinal), FirstColumn("| role |").Order(StringComparer.Ordinal));
        var statements = File.ReadAllText(Path.Combine(Fixtures.Checkout, "deploy", "postgres", "roles.sql"));
        Assert.All(DatabaseRoles.Services, service => Assert.Contains($"'{service}'", statements, StringComparison.Ordinal));
    }

    [Fact]
    public void Its_commands_are_understood()
    {
        var commands = Commands().Matches(s_page).Select(match => match.Groups["arguments"].Value.Trim()).Where(line => line.Length > 0).ToArray();
        Assert.True(commands.Length > 10, $"{commands.Length} commands");
        Assert.All(commands, line => Assert.Empty(PulseCommand.Build().Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Errors.Select(error => $"{line}: {error.Message}")));
    }

    private static string[] FirstColumn(string header) =>
        [.. s_page[s_page.IndexOf(header, StringComparison.Ordinal)..].Split('\n').TakeWhile(line => line.StartsWith('|')).Skip(2).Select(line => line.Split('|')[1].Trim().Trim('`'))];

    [GeneratedRegex("Secret(Word|KeyFile)\\(\"(?<name>[^\"{]+)\"", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Secrets();

    // In blocks of commands, not where the text speaks of one.
    [GeneratedRegex("(?<!`)\\./pulse(?<arguments>( [A-Za-z0-9-]+)+)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Commands();
}
