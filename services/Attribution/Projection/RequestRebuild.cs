using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;

namespace PartnerPulse.Attribution.Projection;

/// <summary><c>POST /v1/rebuild</c>: derive everything again from the log. Readers see the old until the new is whole.</summary>
internal static class RequestRebuild
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/rebuild", HandleAsync).RequireScope(Scope.Admin).WithTags("Operations").WithSummary("Derive all projections again from the log");

    private static async Task<Accepted> HandleAsync([FromKeyedServices(AttributionService.Schema)] EventLog log, CancellationToken cancellationToken)
    {
        await log.SaveCheckpointAsync(Projector.Checkpoint, Projector.RebuildRequested, cancellationToken);
        log.SignalAppended();
        return TypedResults.Accepted("/v1/status");
    }
}
