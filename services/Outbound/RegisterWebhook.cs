using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary>A webhook to register.</summary>
internal sealed record RegisterWebhookAsk
{
    public string? Url { get; init; }
    public IReadOnlyList<string?>? Events { get; init; }
    public string? Description { get; init; }
}

/// <summary>A webhook as the API shows it.</summary>
/// <param name="Secret">Only in the answer that made it.</param>
/// <param name="PreviousSecretUntil">Until when the secret before this one signs as well; absent where none does.</param>
/// <param name="DisabledReason">Why nothing is sent; absent while it is enabled.</param>
/// <param name="FailingSince">Since when nothing has been taken; absent where the last attempt was.</param>
/// <param name="Position">Up to here of Attribution's log it has its deliveries.</param>
internal sealed record WebhookBody(
    Guid Id,
    string Url,
    IReadOnlyList<string> Events,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Description,
    bool Enabled,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? DisabledReason,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? FailingSince,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Secret,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? PreviousSecretUntil,
    long Position,
    DateTimeOffset CreatedAt)
{
    public static WebhookBody Of(Subscription s, DateTimeOffset now, bool withSecret = false) => new(
        s.Id, s.Url, s.Events, s.Description, s.Enabled, s.DisabledReason, s.FailingSince,
        withSecret ? Signature.Text(s.Secret!) : null, now < s.PreviousSecretUntil ? s.PreviousSecretUntil : null, s.Position, s.CreatedAt);
}

/// <summary><c>POST /v1/webhooks</c>: from now on these events are told to this address. The secret is shown once, here.</summary>
internal static class RegisterWebhook
{
    public const int MaxUrl = 2_000;
    public const int MaxDescription = 200;

    /// <summary>Webhooks of one program: each event is kept once for every one of them.</summary>
    private const int MaxWebhooks = 100;

    public sealed record Asked(string Url, IReadOnlyList<string> Events, string? Description);

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/webhooks", HandleAsync)
            .RequireScope(Scope.Admin)
            .TakesJson<RegisterWebhookAsk>("""{"url":"https://books.example/hook","events":["credit.revised","conversion.recorded"]}""")
            .WithName("RegisterWebhook").WithTags("Webhooks").WithSummary("Tells events to an address from now on; answers the secret, once");

    public static Asked? Read(RegisterWebhookAsk ask, Checks checks, PublicConnection connection)
    {
        var url = checks.Required("url", ask.Url, MaxUrl);
        CheckUrl(checks, connection, url);
        var events = ReadEvents(checks, ask.Events ?? []);
        var description = checks.Optional("description", ask.Description, MaxDescription);
        return checks.Passed ? new Asked(url, events, description) : null;
    }

    public static void CheckUrl(Checks checks, PublicConnection connection, string url)
    {
        if (url.Length > 0 && checks.Address("url", url, MaxUrl) is not null && connection.WhyNot(new Uri(url)) is { } reason)
        {
            checks.Add("url", reason);
        }
    }

    /// <summary>Known names, each once.</summary>
    public static IReadOnlyList<string> ReadEvents(Checks checks, IReadOnlyList<string?> events)
    {
        if (events.Count == 0)
        {
            checks.Add("events", $"must name at least one of {string.Join(", ", EventNames.All)}");
        }

        for (var i = 0; i < events.Count; i++)
        {
            if (events[i] is not { } name || !EventNames.IsKnown(name))
            {
                checks.Add($"events[{i}]", $"is '{events[i]}'; it must be one of {string.Join(", ", EventNames.All)}");
                return [];
            }
        }

        return events.OfType<string>().Distinct(StringComparer.Ordinal).ToArray();
    }

    private static async Task<Results<Created<WebhookBody>, ProblemHttpResult>> HandleAsync(
        HttpContext http, Subscriptions subscriptions, PublicConnection connection, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await http.Request.ReadJsonAsync(OutboundJson.Default.RegisterWebhookAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        if (Read(ask, checks, connection) is not { } asked)
        {
            return Problem.Invalid(checks.Faults);
        }

        var (program, now) = (http.ApiKey().Program, time.GetUtcNow());
        if ((await subscriptions.ListAsync(program, Subscription.Webhook, cancellationToken)).Count >= MaxWebhooks)
        {
            return Problem.Conflict(new FieldFault("url", $"would be webhook {MaxWebhooks + 1}; a program has at most {MaxWebhooks}"));
        }

        var webhook = new Subscription
        {
            Id = Guid.CreateVersion7(now),
            Program = program,
            Kind = Subscription.Webhook,
            Url = asked.Url,
            Events = asked.Events,
            Description = asked.Description,
            Position = await subscriptions.NowAsync(cancellationToken),
            Secret = Signature.NewSecret(),
            CreatedAt = now,
        };
        return await subscriptions.AddAsync(webhook, cancellationToken)
            ? TypedResults.Created($"/v1/webhooks/{webhook.Id}", WebhookBody.Of(webhook, now, withSecret: true))
            : Taken(asked.Url);
    }

    public static ProblemHttpResult Taken(string url) =>
        Problem.Conflict(new FieldFault("url", $"'{url}' is another webhook's; change that one, or tell the two apart by their query"));

    public static ProblemHttpResult Unknown(Guid id) => Problem.NotFound("id", $"'{id}' is not a webhook");
}
