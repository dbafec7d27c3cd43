using System.Runtime.CompilerServices;

namespace PartnerPulse.Tests;

/// <summary>Where the checkout lies, and the shared data beside it.</summary>
public static class Fixtures
{
    /// <summary>The folder of the solution.</summary>
    public static string Checkout { get; } = FindCheckout();

    /// <summary>The source folder of the test project, for files that tests pin.</summary>
    public static string Tests => Path.Combine(Checkout, "tests", "PartnerPulse.Tests");

    /// <summary>Path of shared data, which lies beside the checkout and is no part of it.</summary>
    public static string Find(string name) => Path.GetFullPath(Path.Combine(Checkout, "..", "shared", "fixtures", name));

    /// <summary>The text of a file that pins what we once wrote. A file that is not there yet is made by hand from the message.</summary>
    public static string Pinned(string file, Func<string> written)
    {
        var path = Path.Combine(Tests, file);
        return File.Exists(path)
            ? File.ReadAllText(path).TrimEnd()
            : throw new FileNotFoundException($"Not pinned yet; if this is right, it belongs into {path}:\n{written()}");
    }

    private static string FindCheckout([CallerFilePath] string thisFile = "")
    {
        foreach (var start in new[] { AppContext.BaseDirectory, Path.GetDirectoryName(thisFile) })
        {
            for (var folder = start; folder is not null; folder = Path.GetDirectoryName(folder))
            {
                if (File.Exists(Path.Combine(folder, "PartnerPulse.sln")))
                {
                    return folder;
                }
            }
        }

        throw new InvalidOperationException($"No PartnerPulse.sln above {AppContext.BaseDirectory}.");
    }
}

/// <summary>A fact that reads shared data, and says so where the data is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FixtureFactAttribute : FactAttribute
{
    public FixtureFactAttribute(string fixture)
    {
        if (!File.Exists(Fixtures.Find(fixture)))
        {
            Skip = $"needs {Fixtures.Find(fixture)}, which is not here";
        }
    }
}

/// <summary>A theory over shared data, which says so where the data is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class FixtureTheoryAttribute : TheoryAttribute
{
    public FixtureTheoryAttribute(string fixture)
    {
        if (!File.Exists(Fixtures.Find(fixture)))
        {
            Skip = $"needs {Fixtures.Find(fixture)}, which is not here";
        }
    }
}
