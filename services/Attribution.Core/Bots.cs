using System.Collections.Immutable;
using PartnerPulse.Contracts;

namespace PartnerPulse.Attribution.Core;

/// <summary>What a recorded click was where nobody clicked. The order of the values is the order in which the rules ask.</summary>
public enum Machine
{
    /// <summary>A browser fetched the page ahead.</summary>
    Prefetch,

    /// <summary>The page was fetched to show a card or a small picture of it.</summary>
    Preview,

    /// <summary>A program's user agent, or none.</summary>
    Bot,

    /// <summary>Only headers were asked for.</summary>
    Head,
}

/// <summary>Which clicks count though no person may have made them.</summary>
public sealed class Bots
{
    private Bots(BotList? list, ImmutableArray<Machine> counted)
    {
        List = list;
        Counted = counted;
    }

    /// <summary>
    /// Nothing is judged by its user agent. What a request says of itself holds all the same: prefetch, preview and HEAD do not
    /// count, as they did not before there were lists.
    /// </summary>
    public static Bots Include { get; } = new(null, []);

    /// <summary>The list that judges user agents; null where none does.</summary>
    public BotList? List { get; }

    /// <summary>What counts all the same, in the order of the enum, each once.</summary>
    public ImmutableArray<Machine> Counted { get; }

    public static Bots Exclude(BotList list, params ReadOnlySpan<Machine> count) => new(list, [.. new SortedSet<Machine>(count.ToArray())]);

    /// <summary>The reason that stops the click (<see cref="StopReason"/>) and what showed it, in words; null where it may compete.</summary>
    public (string Reason, string Sign)? Judge(ClickRecorded click) => Judge(ClickRequest.Of(click));

    /// <summary>The same of what a click's request said of itself, which is all that is asked.</summary>
    internal (string Reason, string Sign)? Judge(ClickRequest request)
    {
        var purpose = request.Signals?.Purpose;
        if (purpose is not null && Excluded(Machine.Prefetch) && Says(purpose, "prefetch", "prerender", "instant"))
        {
            return (StopReason.Prefetch, Announced(purpose));
        }

        if (purpose is not null && Excluded(Machine.Preview) && Says(purpose, "preview"))
        {
            return (StopReason.Preview, Announced(purpose));
        }

        // History that was brought in from elsewhere seldom has user agents: their absence there says nothing.
        if (List is not null && !(request.Imported && string.IsNullOrWhiteSpace(request.UserAgent)))
        {
            var verdict = List.Judge(request.UserAgent);
            if (verdict.Kind == UserAgentKind.Preview && Excluded(Machine.Preview))
            {
                return (StopReason.Preview, verdict.Sign!);
            }

            if (verdict.Kind == UserAgentKind.Bot && Excluded(Machine.Bot))
            {
                return (StopReason.Bot, verdict.Sign!);
            }
        }

        return Excluded(Machine.Head) && string.Equals(request.Signals?.Method, "HEAD", StringComparison.OrdinalIgnoreCase)
            ? (StopReason.Head, "it was a HEAD request")
            : null;
    }

    private bool Excluded(Machine machine) => !Counted.Contains(machine);

    /// <summary>Browsers have several ways to say it: <c>Sec-Purpose: prefetch;prerender</c>, <c>X-Moz: prefetch</c>, <c>X-Purpose: instant</c>.</summary>
    private static bool Says(string purpose, params ReadOnlySpan<string> words)
    {
        foreach (var word in words)
        {
            if (purpose.Contains(word, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private static string Announced(string purpose) => $"it announced itself as \"{purpose}\"";
}
