using System.Collections.Frozen;
using System.Text;

namespace PartnerPulse.Outbound;

/// <summary>
/// The address of a partner's postback: text with macros (<c>{click_id}</c>), each replaced by its value in percent-encoding. The
/// server that is told never depends on a value.
/// </summary>
internal static class Macros
{
    public const string ClickId = "click_id";
    public const string Payout = "payout";
    public const string PayoutChange = "payout_change";
    public const string Amount = "amount";
    public const string Share = "share";
    public const string Currency = "currency";
    public const string OrderId = "order_id";
    public const string Source = "source";
    public const string ConversionId = "conversion_id";
    public const string Partner = "partner";
    public const string Kind = "kind";
    public const string Status = "status";
    public const string Link = "link";
    public const string Time = "time";
    public const string EventId = "event_id";

    public static readonly IReadOnlyList<string> SubIds = ["sub1", "sub2", "sub3", "sub4", "sub5"];

    public static readonly IReadOnlyList<string> All =
    [
        ClickId, .. SubIds, Payout, PayoutChange, Amount, Share, Currency, OrderId, Source, ConversionId, Partner, Kind, Status, Link, Time, EventId,
    ];

    private static readonly FrozenSet<string> s_known = All.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>What is wrong with a template besides what would be wrong with any address; nothing where it is good.</summary>
    public static IEnumerable<string> Faults(string template)
    {
        if (template.Any(c => c is <= ' ' or > '~'))
        {
            yield return "must be written in ASCII without spaces; percent-encode everything else";
        }

        var authority = template.IndexOf("://", StringComparison.Ordinal) is var scheme && scheme < 0 ? 0 : scheme + 3;
        var path = template.AsSpan(authority).IndexOfAny('/', '?', '#') is var end && end < 0 ? template.Length : authority + end;
        if (template.AsSpan(0, path).ContainsAny('{', '}'))
        {
            yield return "must not have a macro before its path: the host is the same for every conversion";
        }

        foreach (var (text, isMacro) in Parts(template))
        {
            if (isMacro && !s_known.Contains(text))
            {
                yield return $"has the unknown macro '{{{text}}}'; known are {string.Join(", ", All.Select(name => $"{{{name}}}"))}";
            }
            else if (!isMacro && text.AsSpan().ContainsAny('{', '}'))
            {
                yield return "has a '{' or '}' that belongs to no macro; write %7B and %7D";
            }
        }
    }

    /// <summary>The template with each macro replaced; empty where there is no value.</summary>
    public static string Render(string template, IReadOnlyDictionary<string, string> values)
    {
        var text = new StringBuilder(template.Length + 64);
        foreach (var (part, isMacro) in Parts(template))
        {
            text.Append(isMacro ? Encode(values.GetValueOrDefault(part, "")) : part);
        }

        return text.ToString();
    }

    // A path segment of dots alone would lead out of its folder.
    private static string Encode(string value) =>
        value is "." or ".." ? value.Replace(".", "%2E", StringComparison.Ordinal) : Uri.EscapeDataString(value);

    private static IEnumerable<(string Text, bool IsMacro)> Parts(string template)
    {
        for (var i = 0; i < template.Length;)
        {
            var open = template.IndexOf('{', i);
            var close = open < 0 ? -1 : template.IndexOf('}', open);
            if (close < 0)
            {
                yield return (template[i..], false);
                yield break;
            }

            if (open > i)
            {
                yield return (template[i..open], false);
            }

            yield return (template[(open + 1)..close], true);
            i = close + 1;
        }
    }
}
