using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Replays;

/// <summary><c>DELETE /v1/replays/{id}</c>: the generation is not wanted; running, it stops.</summary>
internal static class DiscardReplay
{
    public abstract record Outcome;

    public sealed record Discarded(ReplayDiscarded Event) : Outcome;

    public sealed record AlreadyDiscarded : Outcome;

    public sealed record Unknown : Outcome;

    public sealed record Counts : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapDelete("/v1/replays/{id:guid}", HandleAsync).RequireScope(Scope.WriteRules).WithTags("Replays")
            .WithSummary("Stop a replay and throw its generation away");

    public static Outcome Decide(ReplayHistory history, Guid replayId, string program, string by, DateTimeOffset now)
    {
        if (!history.Replays.TryGetValue(replayId, out var replay))
        {
            return new Unknown();
        }

        if (replay.Discarded)
        {
            return new AlreadyDiscarded();
        }

        return replay.Generation == history.ActiveGeneration
            ? new Counts()
            : new Discarded(new ReplayDiscarded
            {
                EventId = Ids.Derive("replay-discarded", $"{replayId:N}"),
                ProgramId = program,
                OccurredAt = now,
                ReplayId = replayId,
                Generation = replay.Generation,
                By = by,
            });
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        HttpContext http, Guid id, ReplayStream stream, TimeProvider time, CancellationToken cancellationToken)
    {
        var outcome = await stream.DecideAsync(
            history =>
            {
                var decided = Decide(history, id, stream.Program, http.ApiKey().Name, time.GetUtcNow());
                return (decided, (decided as Discarded)?.Event);
            },
            cancellationToken);
        return outcome switch
        {
            Discarded or AlreadyDiscarded => TypedResults.NoContent(),
            Unknown => Problem.NotFound("id", $"'{id}' is not a replay"),
            Counts => Problem.Conflict(new FieldFault("state", "is 'promoted'; promote another replay first")),
            var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
        };
    }
}
