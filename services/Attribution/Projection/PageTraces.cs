using System.Diagnostics;
using Npgsql;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using EventLog = PartnerPulse.EventStore.EventLog;

namespace PartnerPulse.Attribution.Projection;

/// <summary>
/// A page of the log in the traces that its events came in. A change of credit is told in the trace of the fact that brought it about, and in
/// those of the clicks that are credited. What is folded knows nothing of it.
/// </summary>
internal sealed class PageTraces : IDisposable
{
    private readonly EventLog _log;
    private readonly Spans _spans;
    private readonly List<Activity> _credits = [];
    private bool _completed;

    private PageTraces(EventLog log, Spans spans) => (_log, _spans) = (log, spans);

    /// <summary>Begins the spans of the page after <paramref name="after"/>. Where nobody listens it asks nothing.</summary>
    public static async Task<PageTraces> BeginAsync(EventLog log, NpgsqlConnection connection, long after, LogPage page, CancellationToken cancellationToken)
    {
        var contexts = Diagnostics.Source.HasListeners() ? (await log.Traces.ReadAsync(connection, after, page.To, cancellationToken)).Values : [];
        return new PageTraces(log, Spans.Begin("project", ActivityKind.Consumer, contexts, ("pulse.position", page.To)));
    }

    /// <summary>The revisions as events to append, each in the trace of what brought it about.</summary>
    public async Task<NewEvent[]> CreditAsync(NpgsqlConnection connection, IReadOnlyList<CreditsRevised> revisions, CancellationToken cancellationToken)
    {
        var events = revisions.Select(Intake.IntakeWriter.ToNewEvent).ToArray();
        if (!Diagnostics.Source.HasListeners())
        {
            return events;
        }

        var named = revisions.SelectMany(Named).ToHashSet();
        var contexts = await _log.Traces.FindAsync(connection, named, cancellationToken);
        for (var i = 0; contexts.Count > 0 && i < events.Length; i++)
        {
            events[i] = events[i] with { TraceParent = Credit(revisions[i], contexts) };
        }

        return events;
    }

    /// <summary>The page is committed.</summary>
    public void Completed()
    {
        _completed = true;
        _spans.Completed();
    }

    public void Dispose()
    {
        foreach (var credit in _credits)
        {
            if (!_completed)
            {
                credit.SetStatus(ActivityStatusCode.Error);
            }

            credit.Dispose();
        }

        _spans.Dispose();
    }

    /// <summary>What brought it about first, then the clicks.</summary>
    private static IEnumerable<Guid> Named(CreditsRevised revision) =>
        (revision.Causes ?? []).Select(cause => cause.EventId).OfType<Guid>().Concat((revision.Clicks ?? []).Select(click => click.ClickId));

    /// <returns>The context with which the revision goes on; null where none of its traces is sampled.</returns>
    private string? Credit(CreditsRevised revision, IReadOnlyDictionary<Guid, string> contexts)
    {
        string? first = null;
        var traces = new HashSet<ActivityTraceId>();
        foreach (var context in Named(revision).Select(contexts.GetValueOrDefault).Select(_spans.Next).OfType<string>())
        {
            if (!ActivityContext.TryParse(context, null, out var parent) || !traces.Add(parent.TraceId))
            {
                continue;
            }

            ActivityLink[] links = first is not null && ActivityContext.TryParse(first, null, out var other) ? [new ActivityLink(other)] : [];
            if (Spans.Start("credit", ActivityKind.Internal, context, links) is { } credit)
            {
                credit.SetTag("pulse.conversion", revision.ConversionId).SetTag("pulse.generation", revision.Generation);
                _credits.Add(credit);
                first ??= credit.Id;
            }
        }

        return first;
    }
}
