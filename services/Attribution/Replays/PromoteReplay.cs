using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.Replays;

/// <summary>
/// <c>POST /v1/replays/{id}/promotion</c>: the replay's generation counts from now on. The one before is kept; promoting its
/// replay again is the way back.
/// </summary>
internal static class PromoteReplay
{
    public abstract record Outcome;

    public sealed record Promoted(ReplayPromoted Event) : Outcome;

    public sealed record AlreadyActive : Outcome;

    public sealed record Unknown : Outcome;

    public sealed record NotReady : Outcome;

    public sealed record Gone : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/replays/{id:guid}/promotion", HandleAsync).RequireScope(Scope.WriteRules).WithTags("Replays")
            .WithSummary("Let the replay's generation count, in one transaction");

    public static Outcome Decide(ReplayHistory history, Guid replayId, Guid eventId, string program, string by, DateTimeOffset now)
    {
        if (!history.Replays.TryGetValue(replayId, out var replay))
        {
            return new Unknown();
        }

        if (replay.Generation == history.ActiveGeneration)
        {
            return new AlreadyActive();
        }

        if (replay.Discarded)
        {
            return new Gone();
        }

        return !replay.Completed && !replay.Promoted
            ? new NotReady()
            : new Promoted(new ReplayPromoted
            {
                EventId = eventId,
                ProgramId = program,
                OccurredAt = now,
                ReplayId = replayId,
                Generation = replay.Generation,
                PreviousGeneration = history.ActiveGeneration,
                By = by,
            });
    }

    private static async Task<Results<Ok<ReadReplay.ReplayView>, ProblemHttpResult>> HandleAsync(
        HttpContext http, Guid id, ReplayStream stream, ReadReplay read, TimeProvider time, CancellationToken cancellationToken)
    {
        var outcome = await stream.DecideAsync(
            history =>
            {
                var now = time.GetUtcNow();
                var decided = Decide(history, id, Guid.CreateVersion7(now), stream.Program, http.ApiKey().Name, now);
                return (decided, (decided as Promoted)?.Event);
            },
            cancellationToken);
        return outcome switch
        {
            Promoted or AlreadyActive => TypedResults.Ok((await read.FindAsync(id, cancellationToken))!),
            Unknown => Problem.NotFound("id", $"'{id}' is not a replay"),
            NotReady => Problem.Conflict(new FieldFault("state", $"is '{Generation.Running}'; a replay can be promoted when it is '{Generation.Ready}'")),
            Gone => Problem.Conflict(new FieldFault("state", $"is '{Generation.Discarded}'")),
            var other => throw new System.Diagnostics.UnreachableException(other.ToString()),
        };
    }
}
