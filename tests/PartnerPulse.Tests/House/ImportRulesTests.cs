using System.Xml.Linq;

namespace PartnerPulse.Tests.House;

/// <summary>Who may import whom. The repository is read as it lies there, so a new project is under the rules at once.</summary>
public class ImportRulesTests
{
    private static readonly string s_root = Root();

    /// <summary>Project references that each project of the product may have.</summary>
    private static readonly Dictionary<string, string[]> s_mayImport = new(StringComparer.Ordinal)
    {
        ["PartnerPulse.Contracts"] = [],
        ["PartnerPulse.EventStore"] = [],
        ["PartnerPulse.Attribution.Core"] = ["PartnerPulse.Contracts"],
        ["PartnerPulse.Hosting"] = ["PartnerPulse.Contracts", "PartnerPulse.EventStore"],
        ["PartnerPulse.Edge"] = ["PartnerPulse.Contracts", "PartnerPulse.EventStore", "PartnerPulse.Hosting"],
        ["PartnerPulse.Partners"] = ["PartnerPulse.Contracts", "PartnerPulse.EventStore", "PartnerPulse.Hosting"],
        ["PartnerPulse.Conversions"] = ["PartnerPulse.Contracts", "PartnerPulse.EventStore", "PartnerPulse.Hosting"],
        ["PartnerPulse.Attribution"] = ["PartnerPulse.Contracts", "PartnerPulse.EventStore", "PartnerPulse.Hosting", "PartnerPulse.Attribution.Core"],
        ["PartnerPulse.Outbound"] = ["PartnerPulse.Contracts", "PartnerPulse.EventStore", "PartnerPulse.Hosting"],
    };

    public static TheoryData<string> Projects() =>
        new(Directory.EnumerateFiles(Path.Combine(s_root, "services"), "*.csproj", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(Path.Combine(s_root, "contracts"), "*.csproj", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(s_root, file)));

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_project_imports_only_what_the_design_lets_it(string project)
    {
        var name = Path.GetFileNameWithoutExtension(project);
        Assert.True(s_mayImport.TryGetValue(name, out var allowed), $"{name} is new: say in {nameof(ImportRulesTests)} what it may import.");
        var imported = Elements(project, "ProjectReference").Select(include => Path.GetFileNameWithoutExtension(include.Replace('\\', '/')));
        Assert.Empty(imported.Except(allowed!, StringComparer.Ordinal));
    }

    [Fact]
    public void Contracts_takes_no_package_and_the_event_store_only_Npgsql()
    {
        Assert.Empty(Elements("contracts/PartnerPulse.Contracts/PartnerPulse.Contracts.csproj", "PackageReference"));
        Assert.Empty(Elements("services/Attribution.Core/PartnerPulse.Attribution.Core.csproj", "PackageReference"));
        Assert.Equal(["Npgsql"], Elements("services/EventStore/PartnerPulse.EventStore.csproj", "PackageReference"));
    }

    [Fact]
    public void MassTransit_appears_in_Hosting_and_in_consumers_alone()
    {
        var elsewhere = Sources("services", "deploy")
            .Where(file => !file.StartsWith("services/Hosting/", StringComparison.Ordinal) && !file.EndsWith("Consumer.cs", StringComparison.Ordinal))
            .Where(file => Lines(file).Any(line => line.Contains("using MassTransit", StringComparison.Ordinal)));
        Assert.Empty(elsewhere);
    }

    [Fact]
    public void The_event_store_and_the_core_know_neither_web_nor_bus()
    {
        var strangers = Sources("services/EventStore", "services/Attribution.Core", "contracts")
            .Where(file => Lines(file).Any(line =>
                line.StartsWith("using Microsoft.AspNetCore", StringComparison.Ordinal)
                || line.StartsWith("using Microsoft.Extensions", StringComparison.Ordinal)
                || line.StartsWith("using MassTransit", StringComparison.Ordinal)));
        Assert.Empty(strangers);
    }

    [Fact]
    public void Versions_stand_in_one_place()
    {
        var withVersion = Directory.EnumerateFiles(s_root, "*.csproj", SearchOption.AllDirectories)
            .Where(file => XDocument.Load(file).Descendants("PackageReference").Any(p => p.Attribute("Version") is not null))
            .Select(file => Path.GetRelativePath(s_root, file));
        Assert.Empty(withVersion);
    }

    [Fact]
    public void Every_folder_that_a_newcomer_opens_first_says_what_it_is_for()
    {
        var without = Directory.EnumerateDirectories(Path.Combine(s_root, "services"))
            .Append(Path.Combine(s_root, "contracts")).Append(Path.Combine(s_root, "deploy")).Append(Path.Combine(s_root, "tests"))
            .Where(folder => !File.Exists(Path.Combine(folder, "README.md")))
            .Select(folder => Path.GetRelativePath(s_root, folder));
        Assert.Empty(without);
    }

    private static IEnumerable<string> Elements(string project, string name) =>
        XDocument.Load(Path.Combine(s_root, project)).Descendants(name).Select(e => e.Attribute("Include")!.Value);

    private static IEnumerable<string> Sources(params string[] folders) =>
        folders.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(s_root, folder), "*.cs", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(s_root, file))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));

    private static IEnumerable<string> Lines(string file) => File.ReadLines(Path.Combine(s_root, file));

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "PartnerPulse.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException($"PartnerPulse.sln is not above {AppContext.BaseDirectory}.");
    }
}
