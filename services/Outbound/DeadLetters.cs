using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <param name="Count">How many are due again.</param>
internal sealed record Redelivered(int Count);

/// <summary>
/// <c>GET /v1/webhooks/dead-letters</c>: what was given up, of webhooks and postbacks. <c>POST …/redeliver</c> puts all of it back, or
/// one subscription's by <c>?subscription=</c>; <c>POST …/{delivery}/redeliver</c> one.
/// </summary>
internal static class DeadLetters
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/webhooks/dead-letters", ListAsync)
            .RequireScope(Scope.Admin)
            .WithName("ListDeadLetters").WithTags("Webhooks").WithSummary("Deliveries that were given up, the newest first, by ?subscription=, ?after= and ?limit=");
        routes.MapPost("/v1/webhooks/dead-letters/redeliver", RedeliverAsync)
            .RequireScope(Scope.Admin)
            .WithName("RedeliverAll").WithTags("Webhooks").WithSummary("Delivers all dead letters again, or those of ?subscription=");
        routes.MapPost("/v1/webhooks/dead-letters/{delivery:guid}/redeliver", RedeliverOneAsync)
            .RequireScope(Scope.Admin)
            .WithName("RedeliverOne").WithTags("Webhooks").WithSummary("Delivers one dead letter again, under the same webhook-id");
    }

    private static async Task<Results<Ok<DeliveryPage>, ProblemHttpResult>> ListAsync(
        HttpContext http, Deliveries deliveries, TimeProvider time, CancellationToken cancellationToken,
        string? subscription = null, string? after = null, string? limit = null)
    {
        var checks = new Checks(time);
        var (before, size) = ReadDeliveries.Page(checks, after, limit);
        var of = Subscription(checks, subscription);
        return checks.Passed
            ? TypedResults.Ok(ReadDeliveries.PageOf(await deliveries.ListDeadAsync(http.ApiKey().Program, of, before, size, cancellationToken), size))
            : Problem.Invalid(checks.Faults);
    }

    private static async Task<Results<Ok<Redelivered>, ProblemHttpResult>> RedeliverAsync(
        HttpContext http, Deliveries deliveries, Sender sender, TimeProvider time, CancellationToken cancellationToken, string? subscription = null)
    {
        var checks = new Checks(time);
        var of = Subscription(checks, subscription);
        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        var count = await deliveries.RedeliverAsync(http.ApiKey().Program, id: null, of, time.GetUtcNow(), cancellationToken);
        sender.Wake();
        return TypedResults.Ok(new Redelivered(count));
    }

    private static async Task<Results<Ok<Redelivered>, ProblemHttpResult>> RedeliverOneAsync(
        Guid delivery, HttpContext http, Deliveries deliveries, Sender sender, TimeProvider time, CancellationToken cancellationToken)
    {
        var program = http.ApiKey().Program;
        if (await deliveries.RedeliverAsync(program, delivery, subscription: null, time.GetUtcNow(), cancellationToken) == 1)
        {
            sender.Wake();
            return TypedResults.Ok(new Redelivered(1));
        }

        return await deliveries.FindAsync(program, delivery, cancellationToken) is { } found
            ? Problem.Conflict(new FieldFault("state", $"is '{found.State}'; only a delivery that is '{Delivery.Dead}' can be delivered again"))
            : Problem.NotFound("delivery", $"'{delivery}' is not a delivery");
    }

    private static Guid? Subscription(Checks checks, string? text)
    {
        if (text is null)
        {
            return null;
        }

        if (Guid.TryParse(text, out var id))
        {
            return id;
        }

        checks.Add("subscription", $"'{text}' is not the id of a subscription");
        return null;
    }
}
