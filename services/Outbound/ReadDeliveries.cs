using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary>A delivery as the API shows it.</summary>
/// <param name="Id">Also in the receiver's header: <c>webhook-id</c> is <c>msg_</c> and this without its dashes.</param>
/// <param name="Subscription">Id of the webhook, or of the postback.</param>
/// <param name="State"><c>waiting</c>, <c>delivered</c> or <c>dead</c>.</param>
/// <param name="Attempts">Attempts that have come to an end.</param>
/// <param name="DueAt">When it is sent next; absent where it is not.</param>
/// <param name="LastStatus">HTTP status of the last answer; absent where there was none.</param>
/// <param name="LastAnswer">The beginning of the last answer, or why there was none.</param>
internal sealed record DeliveryBody(
    Guid Id,
    Guid Subscription,
    string Event,
    Guid EventId,
    bool Test,
    string State,
    int Attempts,
    DateTimeOffset CreatedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? DueAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? LastAttemptAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? LastStatus,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? LastAnswer)
{
    public static DeliveryBody Of(Delivery d) => new(
        d.Id, d.SubscriptionId, d.Event, d.EventId, d.Test, d.State, d.Attempts, d.CreatedAt, d.State == Delivery.Waiting ? d.DueAt : null,
        d.LastAttemptAt, d.LastStatus, d.LastAnswer);
}

/// <param name="Next">What to send as <c>after</c> for the next page; absent on the last.</param>
internal sealed record DeliveryPage(
    IReadOnlyList<DeliveryBody> Deliveries,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Next);

/// <summary>
/// <c>GET /v1/webhooks/{id}/deliveries</c> and <c>GET /v1/postbacks/{partner}/deliveries</c>: what was sent and what came of it, the
/// newest first.
/// </summary>
internal static class ReadDeliveries
{
    public const int DefaultLimit = 100;
    public const int MaxLimit = 1_000;

    private static readonly string[] s_states = [Delivery.Waiting, Delivery.Delivered, Delivery.Dead];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/webhooks/{id:guid}/deliveries", OfWebhookAsync)
            .RequireScope(Scope.Admin)
            .WithName("ListDeliveries").WithTags("Webhooks").WithSummary("Deliveries of a webhook, the newest first, by ?state=, ?after= and ?limit=");
        routes.MapGet("/v1/postbacks/{partner}/deliveries", OfPostbackAsync)
            .RequireScope(Scope.Read, Scope.WriteCatalogue)
            .WithName("ListPostbackDeliveries").WithTags("Postbacks").WithSummary("Deliveries of a partner's postback, the newest first");
    }

    /// <summary>Where a page of a list that begins with the newest goes on, and how much it holds.</summary>
    public static (long Before, int Limit) Page(Checks checks, string? after, string? limit)
    {
        var before = long.MaxValue;
        if (after is not null && (!long.TryParse(after, CultureInfo.InvariantCulture, out before) || before < 0))
        {
            checks.Add("after", "must be the number that the last page gave as 'next'");
        }

        var size = DefaultLimit;
        if (limit is not null && (!int.TryParse(limit, CultureInfo.InvariantCulture, out size) || size is < 1 or > MaxLimit))
        {
            checks.Add("limit", $"must be 1 to {MaxLimit}");
        }

        return (before, size);
    }

    public static DeliveryPage PageOf(IReadOnlyList<Delivery> deliveries, int limit) =>
        new(deliveries.Select(DeliveryBody.Of).ToArray(), deliveries.Count == limit ? $"{deliveries[^1].Number}" : null);

    private static async Task<Results<Ok<DeliveryPage>, ProblemHttpResult>> OfWebhookAsync(
        Guid id, HttpContext http, Subscriptions subscriptions, Deliveries deliveries, TimeProvider time, CancellationToken cancellationToken,
        string? state = null, string? after = null, string? limit = null) =>
        await subscriptions.FindWebhookAsync(http.ApiKey().Program, id, cancellationToken) is { } webhook
            ? await PageAsync(webhook, deliveries, time, state, after, limit, cancellationToken)
            : RegisterWebhook.Unknown(id);

    private static async Task<Results<Ok<DeliveryPage>, ProblemHttpResult>> OfPostbackAsync(
        string partner, HttpContext http, Subscriptions subscriptions, Deliveries deliveries, TimeProvider time, CancellationToken cancellationToken,
        string? state = null, string? after = null, string? limit = null) =>
        await subscriptions.FindPostbackAsync(http.ApiKey().Program, partner, cancellationToken) is { } postback
            ? await PageAsync(postback, deliveries, time, state, after, limit, cancellationToken)
            : SetPostback.Unknown(partner);

    private static async Task<Results<Ok<DeliveryPage>, ProblemHttpResult>> PageAsync(
        Subscription subscription, Deliveries deliveries, TimeProvider time, string? state, string? after, string? limit, CancellationToken cancellationToken)
    {
        var checks = new Checks(time);
        var (before, size) = Page(checks, after, limit);
        if (state is not null && !s_states.Contains(state, StringComparer.Ordinal))
        {
            checks.Add("state", $"is '{state}'; it must be one of {string.Join(", ", s_states)}");
        }

        return checks.Passed
            ? TypedResults.Ok(PageOf(await deliveries.ListAsync(subscription.Id, state, before, size, cancellationToken), size))
            : Problem.Invalid(checks.Faults);
    }
}
