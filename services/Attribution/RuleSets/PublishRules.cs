using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using PartnerPulse.Attribution.Core;
using PartnerPulse.Attribution.Projection;
using PartnerPulse.Contracts;
using PartnerPulse.EventStore;
using PartnerPulse.Hosting;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Attribution.RuleSets;

/// <summary><c>POST /v1/rules</c>: a new version of the rules. It decides nothing until a replay under it is promoted.</summary>
internal sealed class PublishRules(
    [FromKeyedServices(AttributionService.Schema)] EventLog log, ProjectionProgress progress, IOptions<ProgramOptions> program, TimeProvider time)
{
    private const int MaxWhyLength = 500;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    public sealed record Published(int Version, string Hash);

    public abstract record Outcome;

    public sealed record New(RulesPublished Event) : Outcome;

    public sealed record Known(RulesPublished Event) : Outcome;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/rules", HandleAsync).RequireScope(Scope.WriteRules).WithTags("Rules")
            .WithSummary("Publish a version of the rules, and why in ?why=; the same document again is the same version")
            .TakesJson<JsonElement>("""{"name":"spring","model":{"kind":"linear"},"windowDays":30}""");

    /// <summary>The same document is the same version, so that a retry changes nothing.</summary>
    public static Outcome Decide(IReadOnlyList<RulesPublished> published, Rules rules, string program, string by, string? why, DateTimeOffset now)
    {
        var hash = rules.Hash;
        if (published.FirstOrDefault(p => p.Hash == hash) is { } known)
        {
            return new Known(known);
        }

        using var document = JsonDocument.Parse(rules.ToCanonicalJson());
        return new New(new RulesPublished
        {
            EventId = Ids.Derive("rules-version", program, $"{published.Count + 1}", hash),
            ProgramId = program,
            OccurredAt = now,
            Version = published.Count + 1,
            Hash = hash,
            Document = document.RootElement.Clone(),
            By = by,
            Why = why,
        });
    }

    /// <summary>Publishes if need be, and waits until the version can be used.</summary>
    public async Task<Published> PublishAsync(Rules rules, string by, string? why, CancellationToken cancellationToken)
    {
        var stream = Ids.Derive("rules", program.Value.Program);
        while (true)
        {
            var stored = await log.ReadStreamAsync(stream, cancellationToken);
            var published = stored.Select(e => (RulesPublished)EventTypes.Deserialize(EventTypes.Of<RulesPublished>(), e.Data.Span)).ToArray();
            switch (Decide(published, rules, program.Value.Program, by, why, time.GetUtcNow()))
            {
                case Known known:
                    await progress.WaitAsync(log, stored.Max(e => e.Position), s_patience, cancellationToken);
                    return new Published(known.Event.Version, known.Event.Hash);
                case New fresh:
                    if (await log.AppendAsync(stream, stored.Count, [Intake.IntakeWriter.ToNewEvent(fresh.Event)], cancellationToken) is Appended appended)
                    {
                        await progress.WaitAsync(log, appended.Position, s_patience, cancellationToken);
                        return new Published(fresh.Event.Version, fresh.Event.Hash);
                    }

                    break; // Somebody else published meanwhile: decide again on what is there now.
                case var other:
                    throw new System.Diagnostics.UnreachableException(other.ToString());
            }
        }
    }

    private static async Task<Results<Created<Published>, ProblemHttpResult>> HandleAsync(
        HttpContext http, PublishRules use, BotLists lists, CancellationToken cancellationToken, string? why = null)
    {
        if (why is not null && (why.Length > MaxWhyLength || string.IsNullOrWhiteSpace(why) || why.Any(char.IsControl)))
        {
            return Problem.Invalid(new FieldFault("why", $"must be 1 to {MaxWhyLength} characters of one line"));
        }

        var (document, fault) = await http.Request.ReadJsonAsync(RulesJson.Default.JsonElement, cancellationToken);
        if (fault is not null)
        {
            return Problem.Invalid(fault);
        }

        switch (Rules.Parse(document, lists))
        {
            case RulesAccepted accepted:
                var published = await use.PublishAsync(accepted.Rules, http.ApiKey().Name, why, cancellationToken);
                return TypedResults.Created($"/v1/rules/{published.Version}", published);
            case RulesRefused refused:
                return Problem.Invalid(Faults(refused, ""));
            case var other:
                throw new System.Diagnostics.UnreachableException(other.ToString());
        }
    }

    internal static FieldFault[] Faults(RulesRefused refused, string prefix) =>
        refused.Faults.Select(f => new FieldFault(prefix + f.Field, f.Reason)).ToArray();
}
