using System.Collections.Frozen;
using System.Diagnostics;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using PartnerPulse.Contracts;
using PartnerPulse.Hosting.Keys;
using PartnerPulse.Hosting.Problems;

namespace PartnerPulse.Partners;

/// <summary>What a program is to allow, as a whole: what is absent is as in a program that was never configured.</summary>
internal sealed record ConfigureProgramAsk
{
    public IReadOnlyList<string?>? LinkHosts { get; init; }
    public IReadOnlyList<string?>? Origins { get; init; }
    public IReadOnlyList<string?>? DeepLinkHosts { get; init; }
    public IReadOnlyList<string?>? PartnerParameters { get; init; }
    public string? Fallback { get; init; }
}

/// <summary>A program as the API shows it.</summary>
/// <param name="Id">The program.</param>
/// <param name="LinkHosts">Hosts of its links, the preferred one first. On them no other program's links lead anywhere.</param>
/// <param name="Origins">Origins of its pages.</param>
/// <param name="DeepLinkHosts">Hosts to which <c>?to=</c> may lead besides a link's own.</param>
/// <param name="PartnerParameters">Query parameters that name a partner on a landing page, in the order in which they are tried.</param>
/// <param name="Fallback">Where links lead that lead nowhere else.</param>
internal sealed record ProgramBody(
    string Id,
    IReadOnlyList<string> LinkHosts,
    IReadOnlyList<string> Origins,
    IReadOnlyList<string> DeepLinkHosts,
    IReadOnlyList<string> PartnerParameters,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Fallback)
{
    public static ProgramBody Of(ProgramConfigured e) => new(e.ProgramId, e.LinkHosts, e.Origins, e.DeepLinkHosts, e.PartnerParameters, e.Fallback);
}

/// <summary><c>GET</c> and <c>PUT /v1/program</c>: what the key's program allows on its links and pages.</summary>
internal static class ConfigureProgram
{
    private const int MaxEntries = 50;
    private const int MaxEntry = 300;
    private const int MaxParameter = 64;

    // They mean something else to us, or to the merchant's own tools.
    private static readonly FrozenSet<string> s_takenParameters = FrozenSet.Create(
        StringComparer.OrdinalIgnoreCase,
        "to", "pp_click", "pp_test", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "sub1", "sub2", "sub3", "sub4", "sub5", "subId");

    public sealed record Asked(
        IReadOnlyList<string> LinkHosts, IReadOnlyList<string> Origins, IReadOnlyList<string> DeepLinkHosts, IReadOnlyList<string> PartnerParameters, string? Fallback);

    public abstract record Outcome;

    public sealed record Configured(ProgramConfigured Program) : Outcome;

    public sealed record AlreadyConfigured(ProgramConfigured Program) : Outcome;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/program", ReadAsync)
            .RequireScope(Scope.Read)
            .WithName("ReadProgram").WithTags("Program").WithSummary("Link hosts, origins and fallback of the key's program");
        routes.MapPut("/v1/program", HandleAsync)
            .RequireScope(Scope.WriteCatalogue)
            .TakesJson<ConfigureProgramAsk>("""{"origins":["https://shop.example"],"partnerParameters":["ref","via"]}""")
            .WithName("ConfigureProgram").WithTags("Program").WithSummary("Replaces link hosts, origins and fallback of the key's program");
    }

    public static Asked? Read(ConfigureProgramAsk ask, Checks checks)
    {
        var asked = new Asked(
            Entries(checks, "linkHosts", ask.LinkHosts, HostNames.Read),
            Entries(checks, "origins", ask.Origins, HostNames.ReadOrigin),
            Entries(checks, "deepLinkHosts", ask.DeepLinkHosts, HostNames.Read),
            ask.PartnerParameters is null ? ProgramConfigured.DefaultPartnerParameters : Entries(checks, "partnerParameters", ask.PartnerParameters, ReadParameter),
            checks.Address("fallback", ask.Fallback, Names.MaxDestination));
        if (ask.PartnerParameters is { Count: 0 })
        {
            checks.Add("partnerParameters", "must name at least one; absent it is 'ref' and 'via'");
        }

        return checks.Passed ? asked : null;
    }

    public static Outcome Decide(ProgramConfigured? current, Asked asked, string program, DateTimeOffset now, Guid eventId)
    {
        current ??= new ProgramConfigured { EventId = default, ProgramId = program, OccurredAt = default };
        return asked.LinkHosts.SequenceEqual(current.LinkHosts, StringComparer.Ordinal)
            && asked.Origins.SequenceEqual(current.Origins, StringComparer.Ordinal)
            && asked.DeepLinkHosts.SequenceEqual(current.DeepLinkHosts, StringComparer.Ordinal)
            && asked.PartnerParameters.SequenceEqual(current.PartnerParameters, StringComparer.Ordinal)
            && asked.Fallback == current.Fallback
            ? new AlreadyConfigured(current)
            : new Configured(new ProgramConfigured
            {
                EventId = eventId,
                ProgramId = program,
                OccurredAt = now,
                LinkHosts = asked.LinkHosts,
                Origins = asked.Origins,
                DeepLinkHosts = asked.DeepLinkHosts,
                PartnerParameters = asked.PartnerParameters,
                Fallback = asked.Fallback,
            });
    }

    private static async Task<Ok<ProgramBody>> ReadAsync(HttpContext http, ProgramLog log, CancellationToken cancellationToken)
    {
        var program = http.ApiKey().Program;
        var (current, _) = await log.LoadAsync(program, cancellationToken);
        return TypedResults.Ok(ProgramBody.Of(current ?? new ProgramConfigured { EventId = default, ProgramId = program, OccurredAt = default }));
    }

    private static async Task<Results<Ok<ProgramBody>, ProblemHttpResult>> HandleAsync(
        HttpContext http, ProgramLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        var (ask, fault) = await http.Request.ReadJsonAsync(PartnersJson.Default.ConfigureProgramAsk, cancellationToken);
        if (ask is null)
        {
            return Problem.Invalid(fault!);
        }

        var checks = new Checks(time);
        if (Read(ask, checks) is not { } asked)
        {
            return Problem.Invalid(checks.Faults);
        }

        var program = http.ApiKey().Program;
        for (var attempt = 0; attempt < PartnerLog.MaxTries; attempt++)
        {
            var now = time.GetUtcNow();
            var (current, version) = await log.LoadAsync(program, cancellationToken);
            switch (Decide(current, asked, program, now, Guid.CreateVersion7(now)))
            {
                case Configured c:
                    switch (await log.SaveAsync(c.Program, version, cancellationToken))
                    {
                        case SaveOutcome.Saved:
                            return TypedResults.Ok(ProgramBody.Of(c.Program));
                        case SaveOutcome.Taken t:
                            return Problem.Conflict([.. t.Claims.Select(claim => Taken(claim, asked))]);
                        case SaveOutcome.Stale:
                            break;
                        case var other:
                            throw new UnreachableException(other.ToString());
                    }

                    break;
                case AlreadyConfigured c:
                    return TypedResults.Ok(ProgramBody.Of(c.Program));
                case var other:
                    throw new UnreachableException(other.ToString());
            }
        }

        return Problem.Of(
            StatusCodes.Status503ServiceUnavailable, "Try again", new FieldFault("program", $"'{program}' was changed by others {PartnerLog.MaxTries} times meanwhile"));
    }

    private static FieldFault Taken(Claim claim, Asked asked)
    {
        var (field, names) = claim.Kind == Claim.LinkHost ? ("linkHosts", asked.LinkHosts) : ("origins", asked.Origins);
        return new FieldFault($"{field}[{names.ToList().IndexOf(claim.Name)}]", $"'{claim.Name}' is another program's");
    }

    /// <summary>The entries as they are kept, each once, in their order.</summary>
    private static string[] Entries(Checks checks, string field, IReadOnlyList<string?>? asked, Func<string, (string? Value, string? Fault)> read)
    {
        if (asked?.Count > MaxEntries)
        {
            checks.Add(field, $"has {asked.Count} entries; at most {MaxEntries} are allowed");
            return [];
        }

        var entries = new List<string>(asked?.Count ?? 0);
        for (var i = 0; i < asked?.Count; i++)
        {
            var text = checks.Required($"{field}[{i}]", asked[i], MaxEntry);
            if (text.Length == 0)
            {
                continue;
            }

            var (value, fault) = read(text);
            if (value is null)
            {
                checks.Add($"{field}[{i}]", fault!);
            }
            else if (!entries.Contains(value, StringComparer.Ordinal))
            {
                entries.Add(value);
            }
        }

        return [.. entries];
    }

    private static (string? Value, string? Fault) ReadParameter(string text) =>
        text.Length > MaxParameter || !text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.')
            ? (null, $"'{text}' must be 1 to {MaxParameter} letters, digits, '_', '-' and '.'")
        : s_takenParameters.Contains(text) ? (null, $"'{text}' has another meaning")
        : (text, null);
}
