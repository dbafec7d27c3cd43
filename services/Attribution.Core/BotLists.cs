using System.Collections.Immutable;

namespace PartnerPulse.Attribution.Core;

/// <summary>All bot lists that rules can name. There is always one.</summary>
public sealed class BotLists
{
    private BotLists(ImmutableArray<BotList> all) => All = all;

    /// <summary>Oldest first.</summary>
    public ImmutableArray<BotList> All { get; }

    /// <summary>The one that rules get which exclude bots and name no version.</summary>
    public BotList Newest => All[^1];

    /// <summary>Null where there is none of that version.</summary>
    public BotList? Find(string version) => All.FirstOrDefault(list => list.Version == version);

    /// <summary>Reads all files and refuses them together, with all faults of all of them at once.</summary>
    public static BotListsRead Read(IEnumerable<BotListFile> files)
    {
        var lists = new Dictionary<string, BotList>(StringComparer.Ordinal);
        var seen = new Dictionary<string, string>(StringComparer.Ordinal);
        var faults = ImmutableArray.CreateBuilder<BotListFault>();

        // By version, so that a list comes after the one it extends; of one version twice the later given is at fault.
        foreach (var file in files.OrderBy(f => f.Version, StringComparer.Ordinal))
        {
            if (!BotListReader.IsVersion(file.Version))
            {
                faults.Add(new BotListFault(file.Path, 0, $"its name '{file.Version}' is no version: year and month, such as 2026-11, then perhaps '-' or '.' and lower-case letters and digits, such as 2026-11-acme"));
            }
            else if (!seen.TryAdd(file.Version, file.Path))
            {
                faults.Add(new BotListFault(file.Path, 0, $"the version '{file.Version}' is in {seen[file.Version]} already; a changed list needs a version of its own"));
            }
            else
            {
                var reader = new BotListReader(file.Path, lists.GetValueOrDefault);
                if (reader.Read(file.Version, file.Text) is { } list)
                {
                    lists.Add(list.Version, list);
                }

                faults.AddRange(reader.Faults);
            }
        }

        if (lists.Count == 0 && faults.Count == 0)
        {
            faults.Add(new BotListFault("(none)", 0, "there is no bot list at all"));
        }

        return faults.Count > 0
            ? new BotListsRefused(faults.ToImmutable())
            : new BotListsAccepted(new BotLists([.. lists.Values.OrderBy(l => l.Version, StringComparer.Ordinal)]));
    }
}

/// <param name="Path">For the person who has to find it.</param>
/// <param name="Version">Name of the file without its ending.</param>
/// <param name="Text">All of it.</param>
public sealed record BotListFile(string Path, string Version, string Text);

/// <summary>What is wrong with a bot list.</summary>
/// <param name="File">Its path.</param>
/// <param name="Line">From 1; 0 where it is the file as a whole.</param>
/// <param name="Reason">For the person who wrote it.</param>
public sealed record BotListFault(string File, int Line, string Reason)
{
    public override string ToString() => Line == 0 ? $"{File}: {Reason}" : $"{File}:{Line}: {Reason}";
}

/// <summary>What came of reading bot lists: <see cref="BotListsAccepted"/> or <see cref="BotListsRefused"/>.</summary>
public abstract record BotListsRead
{
    private protected BotListsRead()
    {
    }
}

public sealed record BotListsAccepted(BotLists Lists) : BotListsRead;

public sealed record BotListsRefused(ImmutableArray<BotListFault> Faults) : BotListsRead;
