using System.Diagnostics;

namespace PartnerPulse.Hosting;

/// <summary>
/// One step that many facts take together, a span in each of their traces. A fact without a trace context has none, and a step of such
/// facts alone costs nothing. A span whose step was not <see cref="Completed"/> says that it failed.
/// </summary>
public sealed class Spans : IDisposable
{
    private static readonly Spans s_none = new();

    private readonly Dictionary<string, Activity> _spans = new(StringComparer.Ordinal);
    private bool _completed;

    private Spans()
    {
    }

    /// <summary>Whether any of the facts has a span.</summary>
    public bool Any => _spans.Count > 0;

    /// <summary>Begins the step.</summary>
    /// <param name="name">What is done.</param>
    /// <param name="kind">Handing on, taking in, or neither.</param>
    /// <param name="contexts">W3C trace contexts of the facts. One that is none is passed over.</param>
    /// <param name="tag">What every span is marked with.</param>
    public static Spans Begin(string name, ActivityKind kind, IEnumerable<string?> contexts, (string Key, object? Value) tag = default)
    {
        if (!Diagnostics.Source.HasListeners())
        {
            return s_none;
        }

        Spans? spans = null;
        foreach (var context in contexts)
        {
            if (context is not null && spans?._spans.ContainsKey(context) is not true && Start(name, kind, context) is { } span)
            {
                (spans ??= new Spans())._spans.Add(context, span);
                if (tag.Key is not null)
                {
                    span.SetTag(tag.Key, tag.Value);
                }
            }
        }

        return spans ?? s_none;
    }

    /// <summary>A span in the trace of one fact, beside whatever the caller's own activity is; null where nobody wants it.</summary>
    public static Activity? Start(string name, ActivityKind kind, string context, IEnumerable<ActivityLink>? links = null)
    {
        if (!ActivityContext.TryParse(context, null, isRemote: true, out var parent))
        {
            return null;
        }

        // Many are begun at once: none of them is what the caller does meanwhile.
        var own = Activity.Current;
        var span = Diagnostics.Source.StartActivity(name, kind, parent, links: links);
        Activity.Current = own;
        if (span is not { Recorded: true })
        {
            span?.Dispose();
            return null;
        }

        return span;
    }

    /// <summary>The context with which a fact goes on from here: that of its span, or its own where it has none.</summary>
    public string? Next(string? context) => context is not null && _spans.TryGetValue(context, out var span) ? span.Id : context;

    /// <summary>The step was done.</summary>
    public void Completed() => _completed = true;

    public void Dispose()
    {
        foreach (var span in _spans.Values)
        {
            if (!_completed)
            {
                span.SetStatus(ActivityStatusCode.Error);
            }

            span.Dispose();
        }
    }
}
