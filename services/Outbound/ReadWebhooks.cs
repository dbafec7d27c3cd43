using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

internal sealed record WebhookList(IReadOnlyList<WebhookBody> Webhooks);

/// <summary><c>GET /v1/webhooks</c> and <c>GET /v1/webhooks/{id}</c>.</summary>
internal static class ReadWebhooks
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/webhooks", ListAsync)
            .RequireScope(Scope.Admin)
            .WithName("ListWebhooks").WithTags("Webhooks").WithSummary("All webhooks of the program, the oldest first");
        routes.MapGet("/v1/webhooks/{id:guid}", OneAsync)
            .RequireScope(Scope.Admin)
            .WithName("ReadWebhook").WithTags("Webhooks").WithSummary("One webhook, without its secret");
    }

    private static async Task<Ok<WebhookList>> ListAsync(HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellationToken)
    {
        var webhooks = await subscriptions.ListAsync(http.ApiKey().Program, Subscription.Webhook, cancellationToken);
        return TypedResults.Ok(new WebhookList(webhooks.Select(w => WebhookBody.Of(w, time.GetUtcNow())).ToArray()));
    }

    private static async Task<Results<Ok<WebhookBody>, ProblemHttpResult>> OneAsync(
        Guid id, HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellationToken) =>
        await subscriptions.FindWebhookAsync(http.ApiKey().Program, id, cancellationToken) is { } webhook
            ? TypedResults.Ok(WebhookBody.Of(webhook, time.GetUtcNow()))
            : RegisterWebhook.Unknown(id);
}
