using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace PartnerPulse.Attribution.Core;

/// <summary>What a bot list makes of a user agent.</summary>
public enum UserAgentKind
{
    /// <summary>Nothing speaks against a person.</summary>
    Person,

    /// <summary>A program that fetches a page to show a card of it where its link was shared.</summary>
    Preview,

    /// <summary>Any other program.</summary>
    Bot,
}

/// <param name="Kind">What it is.</param>
/// <param name="Sign">In words, what showed it: <c>its user agent contains "crawl"</c>. Null for a person.</param>
public sealed record UserAgentVerdict(UserAgentKind Kind, string? Sign)
{
    internal static UserAgentVerdict Person { get; } = new(UserAgentKind.Person, null);

    internal static UserAgentVerdict Silent { get; } = new(UserAgentKind.Bot, "it sent no user agent");
}

/// <summary>
/// One version of the list of user agents that are no person following a link. Immutable: what it says of a user agent never
/// changes. The format of its file is described beside the files, in <c>Bots/README.md</c>.
/// </summary>
public sealed class BotList
{
    /// <summary>Characters of a user agent that are looked at.</summary>
    internal const int MaxLength = 2_048;

    // A list is asked millions of times about a few thousand user agents. Beyond these bounds it just works each time.
    private const int MaxRemembered = 32_768;
    private const int MaxRememberedLength = 512;

    private const char Start = '\u0002';
    private const char End = '\u0003';
    private const char LookedPast = '\u0001';

    private readonly ImmutableArray<Pattern> _browsers;
    private readonly Section _previews;
    private readonly Section _bots;
    private readonly SearchValues<string> _browserTexts;
    private ConcurrentDictionary<string, UserAgentVerdict> _remembered = new(StringComparer.Ordinal);
    private int _rememberedCount;
    private long _forgotten;

    internal BotList(string version, string file, ImmutableArray<Pattern> browsers, ImmutableArray<Pattern> previews, ImmutableArray<Pattern> bots)
    {
        Version = version;
        File = file;
        _browsers = browsers;
        _previews = new Section(UserAgentKind.Preview, previews);
        _bots = new Section(UserAgentKind.Bot, bots);
        _browserTexts = SearchValues.Create([.. browsers.Select(p => p.Needle)], StringComparison.Ordinal);
        Hash = HashOf(browsers, previews, bots);
    }

    /// <summary>Such as <c>2026-11</c>. A later version is ordinally greater.</summary>
    public string Version { get; }

    /// <summary>Where it was read from.</summary>
    public string File { get; }

    /// <summary>SHA-256 of the patterns, lower-case hex. Comments, order and the way in which a list extends another are not in it.</summary>
    public string Hash { get; }

    /// <summary>Patterns that belong to browsers, those of the list it extends included; as are those of the other counts.</summary>
    public int Browsers => _browsers.Length;

    public int Previews => _previews.Patterns.Length;

    public int Bots => _bots.Patterns.Length;

    /// <summary>Times that more different user agents came than are remembered, and remembering began anew.</summary>
    public long Forgotten => Interlocked.Read(ref _forgotten);

    /// <summary>Pure: the same user agent gets the same verdict, on every machine. Without one it is a bot's: every browser sends one.</summary>
    public UserAgentVerdict Judge(string? userAgent)
    {
        if (string.IsNullOrWhiteSpace(userAgent))
        {
            return UserAgentVerdict.Silent;
        }

        if (userAgent.Length > MaxRememberedLength)
        {
            return LookAt(userAgent);
        }

        var remembered = _remembered;
        if (remembered.TryGetValue(userAgent, out var known))
        {
            return known;
        }

        var verdict = LookAt(userAgent);
        if (remembered.TryAdd(userAgent, verdict) && Interlocked.Increment(ref _rememberedCount) >= MaxRemembered)
        {
            // Who loses this race adds to a dictionary that nobody asks any more: no harm.
            Interlocked.Exchange(ref _rememberedCount, 0);
            Interlocked.Increment(ref _forgotten);
            _remembered = new(StringComparer.Ordinal);
        }

        return verdict;
    }

    internal ImmutableArray<Pattern> PatternsOf(string section) => section switch
    {
        BotListReader.Browsers => _browsers,
        BotListReader.Previews => _previews.Patterns,
        BotListReader.Bots => _bots.Patterns,
        _ => throw new ArgumentOutOfRangeException(nameof(section), section, "is no section"),
    };

    private UserAgentVerdict LookAt(string userAgent)
    {
        // Lower case between marks, so that "begins with" and "ends with" are plain searches too.
        var length = int.Min(userAgent.Length, MaxLength);
        Span<char> text = stackalloc char[MaxLength + 2];
        text = text[..(length + 2)];
        text[0] = Start;
        for (var i = 0; i < length; i++)
        {
            var c = userAgent[i];
            text[i + 1] = char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c < ' ' ? ' ' : c;
        }

        text[^1] = End;
        var browser = ((ReadOnlySpan<char>)text).ContainsAny(_browserTexts);
        if (browser)
        {
            LookPastBrowsers(text);
        }

        Span<char> words = stackalloc char[MaxLength + 4];
        words = words[..Words(text, words)];
        return _previews.Find(text, words, browser) ?? _bots.Find(text, words, browser) ?? UserAgentVerdict.Person;
    }

    private void LookPastBrowsers(Span<char> text)
    {
        Span<char> original = stackalloc char[MaxLength + 2];
        original = original[..text.Length];
        text.CopyTo(original);
        foreach (var pattern in _browsers)
        {
            for (var from = 0; ;)
            {
                var at = original[from..].IndexOf(pattern.Needle, StringComparison.Ordinal);
                if (at < 0)
                {
                    break;
                }

                text.Slice(from + at, pattern.Needle.Length).Fill(LookedPast);
                from += at + 1;
            }
        }
    }

    /// <summary>Letters and digits, everything between them as one space, a space at either end.</summary>
    private static int Words(ReadOnlySpan<char> text, Span<char> words)
    {
        var length = 0;
        words[length++] = ' ';
        foreach (var c in text)
        {
            if (char.IsAsciiLetterOrDigit(c))
            {
                words[length++] = c;
            }
            else if (words[length - 1] != ' ')
            {
                words[length++] = ' ';
            }
        }

        return length;
    }

    private static string HashOf(params ReadOnlySpan<ImmutableArray<Pattern>> sections)
    {
        var text = new StringBuilder();
        foreach (var section in sections)
        {
            text.AppendJoin('\n', section.Select(p => p.Written).Order(StringComparer.Ordinal)).Append("\n\n");
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(text.ToString())));
    }

    /// <summary>How a pattern is looked for.</summary>
    internal enum Look
    {
        Text,
        Words,
        Absent,
    }

    /// <param name="Written">As in the file, in lower case.</param>
    /// <param name="Needle">What is searched, with the marks of start and end.</param>
    internal sealed record Pattern(string Written, string Needle, Look Look)
    {
        /// <summary>A pattern without faults.</summary>
        public static Pattern Of(string written)
        {
            if (written[0] == '!')
            {
                return new Pattern(written, written[1..], Look.Absent);
            }

            if (written[0] == '|' || written[^1] == '|')
            {
                return new Pattern(written, written.Replace('|', ' '), Look.Words);
            }

            var needle = written;
            needle = needle[0] == '^' ? Start + needle[1..] : needle;
            needle = needle[^1] == '$' ? needle[..^1] + End : needle;
            return new Pattern(written, needle, Look.Text);
        }

        /// <summary>What it found, in words.</summary>
        public string Sign
        {
            get
            {
                var text = Needle.Trim(Start, End, ' ');
                return (Look, Needle[0] == Start, Needle[^1] == End) switch
                {
                    (Look.Words, _, _) => $"its user agent has the word \"{text}\"",
                    (Look.Absent, _, _) => $"its user agent is without \"{text}\", which every browser's has",
                    (_, true, true) => $"its user agent is \"{text}\"",
                    (_, true, false) => $"its user agent begins with \"{text}\"",
                    (_, false, true) => $"its user agent ends with \"{text}\"",
                    _ => $"its user agent contains \"{text}\"",
                };
            }
        }
    }

    /// <summary>Patterns of one kind, searched all at once; which of them it was is asked only where one was found.</summary>
    private sealed class Section
    {
        private readonly SearchValues<string> _texts;
        private readonly SearchValues<string> _words;
        private readonly ImmutableArray<Pattern> _absent;
        private readonly FrozenDictionary<string, UserAgentVerdict> _verdicts;

        public Section(UserAgentKind kind, ImmutableArray<Pattern> patterns)
        {
            Patterns = patterns;
            _texts = SearchValues.Create([.. patterns.Where(p => p.Look == Look.Text).Select(p => p.Needle)], StringComparison.Ordinal);
            _words = SearchValues.Create([.. patterns.Where(p => p.Look == Look.Words).Select(p => p.Needle)], StringComparison.Ordinal);
            _absent = [.. patterns.Where(p => p.Look == Look.Absent)];
            _verdicts = patterns.ToFrozenDictionary(p => p.Written, p => new UserAgentVerdict(kind, p.Sign), StringComparer.Ordinal);
        }

        /// <summary>In the order of the file, which is the order in which they are asked which of them it was.</summary>
        public ImmutableArray<Pattern> Patterns { get; }

        public UserAgentVerdict? Find(ReadOnlySpan<char> text, ReadOnlySpan<char> words, bool browser)
        {
            if (!text.ContainsAny(_texts) && !words.ContainsAny(_words) && !LacksOne(text, browser))
            {
                return null;
            }

            foreach (var pattern in Patterns)
            {
                if (Holds(pattern, text, words, browser))
                {
                    return _verdicts[pattern.Written];
                }
            }

            throw new System.Diagnostics.UnreachableException("A pattern was found and is none of the patterns.");
        }

        private bool LacksOne(ReadOnlySpan<char> text, bool browser)
        {
            foreach (var pattern in _absent)
            {
                if (Holds(pattern, text, [], browser))
                {
                    return true;
                }
            }

            return false;
        }

        private static bool Holds(Pattern pattern, ReadOnlySpan<char> text, ReadOnlySpan<char> words, bool browser) => pattern.Look switch
        {
            Look.Text => text.Contains(pattern.Needle, StringComparison.Ordinal),
            Look.Words => words.Contains(pattern.Needle, StringComparison.Ordinal),
            _ => !browser && !text.Contains(pattern.Needle, StringComparison.Ordinal),
        };
    }
}
