using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary><c>DELETE /v1/webhooks/{id}</c>: with its secret, its deliveries and its dead letters.</summary>
internal static class RemoveWebhook
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapDelete("/v1/webhooks/{id:guid}", HandleAsync)
            .RequireScope(Scope.Admin)
            .WithName("RemoveWebhook").WithTags("Webhooks").WithSummary("Removes a webhook and everything that waits for it");

    private static async Task<Results<NoContent, ProblemHttpResult>> HandleAsync(
        Guid id, HttpContext http, Subscriptions subscriptions, CancellationToken cancellationToken) =>
        await subscriptions.FindWebhookAsync(http.ApiKey().Program, id, cancellationToken) is { } webhook
        && await subscriptions.RemoveAsync(webhook.Id, cancellationToken)
            ? TypedResults.NoContent()
            : RegisterWebhook.Unknown(id);
}
