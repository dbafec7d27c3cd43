using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;

namespace PartnerPulse.Attribution.Replays;

/// <summary>Loads the stream of replays, lets decide, appends what was decided, and waits until it shows.</summary>
internal sealed class ReplayStream(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, ProjectionProgress progress, IOptions<ProgramOptions> program)
{
    /// <summary>A promotion folds what is left first; that may take a while on a large history.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    public string Program => program.Value.Program;

    /// <param name="decide">From the history to an outcome and the event that makes it so; no event where nothing changes.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<TOutcome> DecideAsync<TOutcome>(Func<ReplayHistory, (TOutcome Outcome, IEvent? Event)> decide, CancellationToken cancellationToken)
    {
        var stream = Ids.Derive("replays", Program);
        while (true)
        {
            var stored = await log.ReadStreamAsync(stream, cancellationToken);
            var history = stored.Aggregate(ReplayHistory.Empty, (state, e) => ReplayHistory.Evolve(state, EventTypes.Deserialize(EventTypes.Find(e.Type)!, e.Data.Span)));
            var (outcome, @event) = decide(history);
            if (@event is null)
            {
                return outcome;
            }

            if (await log.AppendAsync(stream, stored.Count, [Intake.IntakeWriter.ToNewEvent(@event)], cancellationToken) is Appended appended)
            {
                await progress.WaitAsync(log, appended.Position, s_patience, cancellationToken);
                return outcome;
            }
        }
    }
}
