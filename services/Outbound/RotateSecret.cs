using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary>A new secret. The body may be absent.</summary>
internal sealed record RotateSecretAsk
{
    /// <summary>How many hours the old one signs beside the new one; 24 where absent, 0 to drop it at once.</summary>
    public int? PreviousValidHours { get; init; }
}

/// <summary><c>POST /v1/webhooks/{id}/secret</c>: a new secret, shown once. For a while both sign, so that the receiver changes in its own time.</summary>
internal static class RotateSecret
{
    private const int DefaultHours = 24;
    private const int MaxHours = 24 * 30;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/webhooks/{id:guid}/secret", HandleAsync)
            .RequireScope(Scope.Admin)
            .TakesJson<RotateSecretAsk>("""{"previousValidHours":48}""", isOptional: true)
            .WithName("RotateSecret").WithTags("Webhooks").WithSummary("Makes a new secret; the old one signs beside it for a while");

    public static Subscription Decide(Subscription webhook, byte[] secret, int hours, DateTimeOffset now) => webhook with
    {
        Secret = secret,
        PreviousSecret = hours == 0 ? null : webhook.Secret,
        PreviousSecretUntil = hours == 0 ? null : now.AddHours(hours),
    };

    private static async Task<Results<Ok<WebhookBody>, ProblemHttpResult>> HandleAsync(
        Guid id, HttpContext http, Subscriptions subscriptions, TimeProvider time, CancellationToken cancellationToken)
    {
        var ask = new RotateSecretAsk();
        if (http.Request.HasBody())
        {
            var (read, fault) = await http.Request.ReadJsonAsync(OutboundJson.Default.RotateSecretAsk, cancellationToken);
            if (read is null)
            {
                return Problem.Invalid(fault!);
            }

            ask = read;
        }

        var hours = ask.PreviousValidHours ?? DefaultHours;
        if (hours is < 0 or > MaxHours)
        {
            return Problem.Invalid(new FieldFault("previousValidHours", $"is {hours}; it must be 0 to {MaxHours}"));
        }

        if (await subscriptions.FindWebhookAsync(http.ApiKey().Program, id, cancellationToken) is not { } webhook)
        {
            return RegisterWebhook.Unknown(id);
        }

        var now = time.GetUtcNow();
        return await subscriptions.ChangeAsync(webhook.Id, before => Decide(before, Signature.NewSecret(), hours, now), cancellationToken) is { } rotated
            ? TypedResults.Ok(WebhookBody.Of(rotated, now, withSecret: true))
            : RegisterWebhook.Unknown(id);
    }
}
