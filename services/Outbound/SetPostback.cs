using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Outbound;

/// <summary>Where a partner's own system is told of its conversions.</summary>
internal sealed record SetPostbackAsk
{
    /// <summary>An address with macros, see <see cref="Macros"/>.</summary>
    public string? Url { get; init; }

    /// <summary>False keeps the address and sends nothing; true where absent.</summary>
    public bool? Enabled { get; init; }
}

/// <summary>A partner's postback as the API shows it.</summary>
internal sealed record PostbackBody(
    Guid Id,
    string Partner,
    string Url,
    bool Enabled,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? DisabledReason,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? FailingSince,
    long Position,
    DateTimeOffset CreatedAt)
{
    public static PostbackBody Of(Subscription s) => new(s.Id, s.Partner!, s.Url, s.Enabled, s.DisabledReason, s.FailingSince, s.Position, s.CreatedAt);
}

internal sealed record PostbackList(IReadOnlyList<PostbackBody> Postbacks, IReadOnlyList<string> Macros);

/// <summary>
/// <c>PUT</c>, <c>GET</c> and <c>DELETE /v1/postbacks/{partner}</c>: a GET to the partner's own system whenever its part of a
/// conversion changes. Not under <c>/v1/partners</c>, which is another service's path.
/// </summary>
internal static class SetPostback
{
    /// <summary>An id makes retries the same postback.</summary>
    private static Guid IdOf(string program, string partner) => Ids.Derive("postback", program, partner);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPut("/v1/postbacks/{partner}", SetAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<SetPostbackAsk>("""{"url":"https://tracker.example/pb?cid={click_id}&payout={payout}"}""")
            .WithName("SetPostback").WithTags("Postbacks").WithSummary("Tells a partner's system of its conversions, by an address with macros");
        routes.MapGet("/v1/postbacks", ListAsync)
            .RequireScope(Scope.Read, Scope.WriteCatalogue)
            .WithName("ListPostbacks").WithTags("Postbacks").WithSummary("All postbacks, and the macros that there are");
        routes.MapGet("/v1/postbacks/{partner}", ReadAsync)
            .RequireScope(Scope.Read, Scope.WriteCatalogue)
            .WithName("ReadPostback").WithTags("Postbacks").WithSummary("A partner's postback");
        routes.MapDelete("/v1/postbacks/{partner}", RemoveAsync)
            .RequireScope(Scope.WriteCatalogue)
            .WithName("RemovePostback").WithTags("Postbacks").WithSummary("Removes a partner's postback and what waits for it");
    }

    /// <summary>The template, or every fault of it.</summary>
    public static string? Read(SetPostbackAsk ask, Checks checks, PublicConnection connection)
    {
        var url = checks.Required("url", ask.Url, RegisterWebhook.MaxUrl);
        if (url.Length > 0)
        {
            var faults = Macros.Faults(url).ToArray();
            foreach (var fault in faults)
            {
                checks.Add("url", fault);
            }

            if (faults.Length == 0)
            {
                RegisterWebhook.CheckUrl(checks, connection, Macros.Render(url, Macros.All.ToDictionary(name => name, _ => "x", StringComparer.Ordinal)));
            }
        }

        return checks.Passed ? url : null;
    }

    public static ProblemHttpResult Unknown(string partner) => Problem.NotFound("partner", $"'{partner}' has no postback");

    private static async Task<Results<Ok<PostbackBody>, Created<PostbackBody>, ProblemHttpResult>> SetAsync(
        string partner, HttpContext http, Subscriptions subscriptions, PublicConnection connection,
        [FromKeyedServices(OutboundService.Source)] EventLog source, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await http.Request.ReadJsonAsync(OutboundJson.Default.SetPostbackAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        if (Read(ask, checks, connection) is not { } url)
        {
            return Problem.Invalid(checks.Faults);
        }

        var program = http.ApiKey().Program;
        if ((await source.ReadStreamAsync(Ids.PartnerStream(program, partner), cancellationToken)).Count == 0)
        {
            return Problem.NotFound("partner", $"'{partner}' is not enrolled, or was so a moment ago and has not arrived here");
        }

        if (await subscriptions.FindPostbackAsync(program, partner, cancellationToken) is { } known)
        {
            var asked = new ChangeWebhookAsk { Url = url, Enabled = ask.Enabled ?? true };
            return await subscriptions.ChangeAsync(known.Id, before => ChangeWebhook.Decide(before, asked, events: null, before.Position), cancellationToken) is { } changed
                ? TypedResults.Ok(PostbackBody.Of(changed))
                : Unknown(partner);
        }

        var now = time.GetUtcNow();
        var postback = new Subscription
        {
            Id = IdOf(program, partner),
            Program = program,
            Kind = Subscription.Postback,
            Partner = partner,
            Url = url,
            Events = [EventNames.CreditRevised],
            Position = await subscriptions.NowAsync(cancellationToken),
            Enabled = ask.Enabled ?? true,
            DisabledReason = ask.Enabled == false ? ChangeWebhook.ByHand : null,
            CreatedAt = now,
        };
        if (!await subscriptions.AddAsync(postback, cancellationToken))
        {
            return Problem.Of(StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("partner", $"'{partner}' was given a postback by somebody else meanwhile"));
        }

        return TypedResults.Created($"/v1/postbacks/{partner}", PostbackBody.Of(postback));
    }

    private static async Task<Ok<PostbackList>> ListAsync(HttpContext http, Subscriptions subscriptions, CancellationToken cancellationToken) =>
        TypedResults.Ok(new PostbackList(
            (await subscriptions.ListAsync(http.ApiKey().Program, Subscription.Postback, cancellationToken)).Select(PostbackBody.Of).ToArray(), Macros.All));

    private static async Task<Results<Ok<PostbackBody>, ProblemHttpResult>> ReadAsync(
        string partner, HttpContext http, Subscriptions subscriptions, CancellationToken cancellationToken) =>
        await subscriptions.FindPostbackAsync(http.ApiKey().Program, partner, cancellationToken) is { } postback
            ? TypedResults.Ok(PostbackBody.Of(postback))
            : Unknown(partner);

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(
        string partner, HttpContext http, Subscriptions subscriptions, CancellationToken cancellationToken) =>
        await subscriptions.FindPostbackAsync(http.ApiKey().Program, partner, cancellationToken) is { } postback
        && await subscriptions.RemoveAsync(postback.Id, cancellationToken)
            ? TypedResults.NoContent()
            : Unknown(partner);
}
