using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary>What is to change; what is absent stays.</summary>
internal sealed record ChangeWebhookAsk
{
    public string? Url { get; init; }
    public IReadOnlyList<string?>? Events { get; init; }
    public string? Description { get; init; }
    public bool? Enabled { get; init; }

    /// <summary>With <see cref="Enabled"/>: goes on with what happens from now on, instead of where it stopped.</summary>
    public bool? SkipMissed { get; init; }
}

/// <summary><c>PATCH /v1/webhooks/{id}</c>. One that is enabled again goes on where it stopped: the log kept what it missed.</summary>
internal static class ChangeWebhook
{
    /// <summary>The reason that is shown while a person has disabled it.</summary>
    public const string ByHand = "disabled by hand";

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPatch("/v1/webhooks/{id:guid}", HandleAsync)
            .RequireScope(Scope.Admin)
            .TakesJson<ChangeWebhookAsk>("""{"enabled":true}""")
            .WithName("ChangeWebhook").WithTags("Webhooks").WithSummary("Changes address, events or description, disables and enables");

    /// <param name="webhook">As it stands.</param>
    /// <param name="ask">What is to change, checked.</param>
    /// <param name="events">The events, checked; null where they stay.</param>
    /// <param name="now">Position of the log now.</param>
    public static Subscription Decide(Subscription webhook, ChangeWebhookAsk ask, IReadOnlyList<string>? events, long now)
    {
        var changed = webhook with
        {
            Url = ask.Url ?? webhook.Url,
            Events = events ?? webhook.Events,
            Description = ask.Description is null ? webhook.Description : ask.Description.Length == 0 ? null : ask.Description,
        };
        return ask.Enabled switch
        {
            true => changed with
            {
                Enabled = true,
                DisabledReason = null,
                FailingSince = webhook.Enabled ? webhook.FailingSince : null,
                Position = ask.SkipMissed == true ? Math.Max(now, webhook.Position) : webhook.Position,
            },
            false => changed with { Enabled = false, DisabledReason = webhook.DisabledReason ?? ByHand },
            null => changed,
        };
    }

    private static async Task<Results<Ok<WebhookBody>, ProblemHttpResult>> HandleAsync(
        Guid id, HttpContext http, Subscriptions subscriptions, PublicConnection connection, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await http.Request.ReadJsonAsync(OutboundJson.Default.ChangeWebhookAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        if (ask.Url is { } url)
        {
            RegisterWebhook.CheckUrl(checks, connection, checks.Required("url", url, RegisterWebhook.MaxUrl));
        }

        var events = ask.Events is { } names ? RegisterWebhook.ReadEvents(checks, names) : null;
        checks.Optional("description", ask.Description, RegisterWebhook.MaxDescription);
        if (ask.SkipMissed == true && ask.Enabled != true)
        {
            checks.Add("skipMissed", "goes with 'enabled': true");
        }

        if (!checks.Passed)
        {
            return Problem.Invalid(checks.Faults);
        }

        if (await subscriptions.FindWebhookAsync(http.ApiKey().Program, id, cancellationToken) is not { } webhook)
        {
            return RegisterWebhook.Unknown(id);
        }

        var end = await subscriptions.NowAsync(cancellationToken);
        try
        {
            return await subscriptions.ChangeAsync(webhook.Id, before => Decide(before, ask, events, end), cancellationToken) is { } changed
                ? TypedResults.Ok(WebhookBody.Of(changed, time.GetUtcNow()))
                : RegisterWebhook.Unknown(id);
        }
        catch (PostgresException e) when (e is { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "subscriptions_webhook" })
        {
            return RegisterWebhook.Taken(ask.Url!);
        }
    }
}
