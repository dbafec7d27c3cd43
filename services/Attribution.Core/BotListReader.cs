using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace PartnerPulse.Attribution.Core;

/// <summary>Reads the text of one bot list and collects every fault of it.</summary>
internal sealed partial class BotListReader(string file, Func<string, BotList?> find)
{
    public const string Browsers = "browsers";
    public const string Previews = "previews";
    public const string Bots = "bots";

    private const int MaxPatterns = 10_000;
    private const int MaxPatternLength = 200;
    private const string Extends = "extends ";

    /// <summary>A pattern that finds one of these finds everybody: a slip of the hand that would take all partners' credit.</summary>
    private static readonly string[] s_ordinary =
    [
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    ];

    private readonly ImmutableArray<BotListFault>.Builder _faults = ImmutableArray.CreateBuilder<BotListFault>();
    private readonly Dictionary<string, List<BotList.Pattern>> _sections = new(StringComparer.Ordinal) { [Browsers] = [], [Previews] = [], [Bots] = [] };
    private readonly Dictionary<string, int> _lines = new(StringComparer.Ordinal);

    public IReadOnlyList<BotListFault> Faults => _faults;

    public static bool IsVersion(string version) => version.Length <= 40 && Version().IsMatch(version);

    /// <summary>The list, or null where there are <see cref="Faults"/>.</summary>
    public BotList? Read(string version, string text)
    {
        BotList? extended = null;
        string? section = null;
        var number = 0;
        foreach (var raw in text.AsSpan().EnumerateLines())
        {
            number++;
            var line = WithoutComment(raw).Trim();
            if (line.IsEmpty)
            {
                continue;
            }

            if (line[0] == '[' && line[^1] == ']')
            {
                section = Section(line[1..^1].Trim().ToString(), number);
            }
            else if (section is not null)
            {
                Add(section, line, number, extended);
            }
            else if (line.StartsWith(Extends, StringComparison.Ordinal))
            {
                extended = Extended(version, extended, line[Extends.Length..].Trim().ToString(), number);
            }
            else
            {
                Refuse(number, $"'{line}' stands before the first section; [{Browsers}], [{Previews}] or [{Bots}] must come first");
            }
        }

        if (_faults.Count == 0 && _sections[Previews].Count + _sections[Bots].Count == 0 && extended is null)
        {
            Refuse(0, $"has no pattern in [{Previews}] or [{Bots}], so it would exclude nobody");
        }

        if (_faults.Count > 0)
        {
            return null;
        }

        var list = new BotList(version, file, All(Browsers, extended), All(Previews, extended), All(Bots, extended));
        RefuseWhatFindsEverybody(list);
        return _faults.Count > 0 ? null : list;
    }

    /// <summary>A number sign begins a comment at the start of a line or after a space.</summary>
    private static ReadOnlySpan<char> WithoutComment(ReadOnlySpan<char> line)
    {
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == '#' && (i == 0 || char.IsWhiteSpace(line[i - 1])))
            {
                return line[..i];
            }
        }

        return line;
    }

    private string Section(string name, int line)
    {
        if (!_sections.ContainsKey(name))
        {
            Refuse(line, $"[{name}] is no section; there are [{Browsers}], [{Previews}] and [{Bots}]");
            _sections.Add(name, []); // What follows is judged all the same, so that all faults are told at once.
        }

        return name;
    }

    private BotList? Extended(string version, BotList? already, string name, int line)
    {
        if (already is not null)
        {
            Refuse(line, $"extends '{name}' and '{already.Version}'; a list extends one other");
            return already;
        }

        if (string.CompareOrdinal(name, version) >= 0)
        {
            Refuse(line, $"extends '{name}', which is not older than '{version}'");
            return null;
        }

        if (find(name) is { } list)
        {
            return list;
        }

        Refuse(line, $"extends '{name}', which is not there or has faults of its own");
        return null;
    }

    private void Add(string section, ReadOnlySpan<char> line, int number, BotList? extended)
    {
        Span<char> lower = stackalloc char[MaxPatternLength];
        if (line.Length > MaxPatternLength)
        {
            Refuse(number, $"has {line.Length} characters; at most {MaxPatternLength}");
            return;
        }

        foreach (var c in line)
        {
            if (c is < ' ' or > '~')
            {
                Refuse(number, $"has the character U+{(int)c:X4}; only printable ASCII is compared");
                return;
            }
        }

        var written = lower[..line.ToLowerInvariant(lower)].ToString();
        if (FaultOf(section, written) is { } fault)
        {
            Refuse(number, $"'{written}' {fault}");
        }
        else if (_lines.TryGetValue(written, out var first))
        {
            Refuse(number, $"'{written}' is in line {first} already");
        }
        else if (_lines.Count == MaxPatterns)
        {
            Refuse(number, $"is one pattern more than {MaxPatterns}");
        }
        else
        {
            _lines.Add(written, number);
            if (extended is null || !_sections.ContainsKey(section) || !Has(extended, section, written))
            {
                _sections[section].Add(BotList.Pattern.Of(written));
            }
        }
    }

    private static bool Has(BotList list, string section, string written) =>
        section is Browsers or Previews or Bots && list.PatternsOf(section).Any(p => p.Written == written);

    private static string? FaultOf(string section, string written)
    {
        var absent = written[0] == '!';
        var words = written[0] == '|' || written[^1] == '|';
        var text = written.AsSpan(absent ? 1 : 0);
        text = absent ? text : words ? text.Trim('|') : text[^1] == '$' ? text[..^1] : text;
        text = !absent && !words && text is ['^', ..] ? text[1..] : text;
        if (section == Browsers && (absent || words))
        {
            return $"cannot stand in [{Browsers}], where only what is there is looked past: no '!' and no '|'";
        }

        if (text.IsWhiteSpace() || (!absent && text.Length < 2))
        {
            return "is too short: it would find nearly everybody";
        }

        if (words && (text.ContainsAnyExcept(s_wordCharacters) || text.Contains("  ", StringComparison.Ordinal) || text[0] == ' ' || text[^1] == ' '))
        {
            return "stands between '|' and is no words: letters, digits and single spaces";
        }

        return text.ContainsAny('^', '$', '|') ? "has a '^', '$' or '|' where it means nothing: '^' begins, '$' ends, '|' bounds words" : null;
    }

    private static readonly System.Buffers.SearchValues<char> s_wordCharacters =
        System.Buffers.SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789 ");

    private ImmutableArray<BotList.Pattern> All(string section, BotList? extended) =>
        [.. extended is null ? [] : extended.PatternsOf(section), .. _sections[section]];

    private void RefuseWhatFindsEverybody(BotList list)
    {
        if (Array.TrueForAll(s_ordinary, ordinary => list.Judge(ordinary).Kind == UserAgentKind.Person))
        {
            return;
        }

        foreach (var section in new[] { Previews, Bots })
        {
            foreach (var pattern in _sections[section])
            {
                var alone = new BotList(list.Version, file, list.PatternsOf(Browsers), [], [pattern]);
                if (s_ordinary.FirstOrDefault(ordinary => alone.Judge(ordinary).Kind != UserAgentKind.Person) is { } found)
                {
                    Refuse(_lines[pattern.Written], $"'{pattern.Written}' finds an ordinary browser: {found}");
                }
            }
        }
    }

    private void Refuse(int line, string reason) => _faults.Add(new BotListFault(file, line, reason));

    [GeneratedRegex(@"\A[0-9]{4}-(0[1-9]|1[0-2])([.-][a-z0-9]+)*\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Version();
}
